/** The agent as the API sees it: facts of this moment, and changes. */
import { release } from "node:os";
import type { AgentView, PoolUsage } from "../api/agent.ts";
import { ApiError } from "../api/error.ts";
import type { TokenView } from "../api/schema/token.ts";
import { TOPICS } from "../api/schema/watch.ts";
import type { IPPool } from "../core/model/resources.ts";
import { birdVersion } from "../drivers/bird/daemon.ts";
import type { Dashboard } from "../web/dashboard.ts";
import { AddressError } from "./addresses.ts";
import type { Agent } from "./agent.ts";
import { bgpView } from "./bgp/view.ts";
import { blocksElsewhere, clusterView } from "./cluster/cluster-view.ts";
import { components } from "./components.ts";
import { counters } from "./counters.ts";
import { uiView } from "./dashboard.ts";
import { hostFacts } from "./facts.ts";
import type { Token } from "./join/tokens.ts";
import { lanView, seenOn } from "./lan/view.ts";
import { metricsText } from "./metrics/gather.ts";
import { readiness } from "./metrics/readiness.ts";
import { flowViews } from "./observe/everywhere.ts";
import { live } from "./observe/live/live.ts";
import { trafficView } from "./observe/traffic.ts";
import { repair } from "./repair.ts";
import { change, checked, refusal, resources } from "./resource-view.ts";
import { servicesView } from "./services/view.ts";
import { VERSION } from "./version.ts";
import { why } from "./why.ts";

/** `dashboard`: the one there is by then. */
export function agentView(agent: Agent, dashboard: () => Dashboard | undefined = () => undefined): AgentView {
  return {
    startedAt: agent.startedAt,
    version: async (signal) => {
      const engine = await agent.engine.version(signal).catch(() => undefined);
      const bird = await birdVersion().catch(() => undefined);
      return {
        version: VERSION,
        node: process.versions.node,
        kernel: release(),
        ...(engine === undefined ? {} : { engine: engine.version }),
        ...(bird === undefined ? {} : { bird }),
      };
    },
    components: (signal) => components(agent, signal),
    snapshot: () => Promise.resolve(agent.takeSnapshot()),
    announcing: () => agent.bgp?.bird.running === true && (agent.bgp.stage.state?.sessions.length ?? 0) > 0,
    bgp: bgpView(agent.bgp, agent.options, () => blocksElsewhere(agent)),
    lan: agentLan(agent),
    services: servicesView(agent),
    ...flowViews(agent),
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
