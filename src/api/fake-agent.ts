/** An agent that lives in memory: for tests of the API, the CLI and the dashboard. It refuses what the real one refuses. */
import type { Endpoint, LocalEndpoint, PublishedPort, Snapshot } from "../core/calc/snapshot.ts";
import { type FlowFilter, matches } from "../core/flows/filter.ts";
import type { Flow, Party, Reason } from "../core/flows/flow.ts";
import { reasonOf } from "../core/flows/reason.ts";
import type { IPPool, Network } from "../core/model/resources.ts";
import { parseAddress } from "../core/net/address.ts";
import { overlaps, parseCidr } from "../core/net/cidr.ts";
import type { AgentView, FlowReport, PoolUsage } from "./agent.ts";
import type { HostFacts } from "./doctor/facts.ts";
import { ApiError } from "./error.ts";
import { FakeBgp } from "./fake-bgp.ts";
import { FakeLan } from "./fake-lan.ts";
import { FakeResources } from "./fake-resources.ts";
import { FakeServices } from "./fake-services.ts";
import type { FixAction } from "./schema/doctor.ts";
import type { EndpointCounters } from "./schema/endpoint-policies.ts";
import type { IpamProblemView } from "./schema/ipam.ts";
import type { LiveEvent, LiveQuery } from "./schema/live.ts";
import type { Readiness } from "./schema/metrics.ts";
import type { NodeView } from "./schema/node.ts";
import type { ChangeRequest } from "./schema/resource.ts";
import type { Component } from "./schema/status.ts";
import type { NewToken, TokenRequest, TokenView } from "./schema/token.ts";
import type { TrafficView } from "./schema/traffic.ts";
import type { UiView } from "./schema/ui.ts";
import type { AgentEvent } from "./schema/watch.ts";
import type { WhyQuery, WhyView } from "./schema/why.ts";

export function fakePool(name: string, cidr: string, spec: Partial<IPPool["spec"]> = {}): IPPool {
  const blockSize = cidr.includes(":") ? 122 : 26;
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name },
    spec: { cidr, blockSize, nodeSelector: "all()", allowedUses: ["Workload"], assignmentMode: "Automatic", ...spec },
  };
}

export function fakeNetwork(name: string, spec: Partial<Network["spec"]> = {}): Network {
  return {
    apiVersion: "manx/v1",
    kind: "Network",
    metadata: { name },
    spec: {
      pools: [],
      families: [4, 6],
      publish: "address",
      isolation: "network",
      internal: false,
      sticky: true,
      ...spec,
    },
  };
}

export function fakeNode(name: string, given: Partial<NodeView> = {}): NodeView {
  const versions = { version: "0.1.0", engine: "26.1.5", kernel: "6.18.0" };
  const more = { addresses: ["192.168.7.10"], labels: {}, endpoints: 3, blocks: [], lent: [], borrowed: [] };
  return { name, self: false, state: "alive", since: "2026-11-23T10:00:00.000Z", ...versions, ...more, ...given };
}

export interface FakeEndpoint {
  readonly container: string;
  readonly network: string;
  readonly addresses: readonly string[];
  readonly host?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly published?: readonly PublishedPort[];
  readonly joined?: boolean;
}

export function fakeEndpoint(given: FakeEndpoint): Endpoint {
  const host = given.host ?? "h1";
  const id = Buffer.from(`${given.network}/${given.container}/${host}`).toString("hex").padEnd(64, "0").slice(0, 64);
  const local: LocalEndpoint = {
    interface: `manx${id.slice(0, 11)}`,
    peer: `mxp${id.slice(0, 11)}`,
    mac: "ee:ee:ee:ee:ee:ee",
    mtu: 1500,
    gatewayIndex: 1,
    joined: given.joined ?? true,
  };
  return {
    id,
    host,
    namespace: "default",
    container: given.container,
    network: given.network,
    addresses: given.addresses,
    labels: new Map(Object.entries(given.labels ?? {})),
    profiles: [given.network],
    ports: [],
    published: given.published ?? [],
    ...(host === "h1" && { local }),
  };
}

export function fakeSnapshot(given: Partial<Snapshot> = {}): Snapshot {
  return {
    host: "h1",
    nodes: [
      {
        apiVersion: "projectcalico.org/v3",
        kind: "Node",
        metadata: { name: "h1" },
        spec: { addresses: [{ address: "192.168.7.10" }] },
      },
    ],
    pools: [
      fakePool("default-v4", "10.65.0.0/16", { natOutgoing: true }),
      fakePool("default-v6", "fd65::/64", { natOutgoing: true }),
    ],
    reservations: [],
    blocks: ["10.65.0.0/26", "fd65::/122"],
    networks: [fakeNetwork("apps"), fakeNetwork("db", { internal: true })],
    endpoints: [
      fakeEndpoint({ container: "web", network: "apps", addresses: ["10.65.0.2", "fd65::2"], labels: { role: "web" } }),
      fakeEndpoint({
        container: "api",
        network: "apps",
        addresses: ["10.65.0.3", "fd65::3"],
        published: [{ protocol: "TCP", port: 8080 }],
      }),
      fakeEndpoint({ container: "postgres", network: "db", addresses: ["10.65.0.4", "fd65::4"] }),
    ],
    policies: [],
    stagedPolicies: [],
    tiers: [],
    profiles: [],
    networkSets: [],
    hostEndpoints: [],
    hostInterfaces: [],
    settings: { endpointToHost: "restricted", guardForwarding: [4, 6] },
    ...given,
  };
}

/** A connection that is allowed, a packet that is dropped, one that a staged policy would drop. */
export function fakeFlows(time = Date.UTC(2026, 10, 23, 10, 0, 0)): Flow[] {
  const party = (container: string, network: string, address: string): Party => ({
    kind: "endpoint",
    address,
    container,
    network,
    namespace: "default",
    host: "h1",
  });
  const [web, api] = [party("web", "apps", "10.65.0.2"), party("api", "apps", "10.65.0.3")];
  const postgres = party("postgres", "db", "10.65.0.4");
  const reason = (kind: "NetworkPolicy" | "StagedNetworkPolicy", name: string): Reason =>
    reasonOf({ kind, tier: "default", namespace: "default", name, direction: "ingress", rule: 0, action: "Deny" });
  const tcp = { time, first: time - 60_000, count: 1, family: 4, protocol: 6, sourcePort: 40_000 } as const;
  const members = reasonOf({ kind: "network", name: "apps", direction: "ingress", part: "members" });
  return [
    { ...tcp, verdict: "allow", source: web, destination: api, destinationPort: 8080, reasons: [members], count: 12 },
    {
      ...tcp,
      verdict: "deny",
      source: web,
      destination: postgres,
      destinationPort: 5432,
      reasons: [reason("NetworkPolicy", "db")],
    },
    {
      ...tcp,
      verdict: "would-deny",
      source: { kind: "outside", address: "192.0.2.7" },
      destination: api,
      destinationPort: 8080,
      reasons: [reason("StagedNetworkPolicy", "api")],
    },
  ];
}

export function fakeFacts(given: Partial<HostFacts> = {}): HostFacts {
  return {
    host: "h1",
    agent: { running: true, version: "0.1.0" },
    kernel: { release: "6.18.0", nfTables: true, veth: true, conntrack: true, dropReasons: { asked: true } },
    sysctls: [{ path: "net/ipv4/ip_forward", want: "1", have: "1" }],
    engine: { state: "running", version: "26.1.5", liveRestore: false, foreignIpam: [], ignoredSubnets: [] },
    pluginSocket: { path: "/run/docker/plugins/manx.sock", listening: true },
    forward: [{ family: 4, policy: "drop", accepted: true }],
    firewalls: [{ name: "ufw", active: false }],
    tools: { nft: "1.0.6", bird: "2.0.12" },
    bgp: { wanted: false, running: false },
    store: { path: "/var/lib/manx/store.db" },
    overlaps: [],
    exhausted: [],
    refusedLabels: [],
    drift: [],
    dropping: [],
    socketMode: 0o600,
    ipv6: true,
    clock: { now: 1, atLeast: 0 },
    orphans: [],
    unit: { systemd: true, installed: true, enabled: true },
    freeBytes: 8 * 1024 ** 3,
    errors: [],
    ...given,
  };
}

const WELL: readonly Component[] = [
  { name: "agent", state: "ok", summary: "manx 0.1.0, running for 2 hours" },
  { name: "engine", state: "ok", summary: "Docker 26.1.5" },
  { name: "store", state: "ok", summary: "SQLite, /var/lib/manx/store.db" },
  { name: "dataplane", state: "ok", summary: "3 endpoints, nothing to change" },
  { name: "bgp", state: "off", summary: "off", why: "no peer is configured" },
];

export class FakeAgent implements AgentView {
  readonly startedAt = Date.UTC(2026, 10, 23, 10, 0, 0);
  state: Snapshot;
  hostFacts: HostFacts;
  parts: readonly Component[] = WELL;
  isAnnouncing = false;
  /** Thrown by every method, where set. */
  failure: Error | undefined;
  readonly usage = new Map<string, PoolUsage>();
  readonly fixed: FixAction[] = [];
  readonly stored = new FakeResources();
  /** Every change and every question that came, in order. */
  readonly requests: ChangeRequest[] = [];
  readonly queries: WhyQuery[] = [];
  /** What BGP is like, and which sessions were reset. */
  readonly bgp = new FakeBgp();
  readonly lan = new FakeLan();
  readonly services = new FakeServices();
  /** What `why` answers. */
  answer: WhyView | undefined;
  /** Seen last first. */
  seen: readonly Flow[] = [];
  readonly #listeners = new Set<(event: AgentEvent) => void>();
  #revision = 1;

  constructor(state: Snapshot = fakeSnapshot(), facts: HostFacts = fakeFacts()) {
    this.state = state;
    this.hostFacts = facts;
    this.usage.set("default-v4", { allocated: 3, blocks: [{ cidr: "10.65.0.0/26", host: "h1", allocated: 3 }] });
  }

  async version() {
    this.#check();
    return { version: "0.1.0", node: "v26.10.0", kernel: "6.18.0", engine: "26.1.5", bird: "2.0.12" };
  }

  async components() {
    this.#check();
    return this.parts;
  }

  async snapshot() {
    this.#check();
    return this.state;
  }

  announcing() {
    return this.isAnnouncing;
  }

  /** What of the flows cannot be told. */
  unseen: Pick<FlowReport, "silent" | "blind"> = {};

  async flows(filter: FlowFilter, limit: number): Promise<FlowReport> {
    this.#check();
    const flows = this.seen.filter((flow) => matches(flow, filter)).slice(0, limit);
    return { flows, lost: 0, forgotten: 0, ...this.unseen };
  }

  /** What has been seen so far, once. */
  async *followFlows(filter: FlowFilter) {
    this.#check();
    yield this.seen.filter((flow) => matches(flow, filter));
  }

  isReady = true;

  /** Counters that have grown at each look: 1,000 bytes more each time for the first, twice that for the next. */
  #looks = 0;

  async traffic(): Promise<TrafficView> {
    this.#check();
    const looks = ++this.#looks;
    const endpoints = this.state.endpoints.flatMap(({ id, container, namespace, network, local }, index) => {
      const side = { bytes: looks * 1_000 * (index + 1), packets: looks * 10, dropped: 0 };
      const names = { id, container, namespace, network, interface: local?.interface ?? "" };
      return local === undefined ? [] : [{ ...names, sent: side, received: side, flows: looks, drops: 0 }];
    });
    return { time: looks * 1_000, endpoints };
  }

  async metrics() {
    this.#check();
    return "# HELP manx_endpoints Endpoints on this host.\n# TYPE manx_endpoints gauge\nmanx_endpoints 3\n";
  }

  async readiness(): Promise<Readiness> {
    const { isReady } = this;
    const why = isReady ? {} : { why: "the firewall is not in force" };
    return { ready: isReady, checks: [{ name: "kernel", ok: isReady, ...why }] };
  }

  async poolUsage() {
    return this.usage;
  }

  async addPool(pool: IPPool) {
    this.#check();
    const { name } = pool.metadata;
    const block = parseCidr(pool.spec.cidr);
    if (this.state.pools.some(({ metadata }) => metadata.name === name))
      throw new ApiError("exists", `Cannot add the pool "${name}": there is one of that name`);
    const other = this.state.pools.find(({ spec }) => {
      const theirs = parseCidr(spec.cidr);
      return block !== undefined && theirs !== undefined && overlaps(block, theirs);
    });
    if (other !== undefined)
      throw new ApiError("refused", `Cannot add the pool "${name}": it overlaps the pool "${other.metadata.name}"`);
    this.state = { ...this.state, pools: [...this.state.pools, pool] };
    this.emit("pools");
    return pool;
  }

  async removePool(name: string) {
    const used = this.usage.get(name)?.allocated ?? 0;
    if (used > 0)
      throw new ApiError("refused", `Cannot remove the pool "${name}": ${used} addresses of it are in use`, {
        remedy: "Remove the containers that have them first: manx ls",
      });
    this.state = { ...this.state, pools: this.state.pools.filter(({ metadata }) => metadata.name !== name) };
    this.emit("pools");
  }

  /** Hosts of the cluster; the first is this one. */
  hosts: NodeView[] = [fakeNode("h1", { self: true, blocks: [{ cidr: "10.65.0.0/26", pool: "default-v4" }] })];
  problems: IpamProblemView[] = [];

  async nodes() {
    this.#check();
    return this.hosts;
  }

  async removeNode(name: string, force: boolean) {
    this.#check();
    const found = this.hosts.find((host) => host.name === name);
    const refuse = (why: string): ApiError => new ApiError("refused", `Cannot remove the host "${name}": ${why}`);
    if (found === undefined)
      throw new ApiError("not-found", `Cannot remove the host "${name}": the cluster has none of that name`);
    if (found.self) throw refuse("it is this one");
    if (found.state === "alive") throw refuse("its agent lives");
    if (!force && found.addresses.length > 0) throw refuse(`its agent is silent, but ${found.addresses[0]} answers`);
    this.hosts = this.hosts.filter((host) => host !== found);
    return {
      name,
      endpoints: found.endpoints,
      released: found.blocks.map(({ cidr }) => cidr),
      kept: [],
      resources: [`HostEndpoint ${name}-eth0`, `BGPConfiguration node.${name}`],
    };
  }

  async ipam() {
    this.#check();
    const blocks = [{ cidr: "10.65.0.0/26", host: "h1", size: "64", allocated: 3 }];
    const pool = { name: "default-v4", cidr: "10.65.0.0/16", size: "65536", allocated: 3, blocks };
    return { pools: [pool], loans: [{ address: "10.65.0.7", owner: "h1", borrower: "h2", state: "granted" }] };
  }

  async ipamCheck() {
    this.#check();
    return this.problems;
  }

  async ipamExplain(address: string) {
    this.#check();
    if (parseAddress(address) === undefined)
      throw new ApiError("invalid", `Cannot explain "${address}": it is no IP address`);
    const sentences = ['It lies in the pool "default-v4" (10.65.0.0/16).', 'Host "h1" owns its block 10.65.0.0/26.'];
    return { address, state: "free" as const, pool: "default-v4", block: "10.65.0.0/26", owner: "h1", sentences };
  }

  async ipamRelease(subject: string) {
    this.#check();
    if (subject === "10.65.0.0/26")
      throw new ApiError("refused", `Cannot release ${subject}: 3 of its addresses are in use`);
    return { released: subject, sentence: `${subject} is free again` };
  }

  async facts() {
    this.#check();
    return this.hostFacts;
  }

  async fix(action: FixAction) {
    this.fixed.push(action);
    if (action.kind === "resync") this.hostFacts = { ...this.hostFacts, drift: [] };
    return `did ${action.kind}`;
  }

  async resources(kind: string) {
    this.#check();
    const { state } = this;
    const all = [
      ...state.nodes,
      ...state.pools,
      ...state.reservations,
      ...state.networks,
      ...state.policies,
      ...state.stagedPolicies,
      ...state.tiers,
      ...state.profiles,
      ...state.networkSets,
      ...state.hostEndpoints,
    ];
    const items = [...all, ...this.stored.stored.values()].filter((item) => item.kind === kind);
    return { revision: this.stored.revision, items };
  }

  async change(request: ChangeRequest) {
    this.#check();
    this.requests.push(request);
    return this.stored.change(request);
  }

  async confirm() {
    this.#check();
    return this.stored.confirm();
  }

  async why(query: WhyQuery) {
    this.#check();
    this.queries.push(query);
    if (this.answer === undefined)
      throw new ApiError("not-found", `Cannot find "${query.from}": no endpoint has that name`);
    return this.answer;
  }

  /** What `live` tells, and what it was asked. */
  liveEvents: readonly LiveEvent[] = [];
  readonly liveQueries: LiveQuery[] = [];

  async live(query: LiveQuery) {
    this.#check();
    this.liveQueries.push(query);
    const events = this.liveEvents;
    return async function* (): AsyncGenerator<LiveEvent> {
      yield* events;
    };
  }

  async counters({ local }: Endpoint): Promise<EndpointCounters> {
    this.#check();
    if (local === undefined)
      throw new ApiError("refused", "Cannot count the endpoint's packets: it is on another host");
    return {
      sent: { packets: 1_204, bytes: 98_304, dropped: 0 },
      received: { packets: 990, bytes: 1_048_576, dropped: 3 },
    };
  }

  dashboard: UiView = { state: "off", why: "MANX_UI is off" };

  async ui({ renew }: { readonly renew: boolean }) {
    this.#check();
    if (renew && this.dashboard.state === "on") this.dashboard = { ...this.dashboard, token: "renewed" };
    return this.dashboard;
  }

  readonly openTokens: TokenView[] = [];

  async createToken({ ttl, host, etcd }: TokenRequest): Promise<NewToken> {
    this.#check();
    const token: TokenView = {
      id: `0000000${this.openTokens.length + 1}`,
      createdAt: new Date(this.startedAt).toISOString(),
      expires: new Date(this.startedAt + ttl * 1000).toISOString(),
      state: "open",
      etcd,
      ...(host !== undefined && { host }),
    };
    this.openTokens.push(token);
    return { token, line: "manx1.eyJ0b2tlbiI6dHJ1ZX0" };
  }

  async tokens() {
    this.#check();
    return this.openTokens;
  }

  async removeToken(id: string) {
    const at = this.openTokens.findIndex((token) => token.id === id);
    if (at < 0) throw new ApiError("not-found", `Cannot remove the token "${id}": there is none`);
    this.openTokens.splice(at, 1);
  }

  emit(topic: AgentEvent["topic"]): void {
    this.#revision++;
    for (const listener of this.#listeners) listener({ topic, revision: this.#revision });
  }

  /** Number of watchers at present: a test sees that none is left over. */
  get watchers(): number {
    return this.#listeners.size;
  }

  async *watch(signal: AbortSignal): AsyncIterable<AgentEvent> {
    const queue: AgentEvent[] = [];
    let wake = (): void => {};
    const listener = (event: AgentEvent): void => {
      queue.push(event);
      wake();
    };
    const stop = (): void => wake();
    this.#listeners.add(listener);
    signal.addEventListener("abort", stop);
    try {
      while (!signal.aborted) {
        const event = queue.shift();
        if (event !== undefined) yield event;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", stop);
    }
  }

  #check(): void {
    if (this.failure !== undefined) throw this.failure;
  }
}
