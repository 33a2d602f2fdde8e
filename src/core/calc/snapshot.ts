/**
 * All that the derivation reads: what users want (cluster store) and what exists on this host (local state), as plain values
 * of one moment. Resources are already validated; addresses are canonical text.
 */
import type {
  GlobalNetworkPolicy,
  GlobalNetworkSet,
  HostEndpoint,
  IPPool,
  IPReservation,
  Network,
  NetworkPolicy,
  NetworkSet,
  Node,
  Profile,
  Service,
  ServiceCheck,
  StagedGlobalNetworkPolicy,
  StagedNetworkPolicy,
  Tier,
} from "../model/resources.ts";
import type { Family } from "../net/address.ts";
import type { Failsafe } from "../rules/failsafe.ts";
import type { Journal } from "./tracker.ts";

export interface Snapshot {
  /** This host's name: the name of its Node. */
  readonly host: string;
  readonly nodes: readonly Node[];
  readonly pools: readonly IPPool[];
  readonly reservations: readonly IPReservation[];
  /** CIDRs of the address blocks that this host owns. */
  readonly blocks: readonly string[];
  readonly networks: readonly Network[];
  /** Of all hosts; those with `host` equal to this host also have `local`. */
  readonly endpoints: readonly Endpoint[];
  /** The same in two parts, for who follows change by change: `endpoints` is then made only when somebody looks at it. */
  readonly parts?: { readonly own: readonly Endpoint[]; readonly remote: Journal<Endpoint> };
  readonly policies: readonly (GlobalNetworkPolicy | NetworkPolicy)[];
  readonly stagedPolicies: readonly (StagedGlobalNetworkPolicy | StagedNetworkPolicy)[];
  readonly tiers: readonly Tier[];
  readonly profiles: readonly Profile[];
  readonly networkSets: readonly (GlobalNetworkSet | NetworkSet)[];
  readonly hostEndpoints: readonly HostEndpoint[];
  /** This host's own interfaces, without those of workloads: what host endpoints can stand for. */
  readonly hostInterfaces: readonly HostInterface[];
  readonly settings: Settings;
  readonly services?: readonly Service[];
  /** Service addresses of all hosts, those of labels included; the same array while none comes or goes. */
  readonly serviceAddresses?: readonly string[];
  /** Endpoints of this host that have service addresses. */
  readonly serviceMembers?: readonly ServiceMember[];
}

export interface ServiceMember {
  /** `service NAME`, or `label ADDRESS`. */
  readonly service: string;
  /** Its ID. */
  readonly endpoint: string;
  readonly addresses: readonly string[];
  readonly check: ServiceCheck;
  /** Seconds. */
  readonly drain: number;
  /** `draining`: is to end, and serves what it has begun. */
  readonly state: MemberState;
}
export type MemberState = "up" | "draining" | "down";

export interface HostInterface {
  readonly name: string;
  /** Canonical, without prefix length. */
  readonly addresses: readonly string[];
  /** CIDRs of the networks that it is connected to: reached through it without a gateway. */
  readonly networks?: readonly string[];
  /** Those of them that are being replaced: the interface has none but deprecated addresses in them. */
  readonly fading?: readonly string[];
}

/** A workload endpoint: one interface of a container, as policy sees it. */
export interface Endpoint {
  /** Docker's endpoint ID (64 hex). */
  readonly id: string;
  readonly host: string;
  /** Compose project, or "default". */
  readonly namespace: string;
  /**
   * Container name; "" while not known. Endpoints of one host with the same container are interfaces of that container: it
   * may use the addresses of each on all of them.
   */
  readonly container: string;
  readonly network: string;
  /** What others on the network may call it, besides its name: aliases, compose service, short ID. */
  readonly aliases?: readonly string[];
  /** Canonical addresses, IPv4 before IPv6. */
  readonly addresses: readonly string[];
  /** What it has together with others. */
  readonly serviceAddresses?: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** In order. The network's own profile (its name) is the last; where it is missing it is taken to be there. */
  readonly profiles: readonly string[];
  readonly ports: readonly NamedPort[];
  /** Ports that `-p` opened to the outside. */
  readonly published: readonly PublishedPort[];
  readonly local?: LocalEndpoint;
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
}

export interface PublishedPort {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
  /** With `-o publish=host` also this port of the host; address "" is any, and a loopback address opens it to this host only. */
  readonly host?: { readonly address: string; readonly port: number };
}

/** What only the endpoint's own host knows. */
export interface LocalEndpoint {
  /** Host side of the veth pair: `manx` + 11 hex of the endpoint ID. */
  readonly interface: string;
  /** Interface name of the container's side while it is still in the host's namespace: `mxp` + the same 11 hex. */
  readonly peer: string;
  readonly mac: string;
  readonly mtu: number;
  /** N of 169.254.1.N and fe80::N: the index of this endpoint in its sandbox, from 1. */
  readonly gatewayIndex: number;
  /** The veth should exist: Join has been called and Leave has not. */
  readonly joined: boolean;
  /** ISO 8601: when Docker made it. */
  readonly since?: string;
}

export interface Settings {
  /** From a container to its own host beyond established, DNS and ICMP. */
  readonly endpointToHost: "allow" | "restricted" | "deny";
  /** Families whose forwarding Manx switched on: it keeps the host from routing those between its other networks. */
  readonly guardForwarding: readonly Family[];
  /** Ports of the host that no policy can close; absent: DEFAULT_FAILSAFE. */
  readonly failsafe?: Failsafe;
  /** Containers may ask this host for names: the address for that is there, and open also to internal networks. */
  readonly names?: boolean;
  /** NFLOG group for denied packets and new flows; undefined: no logging rules. */
  readonly logGroup?: number;
}
