/**
 * What this host says in BGP, and to whom: the output of `deriveBgp`, before it becomes any daemon's configuration.
 *
 *     nodes, BGPConfiguration, BGPPeer, BGPFilter, pools, blocks  ->  BgpState  ->  text for BIRD  ->  the driver
 *
 * Announced are this host's address blocks, the single addresses it has of other hosts' blocks, and service addresses, nothing else; a
 * node with a cluster ID (a route reflector) passes on what lies in pools. Which of them exist right now is not said here: BIRD learns that
 * from the kernel's routes, so that a container that starts changes nothing in BGP.
 */

import type { Bfd } from "../model/bgp-annotations.ts";
import type { BGPConfiguration, BGPFilter, BGPFilterRule, BGPPeer, IPPool, Node } from "../model/resources.ts";
import type { Family } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Problem } from "../problem.ts";

/** All that the derivation reads, as plain values of one moment. */
export interface BgpInput {
  readonly host: string;
  /** Of all hosts, this one's included. */
  readonly nodes: readonly Node[];
  readonly configurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly filters: readonly BGPFilter[];
  readonly pools: readonly IPPool[];
  /** CIDRs of the blocks that this host owns; one of full length is an address that another host has lent it. */
  readonly blocks: readonly string[];
  /** Addresses of this host's blocks that other hosts have. */
  readonly lent: readonly string[];
  /** Service addresses of the cluster: each host that has a healthy container announces them. */
  readonly services: readonly string[];
  /** CIDRs of the networks that this host is connected to. */
  readonly connected: readonly string[];
}

export interface BgpState {
  readonly routerId: string;
  readonly asNumber: number;
  /** The node's own addresses. */
  readonly addresses: NodeIps;
  readonly debug: boolean;
  readonly ignoredInterfaces: readonly string[];
  readonly sessions: readonly Session[];
  readonly filters: readonly FilterProgram[];
  readonly routes: RouteSets;
  /** RFC 4456: this node passes on what it learns from peers, as far as it lies in pools. */
  readonly clusterId?: string;
  /** What could not be taken over; the session or filter it concerns is left out. */
  readonly problems: readonly Problem[];
}

export interface NodeIps {
  readonly 4?: string;
  readonly 6?: string;
}

/** Prefixes that the filters ask about. */
export interface RouteSets {
  /** Blocks of this host: nobody else may announce them, or anything in them but what is lent. */
  readonly own: readonly Cidr[];
  /** Single addresses that this host has of other hosts' blocks. */
  readonly borrowed: readonly Cidr[];
  /** What others may announce of our blocks: lent addresses, and service addresses. */
  readonly lent: readonly Cidr[];
  readonly services: readonly Cidr[];
  readonly connected: readonly Cidr[];
  readonly pools: readonly Cidr[];
  /** Pools with disableBGPExport. */
  readonly unexported: readonly Cidr[];
  readonly communities: readonly { readonly cidr: Cidr; readonly communities: readonly string[] }[];
}

export type Remote =
  | { readonly kind: "address"; readonly address: string; readonly interface?: string }
  /** Whoever calls from there. */
  | { readonly kind: "range"; readonly cidr: string };

export interface SecretRef {
  readonly name: string;
  readonly key: string;
  readonly optional: boolean;
}

export interface Session {
  /** Name of the BIRD protocol; says who the peer is, and nothing that a user wrote. */
  readonly name: string;
  readonly kind: "mesh" | "global" | "node";
  /** Name of the BGPPeer that asks for it. */
  readonly resource?: string;
  /** Name of the Node at the other end. */
  readonly peerNode?: string;
  readonly remote: Remote;
  readonly remotePort: number;
  readonly peerAs: number | "external";
  readonly localAs: number;
  readonly localPort: number;
  /** Address that the session comes from; undefined: as the kernel chooses. */
  readonly source?: string;
  /** Accept connections to the node's address only. */
  readonly bindNode: boolean;
  readonly passive: boolean;
  /** "direct": on a network of this host. */
  readonly distance: "direct" | "multihop";
  /** Hops to the peer (RFC 5082): what comes from farther away is refused. */
  readonly ttlSecurity?: number;
  readonly families: readonly Family[];
  readonly nextHop: "auto" | "self" | "keep";
  readonly password?: SecretRef;
  /** Seconds. */
  readonly keepalive?: number;
  readonly restartTime?: number;
  readonly allowLocalAs?: number;
  readonly reflectorClient: boolean;
  readonly bfd?: Bfd;
  readonly reachableBy?: string;
  /** Names of BGPFilters, in order. */
  readonly filters: readonly string[];
  /** Whether the filters ask for routes of other peers to be passed on. */
  readonly transit: boolean;
}

/** One list of a BGPFilter. */
export interface FilterProgram {
  readonly filter: string;
  readonly direction: "import" | "export";
  readonly family: Family;
  /** Name of the BIRD function. */
  readonly symbol: string;
  readonly rules: readonly BGPFilterRule[];
}
