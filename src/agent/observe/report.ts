/** What the API tells of the observer's flows. */
import type { FlowReport } from "../../api/agent.ts";
import { type FlowFilter, matches } from "../../core/flows/filter.ts";
import { type Flow, flowKey } from "../../core/flows/flow.ts";
import type { Observer } from "./observer.ts";

export function flowReport(
  observer: Pick<Observer, "ledger" | "lost" | "blind">,
  filter: FlowFilter,
  limit: number,
): FlowReport {
  const { ledger, lost, blind } = observer;
  return {
    flows: ledger.list((flow) => matches(flow, filter), limit),
    lost,
    forgotten: ledger.forgotten,
    ...(blind !== undefined && { blind }),
  };
}

/** Milliseconds in which what happens is one batch: a flood is a few lines a second. */
const BATCH = 250;
/** Flows that wait for a reader at the most; the rest it finds in the list. */
const MAX_WAITING = 5_000;

export async function* followFlows(
  observer: Pick<Observer, "follow">,
  filter: FlowFilter,
  signal: AbortSignal,
): AsyncGenerator<readonly Flow[], void, undefined> {
  const waiting = new Map<string, Flow>();
  let ring = Promise.withResolvers<void>();
  const stop = observer.follow((flow) => {
    if (!matches(flow, filter)) return;
    const key = flowKey(flow);
    if (waiting.size < MAX_WAITING || waiting.has(key)) waiting.set(key, flow);
    ring.resolve();
  });
  const end = (): void => ring.resolve();
  signal.addEventListener("abort", end, { once: true });
  try {
    while (!signal.aborted) {
      await ring.promise;
      if (signal.aborted) return;
      const batch = [...waiting.values()];
      waiting.clear();
      ring = Promise.withResolvers();
      if (batch.length > 0) yield batch;
      await new Promise((resolve) => setTimeout(resolve, BATCH).unref());
    }
  } finally {
    stop();
    signal.removeEventListener("abort", end);
  }
}
