/**
 * What Manx asks of rtnetlink(7): links, addresses, routes, neighbours of one network namespace. The kernel's side is
 * `KernelRtnetlink`, the fake's `FakeRtnetlink`; the targets of this folder stand on either.
 *
 * Indexes are interface indexes. Addresses and prefixes are canonical text. Reads see everything, ours and alien; who
 * writes keeps to what is ours (ownership.ts).
 */
import type { Family } from "../../core/net/address.ts";
import type { SystemError } from "../syscall/errno.ts";

export interface Link {
  readonly name: string;
  readonly index: number;
  /** `veth`, `bridge`; absent for loopback and hardware. */
  readonly kind?: string;
  readonly group: number;
  readonly mtu: number;
  /** Lower case, with colons; empty for links without one. */
  readonly mac: string;
  /** Administratively up. */
  readonly up: boolean;
  /** Up, and so is what is below: for a veth, its peer. */
  readonly carrier: boolean;
  readonly master?: number;
  /** Index of the veth's other end, in its own namespace. */
  readonly peerIndex?: number;
  /** The other end lies in another namespace. */
  readonly peerAway: boolean;
  /** False: the kernel makes no IPv6 link-local address of its own. */
  readonly generatesAddress: boolean;
}

export interface NewPair {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly group: number;
  readonly peer: string;
  readonly peerMac: string;
  /** Path of the namespace that the peer is made in; absent: this one. */
  readonly peerNetns?: string;
}

export type Scope = "universe" | "link" | "host" | "other";

export interface InterfaceAddress {
  readonly index: number;
  /** `10.65.0.1/32` */
  readonly address: string;
  readonly scope: Scope;
  /** Valid, but nothing new is to use it: its prefix is being replaced (RFC 4862 section 5.5.4). */
  readonly deprecated?: true;
  /** Who made it, as of a route (Linux 5.18); absent: not said. */
  readonly protocol?: number;
}

export type RouteType = "unicast" | "local" | "blackhole" | "unreachable" | "prohibit" | "other";

export interface NextHop {
  readonly index: number;
  readonly gateway?: string;
}

export interface Route {
  /** `10.65.0.0/26`, `0.0.0.0/0` */
  readonly destination: string;
  readonly type: RouteType;
  /** Who made it: RTPROT_* of linux/rtnetlink.h, or /etc/iproute2/rt_protos. */
  readonly protocol: number;
  readonly index?: number;
  readonly gateway?: string;
  /** Preferred source address. */
  readonly source?: string;
  /** Smaller wins. The kernel's default is 0 for IPv4 and 1024 for IPv6. */
  readonly metric: number;
  /** ID of the next hop object that it stands on; its next hops are told as well. */
  readonly nexthop?: number;
  /** More than one: the route is spread over them, and `index` and `gateway` are absent. */
  readonly nextHops?: readonly NextHop[];
}

/** A next hop object (ip-nexthop(8)): a way, or a group of ways. */
export interface Nexthop {
  readonly id: number;
  /** Who made it, as of a route. */
  readonly protocol: number;
  /** Of a way. */
  readonly family?: Family;
  readonly index?: number;
  readonly gateway?: string;
  /** Of a group. */
  readonly members?: readonly { readonly id: number; readonly weight: number }[];
  /** Of a group: flows stay with their way when another comes or goes. */
  readonly resilient?: boolean;
}

export interface RouteFilter {
  readonly family: Family;
  readonly protocol?: number;
  readonly index?: number;
}

export interface Neighbour {
  readonly index: number;
  readonly address: string;
  /** Empty while it is not resolved. */
  readonly mac: string;
  readonly permanent: boolean;
}

/** An address that the kernel answers ARP or NDP for on a link, though it is not its own. */
export interface ProxyEntry {
  readonly index: number;
  readonly address: string;
  /** Who made it, as of a route; 0: not said. */
  readonly protocol: number;
}

export type Change =
  | {
      readonly kind: "set-link";
      readonly index: number;
      readonly name?: string;
      readonly up?: boolean;
      readonly mtu?: number;
      readonly mac?: string;
      readonly group?: number;
      readonly generatesAddress?: boolean;
    }
  /** No duplicate address detection: usable at once. */
  | {
      readonly kind: "add-address";
      readonly index: number;
      readonly address: string;
      readonly scope: "universe" | "link";
      /** Who makes it, as of a route; older kernels forget it. */
      readonly protocol?: number;
      /** Never chosen as a source by itself. */
      readonly deprecated?: true;
    }
  | { readonly kind: "delete-address"; readonly index: number; readonly address: string }
  /** Fails with EEXIST where there is a route of the same destination and metric, whoever made it. */
  | { readonly kind: "add-route"; readonly route: NewRoute }
  /** Takes the place of a route of the same destination and metric, whoever made it, without a gap. */
  | { readonly kind: "replace-route"; readonly route: NewRoute }
  /** Of this protocol only. Metric absent: whichever the kernel finds first. */
  | { readonly kind: "delete-route"; readonly destination: string; readonly protocol: number; readonly metric?: number }
  /** Permanent; takes the place of what is there. */
  | { readonly kind: "set-neighbour"; readonly index: number; readonly address: string; readonly mac: string }
  | { readonly kind: "delete-neighbour"; readonly index: number; readonly address: string }
  /** Takes the place of what is there. */
  | { readonly kind: "set-proxy"; readonly index: number; readonly address: string; readonly protocol: number }
  | { readonly kind: "delete-proxy"; readonly index: number; readonly address: string }
  /** Whoever has the destination on the link. Takes the place of what is there. */
  | {
      readonly kind: "set-nexthop";
      readonly id: number;
      readonly family: Family;
      readonly index: number;
      readonly protocol: number;
    }
  /** A resilient group. Of one that is there, only the members change. */
  | {
      readonly kind: "set-group";
      readonly id: number;
      readonly protocol: number;
      readonly members: readonly { readonly id: number; readonly weight: number }[];
      readonly buckets: number;
      /** A flow that has been silent for so long may be moved. */
      readonly idleSeconds: number;
    }
  /** With the routes that stand on it. */
  | { readonly kind: "delete-nexthop"; readonly id: number };

export interface NewRoute {
  readonly destination: string;
  readonly type: "unicast" | "blackhole";
  readonly protocol: number;
  readonly index?: number;
  readonly gateway?: string;
  readonly source?: string;
  readonly metric?: number;
  /** In place of `index` and `gateway`. */
  readonly nexthop?: number;
}

/** The change, counted from 0, that the kernel refused. */
export interface Refusal {
  readonly index: number;
  readonly error: SystemError;
}

export interface Rtnetlink {
  /** `kind`: only links of this kind. */
  links(kind?: string): readonly Link[];
  link(name: string): Link | undefined;
  /** Makes a veth pair with both its ends as they should be, down. Throws `exists` where a name is taken. */
  addPair(pair: NewPair): void;
  /** Takes a virtual link away, with its peer; blocks the caller for 16-30 ms. Throws `not-found`. */
  deleteLink(name: string): void;
  /** Takes all links of the group away, on another thread. None there is fine. */
  deleteGroup(group: number): Promise<void>;
  addresses(index?: number): readonly InterfaceAddress[];
  /** Of the main table. */
  routes(filter: RouteFilter): readonly Route[];
  neighbours(): readonly Neighbour[];
  proxies(): readonly ProxyEntry[];
  /** None where the kernel knows no such objects. */
  nexthops(): readonly Nexthop[];
  /** Tries each change in turn, also after one is refused. Blocks for about 20 us a change. */
  apply(changes: readonly Change[]): readonly Refusal[];
}
