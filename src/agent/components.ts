/** What `manx status` says of each part of the agent: what it does, whether it is well, and why not. */
import type { Component } from "../api/schema/status.ts";
import { plural } from "../core/plural.ts";
import { whyNotAsked } from "../install/docker-dns.ts";
import type { Agent } from "./agent.ts";
import type { Condition, ConditionCode } from "./health.ts";
import { VERSION } from "./version.ts";

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
      "label-unreadable",
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

const FROZEN = {
  why: "Docker keeps its socket open and answers nothing",
  remedy: "Look at it: systemctl status docker. Running containers keep their traffic.",
};

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
    : `${plural(names.known, "name")} on this host's networks, ${plural(names.answered, "question")} answered`;
}

export async function components(agent: Agent, signal?: AbortSignal): Promise<readonly Component[]> {
  const engine = await agent.engine.version(signal).catch(() => undefined);
  const { state } = agent;
  const summaries: Record<Component["name"], string> = {
    agent: `version ${VERSION}, process ${process.pid}`,
    engine:
      engine === undefined ? "does not answer" : `Docker ${engine.version}, ${plural(state.networks.size, "network")}`,
    store: storeSummary(agent),
    dataplane: dataplaneSummary(agent),
    bgp: bgpSummary(agent),
    names: namesSummary(agent),
  };
  const conditions = agent.health.list();
  return PARTS.map(({ name, codes }) => {
    const [found, ...more] = conditions.filter(({ code }) => codes.includes(code));
    // It may be frozen, which the stream of events does not tell for half a minute.
    if (name === "engine" && found === undefined && engine === undefined)
      return { name, state: "degraded" as const, summary: summaries[name], ...FROZEN };
    if (found === undefined) {
      const off = offReason(name, agent);
      return { name, summary: summaries[name], state: off === undefined ? "ok" : "off", ...off };
    }
    const part = found.severity === "error" ? ("failed" as const) : ("degraded" as const);
    return { name, state: part, summary: summaries[name], why: whyOf(found, more), remedy: found.remedy };
  });
}

const SHOWN = 3;

/** `TITLE: WHY; WHY; and 2 more`: the worst in full, of the others what they add. */
function whyOf(first: Condition, more: readonly Condition[]): string {
  const others = more
    .slice(0, SHOWN - 1)
    .map(({ code, title, why }) => (code === first.code ? why : `${title}: ${why}`));
  const rest = more.length - others.length;
  return [`${first.title}: ${first.why}`, ...others, ...(rest > 0 ? [`and ${rest} more`] : [])].join("; ");
}

/** `etcd, https://10.0.0.1:2379, revision 17`; where it is away, since when, and what waits for it. */
function storeSummary({ options, cluster, link, storeEndpoints }: Agent): string {
  const where = options.etcd === undefined ? `SQLite, ${options.stateFile}` : `etcd, ${storeEndpoints().join(", ")}`;
  const bare = options.etcd !== undefined && storeEndpoints().length === 2 ? ", of two members none may be lost" : "";
  const known = `${where}, revision ${cluster.revision}${bare}`;
  if (link.away === undefined) return known;
  const waiting = link.waiting();
  const waits = waiting.length === 0 ? "nothing waits for it" : `waiting to be published: ${waiting.join(", ")}`;
  return `${known}, away since ${link.away.since}; ${waits}`;
}

function bgpSummary({ bgp }: Agent): string {
  const state = bgp?.stage.state;
  if (state === undefined || state.sessions.length === 0) return "off: routes stay on this host";
  const announced = state.routes.own.length + state.routes.borrowed.length;
  return `AS ${state.asNumber}, ${plural(state.sessions.length, "session")}, ${plural(announced, "prefix", "prefixes")} of this host`;
}

function dataplaneSummary(agent: Agent): string {
  const state = agent.hostState();
  if (state === undefined) return "not yet known";
  const elements = [...state.ruleset.values()].flatMap(({ sets }) => [...sets.values()]);
  const count = elements.reduce((sum, set) => sum + set.elements.size, 0);
  return [
    plural(state.links.size, "interface"),
    plural(state.routes.size, "route"),
    plural(count, "firewall element"),
  ].join(", ");
}
