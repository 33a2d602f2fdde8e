/** What this host should be: the output of `derive`, and what the drivers make true. Plain values, in no particular order. */
import type { Ruleset } from "../rules/ir.ts";
import type { Origins } from "../rules/origin.ts";

export interface HostState {
  /** Host sides of veth pairs, by name. They exist or not with their container; here is how they must be set. */
  readonly links: ReadonlyMap<string, LinkState>;
  /** Routes with our rtproto, by "family prefix", as `4 10.65.0.7/32`. */
  readonly routes: ReadonlyMap<string, RouteState>;
  /** Routes to the containers that have a service address, by "family prefix". */
  readonly services: ReadonlyMap<string, ServiceRoute>;
  /** Static neighbours, by "interface address", as `manx0123456789a 10.65.0.7`. */
  readonly neighbours: ReadonlyMap<string, { readonly mac: string }>;
  /** Addresses that the host answers ARP or NDP for in place of its containers, by "interface address": `eth0 192.168.7.70`. */
  readonly proxies: ReadonlyMap<string, null>;
  /** `169.254.1.N/32` addresses on `lo`, scope link. */
  readonly gatewayAddresses: ReadonlySet<string>;
  /** Kernel settings by their path below /proc/sys, as `net/ipv4/ip_forward`. */
  readonly sysctls: ReadonlyMap<string, string>;
  readonly ruleset: Ruleset;
  /** What the ids in the ruleset's comments and log prefixes stand for. */
  readonly origins: Origins;
}

/** Flows are spread over the hops; each stays with its own when another comes or goes. */
export interface ServiceRoute {
  /** Others may be told. False: only who comes all the same is let through. */
  readonly announced: boolean;
  /** By interface. */
  readonly hops: readonly ServiceHop[];
  /** The node's own address, as of other routes. */
  readonly source?: string;
}

export interface ServiceHop {
  readonly interface: string;
  /** 1-256. */
  readonly weight: number;
}

export interface LinkState {
  /** Container's interface name before the engine moves it. */
  readonly peer: string;
  readonly peerMac: string;
  readonly mtu: number;
  /** fe80::N, to be set with /64 on the host's side; absent for an endpoint without IPv6. */
  readonly gateway6?: string;
}

export type RouteState =
  /** To a local endpoint. `source` is the node's own address, so that the kernel does not pick docker0's. */
  | { readonly kind: "link"; readonly interface: string; readonly source?: string }
  /** An address block of ours: what no endpoint has goes nowhere. */
  | { readonly kind: "blackhole" };
