/**
 * A network as the cluster knows it: its name, and all that `docker network create` was told. Docker's IDs differ by host, so name
 * and definition say what it is. Fields are only ever added; whoever reads passes over what it does not know.
 */
import { isDeepStrictEqual } from "node:util";
import { parseAddress } from "../../core/net/address.ts";
import type { EngineNetwork } from "../../drivers/docker/values.ts";

export const NETWORKS = "/manx/v1/networks/";

/** What two networks must have in common to be the same one. */
export interface NetworkDefinition {
  readonly internal: boolean;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** `-o`. */
  readonly options: Readonly<Record<string, string>>;
  /** `--ipam-opt`. */
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly pools: readonly NetworkPool[];
}

export interface NetworkPool {
  readonly subnet: string;
  readonly ipRange?: string;
  readonly gateway?: string;
  readonly auxAddresses?: Readonly<Record<string, string>>;
}

export interface NetworkRecord {
  readonly name: string;
  /** Of this creation: a network that was removed and made again is another one. */
  readonly uid: string;
  readonly definition: NetworkDefinition;
  /** Docker's labels, as the one who made it gave them: compose knows its networks by them. */
  readonly labels: Readonly<Record<string, string>>;
  /** Host where it was made, and when (RFC 3339). */
  readonly madeOn: string;
  readonly madeAt: string;
}

export function networkKey(name: string): string {
  return NETWORKS + encodeURIComponent(name);
}

/** `-o everywhere=no`: stays on the host where it is made. */
export function isEverywhere({ options }: Pick<EngineNetwork, "options">): boolean {
  return options["everywhere"] !== "no";
}

/** What the user asked for, out of what Docker made of it. */
export function definitionOf(network: EngineNetwork): NetworkDefinition {
  const { internal, enableIPv4, enableIPv6, options, ipamOptions, ipamConfig } = network;
  const rest = Object.fromEntries(Object.entries(options).filter(([name]) => !NOT_THE_USERS.has(name)));
  return {
    internal,
    ipv4: enableIPv4 && ipamOptions["ipv4"] !== "off",
    ipv6: enableIPv6,
    options: rest,
    ipamOptions,
    pools: ipamConfig.filter(({ subnet }) => !NOT_ASKED.has(subnet)).map(poolOf),
  };
}

/** Options that are not part of what a network is: where it is made, and what newer engines add by themselves. */
const NOT_THE_USERS = new Set(["everywhere", "com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6"]);

/** What our IPAM driver answers where no subnet was asked for, and in the place of IPv4 where there is none. */
const NOT_ASKED = new Set(["0.0.0.0/0", "::/0", "192.0.0.8/32", ""]);

function poolOf({ subnet, ipRange, gateway, auxAddresses }: EngineNetwork["ipamConfig"][number]): NetworkPool {
  const bare = gateway.split("/")[0] ?? "";
  const asked = (parseAddress(bare)?.value ?? 0n) !== 0n;
  return {
    subnet,
    ...(ipRange !== "" && { ipRange }),
    ...(asked && { gateway: bare }),
    ...(Object.keys(auxAddresses).length > 0 && { auxAddresses }),
  };
}

export function sameDefinition(a: NetworkDefinition, b: NetworkDefinition): boolean {
  return differences(a, b).length === 0;
}

/** What differs, for people: `mtu is 1400 here and 1500 there`. */
export function differences(here: NetworkDefinition, there: NetworkDefinition): string[] {
  const out: string[] = [];
  const compare = (name: string, a: string | undefined, b: string | undefined): void => {
    if (a !== b) out.push(`${name} is ${a ?? "not set"} here and ${b ?? "not set"} there`);
  };
  for (const flag of ["internal", "ipv4", "ipv6"] as const) compare(flag, yes(here[flag]), yes(there[flag]));
  for (const map of ["options", "ipamOptions"] as const)
    for (const name of new Set([...Object.keys(here[map]), ...Object.keys(there[map])]))
      compare(name, here[map][name], there[map][name]);
  if (!isDeepStrictEqual(sorted(here.pools), sorted(there.pools)))
    compare("subnet", describe(here.pools), describe(there.pools));
  return out;
}

function yes(flag: boolean): string {
  return flag ? "on" : "off";
}

function sorted(pools: readonly NetworkPool[]): readonly NetworkPool[] {
  return pools.toSorted((a, b) => (a.subnet < b.subnet ? -1 : 1));
}

function describe(pools: readonly NetworkPool[]): string | undefined {
  if (pools.length === 0) return undefined;
  return sorted(pools)
    .map(({ subnet, ipRange, gateway, auxAddresses }) =>
      [subnet, ipRange && `range ${ipRange}`, gateway && `gateway ${gateway}`, auxAddresses && "auxiliary addresses"]
        .filter((part) => part !== undefined)
        .join(" "),
    )
    .join(", ");
}

/** Reads a stored record; undefined if it is none. */
export function readNetworkRecord(key: string, value: string): NetworkRecord | undefined {
  try {
    const found = JSON.parse(value) as Partial<NetworkRecord> | null;
    const { uid, definition } = found ?? {};
    const name = decodeURIComponent(key.slice(NETWORKS.length));
    if (typeof uid !== "string" || typeof definition !== "object" || name === "") return undefined;
    const { internal, ipv4, ipv6, options, ipamOptions, pools } = definition as Partial<NetworkDefinition>;
    return {
      name,
      uid,
      definition: {
        internal: internal === true,
        ipv4: ipv4 !== false,
        ipv6: ipv6 === true,
        options: texts(options),
        ipamOptions: texts(ipamOptions),
        pools: (Array.isArray(pools) ? pools : []).flatMap(readPool),
      },
      labels: texts(found?.labels),
      madeOn: typeof found?.madeOn === "string" ? found.madeOn : "",
      madeAt: typeof found?.madeAt === "string" ? found.madeAt : "",
    };
  } catch {
    return undefined;
  }
}

function readPool(value: unknown): NetworkPool[] {
  const { subnet, ipRange, gateway, auxAddresses } = (value ?? {}) as Partial<NetworkPool>;
  if (typeof subnet !== "string") return [];
  return [
    {
      subnet,
      ...(typeof ipRange === "string" && { ipRange }),
      ...(typeof gateway === "string" && { gateway }),
      ...(auxAddresses !== undefined && { auxAddresses: texts(auxAddresses) }),
    },
  ];
}

function texts(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}
