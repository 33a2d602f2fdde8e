/** `docker network create -o NAME=VALUE`: read completely, or refused with one sentence. */
import type { Network } from "../../core/model/resources.ts";
import { PluginError, quote } from "./errors.ts";

export interface NetworkOptions {
  /** Names of IP pools, or CIDRs, in the user's order; undefined: every pool that allows it. */
  readonly pools?: readonly string[];
  readonly mtu?: number;
  readonly publish: Network["spec"]["publish"];
  readonly isolation: Network["spec"]["isolation"];
  readonly sticky: boolean;
}

const MTU_NAMES = ["mtu", "com.docker.network.driver.mtu"];
const PREFIX_NAME = "com.docker.network.container_iface_prefix";

/** What each option allows, for the sentence that refuses another. */
const KNOWN: ReadonlyMap<string, string> = new Map([
  ["pools", "names of IP pools, with commas"],
  ["mtu", "68 to 65535; 1280 or more with IPv6"],
  ["publish", "address, host or off"],
  ["isolation", "network, endpoint or off"],
  ["sticky", "on or off"],
  ["everywhere", "yes or no: whether all hosts of the cluster have it"],
]);
/** Docker's own names for what we can do as well. */
const ALIASES = [...MTU_NAMES.slice(1), PREFIX_NAME];

/** Docker's options that mean something else here, and what to type instead. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ["com.docker.network.bridge.enable_icc", "To keep the network's containers apart: -o isolation=endpoint"],
  [
    "com.docker.network.bridge.host_binding_ipv4",
    "To publish on one address: -o publish=host and -p ADDRESS:PORT:PORT",
  ],
  ["com.docker.network.bridge.enable_ip_masquerade", "Outgoing NAT is a property of the IP pool: natOutgoing"],
  ["com.docker.network.bridge.name", "Manx needs no bridge"],
  [
    "com.docker.network.bridge.gateway_mode_ipv4",
    "Manx routes every address; outgoing NAT is a property of the IP pool",
  ],
  [
    "com.docker.network.bridge.gateway_mode_ipv6",
    "Manx routes every address; outgoing NAT is a property of the IP pool",
  ],
  ["com.docker.network.internal", "Type --internal"],
  ["com.docker.network.enable_ipv6", "Type --ipv6"],
  ["parent", "Manx needs no parent interface"],
  ["macvlan_mode", "Manx needs no parent interface"],
  ["ipvlan_mode", "Manx needs no parent interface"],
]);

/** @throws PluginError */
export function readNetworkOptions(options: ReadonlyMap<string, unknown>): NetworkOptions {
  for (const name of options.keys()) if (!KNOWN.has(name) && !ALIASES.includes(name)) throw unknown(name);
  const pools = readPools(textOf(options, "pools"));
  const mtu = readMtu(options);
  readInterfacePrefix(options);
  oneOf(options, "everywhere", ["yes", "no"], "yes"); // the agent's business: here it is only known to be good
  return {
    ...(pools !== undefined && { pools }),
    ...(mtu !== undefined && { mtu }),
    publish: oneOf(options, "publish", ["address", "host", "off"], "address"),
    isolation: oneOf(options, "isolation", ["network", "endpoint", "off"], "network"),
    sticky: oneOf(options, "sticky", ["on", "off"], "on") === "on",
  };
}

/** Name of the interfaces inside the containers, without the number. @throws PluginError */
export function readInterfacePrefix(options: ReadonlyMap<string, unknown>): string {
  const prefix = textOf(options, PREFIX_NAME) ?? "eth";
  // The kernel numbers on, and dev_valid_name (net/core/dev.c) knows nothing longer than 15 characters.
  if (/^[a-zA-Z][a-zA-Z0-9_.-]{0,11}$/.test(prefix)) return prefix;
  throw bad(PREFIX_NAME, prefix, "a letter, then up to 11 letters, digits, dots, hyphens, underscores");
}

/** @throws PluginError */
export function checkMtu(mtu: number | undefined, families: readonly number[]): void {
  // RFC 8200 section 5: every link must carry 1280.
  if (mtu !== undefined && mtu < 1280 && families.includes(6)) throw bad("mtu", String(mtu), "1280 or more with IPv6");
}

function readMtu(options: ReadonlyMap<string, unknown>): number | undefined {
  const given = MTU_NAMES.flatMap((name) => textOf(options, name) ?? []);
  const [first] = given;
  if (first === undefined) return undefined;
  if (given.some((text) => text !== first)) throw new PluginError(`Cannot create the network: its MTU is given twice`);
  // `com.docker.network.driver.mtu=0` is Docker's way to say: the default.
  if (first === "0") return undefined;
  const mtu = /^[0-9]{2,5}$/.test(first) ? Number(first) : 0;
  if (mtu < 68 || mtu > 65535) throw bad("mtu", first, KNOWN.get("mtu") ?? "");
  return mtu;
}

function readPools(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(",").map((name) => name.trim());
  const good = names.every((name) => /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name));
  if (!good) throw bad("pools", text, `${KNOWN.get("pools")}; a CIDR is given with --subnet`);
  return [...new Set(names)];
}

function oneOf<T extends string>(
  options: ReadonlyMap<string, unknown>,
  name: string,
  allowed: readonly T[],
  otherwise: T,
): T {
  const text = textOf(options, name);
  if (text === undefined) return otherwise;
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw bad(name, text, KNOWN.get(name) ?? "");
  return found;
}

function textOf(options: ReadonlyMap<string, unknown>, name: string): string | undefined {
  const value = options.get(name);
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new PluginError(`Cannot create the network: option "${name}" must be a text`);
  return value;
}

function bad(name: string, value: string, allowed: string): PluginError {
  return new PluginError(`Cannot create the network: option "${name}" cannot be ${quote(value)}; allowed: ${allowed}`);
}

function unknown(name: string): PluginError {
  const known = [...KNOWN].map(([key, allowed]) => `${key} (${allowed})`).join(", ");
  const instead = INSTEAD.get(name);
  const hint = instead === undefined ? `Known are: ${known}` : instead;
  return new PluginError(`Cannot create the network: Manx has no option ${quote(name)}. ${hint}`);
}
