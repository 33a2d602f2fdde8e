/**
 * What the doctor looks at, as plain values. Whoever gathers them leaves out (undefined) what could not be found out, and
 * says in `errors` why: not knowing is a state of its own, and never reads as "well".
 */
export interface HostFacts {
  readonly host: string;
  readonly agent: {
    readonly running: boolean;
    readonly version?: string;
    readonly why?: string;
    /** Why it cannot start with its settings. */
    readonly badSettings?: string;
  };
  readonly kernel: {
    /** `uname -r` */
    readonly release: string;
    /** The kernel answers on nfnetlink's nf_tables subsystem. */
    readonly nfTables?: boolean;
    readonly veth?: boolean;
    readonly conntrack?: boolean;
    /** Whether somebody wants to know what others drop, and why the kernel does not tell. */
    readonly dropReasons?: { readonly asked: boolean; readonly why?: string };
  };
  /** Kernel settings that Manx wants, and what they are; `have` undefined: not readable. */
  readonly sysctls: readonly { readonly path: string; readonly want: string; readonly have?: string }[];
  readonly engine: {
    readonly state: "running" | "stopped" | "missing" | "unknown";
    readonly version?: string;
    /** What the engine's API says, where it does not answer. */
    readonly why?: string;
    readonly liveRestore?: boolean;
    /** Networks of the engine with driver `manx` but another IPAM driver: their containers get no working address. */
    readonly foreignIpam?: readonly string[];
    /** `NETWORK: SUBNET` that Docker ignores, because the network is without that family. */
    readonly ignoredSubnets?: readonly string[];
  };
  /** The sockets through which Docker finds the driver. */
  readonly pluginSocket?: { readonly path: string; readonly listening: boolean };
  /** The kernel's FORWARD chains of others that drop what is not accepted, and whether our accept stands in their way. */
  readonly forward?: readonly {
    readonly family: 4 | 6;
    readonly policy: "accept" | "drop";
    /** DOCKER-USER (or what serves) lets `manx*` interfaces pass. */
    readonly accepted: boolean;
  }[];
  readonly firewalls?: readonly { readonly name: "ufw" | "firewalld"; readonly active: boolean }[];
  readonly tools: { readonly nft?: string; readonly bird?: string };
  readonly bgp?: { readonly wanted: boolean; readonly running: boolean };
  readonly store?: { readonly path: string; readonly trouble?: string };
  /** Pools that share addresses with a route or an address of this host. */
  readonly overlaps?: readonly { readonly pool: string; readonly cidr: string; readonly with: string }[];
  /** Pools in which this host can get no address any more. */
  readonly exhausted?: readonly string[];
  /** What containers ask for by labels and do not get. */
  readonly refusedLabels?: readonly { readonly why: string; readonly remedy: string }[];
  /** What in the kernel differs from what it should be; empty: nothing. */
  readonly drift?: readonly string[];
  /** Links, addresses and endpoints that no container has. */
  readonly orphans?: readonly string[];
  readonly unit?: { readonly systemd: boolean; readonly installed: boolean; readonly enabled: boolean };
  /** Permission bits of the agent's socket. */
  readonly socketMode?: number;
  /** The kernel speaks IPv6. */
  readonly ipv6?: boolean;
  /** Chains of others, by family, table and name, that drop forwarded packets by policy and cannot be told otherwise by us. */
  readonly dropping?: readonly string[];
  /** firewalld runs, and has `manx+` in its zone `trusted`. */
  readonly firewalldTrusts?: boolean;
  /** Milliseconds since the epoch: what the clock says, and a moment that must have passed. */
  readonly clock?: { readonly now: number; readonly atLeast: number };
  /** Free bytes where the store lies. */
  readonly freeBytes?: number;
  /** Why something could not be found out. */
  readonly errors: readonly string[];
}
