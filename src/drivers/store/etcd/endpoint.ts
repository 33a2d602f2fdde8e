/** Where etcd listens, as users write it: `etcd://10.0.0.1:2379,10.0.0.2`, or one URL a member. */
import { isIPv6 } from "node:net";
import { DriverError } from "../../error.ts";

export interface Endpoint {
  /** `10.0.0.1:2379`, `[fd00::1]:2379`: what gRPC dials and people read. */
  readonly authority: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

const DEFAULT_PORT = 2379;
const SCHEMES = ["etcd", "etcds", "http", "https"];

/**
 * Reads endpoints, separated by commas. `https` and `etcds` are TLS, `http` is not; `etcd` and no scheme at all are whatever `tls` says.
 * @throws DriverError `invalid`
 */
export function parseEndpoints(text: string, tls: boolean): Endpoint[] {
  const scheme = /^([a-z]+):\/\//.exec(text.trim())?.[1];
  const parts = text.split(",").map((part) => part.trim().replace(/\/$/, ""));
  const endpoints = parts.map((part) =>
    parseEndpoint(/^[a-z]+:\/\//.test(part) ? part : `${scheme ?? "etcd"}://${part}`, tls),
  );
  const twice = endpoints.find((one, i) => endpoints.findIndex(({ authority }) => authority === one.authority) !== i);
  if (twice !== undefined) throw bad(text, `${twice.authority} stands there twice`);
  return endpoints;
}

function parseEndpoint(text: string, tls: boolean): Endpoint {
  const match = /^([a-z]+):\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?$/.exec(text);
  if (match === null) throw bad(text, "it is not like etcd://10.0.0.1:2379");
  const [, scheme = "", name = "", digits] = match;
  if (!SCHEMES.includes(scheme)) throw bad(text, `"${scheme}" is not one of ${SCHEMES.join(", ")}`);
  const host = name.replace(/^\[|\]$/g, "");
  if (name.startsWith("[") && !isIPv6(host)) throw bad(text, `"${host}" is no IPv6 address`);
  const port = Number(digits ?? DEFAULT_PORT);
  if (port < 1 || port > 65535) throw bad(text, `${digits} is not a port (1-65535)`);
  const secure = scheme === "etcd" ? tls : scheme !== "http";
  return { authority: `${name}:${port}`, host, port, tls: secure };
}

function bad(text: string, why: string): DriverError {
  return new DriverError("invalid", `Cannot use the store "${text}": ${why}`);
}
