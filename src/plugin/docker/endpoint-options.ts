/** What Docker says about one endpoint: ports (EXPOSE, -p) and `--driver-opt`. Read completely, or refused with one sentence. */

import { z } from "zod";
import type { EndpointRecord, ExposedPort } from "../../agent/records.ts";
import type { PublishedPort } from "../../core/calc/snapshot.ts";
import { type Address, formatAddress, parseAddress } from "../../core/net/address.ts";
import { PluginError, quote } from "./errors.ts";
import { list, record } from "./json.ts";

export type Protocol = PublishedPort["protocol"];

/** One `-p`. */
export interface PortBinding {
  readonly protocol: Protocol;
  readonly port: number;
  /** Address of the host; "" for any. */
  readonly hostAddress: string;
  /** 0: any free one. */
  readonly hostPort: number;
  /** The last of those to choose from; equal to `hostPort` if there is no choice. */
  readonly hostPortEnd: number;
}

const PORTMAP = "com.docker.network.portmap";
const EXPOSED = "com.docker.network.endpoint.exposedports";

/** IP protocol numbers (IANA), as Docker sends them. */
const PROTOCOLS: ReadonlyMap<number, Protocol> = new Map([
  [6, "TCP"],
  [17, "UDP"],
  [132, "SCTP"],
]);
const protocol = z.number().transform((value, context): Protocol => {
  const found = PROTOCOLS.get(value);
  if (found !== undefined) return found;
  context.addIssue({ code: "custom", message: "must be 6 (TCP), 17 (UDP) or 132 (SCTP)" });
  return z.NEVER;
});
const port = z.number().int().min(1).max(65535);
const hostPort = z
  .number()
  .int()
  .min(0)
  .max(65535)
  .optional()
  .transform((value) => value ?? 0);
const hostAddress = z
  .string()
  .optional()
  .transform((value, context) => {
    if (value === undefined || value === "") return "";
    const parsed = parseAddress(value);
    if (parsed !== undefined) return parsed.value === 0n ? "" : formatAddress(parsed);
    context.addIssue({ code: "custom", message: "must be an IP address" });
    return z.NEVER;
  });

const exposedSchema = list(record({ Proto: protocol, Port: port }));
const bindingSchema = list(
  record({ Proto: protocol, Port: port, HostIP: hostAddress, HostPort: hostPort, HostPortEnd: hostPort }),
);

/** The ports that the image or `--expose` names. @throws PluginError */
export function readExposedPorts(options: ReadonlyMap<string, unknown>): ExposedPort[] {
  const ports = read(exposedSchema, options, EXPOSED);
  return unique(ports.map(({ Proto, Port }) => ({ protocol: Proto, port: Port })));
}

/** @throws PluginError */
export function readPortBindings(options: ReadonlyMap<string, unknown>): PortBinding[] {
  const bindings = read(bindingSchema, options, PORTMAP).map((b) => ({
    protocol: b.Proto,
    port: b.Port,
    hostAddress: b.HostIP,
    hostPort: b.HostPort,
    hostPortEnd: Math.max(b.HostPort, b.HostPortEnd),
  }));
  return unique(bindings);
}

function read<T>(schema: z.ZodType<T>, options: ReadonlyMap<string, unknown>, name: string): T {
  const result = schema.safeParse(options.get(name) ?? undefined);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = [name, ...(issue?.path ?? [])].join(".");
  throw new PluginError(`Cannot read the ports of the container: ${quote(where)}: ${issue?.message ?? "bad"}`);
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

export interface DriverOptions {
  /** `addresses=`: more addresses for this endpoint, beside the one that Docker knows. */
  readonly addresses: readonly Address[];
  /** As the user gave them. */
  readonly given: Readonly<Record<string, string>>;
}

/** Docker's own entries among an endpoint's options, by what the reference and the engines' sources have. */
const DOCKERS =
  /^com\.docker\.network\.(endpoint\.(exposedports|macaddress|dnsservers|sysctls)|portmap|driver\.private\..*)$/;
/** The same names typed by a user are texts, which nobody honours; Docker's own MAC address is one as well: base64 of its bytes. */
const TYPED: readonly (readonly [name: string, isTyped: RegExp, instead: string])[] = [
  ["com.docker.network.endpoint.macaddress", /[^A-Za-z0-9+/=]/, "--mac-address"],
  ["com.docker.network.endpoint.dnsservers", /^/, "--dns"],
];
const MAX_ADDRESSES = 64;

/** Settings of the kernel for the interface: Docker sets them by itself, from 27 on. */
const SYSCTLS = "com.docker.network.endpoint.sysctls";
const FIRST_WITH_SYSCTLS = 27;

/** @throws PluginError where the engine would ignore them */
export async function requireSysctls(
  options: ReadonlyMap<string, unknown>,
  version: () => Promise<string>,
): Promise<void> {
  if (!options.has(SYSCTLS)) return;
  const found = await version();
  if (Number.parseInt(found, 10) >= FIRST_WITH_SYSCTLS) return;
  throw new PluginError(
    `Cannot connect the container: Docker ${found} ignores --driver-opt ${quote(SYSCTLS)}. Use --sysctl, or Docker ${FIRST_WITH_SYSCTLS} or later`,
  );
}

/** @throws PluginError for an option that nobody would honour */
export function readDriverOptions(options: ReadonlyMap<string, unknown>): DriverOptions {
  let addresses: Address[] = [];
  const given: Record<string, string> = {};
  for (const [name, value] of options) {
    refuseTyped(name, value);
    if (DOCKERS.test(name)) continue;
    if (name !== "addresses") throw unknown(name);
    if (typeof value !== "string") throw new PluginError('Cannot connect the container: "addresses" must be a text');
    addresses = readAddresses(value);
    given["addresses"] = value;
  }
  return { addresses, given };
}

function refuseTyped(name: string, value: unknown): void {
  const typed = TYPED.find(([known]) => known === name);
  if (typed === undefined || typeof value !== "string" || !typed[1].test(value)) return;
  throw new PluginError(
    `Cannot connect the container: --driver-opt ${quote(name)} is for Docker itself. Type ${typed[2]}`,
  );
}

function readAddresses(text: string): Address[] {
  // The docker command takes commas for itself, unless they are quoted twice.
  const parts = text.trim().split(/\s*[,+;]\s*|\s+/);
  if (parts.length > MAX_ADDRESSES)
    throw new PluginError(
      `Cannot connect the container: it asks for ${parts.length} addresses; ${MAX_ADDRESSES} at most`,
    );
  const addresses = parts.map((part) => {
    const parsed = parseAddress(part);
    if (parsed !== undefined) return parsed;
    const allowed = "--driver-opt addresses= wants IP addresses with + between them";
    throw new PluginError(`Cannot connect the container: ${quote(part)} is not an IP address; ${allowed}`);
  });
  return [...new Map(addresses.map((a) => [formatAddress(a), a])).values()];
}

/** The addresses of an endpoint that Docker does not know of: those of `addresses=`. */
export function extraAddresses({ driverOptions }: Pick<EndpointRecord, "driverOptions">): string[] {
  const text = driverOptions["addresses"];
  return text === undefined ? [] : readAddresses(text).map(formatAddress);
}

function unknown(name: string): PluginError {
  const hint = "Known is: addresses (more IP addresses for the container, with + between them)";
  return new PluginError(`Cannot connect the container: Manx has no --driver-opt ${quote(name)}. ${hint}`);
}
