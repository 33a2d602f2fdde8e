/** Flows of this host, and of all others that have told theirs, as one. */
import type { AgentView, FlowReport } from "../../api/agent.ts";
import { type FlowFilter, matches } from "../../core/flows/filter.ts";
import { type Flow, flowKey } from "../../core/flows/flow.ts";
import { mergeSeen } from "../../core/flows/seen.ts";
import type { Store } from "../../drivers/store/store.ts";
import type { Agent } from "../agent.ts";
import { FlowExchange, type Look } from "../cluster/flow-exchange.ts";
import type { Membership } from "../cluster/membership.ts";
import type { Observer } from "./observer.ts";
import { flowReport, followFlows } from "./report.ts";

/** Milliseconds that the others have to tell theirs. */
const PATIENCE = 4_000;

export interface EverywhereSources {
  readonly observer: Pick<Observer, "ledger" | "follow" | "lost" | "blind">;
  readonly host: string;
  /** Undefined where this host is alone. */
  readonly exchange: FlowExchange | undefined;
}

/** The flows of the agent's API. */
export function flowViews({
  observer,
  options,
  flowExchange,
  signal: end,
}: Agent): Pick<AgentView, "flows" | "followFlows"> {
  const sources = { observer, host: options.host, exchange: flowExchange };
  return {
    flows: async (filter, limit, signal = end) =>
      filter.hosts === "all" ? reportEverywhere(sources, filter, limit, signal) : flowReport(observer, filter, limit),
    followFlows: (filter, signal) =>
      filter.hosts === "all" ? followEverywhere(sources, filter, signal) : followFlows(observer, filter, signal),
  };
}

/** What tells the others of this host's flows, and this host of theirs. */
export function openFlowExchange(parts: {
  readonly store: Store;
  readonly host: string;
  readonly membership: Membership;
  readonly observer: Observer;
}): FlowExchange {
  const { store, host, membership, observer } = parts;
  return new FlowExchange({
    store,
    host,
    alive: () => membership.presence.alive.keys(),
    recent: (most) => observer.ledger.list(() => true, most),
  });
}

export async function reportEverywhere(
  sources: EverywhereSources,
  filter: FlowFilter,
  limit: number,
  signal: AbortSignal,
): Promise<FlowReport> {
  const { observer, exchange } = sources;
  const { ledger } = observer;
  using look = exchange?.look();
  await look?.complete(AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]));
  const own = ledger.list(() => true).map(flowKey);
  const flows = [...new Set([...own, ...(look?.elsewhere.keys() ?? [])])]
    .flatMap((key) => merged(key, sources, look) ?? [])
    .filter((flow) => matches(flow, filter))
    .sort((a, b) => b.time - a.time)
    .slice(0, limit);
  return { ...flowReport(observer, filter, 0), flows, silent: look?.silent() ?? [] };
}

export async function* followEverywhere(
  sources: EverywhereSources,
  filter: FlowFilter,
  signal: AbortSignal,
): AsyncGenerator<readonly Flow[], void, undefined> {
  using look = sources.exchange?.look();
  const follow = (listener: (flow: Flow) => void): (() => void) => {
    const tell = (flow: Flow): void => listener(merged(flowKey(flow), sources, look) ?? flow);
    const stops = [sources.observer.follow(tell), look?.follow((flows) => flows.forEach(tell))];
    return () => stops.forEach((stop) => stop?.());
  };
  yield* followFlows({ follow }, filter, signal);
}

function merged(key: string, { observer, host }: EverywhereSources, look: Look | undefined): Flow | undefined {
  const own = observer.ledger.get(key);
  const [first, ...rest] = [
    ...(own === undefined ? [] : [{ of: host, flow: own }]),
    ...(look?.elsewhere.copies(key) ?? []),
  ];
  return first === undefined ? undefined : mergeSeen([first, ...rest]);
}
