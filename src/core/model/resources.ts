/**
 * The resources as users write them (Calico v3's format for its kinds, `manx/v1` for our own), after validation and with
 * defaults filled in. Types only; the schemas that check them stand beside this file.
 */
export interface Metadata {
  readonly name: string;
  /** Only for namespaced kinds; "default" where the user said nothing. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly uid?: string;
  readonly creationTimestamp?: string;
  readonly resourceVersion?: string;
}

export interface Resource<A extends string, K extends string, S> {
  readonly apiVersion: A;
  readonly kind: K;
  readonly metadata: Metadata;
  readonly spec: S;
}

type Calico<K extends string, S> = Resource<"projectcalico.org/v3", K, S>;

export interface IPPoolSpec {
  readonly cidr: string;
  readonly blockSize: number;
  readonly disabled?: boolean;
  readonly natOutgoing?: boolean;
  readonly nodeSelector: string;
  readonly namespaceSelector?: string;
  readonly allowedUses: readonly ("Workload" | "Tunnel" | "LoadBalancer")[];
  readonly assignmentMode: "Automatic" | "Manual";
  readonly ipipMode?: "Never" | "Always" | "CrossSubnet";
  readonly vxlanMode?: "Never" | "Always" | "CrossSubnet";
  readonly disableBGPExport?: boolean;
}
export type IPPool = Calico<"IPPool", IPPoolSpec>;
export type IPReservation = Calico<"IPReservation", { readonly reservedCIDRs: readonly string[] }>;

export type IPAMConfiguration = Calico<
  "IPAMConfiguration",
  { readonly strictAffinity: boolean; readonly autoAllocateBlocks: boolean; readonly maxBlocksPerHost: number }
>;

/** A port of the host, for all peers or those of `net` (CIDR or address). */
export interface HostPort {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
  readonly net?: string;
}

/** Those of Felix' settings that Manx has. */
export type FelixConfiguration = Calico<
  "FelixConfiguration",
  {
    readonly defaultEndpointToHostAction?: "Drop" | "Accept" | "Return";
    readonly failsafeInboundHostPorts?: readonly HostPort[];
    readonly failsafeOutboundHostPorts?: readonly HostPort[];
  }
>;

export type Action = "Allow" | "Deny" | "Log" | "Pass";
/** A name (`TCP`) or an IP protocol number. */
export type Protocol = string | number;
/** `80`, `"8000:8100"`, or a named port. */
export type Port = number | string;

export interface IcmpMatch {
  readonly type?: number;
  readonly code?: number;
}

export interface EntityRule {
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
  readonly selector?: string;
  readonly notSelector?: string;
  readonly namespaceSelector?: string;
  readonly ports?: readonly Port[];
  readonly notPorts?: readonly Port[];
}

export interface PolicyRule {
  readonly action: Action;
  readonly ipVersion?: 4 | 6;
  readonly protocol?: Protocol;
  readonly notProtocol?: Protocol;
  readonly icmp?: IcmpMatch;
  readonly notICMP?: IcmpMatch;
  readonly source?: EntityRule;
  readonly destination?: EntityRule;
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
}

export type PolicyType = "Ingress" | "Egress";

export interface NetworkPolicySpec {
  readonly tier: string;
  readonly order?: number;
  readonly selector: string;
  readonly types: readonly PolicyType[];
  readonly ingress?: readonly PolicyRule[];
  readonly egress?: readonly PolicyRule[];
  readonly performanceHints?: readonly string[];
}

export interface GlobalNetworkPolicySpec extends NetworkPolicySpec {
  readonly namespaceSelector?: string;
  readonly doNotTrack?: boolean;
  readonly preDNAT?: boolean;
  readonly applyOnForward?: boolean;
}

export type StagedAction = "Set" | "Delete" | "Learn" | "Ignore";
export type NetworkPolicy = Calico<"NetworkPolicy", NetworkPolicySpec>;
export type GlobalNetworkPolicy = Calico<"GlobalNetworkPolicy", GlobalNetworkPolicySpec>;
export type StagedNetworkPolicy = Calico<
  "StagedNetworkPolicy",
  NetworkPolicySpec & { readonly stagedAction: StagedAction }
>;
export type StagedGlobalNetworkPolicy = Calico<
  "StagedGlobalNetworkPolicy",
  GlobalNetworkPolicySpec & { readonly stagedAction: StagedAction }
>;

export type Tier = Calico<"Tier", { readonly order?: number; readonly defaultAction: "Deny" | "Pass" }>;
export type Profile = Calico<
  "Profile",
  {
    readonly labelsToApply?: Readonly<Record<string, string>>;
    readonly ingress?: readonly PolicyRule[];
    readonly egress?: readonly PolicyRule[];
  }
>;
export type NetworkSet = Calico<"NetworkSet", { readonly nets?: readonly string[] }>;
export type GlobalNetworkSet = Calico<"GlobalNetworkSet", { readonly nets?: readonly string[] }>;
export interface EndpointPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}
export type HostEndpoint = Calico<
  "HostEndpoint",
  {
    readonly node: string;
    readonly interfaceName?: string;
    readonly expectedIPs?: readonly string[];
    readonly profiles?: readonly string[];
    readonly ports?: readonly EndpointPort[];
  }
>;
export type WorkloadEndpoint = Calico<
  "WorkloadEndpoint",
  {
    readonly orchestrator: string;
    readonly workload: string;
    readonly node: string;
    readonly containerID?: string;
    readonly endpoint: string;
    readonly ipNetworks: readonly string[];
    readonly profiles: readonly string[];
    readonly interfaceName: string;
    readonly mac?: string;
    readonly ports?: readonly EndpointPort[];
  }
>;
export type Node = Calico<
  "Node",
  {
    readonly addresses?: readonly { readonly address: string; readonly type?: string }[];
    readonly bgp?: {
      readonly asNumber?: number | string;
      readonly ipv4Address?: string;
      readonly ipv6Address?: string;
      readonly routeReflectorClusterID?: string;
    };
  }
>;

/** A reference to a password, never the password itself. */
export interface BGPPassword {
  readonly secretKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean };
}
/** Go's way to write a time span: `90s`, `1m30s`. */
export type Duration = string;

export type BGPConfiguration = Calico<
  "BGPConfiguration",
  {
    readonly logSeverityScreen?: "Trace" | "Debug" | "Info" | "Warning" | "Error" | "Fatal";
    readonly nodeToNodeMeshEnabled?: boolean;
    readonly asNumber?: number;
    readonly listenPort?: number;
    readonly bindMode?: "None" | "NodeIP";
    readonly communities?: readonly { readonly name: string; readonly value: string }[];
    readonly prefixAdvertisements?: readonly { readonly cidr: string; readonly communities: readonly string[] }[];
    readonly nodeMeshPassword?: BGPPassword;
    readonly nodeMeshMaxRestartTime?: Duration;
    readonly ignoredInterfaces?: readonly string[];
  }
>;

export type BGPPeer = Calico<
  "BGPPeer",
  {
    readonly node?: string;
    readonly nodeSelector?: string;
    readonly peerIP?: string;
    readonly asNumber?: number;
    readonly peerSelector?: string;
    readonly localASNumber?: number;
    readonly nextHopMode?: "Auto" | "Self" | "Keep";
    readonly keepOriginalNextHop?: boolean;
    readonly password?: BGPPassword;
    readonly sourceAddress: "UseNodeIP" | "None";
    readonly maxRestartTime?: Duration;
    readonly keepaliveTime?: Duration;
    readonly numAllowedLocalASNumbers?: number;
    readonly ttlSecurity?: number;
    readonly reachableBy?: string;
    readonly filters?: readonly string[];
    readonly reversePeering?: "Auto" | "Manual";
  }
>;

export interface BGPFilterRule {
  readonly cidr?: string;
  readonly matchOperator?: "Equal" | "NotEqual" | "In" | "NotIn";
  readonly prefixLength?: { readonly min?: number; readonly max?: number };
  readonly source?: "RemotePeers";
  readonly interface?: string;
  readonly peerType?: "eBGP" | "iBGP";
  readonly communities?: { readonly values: readonly string[] };
  readonly asPathPrefix?: readonly number[];
  readonly priority?: number;
  readonly action: "Accept" | "Reject";
  readonly operations?: readonly BGPFilterOperation[];
}
/** Exactly one of them. */
export interface BGPFilterOperation {
  readonly addCommunity?: { readonly value: string };
  readonly prependASPath?: { readonly prefix: readonly number[] };
  readonly setPriority?: { readonly value: number };
}
export type BGPFilter = Calico<
  "BGPFilter",
  {
    readonly exportV4?: readonly BGPFilterRule[];
    readonly importV4?: readonly BGPFilterRule[];
    readonly exportV6?: readonly BGPFilterRule[];
    readonly importV6?: readonly BGPFilterRule[];
  }
>;

/** A Docker network of the driver `manx`. Its name is Docker's network name. */
export type Network = Resource<
  "manx/v1",
  "Network",
  {
    /** CIDRs of `--subnet`, or names of pools (`-o pools=`); empty: every pool that allows it. */
    readonly pools: readonly string[];
    /** `--ip-range`. */
    readonly ranges?: readonly string[];
    readonly families: readonly (4 | 6)[];
    readonly mtu?: number;
    /** `address`: `-p` opens the container's own port; `host`: the host's port as well; `off`: -p is refused. */
    readonly publish: "address" | "host" | "off";
    /** `network`: others are kept out; `endpoint`: members are kept apart too; `off`: open to everybody who has a route. */
    readonly isolation: "network" | "endpoint" | "off";
    /** `--internal`: nothing in or out but the network itself. */
    readonly internal: boolean;
    readonly sticky: boolean;
  }
>;

/** How it is found out whether a container can serve. Times in seconds. */
export interface ServiceCheck {
  /** `docker`: its own health check decides; a container that has none is well while it runs. */
  readonly type: "docker" | "tcp" | "http";
  readonly port?: number;
  /** Of `http`: any answer of 200 to 399 is good. */
  readonly path?: string;
  readonly interval: number;
  readonly timeout: number;
  /** So many good (bad) answers in a row make it well (unwell). */
  readonly rise: number;
  readonly fall: number;
}

/** Addresses that several containers have together, announced by each host that has a healthy one of them. */
export type Service = Resource<
  "manx/v1",
  "Service",
  {
    /** Canonical. */
    readonly addresses: readonly string[];
    /** Labels of the containers. */
    readonly selector: string;
    readonly check: ServiceCheck;
    /** Seconds between the withdrawal and the stop signal. */
    readonly drain: number;
  }
>;

export type AnyResource =
  | IPPool
  | IPReservation
  | IPAMConfiguration
  | FelixConfiguration
  | BGPConfiguration
  | BGPPeer
  | BGPFilter
  | NetworkPolicy
  | GlobalNetworkPolicy
  | StagedNetworkPolicy
  | StagedGlobalNetworkPolicy
  | Tier
  | Profile
  | NetworkSet
  | GlobalNetworkSet
  | HostEndpoint
  | WorkloadEndpoint
  | Node
  | Network
  | Service;
export type Kind = AnyResource["kind"];
