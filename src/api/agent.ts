/**
 * What the API needs from the agent. The agent gives facts and makes changes; how they are shown (who can reach what, which
 * check failed) is derived from the facts by pure functions beside this file.
 *
 * Every method may throw `ApiError` (its code and text go to the user as they are) or `DriverError` (mapped by its code);
 * anything else becomes "internal". Lists come in no particular order.
 */
import type { Endpoint, Snapshot } from "../core/calc/snapshot.ts";
import type { FlowFilter } from "../core/flows/filter.ts";
import type { Flow } from "../core/flows/flow.ts";
import type { AnyResource, IPPool } from "../core/model/resources.ts";
import type { HostFacts } from "./doctor/facts.ts";
import type {
  BgpDifference,
  BgpOtherSide,
  BgpReset,
  BgpResetReport,
  BgpRouteQuery,
  BgpRoutes,
  BgpView,
} from "./schema/bgp.ts";
import type { FixAction } from "./schema/doctor.ts";
import type { EndpointCounters } from "./schema/endpoint-policies.ts";
import type { IpamExplanation, IpamProblemView, IpamRelease, IpamView } from "./schema/ipam.ts";
import type { LanRequest, LanView } from "./schema/lan.ts";
import type { LiveEvent, LiveQuery } from "./schema/live.ts";
import type { Readiness } from "./schema/metrics.ts";
import type { NodeRemoval, NodeView } from "./schema/node.ts";
import type { ChangeReport, ChangeRequest, ConfirmReport } from "./schema/resource.ts";
import type { DrainReport, DrainRequest, ServiceView } from "./schema/service.ts";
import type { Component, VersionView } from "./schema/status.ts";
import type { NewToken, TokenRequest, TokenView } from "./schema/token.ts";
import type { TrafficView } from "./schema/traffic.ts";
import type { UiView } from "./schema/ui.ts";
import type { AgentEvent } from "./schema/watch.ts";
import type { WhyQuery, WhyView } from "./schema/why.ts";

export interface AgentView {
  /** When this agent process started, milliseconds since the epoch. */
  readonly startedAt: number;
  version(signal?: AbortSignal): Promise<VersionView>;
  /** Health of the parts, as the agent believes it now: no waiting for the outside world. */
  components(signal?: AbortSignal): Promise<readonly Component[]>;
  /** What is known at this moment: networks, endpoints of all hosts, pools, policies. */
  snapshot(signal?: AbortSignal): Promise<Snapshot>;
  /** Whether blocks are announced by BGP at present. */
  announcing(): boolean;

  /** Addresses given out, by pool name. A pool without an entry has none. */
  poolUsage(signal?: AbortSignal): Promise<ReadonlyMap<string, PoolUsage>>;
  /** Stores a new pool. Refuses a name that exists (`exists`), and a CIDR that overlaps a pool or a route of a host (`refused`). */
  addPool(pool: IPPool, signal?: AbortSignal): Promise<IPPool>;
  /** Refuses (`refused`) while addresses of it are in use; `not-found` if there is none. */
  removePool(name: string, signal?: AbortSignal): Promise<void>;

  /** Hosts of the cluster, by name; also those that have left traces but have no Node any more. */
  nodes(signal?: AbortSignal): Promise<NodeView[]>;
  /**
   * Forgets a host that is gone: its Node, its endpoints, its blocks. Refuses (`refused`) while its agent lives, and, without
   * force, while the host answers on the network.
   */
  removeNode(name: string, force: boolean, signal?: AbortSignal): Promise<NodeRemoval>;
  ipam(signal?: AbortSignal): Promise<IpamView>;
  ipamCheck(signal?: AbortSignal): Promise<readonly IpamProblemView[]>;
  /** Refuses (`invalid`) what is no address. */
  ipamExplain(address: string, signal?: AbortSignal): Promise<IpamExplanation>;
  /** An address that nobody has, or an empty block. Refuses (`refused`) what is in use. */
  ipamRelease(subject: string, signal?: AbortSignal): Promise<IpamRelease>;

  /** Looks at the host now; what cannot be found out is left undefined. */
  facts(signal?: AbortSignal): Promise<HostFacts>;
  /** Repairs one thing; answers what was done, in a sentence. May be repeated. */
  fix(action: FixAction, signal?: AbortSignal): Promise<string>;

  /** All resources of a kind, own and cluster-wide, with WorkloadEndpoints made from the endpoints. */
  resources(
    kind: AnyResource["kind"],
    signal?: AbortSignal,
  ): Promise<{ revision: number; items: readonly AnyResource[] }>;
  /** All of it or nothing. The resources have passed the frame only: the agent validates them (core/model). */
  change(request: ChangeRequest, signal?: AbortSignal): Promise<ChangeReport>;
  /** Keeps the change that waits for a confirmation; `not-found` if none does. */
  confirm(signal?: AbortSignal): Promise<ConfirmReport>;
  why(query: WhyQuery, signal?: AbortSignal): Promise<WhyView>;
  /** Rejects where a name is not known. The result is the last event; an abort leaves nothing behind on any host. */
  live(query: LiveQuery): Promise<(signal: AbortSignal) => AsyncIterable<LiveEvent>>;

  /** What was seen of packets, seen last first. */
  flows(filter: FlowFilter, limit: number, signal?: AbortSignal): Promise<FlowReport>;
  /** Flows as they are seen, those at hand together, until the signal aborts. Who reads slowly gets each flow once, as it is then. */
  followFlows(filter: FlowFilter, signal: AbortSignal): AsyncIterable<readonly Flow[]>;
  /** Counters of this host's endpoints now. */
  traffic(signal?: AbortSignal): Promise<TrafficView>;
  /** In Prometheus' text format. */
  metrics(signal?: AbortSignal): Promise<string>;
  /** As the agent believes it now: no waiting for the outside world. */
  readiness(): Promise<Readiness>;
  readonly bgp: BgpAgentView;
  /** What has gone through the endpoint's interface; `refused` for an endpoint of another host, or one that does not run. */
  counters(endpoint: Endpoint): Promise<EndpointCounters>;
  /** Where the dashboard is. Makes its token where there is none yet, or, with `renew`, another. */
  ui(options: { readonly renew: boolean }): Promise<UiView>;
  readonly lan: LanAgentView;
  readonly services: ServicesAgentView;
  /** What lets other hosts into the cluster; `refused` where this host is alone. */
  createToken(request: TokenRequest, signal?: AbortSignal): Promise<NewToken>;
  tokens(signal?: AbortSignal): Promise<readonly TokenView[]>;
  removeToken(id: string, signal?: AbortSignal): Promise<void>;

  /** Changes as they happen, until the signal aborts; a slow reader loses none, but may get several in one. */
  watch(signal: AbortSignal): AsyncIterable<AgentEvent>;
}

/** BGP on this host. */
export interface BgpAgentView {
  /** `probe`: send packets to each peer as well. */
  status(options: { readonly probe: boolean }, signal?: AbortSignal): Promise<BgpView>;
  routes(query: BgpRouteQuery): Promise<BgpRoutes>;
  diff(): Promise<readonly BgpDifference[]>;
  /** `not-found` for a session that does not exist. */
  reset(request: BgpReset): Promise<BgpResetReport>;
  /** By the name of the BGPPeer or its address. */
  otherSide(peer: string): Promise<BgpOtherSide>;
}

export interface FlowReport {
  readonly flows: readonly Flow[];
  /** What came faster than it could be taken, since the agent started. */
  readonly lost: number;
  /** Flows that went before their time, for want of room. */
  readonly forgotten: number;
  /** Why drops by others than Manx are not seen on this host; absent: they are. */
  readonly blind?: string;
  /** Hosts that were asked too, and have told nothing. */
  readonly silent?: readonly string[];
}

/** Addresses that several containers have together. */
export interface ServicesAgentView {
  list(signal?: AbortSignal): Promise<readonly ServiceView[]>;
  /** `not-found` for a container that is on no Manx network of this host. */
  drain(request: DrainRequest, signal?: AbortSignal): Promise<DrainReport>;
}

/** Containers on the LAN by their own address. */
export interface LanAgentView {
  status(signal?: AbortSignal): Promise<LanView>;
  enable(request: LanRequest, signal?: AbortSignal): Promise<LanView>;
  /** What there was. Refuses (`refused`) while containers have such addresses. */
  disable(signal?: AbortSignal): Promise<LanView>;
}

export interface PoolUsage {
  /** Addresses given out, on all hosts. */
  readonly allocated: number;
  readonly blocks: readonly { readonly cidr: string; readonly host: string; readonly allocated: number }[];
}
