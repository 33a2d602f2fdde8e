/**
 * Which of the host's addresses is the node's own: the source of packets from the host to its containers, and later the next hop
 * that other hosts use. Calico's "first-found" (its docs, "IP autodetection methods"), with the default route's interface first.
 */
import { type Address, compareAddresses, type Family, parseAddress } from "../core/net/address.ts";

export interface HostAddress {
  readonly interface: string;
  readonly address: string;
  /** Only "global" is reachable from elsewhere (ip-address(8), scope). */
  readonly scope: string;
}

export interface DefaultRoute {
  readonly family: Family;
  readonly interface: string;
  readonly metric: number;
}

export interface NodeAddresses {
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** Interface of the default route, or of the node's address. */
  readonly uplink?: string;
}

/** Interfaces that belong to container engines, hypervisors and ourselves. */
const NOT_THE_HOSTS = /^(manx|mxp|docker|br-|veth|cali|cni|virbr|lxc|lxdbr|podman|flannel|kube|tunl|vxlan|lo$)/;

export function nodeAddresses(addresses: readonly HostAddress[], defaults: readonly DefaultRoute[]): NodeAddresses {
  const first4 = pick(4, addresses, defaults);
  const first6 = pick(6, addresses, defaults);
  const uplink = byMetric(defaults)[0]?.interface ?? first4?.interface ?? first6?.interface;
  return {
    ...(first4 === undefined ? {} : { ipv4: first4.address }),
    ...(first6 === undefined ? {} : { ipv6: first6.address }),
    ...(uplink === undefined ? {} : { uplink }),
  };
}

function byMetric(defaults: readonly DefaultRoute[]): DefaultRoute[] {
  return [...defaults].sort((a, b) => a.family - b.family || a.metric - b.metric);
}

function pick(
  family: Family,
  addresses: readonly HostAddress[],
  defaults: readonly DefaultRoute[],
): HostAddress | undefined {
  const order = byMetric(defaults.filter((route) => route.family === family)).map((route) => route.interface);
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return addresses
    .flatMap((entry) => {
      const parsed = parseAddress(entry.address);
      return parsed?.family === family && usable(entry, parsed) ? [{ entry, parsed }] : [];
    })
    .sort(
      (a, b) =>
        rank(a.entry.interface) - rank(b.entry.interface) ||
        a.entry.interface.localeCompare(b.entry.interface) ||
        Number(isUniqueLocal(a.parsed)) - Number(isUniqueLocal(b.parsed)) ||
        compareAddresses(a.parsed, b.parsed),
    )[0]?.entry;
}

function usable(entry: HostAddress, address: Address): boolean {
  return entry.scope === "global" && !NOT_THE_HOSTS.test(entry.interface) && address.value !== 0n;
}

/** RFC 4193: fc00::/7. A host that also has a public address is known by that one. */
function isUniqueLocal(address: Address): boolean {
  return address.family === 6 && address.value >> 121n === 0x7en;
}
