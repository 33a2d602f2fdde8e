/** What Docker sends with each call (libnetwork, drivers/remote/api and ipams/remote/api), and how it is read. */
import { z } from "zod";
import { PluginError, quote } from "./errors.ts";
import { list, openMap, record, textMap } from "./json.ts";

const id = z.string().regex(/^[0-9a-f]{64}$/, "must be an ID of 64 hexadecimal digits");
const text = (most: number): z.ZodType<string> =>
  z
    .string()
    .max(most, `must not be longer than ${most} characters`)
    .optional()
    .transform((value) => value ?? "");
/** What Docker always sends: where it is missing, the content is missing. */
const always = (most: number): z.ZodType<string> =>
  z.string().min(1, "must not be empty").max(most, `must not be longer than ${most} characters`);
const flag = z
  .boolean()
  .optional()
  .transform((value) => value ?? false);

const ipamData = record({ AddressSpace: text(256), Pool: text(64), Gateway: text(64), AuxAddresses: openMap });
export type IpamData = z.output<typeof ipamData>;

const noArguments = record({});
const endpoint = record({ NetworkID: id, EndpointID: id });

const messages = {
  none: noArguments,
  network: record({ NetworkID: id }),
  endpoint,
  createNetwork: record({ NetworkID: id, Options: openMap, IPv4Data: list(ipamData), IPv6Data: list(ipamData) }),
  createEndpoint: record({
    NetworkID: id,
    EndpointID: id,
    Options: openMap,
    Interface: record({ Address: text(64), AddressIPv6: text(64), MacAddress: text(64) }).optional(),
  }),
  join: record({ NetworkID: id, EndpointID: id, SandboxKey: text(4096), Options: openMap }),
  requestPool: record({ AddressSpace: always(256), Pool: text(4096), SubPool: text(64), Options: textMap, V6: flag }),
  releasePool: record({ PoolID: text(8192) }),
  requestAddress: record({ PoolID: always(8192), Address: text(64), Options: textMap }),
  releaseAddress: record({ PoolID: text(8192), Address: text(64) }),
} as const;

export type Messages = { readonly [K in keyof typeof messages]: z.output<(typeof messages)[K]> };

/** Docker repeats a call whose connection broke, and then without its content. */
const REPEATED =
  "Docker repeated the call without its content, as it does when Manx was restarted in the middle of it; please try again";

/** @throws PluginError with one sentence that names the field */
export function readMessage<K extends keyof Messages>(kind: K, call: string, body: unknown): Messages[K] {
  const result = messages[kind].safeParse(body);
  if (result.success) return result.data as Messages[K];
  if (typeof body === "object" && body !== null && !Array.isArray(body) && Object.keys(body).length === 0)
    throw new PluginError(`Cannot answer ${call}: ${REPEATED}`);
  const issue = result.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? "the request" : quote(issue.path.join("."));
  throw new PluginError(`Cannot answer ${call}: ${where}: ${issue?.message ?? "is not understood"}`);
}
