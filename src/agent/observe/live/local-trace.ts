/** The next packet of some flows on this host, and what this host made of it. */

import { firstPacket, type LiveFlow, type LiveHead, type LiveStep, passage } from "../../../core/flows/live.ts";
import type { LiveReport } from "../../../core/flows/live-way.ts";
import type { Family } from "../../../core/net/address.ts";
import { TCP } from "../../../core/rules/protocol.ts";
import { messageOf } from "../../../drivers/error.ts";
import { parseHead } from "../../../drivers/nflog/packet-head.ts";
import type { TracedFlow, TraceEvent } from "../../../drivers/nftables/trace.ts";

export interface LocalSources {
  readonly host: string;
  /** Marks from the call on, and leaves nothing when it ends. */
  readonly trace: (flows: readonly TracedFlow[], signal: AbortSignal) => AsyncIterable<readonly TraceEvent[]>;
  /** What a rule says; undefined where nobody can tell. */
  readonly ruleText: (event: TraceEvent, head: LiveHead | undefined) => Promise<string | undefined>;
  readonly interfaceName: (index: number) => string | undefined;
  /** Why the kernel dropped a packet like this one, if it did so itself since then. */
  readonly kernelReason: (head: LiveHead, since: number) => string | undefined;
  readonly now: () => number;
  /** Whether the interface is the host's side of a container's link. */
  readonly isContainer: (name: string) => boolean;
}

/** Milliseconds for which news of a packet that has died or been answered is waited, and for which its answer is. */
const QUIET = 300;
const ANSWER = 1_500;
/** More of one flow is another packet's. */
const MOST_EVENTS = 2_000;

/** Marks from the call on; the report comes once a packet has gone its way, or the signal aborts. Never rejects. */
export function traceHere(flows: readonly LiveFlow[], sources: LocalSources, signal: AbortSignal): Promise<LiveReport> {
  const { host } = sources;
  const stop = new AbortController();
  try {
    const both = AbortSignal.any([signal, stop.signal]);
    const events = sources.trace(flows, both);
    return watch(events, flows, sources, () => stop.abort()).catch((error: unknown) => failed(host, error));
  } catch (error) {
    return Promise.resolve(failed(host, error));
  }
}

function failed(host: string, error: unknown): LiveReport {
  return { host, state: "failed", why: messageOf(error) };
}

async function watch(
  batches: AsyncIterable<readonly TraceEvent[]>,
  flows: readonly LiveFlow[],
  sources: LocalSources,
  stop: () => void,
): Promise<LiveReport> {
  const since = sources.now();
  const events: TraceEvent[] = [];
  const steps: LiveStep[] = [];
  let timer: NodeJS.Timeout | undefined;
  const endIn = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(stop, ms);
  };
  let waits = false;
  try {
    for await (const batch of batches) {
      events.push(...batch);
      steps.push(...batch.map((event) => stepOf(event, sources.interfaceName)));
      const { forward, back } = firstPacket(steps, flows);
      if (forward.length === 0) {
        // Answers to what came by before: nothing of it is kept.
        steps.length = 0;
        events.length = 0;
        continue;
      }
      const isOver = forward.some(({ verdict }) => verdict === "drop") || back.length > 0;
      if (isOver || events.length > MOST_EVENTS) endIn(QUIET);
      else if (!waits) endIn(ANSWER);
      waits = true;
    }
  } finally {
    clearTimeout(timer);
  }
  return report(events, steps, flows, sources, since);
}

async function report(
  events: readonly TraceEvent[],
  steps: readonly LiveStep[],
  flows: readonly LiveFlow[],
  sources: LocalSources,
  since: number,
): Promise<LiveReport> {
  const { host, isContainer } = sources;
  const { forward, back } = firstPacket(steps, flows);
  if (forward.length === 0) return { host, state: "nothing" };
  const withText = async (some: readonly LiveStep[]): Promise<LiveStep[]> => {
    const head = some[0]?.head;
    const out: LiveStep[] = [];
    for (const step of some) out.push(await told(step, events[steps.indexOf(step)], head, sources));
    return out;
  };
  const head = forward[0]?.head;
  const reason = head === undefined ? undefined : sources.kernelReason(head, since);
  const seen = passage(await withText(forward), await withText(back), isContainer, reason);
  return { host, state: "seen", passage: seen };
}

async function told(
  step: LiveStep,
  event: TraceEvent | undefined,
  head: LiveHead | undefined,
  { ruleText }: LocalSources,
): Promise<LiveStep> {
  const isAsked =
    event !== undefined && step.place === undefined && step.kind === "rule" && step.verdict !== "continue";
  const text = isAsked ? await ruleText(event, head).catch(() => undefined) : undefined;
  return text === undefined ? step : { ...step, text };
}

function stepOf(event: TraceEvent, interfaceName: LocalSources["interfaceName"]): LiveStep {
  const { packet, place, family, table, chain, kind, verdict, inIndex, outIndex } = event;
  const [from, to] = [inIndex, outIndex].map((index) => (index === undefined ? undefined : interfaceName(index)));
  const head = headOf(event);
  return {
    packet,
    family,
    table,
    chain,
    kind,
    verdict,
    ...(place !== undefined && { place }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(head !== undefined && { head }),
  };
}

const ETHERTYPES: Readonly<Record<Family, number>> = { 4: 0x0800, 6: 0x86dd };

function headOf({ network, transport = new Uint8Array() }: TraceEvent): LiveHead | undefined {
  if (network === undefined) return undefined;
  const family = (network[0] ?? 0) >> 4 === 6 ? 6 : 4;
  const head = parseHead(ETHERTYPES[family], Uint8Array.of(...network, ...transport));
  const flags = transport[13];
  return head?.protocol === TCP && flags !== undefined ? { ...head, tcpFlags: flags } : head;
}
