/**
 * Which of the host's addresses is the node's own: the source of packets from the host to its containers, and later the next hop
 * that other hosts use. Calico's "first-found" (its docs, "IP autodetection methods"), with the default route's interface first.
 */
import { type Address, compareAddresses, type Family, parseAddress } from "../core/net/address.ts";
import { contains } from "../core/net/cidr.ts";
import { FIRST_FOUND, type IpMethod, routeTo } from "./ip-method.ts";

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

/** A route of the host, as far as `can-reach` needs it. */
export interface ReachRoute {
  readonly family: Family;
  readonly destination: string;
  readonly interface: string;
  readonly metric: number;
  readonly source?: string;
}

export interface NodeAddressOptions {
  readonly ipv4?: IpMethod;
  readonly ipv6?: IpMethod;
  readonly routes?: readonly ReachRoute[];
}

export interface NodeAddresses {
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** Interface of the default route, or of the node's address. */
  readonly uplink?: string;
}

/** Interfaces that belong to container engines, hypervisors and ourselves. */
const NOT_THE_HOSTS = /^(manx|mxp|docker|br-|veth|cali|cni|virbr|lxc|lxdbr|podman|flannel|kube|tunl|vxlan|lo$)/;

export function nodeAddresses(
  addresses: readonly HostAddress[],
  defaults: readonly DefaultRoute[],
  { ipv4 = FIRST_FOUND, ipv6 = FIRST_FOUND, routes = [] }: NodeAddressOptions = {},
): NodeAddresses {
  const first4 = choose(ipv4, 4, addresses, defaults, routes);
  const first6 = choose(ipv6, 6, addresses, defaults, routes);
  const uplink = byMetric(defaults)[0]?.interface ?? first4?.interface ?? first6?.interface;
  return {
    ...(first4 === undefined ? {} : { ipv4: first4.address }),
    ...(first6 === undefined ? {} : { ipv6: first6.address }),
    ...(uplink === undefined ? {} : { uplink }),
  };
}

function choose(
  method: IpMethod,
  family: Family,
  addresses: readonly HostAddress[],
  defaults: readonly DefaultRoute[],
  routes: readonly ReachRoute[],
): HostAddress | undefined {
  const matching = (pattern: RegExp): HostAddress[] => addresses.filter((one) => pattern.test(one.interface));
  switch (method.kind) {
    case "first-found":
      return pick(family, addresses, defaults);
    case "none":
      return undefined;
    case "explicit": {
      const { address } = method;
      const held = addresses.find((one) => one.address === address);
      return held ?? { interface: "", address, scope: "global" };
    }
    case "interface": {
      for (const pattern of method.patterns) {
        const found = pick(family, matching(pattern), defaults, /^lo$/);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    case "skip-interface": {
      const skipped = new Set(method.patterns.flatMap(matching));
      return pick(
        family,
        addresses.filter((one) => !skipped.has(one)),
        defaults,
      );
    }
    case "can-reach": {
      const route = routeTo(
        method.target,
        routes.filter((one) => one.family === family),
      );
      if (route === undefined) return undefined;
      const on = addresses.filter((one) => one.interface === route.interface);
      return on.find(({ address }) => address === route.source) ?? pick(family, on, defaults, /^$/);
    }
    case "cidr": {
      const within = addresses.filter(({ address }) => {
        const parsed = parseAddress(address);
        return parsed !== undefined && method.cidrs.some((range) => contains(range, parsed));
      });
      return pick(family, within, defaults);
    }
  }
}

function byMetric(defaults: readonly DefaultRoute[]): DefaultRoute[] {
  return [...defaults].sort((a, b) => a.family - b.family || a.metric - b.metric);
}

function pick(
  family: Family,
  addresses: readonly HostAddress[],
  defaults: readonly DefaultRoute[],
  not: RegExp = NOT_THE_HOSTS,
): HostAddress | undefined {
  const order = byMetric(defaults.filter((route) => route.family === family)).map((route) => route.interface);
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return addresses
    .flatMap((entry) => {
      const parsed = parseAddress(entry.address);
      return parsed?.family === family && usable(entry, parsed, not) ? [{ entry, parsed }] : [];
    })
    .sort(
      (a, b) =>
        rank(a.entry.interface) - rank(b.entry.interface) ||
        a.entry.interface.localeCompare(b.entry.interface) ||
        Number(isUniqueLocal(a.parsed)) - Number(isUniqueLocal(b.parsed)) ||
        compareAddresses(a.parsed, b.parsed),
    )[0]?.entry;
}

function usable(entry: HostAddress, address: Address, not: RegExp): boolean {
  return entry.scope === "global" && !not.test(entry.interface) && address.value !== 0n;
}

/** RFC 4193: fc00::/7. A host that also has a public address is known by that one. */
function isUniqueLocal(address: Address): boolean {
  return address.family === 6 && address.value >> 121n === 0x7en;
}
