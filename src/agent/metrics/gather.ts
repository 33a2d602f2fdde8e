/** The agent's state at this moment as facts for a scrape. */
import { type Cidr, covers, formatCidr, parseCidr, size } from "../../core/net/cidr.ts";
import type { Agent } from "../agent.ts";
import { bgpView } from "../bgp/view.ts";
import { VERSION } from "../version.ts";
import type { MetricFacts, PoolFacts, SessionFacts } from "./facts.ts";

export async function metricsText(agent: Agent, signal: AbortSignal = agent.signal): Promise<string> {
  await agent.ruleCounters.refresh(agent.hostState(), signal);
  return agent.metrics.text(await gather(agent, signal));
}

async function gather(agent: Agent, signal: AbortSignal): Promise<MetricFacts> {
  const { observer, health, link, cluster, ruleCounters, options } = agent;
  const { ledger, seen, lost } = observer;
  return {
    version: VERSION,
    host: options.host,
    conditions: health.list(),
    rules: ruleCounters.totals.rules,
    drops: ruleCounters.totals.drops,
    countersAge: ruleCounters.age,
    endpoints: endpointCounts(agent),
    flows: { seen, lost, forgotten: ledger.forgotten, kept: ledger.size },
    store: { up: link.away === undefined, revision: cluster.revision },
    resources: countBy([...cluster.entries()], ({ resource }) => resource.kind),
    pools: poolFacts(agent),
    sessions: await sessionFacts(agent, signal),
  };
}

function endpointCounts(agent: Agent): Map<string, number> {
  const { endpoints, networks, host } = agent.takeSnapshot();
  const counts = new Map(networks.map(({ metadata }) => [metadata.name, 0]));
  for (const endpoint of endpoints)
    if (endpoint.host === host) counts.set(endpoint.network, (counts.get(endpoint.network) ?? 0) + 1);
  return counts;
}

function countBy<T>(items: readonly T[], name: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(name(item), (counts.get(name(item)) ?? 0) + 1);
  return counts;
}

function poolFacts({ addresses, cluster }: Agent): PoolFacts[] {
  const inUse = addresses.inUse();
  const blocks = addresses.blocks().flatMap((text) => parseCidr(text) ?? []);
  const own = new Set(blocks.map(formatCidr));
  return cluster.all("IPPool").flatMap(({ metadata: { name }, spec }) => {
    const pool = parseCidr(spec.cidr);
    if (pool === undefined) return [];
    const inside = blocks.filter((block) => covers(pool, block));
    const used = inUse.filter((use) => use.pool === name);
    const blockAddresses = inside.reduce((sum, block) => sum + count(block), 0);
    // Addresses lent by other hosts lie in blocks of theirs.
    const free = blockAddresses - used.filter(({ block }) => own.has(block)).length;
    return [{ name, size: count(pool), blocks: inside.length, blockAddresses, used: used.length, free }];
  });
}

function count(net: Cidr): number {
  return Number(size(net));
}

async function sessionFacts({ bgp, options }: Agent, signal: AbortSignal): Promise<SessionFacts[]> {
  const { sessions } = await bgpView(bgp, options).status({ probe: false }, signal);
  return sessions.map(({ name, peer, state, families }) => ({ name, peer, state, routes: families }));
}
