/** The one line that `manx token create` prints and `manx join` takes. It holds a secret: whoever has it may let one host in. */
import { DriverError } from "../../drivers/error.ts";

export interface JoinLine {
  /** `10.0.0.1:7420`: where hosts are let in. */
  readonly endpoints: readonly string[];
  /** SHA-256 of the cluster's CA certificate, hex. */
  readonly fingerprint: string;
  readonly id: string;
  readonly secret: string;
}

/** The name in the certificate of who lets hosts in; no other certificate of the CA has it. */
export const JOIN_NAME = "join.manx.internal";
export const JOIN_PORT = 7420;

const PREFIX = "manx1";

export function formatJoinLine({ endpoints, fingerprint, id, secret }: JoinLine): string {
  const packed = JSON.stringify([endpoints, Buffer.from(fingerprint, "hex").toString("base64url"), id, secret]);
  return `${PREFIX}.${Buffer.from(packed).toString("base64url")}`;
}

/** @throws DriverError `invalid` */
export function parseJoinLine(text: string): JoinLine {
  const [prefix, packed, more] = text.trim().split(".");
  const value = prefix === PREFIX && packed !== undefined && more === undefined ? unpack(packed) : undefined;
  if (value !== undefined) return value;
  throw new DriverError(
    "invalid",
    `Cannot join: this is not a line of manx token create. It begins with "${PREFIX}." and is one word; was it cut?`,
  );
}

function unpack(packed: string): JoinLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(packed, "base64url").toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const [endpoints, pin, id, secret] = value as unknown[];
  if (!Array.isArray(endpoints) || !endpoints.every((one) => typeof one === "string") || endpoints.length === 0)
    return undefined;
  if (typeof pin !== "string" || typeof id !== "string" || typeof secret !== "string") return undefined;
  const fingerprint = Buffer.from(pin, "base64url").toString("hex");
  return fingerprint.length === 64 ? { endpoints, fingerprint, id, secret } : undefined;
}
