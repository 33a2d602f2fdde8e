/**
 * LAN pools: a part of the subnet of one of the host's own interfaces, whose addresses the host answers for there (ARP, NDP),
 * one by one and only for containers of its own. Each pool is for Manx alone by its user's word; still no block of it is
 * blackholed: a host that others ask about the LAN must not cut off what lies in there against all promises.
 */
import { lanInterfaceOf } from "../model/lan-annotations.ts";
import type { IPPool } from "../model/resources.ts";
import { parseAddress } from "../net/address.ts";
import { type Cidr, contains, covers, formatCidr, parseCidr } from "../net/cidr.ts";
import type { HostInterface } from "./snapshot.ts";

/** Where a LAN pool's containers are answered for on this host. */
export interface LanPart {
  readonly pool: string;
  readonly interface: string;
  readonly cidr: string;
  /** What it is a part of. */
  readonly network: string;
}

export interface Lan {
  /** CIDRs of all LAN pools. */
  readonly pools: readonly string[];
  /** Those that lie in a network that this host is connected to. */
  readonly parts: readonly LanPart[];
}

export function lanOf(pools: readonly IPPool[], interfaces: readonly HostInterface[]): Lan {
  const found = pools.flatMap((pool) => {
    const range = parseCidr(pool.spec.cidr);
    const named = lanInterfaceOf(pool);
    return range === undefined || named === undefined ? [] : [{ name: pool.metadata.name, range, named }];
  });
  const parts = found.flatMap(({ name, range, named }): LanPart[] => {
    const around = lanInterface(named, range, interfaces);
    const network = around?.networks?.find((text) => isPart(range, text));
    if (around === undefined || network === undefined) return [];
    return [{ pool: name, interface: around.name, cidr: formatCidr(range), network }];
  });
  return { pools: found.map(({ range }) => formatCidr(range)), parts };
}

/** The interface whose network the pool is a part of: the named one, or what the same LAN is called on this host. */
function lanInterface(named: string, range: Cidr, interfaces: readonly HostInterface[]): HostInterface | undefined {
  const around = interfaces.filter(({ networks }) => networks?.some((network) => isPart(range, network)));
  return around.find(({ name }) => name === named) ?? around[0];
}

/** Part of the network, not all of it. */
export function isPart(range: Cidr, network: string): boolean {
  const around = parseCidr(network);
  return around !== undefined && around.length > 0 && around.length < range.length && covers(around, range);
}

/** Blocks that lie in no LAN pool. */
export function withoutLan(blocks: readonly string[], { pools }: Lan): readonly string[] {
  if (pools.length === 0) return blocks;
  const ranges = pools.flatMap((text) => parseCidr(text) ?? []);
  return blocks.filter((text) => {
    const block = parseCidr(text);
    return block === undefined || !ranges.some((range) => covers(range, block));
  });
}

/** Keys of HostState.proxies for addresses of a local endpoint. */
export function proxiesOf(addresses: readonly string[], { parts }: Lan): string[] {
  if (parts.length === 0) return [];
  return addresses.flatMap((text) => {
    const a = parseAddress(text);
    const part = a && parts.find(({ cidr }) => contains(parseCidr(cidr) as Cidr, a));
    return part === undefined ? [] : [`${part.interface} ${text}`];
  });
}

/**
 * The kernel answers for a proxied IPv6 address only with proxy_ndp, and keeps every such answer back for up to proxy_delay
 * (0.8 s), so that the owner itself comes first: here nobody else is the owner.
 */
export function lanSysctls({ parts }: Lan): [string, string][] {
  return parts.flatMap(({ interface: name, cidr }): [string, string][] =>
    cidr.includes(":")
      ? [
          [`net/ipv6/conf/${name}/proxy_ndp`, "1"],
          [`net/ipv6/neigh/${name}/proxy_delay`, "0"],
        ]
      : [[`net/ipv4/neigh/${name}/proxy_delay`, "0"]],
  );
}
