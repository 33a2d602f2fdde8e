/** What BGP needs to know of a Node: addresses, AS number, cluster ID, port. */
import { plainNet, readAsNumber } from "../model/fields.ts";
import type { BGPConfiguration, Node } from "../model/resources.ts";
import { type Family, formatAddress, parseAddress } from "../net/address.ts";
import { cidr, contains } from "../net/cidr.ts";
import type { NodeIps } from "./state.ts";

export const DEFAULT_AS = 64512;
export const BGP_PORT = 179;
export const LINK_LOCAL = cidr("fe80::/10");

export interface BgpNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: NodeIps;
  readonly asNumber: number;
  readonly port: number;
  readonly clusterId?: string;
}

/** The BGPConfiguration "default" and "node.NAME": what the second says counts, as far as Calico lets it say something. */
export class Configurations {
  readonly #byName: ReadonlyMap<string, BGPConfiguration>;

  constructor(configurations: readonly BGPConfiguration[]) {
    this.#byName = new Map(configurations.map((one) => [one.metadata.name, one]));
  }

  get global(): BGPConfiguration | undefined {
    return this.#byName.get("default");
  }

  of(node: string): BGPConfiguration | undefined {
    return this.#byName.get(`node.${node}`);
  }

  asNumber(): number {
    return readAsNumber(this.global?.spec.asNumber ?? DEFAULT_AS) ?? DEFAULT_AS;
  }

  /** Where a node listens. */
  port(node: string): number {
    const port = this.pick(node, "listenPort");
    return Number.isInteger(port) && port !== undefined && port > 0 && port <= 65_535 ? port : BGP_PORT;
  }

  /** Of prefixAdvertisements, communities, listenPort, logSeverityScreen: the node's own where it has one. */
  pick<K extends "prefixAdvertisements" | "listenPort" | "logSeverityScreen">(
    node: string,
    key: K,
  ): BGPConfiguration["spec"][K] | undefined {
    return this.of(node)?.spec[key] ?? this.global?.spec[key];
  }

  /** Where the prefix advertisements of the node stand, so that names of communities are looked up beside them. */
  advertiser(node: string): BGPConfiguration | undefined {
    const own = this.of(node);
    return own?.spec.prefixAdvertisements === undefined ? this.global : own;
  }
}

export function bgpNode(node: Node, configurations: Configurations): BgpNode {
  const bgp = node.spec.bgp ?? {};
  const clusterId = bgp.routeReflectorClusterID;
  const own = bgp.asNumber === undefined ? undefined : readAsNumber(bgp.asNumber);
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    addresses: { ...bare(bgp.ipv4Address, 4), ...bare(bgp.ipv6Address, 6) },
    asNumber: own ?? configurations.asNumber(),
    port: configurations.port(node.metadata.name),
    ...(clusterId === undefined || parseAddress(clusterId)?.family !== 4 ? {} : { clusterId }),
  };
}

/** `192.0.2.1/24` -> 192.0.2.1, canonical; nothing where it is no address of the family that other hosts can reach. */
function bare(text: string | undefined, family: Family): NodeIps {
  const parsed = parseAddress(plainNet(text?.replace(/\/.*/s, "") ?? ""));
  const isReachable = parsed?.family === family && parsed.value !== 0n && !contains(LINK_LOCAL, parsed);
  return isReachable ? { [family]: formatAddress(parsed) } : {};
}

/** A router ID has 32 bits also where there is no IPv4 (RFC 6286): then it comes from the node's name. */
export function routerId(node: BgpNode): string {
  if (node.addresses[4] !== undefined) return node.addresses[4];
  let hash = 0x811c9dc5; // FNV-1a
  for (const byte of new TextEncoder().encode(node.name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return formatAddress({ family: 4, value: BigInt(hash === 0 ? 1 : hash) });
}
