/** The agent as the API sees it: facts of this moment, and changes. */
import { release } from "node:os";
import type { AgentView, PoolUsage } from "../api/agent.ts";
import { ApiError } from "../api/error.ts";
import type { ChangeReport, ChangeRequest, ResourceFrame } from "../api/schema/resource.ts";
import type { Component } from "../api/schema/status.ts";
import type { TokenView } from "../api/schema/token.ts";
import { TOPICS } from "../api/schema/watch.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";
import type { AnyResource, IPPool, Kind, WorkloadEndpoint } from "../core/model/resources.ts";
import { validateResource } from "../core/model/validate.ts";
import { formatProblems, type Problem } from "../core/problem.ts";
import { whyNotAsked } from "../install/docker-dns.ts";
import type { Dashboard } from "../web/dashboard.ts";
import { AddressError } from "./addresses.ts";
import type { Agent } from "./agent.ts";
import { bgpView } from "./bgp/view.ts";
import { type Changed, ChangeRefused } from "./changes.ts";
import { clusterView } from "./cluster/cluster-view.ts";
import { counters } from "./counters.ts";
import { uiView } from "./dashboard.ts";
import { hostFacts } from "./facts.ts";
import type { ConditionCode } from "./health.ts";
import type { Token } from "./join/tokens.ts";
import { lanView, seenOn } from "./lan/view.ts";
import { metricsText } from "./metrics/gather.ts";
import { readiness } from "./metrics/readiness.ts";
import { live } from "./observe/live/live.ts";
import { flowReport, followFlows } from "./observe/report.ts";
import { trafficView } from "./observe/traffic.ts";
import { repair } from "./repair.ts";
import { servicesView } from "./services/view.ts";
import { verdictsOf } from "./verdicts.ts";
import { VERSION } from "./version.ts";
import { why } from "./why.ts";

const PARTS: readonly { name: Component["name"]; codes: readonly ConditionCode[] }[] = [
  { name: "agent", codes: ["plugin-socket", "stop-gate", "bad-resource", "reconcile-failed", "dashboard-not-served"] },
  { name: "engine", codes: ["engine-unreachable", "network-differs", "network-not-spread", "network-kept"] },
  {
    name: "store",
    codes: ["name-taken", "store-unavailable", "certificate-expires", "pool-overlap", "address-also-used"],
  },
  {
    name: "dataplane",
    codes: [
      "firewall-not-applied",
      "interfaces-not-applied",
      "settings-not-applied",
      "connections-not-cut",
      "foreign-firewall",
      "flows-not-seen",
      "flow-log-failed",
      "service-refused",
      "service-address-not-set",
    ],
  },
  {
    name: "bgp",
    codes: ["bgp-in-the-way", "bgp-not-applied", "bgp-secret", "bgp-resource", "bgp-session-down"],
  },
  { name: "names", codes: ["names-not-answered", "aliases-unknown"] },
];

/** Why a part is off although nothing is wrong with it. */
function offReason(
  name: Component["name"],
  agent: Agent,
): { readonly why: string; readonly remedy?: string } | undefined {
  if (name === "names") return agent.names === undefined ? { why: "switched off by MANX_NAMES" } : whyNotAsked();
  if (name !== "bgp" || (agent.bgp?.stage.state?.sessions.length ?? 0) > 0) return undefined;
  return { why: agent.bgp === undefined ? "switched off by MANX_BGP" : "this host has no peers" };
}

function namesSummary({ names }: Agent): string {
  return names === undefined
    ? ""
    : `${names.known} names on this host's networks, ${names.answered} questions answered`;
}

/** `dashboard`: the one there is by then. */
export function agentView(agent: Agent, dashboard: () => Dashboard | undefined = () => undefined): AgentView {
  return {
    startedAt: agent.startedAt,
    version: async (signal) => {
      const engine = await agent.engine.version(signal).catch(() => undefined);
      return {
        version: VERSION,
        node: process.versions.node,
        kernel: release(),
        ...(engine === undefined ? {} : { engine: engine.version }),
      };
    },
    components: (signal) => components(agent, signal),
    snapshot: () => Promise.resolve(agent.takeSnapshot()),
    announcing: () => agent.bgp?.bird.running === true && (agent.bgp.stage.state?.sessions.length ?? 0) > 0,
    bgp: bgpView(agent.bgp, agent.options),
    lan: agentLan(agent),
    services: servicesView(agent),
    poolUsage: () => Promise.resolve(poolUsage(agent)),
    addPool: (pool, signal) => {
      agent.link.assertThere("add the pool");
      return addressCall(() => agent.addresses.addPool(checked(pool) as IPPool, signal));
    },
    removePool: (name, signal) => {
      agent.link.assertThere("remove the pool");
      return addressCall(() => agent.addresses.removePool(name, signal));
    },
    ...clusterView(agent),
    facts: (signal) => hostFacts(agent, signal),
    fix: (action, signal) => repair(agent, action, signal),
    resources: (kind) => Promise.resolve({ revision: agent.cluster.revision, items: resources(agent, kind) }),
    change: (request, signal) => {
      if (request.dryRun !== true) agent.link.assertThere("change the resources");
      return change(agent, request, signal);
    },
    confirm: async (signal) => {
      const confirmed = await agent.changes.confirm(signal ?? agent.signal).catch((error: unknown) => {
        throw refusal(error);
      });
      return { confirmed };
    },
    why: (query, signal) => why(agent, query, signal),
    live: (query) => live(agent, query),
    createToken: async (request, signal) => {
      agent.link.assertThere("make a token");
      const { token, line } = await joining(agent).create({ host: request.host, ...request }, signal ?? agent.signal);
      return { token: tokenView(token), line };
    },
    tokens: async (signal) => (await joining(agent).list(signal ?? agent.signal)).map(tokenView),
    removeToken: (id, signal) => joining(agent).remove(id, signal ?? agent.signal),
    flows: (filter, limit) => Promise.resolve(flowReport(agent.observer, filter, limit)),
    followFlows: (filter, signal) => followFlows(agent.observer, filter, signal),
    traffic: () => {
      const { endpoints } = agent.takeSnapshot();
      const counters = agent.kernel.linkCounters();
      return Promise.resolve(trafficView(endpoints, counters, agent.observer.tally, performance.now()));
    },
    metrics: (signal) => metricsText(agent, signal),
    readiness: () => Promise.resolve(readiness(agent)),
    counters,
    ui: ({ renew }) => uiView(dashboard(), renew),
    watch: (signal) => watch(agent, signal),
  };
}

function agentLan(agent: Agent): AgentView["lan"] {
  const { hostNetwork, cluster, addresses, kernel, lan, link } = agent;
  return lanView({
    mode: lan,
    addresses,
    pools: () => cluster.all("IPPool"),
    refresh: agent.refreshNetwork,
    interfaces: () => hostNetwork.interfaces,
    uplink: () => hostNetwork.surroundings.uplink,
    seen: (name) => seenOn(kernel.rtnetlink, name),
    holders: () => agent.takeSnapshot().endpoints,
    store: (pool, signal) => {
      link.assertThere("change the LAN's pools");
      return addressCall(() => addresses.addPool(checked(pool) as IPPool, signal));
    },
    remove: (name, signal) => {
      link.assertThere("change the LAN's pools");
      return addressCall(() => addresses.removePool(name, signal));
    },
  });
}

function joining({ joining }: Agent): NonNullable<Agent["joining"]> {
  if (joining !== undefined) return joining;
  throw new ApiError(
    "refused",
    "Cannot let other hosts in: this host has a store of its own, which others cannot reach",
    {
      remedy: "manx up --etcd starts one for all of them here; manx up --store etcd://... uses one that is there.",
    },
  );
}

function tokenView({ id, createdAt, expires, etcd, host, usedBy }: Token): TokenView {
  const over = Date.parse(expires) <= Date.now();
  return {
    id,
    createdAt,
    expires,
    etcd,
    state: usedBy !== undefined ? "used" : over ? "expired" : "open",
    ...(host !== undefined && { host }),
    ...(usedBy !== undefined && { usedBy: usedBy.host }),
  };
}

async function components(agent: Agent, signal?: AbortSignal): Promise<readonly Component[]> {
  const engine = await agent.engine.version(signal).catch(() => undefined);
  const { state } = agent;
  const summaries: Record<Component["name"], string> = {
    agent: `version ${VERSION}, process ${process.pid}`,
    engine: engine === undefined ? "does not answer" : `Docker ${engine.version}, ${state.networks.size} networks`,
    store: storeSummary(agent),
    dataplane: dataplaneSummary(agent),
    bgp: bgpSummary(agent),
    names: namesSummary(agent),
  };
  const conditions = agent.health.list();
  return PARTS.map(({ name, codes }) => {
    const found = conditions.find(({ code }) => codes.includes(code));
    if (found === undefined) {
      const off = offReason(name, agent);
      return { name, summary: summaries[name], state: off === undefined ? "ok" : "off", ...off };
    }
    const part = found.severity === "error" ? ("failed" as const) : ("degraded" as const);
    return { name, state: part, summary: summaries[name], why: `${found.title}: ${found.why}`, remedy: found.remedy };
  });
}

/** `etcd, https://10.0.0.1:2379, revision 17`; where it is away, since when, and what waits for it. */
function storeSummary({ options, cluster, link, storeEndpoints }: Agent): string {
  const where = options.etcd === undefined ? `SQLite, ${options.stateFile}` : `etcd, ${storeEndpoints().join(", ")}`;
  const known = `${where}, revision ${cluster.revision}`;
  if (link.away === undefined) return known;
  const waiting = link.waiting();
  const waits = waiting.length === 0 ? "nothing waits for it" : `waiting to be published: ${waiting.join(", ")}`;
  return `${known}, away since ${link.away.since}; ${waits}`;
}

function bgpSummary({ bgp }: Agent): string {
  const state = bgp?.stage.state;
  if (state === undefined || state.sessions.length === 0) return "off: routes stay on this host";
  const announced = state.routes.own.length + state.routes.borrowed.length;
  return `AS ${state.asNumber}, ${state.sessions.length} sessions, ${announced} prefixes of this host`;
}

function dataplaneSummary(agent: Agent): string {
  const state = agent.hostState();
  if (state === undefined) return "not yet known";
  const elements = [...state.ruleset.values()].flatMap(({ sets }) => [...sets.values()]);
  const count = elements.reduce((sum, set) => sum + set.elements.size, 0);
  return `${state.links.size} interfaces, ${state.routes.size} routes, ${count} firewall elements`;
}

function poolUsage(agent: Agent): ReadonlyMap<string, PoolUsage> {
  const usage = new Map<string, { allocated: number; blocks: Map<string, number> }>();
  for (const { pool, block } of agent.addresses.inUse()) {
    const entry = usage.get(pool) ?? { allocated: 0, blocks: new Map<string, number>() };
    entry.allocated++;
    entry.blocks.set(block, (entry.blocks.get(block) ?? 0) + 1);
    usage.set(pool, entry);
  }
  return new Map(
    [...usage].map(([pool, { allocated, blocks }]) => [
      pool,
      { allocated, blocks: [...blocks].map(([cidr, count]) => ({ cidr, host: agent.options.host, allocated: count })) },
    ]),
  );
}

async function addressCall<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    const codes = {
      invalid: "invalid",
      conflict: "refused",
      exhausted: "refused",
      "not-found": "not-found",
      unavailable: "unavailable",
    } as const;
    throw new ApiError(codes[error.code], error.message, { cause: error });
  }
}

/** All of a kind: what is stored, and what is made from Docker. */
function resources(agent: Agent, kind: Kind): readonly AnyResource[] {
  const snapshot = agent.takeSnapshot();
  switch (kind) {
    case "WorkloadEndpoint":
      return snapshot.endpoints.map(workloadEndpoint);
    case "Network":
      return snapshot.networks;
    case "Node":
      return snapshot.nodes;
    case "NetworkPolicy":
      return snapshot.policies.filter((policy) => policy.kind === "NetworkPolicy");
    case "BGPConfiguration":
    case "BGPFilter":
    case "BGPPeer":
    case "GlobalNetworkPolicy":
    case "GlobalNetworkSet":
    case "HostEndpoint":
    case "IPAMConfiguration":
    case "IPPool":
    case "IPReservation":
    case "NetworkSet":
    case "Profile":
    case "Service":
    case "StagedGlobalNetworkPolicy":
    case "StagedNetworkPolicy":
    case "Tier":
      return agent.cluster.all(kind).map((resource) => versioned(agent, resource));
  }
}

function versioned<R extends AnyResource>(agent: Agent, resource: R): R {
  const revision = agent.cluster.revisionOf(resource);
  return revision === undefined
    ? resource
    : { ...resource, metadata: { ...resource.metadata, resourceVersion: String(revision) } };
}

function workloadEndpoint(endpoint: Endpoint): WorkloadEndpoint {
  const { id, host, namespace, container, network, addresses, labels, profiles, local } = endpoint;
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: {
      name: `${host}-docker-${container === "" ? id.slice(0, 12) : container}-${network}`.toLowerCase(),
      namespace,
      labels: Object.fromEntries(labels),
    },
    spec: {
      orchestrator: "docker",
      workload: container,
      node: host,
      endpoint: id.slice(0, 12),
      ipNetworks: addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
      profiles,
      interfaceName: local?.interface ?? "",
      ...(local === undefined ? {} : { mac: local.mac }),
    },
  };
}

async function change(agent: Agent, request: ChangeRequest, signal: AbortSignal = agent.signal): Promise<ChangeReport> {
  const { mode, dryRun, confirmWithin, ignoreMissing, session, force } = request;
  const resources =
    mode === "delete"
      ? request.resources.map((frame) => frame as unknown as AnyResource)
      : checkedAll(request.resources);
  try {
    const changed = await agent.changes.make(
      {
        mode,
        resources,
        ...(dryRun === undefined ? {} : { dryRun }),
        ...(confirmWithin === undefined ? {} : { confirmWithin }),
        ...(ignoreMissing === undefined ? {} : { ignoreMissing }),
        ...(session === undefined ? {} : { session }),
        ...(force === undefined ? {} : { force }),
      },
      signal,
    );
    if (dryRun !== true) {
      await agent.settle();
      return report(changed);
    }
    const { verdicts, complete } = await verdictsOf(agent.takeSnapshot(), changed.resources, signal);
    return { ...report(changed), verdicts, verdictsComplete: complete };
  } catch (error) {
    throw refusal(error);
  }
}

function checkedAll(frames: readonly ResourceFrame[]): AnyResource[] {
  const problems: Problem[] = [];
  const out: AnyResource[] = [];
  for (const frame of frames) {
    const result = validateResource(frame);
    if (result.ok) out.push(result.value);
    else
      problems.push(
        ...result.problems.map(({ path, message }) => ({
          path: `${frame.kind} ${frame.metadata.name}: ${path}`,
          message,
        })),
      );
  }
  if (problems.length > 0) throw new ApiError("invalid", "Cannot change the resources", { problems });
  return out;
}

function checked(resource: unknown): AnyResource {
  const result = validateResource(resource);
  if (result.ok) return result.value;
  throw new ApiError("invalid", formatProblems(result.problems), { problems: result.problems });
}

function refusal(error: unknown): unknown {
  if (!(error instanceof ChangeRefused)) return error;
  return new ApiError(error.code, error.message, { problems: error.problems, cause: error });
}

function report({ revision, resources, confirmBefore }: Changed): ChangeReport {
  return {
    revision,
    results: resources.map(({ outcome, before, after }) => {
      const shown = (after ?? before) as AnyResource;
      return {
        kind: shown.kind,
        name: shown.metadata.name,
        ...(shown.metadata.namespace === undefined ? {} : { namespace: shown.metadata.namespace }),
        outcome,
        ...(before === undefined ? {} : { before: before as unknown as ResourceFrame }),
        ...(after === undefined ? {} : { after: after as unknown as ResourceFrame }),
      };
    }),
    ...(confirmBefore === undefined ? {} : { confirmBefore: confirmBefore.toISOString() }),
  };
}

/** One event for every topic whenever anything changes; several changes in a row may become one. */
async function* watch(
  agent: Agent,
  signal: AbortSignal,
): AsyncGenerator<{ topic: (typeof TOPICS)[number]; revision: number }> {
  let ring: () => void = () => {};
  let rung = true;
  const stop = agent.state.onChange(() => {
    rung = true;
    ring();
  });
  const stopCluster = agent.cluster.onChange(() => {
    rung = true;
    ring();
  });
  signal.addEventListener("abort", () => ring(), { once: true });
  try {
    while (!signal.aborted) {
      if (!rung) await new Promise<void>((resolve) => (ring = resolve));
      rung = false;
      if (signal.aborted) return;
      for (const topic of TOPICS) yield { topic, revision: agent.cluster.revision };
    }
  } finally {
    stop();
    stopCluster();
  }
}
