/** Flows of the last hour or more, as many as there is room for: those not seen for the longest time go first. */
import { type Flow, flowKey, type Sighting } from "./flow.ts";

export interface LedgerOptions {
  /** Flows that are kept at the most. */
  readonly maxFlows: number;
  /** Milliseconds that a flow is kept after it was seen last. */
  readonly keepFor: number;
}

/** About 600 bytes a flow. */
export const LEDGER_OPTIONS: LedgerOptions = { maxFlows: 20_000, keepFor: 2 * 3_600_000 };

interface Entry extends Sighting {
  readonly first: number;
  count: number;
}

export class Ledger {
  readonly #options: LedgerOptions;
  /** In the order in which they were seen last. */
  readonly #flows = new Map<string, Entry>();
  #last: Flow | undefined;
  #forgotten = 0;

  constructor(options: LedgerOptions = LEDGER_OPTIONS) {
    this.#options = options;
  }

  /** Flows that had to go for want of room, before their time. */
  get forgotten(): number {
    return this.#forgotten;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** True if a flow of this key is known: what is costly to find out is known of it then. */
  has(sighting: Sighting): boolean {
    return this.#flows.has(flowKey(sighting));
  }

  get(key: string): Flow | undefined {
    return this.#flows.get(key);
  }

  /** Adds what was seen `count` times. @returns the flow as it is now */
  add(sighting: Sighting, count = 1): Flow {
    const key = flowKey(sighting);
    const before = this.#flows.get(key);
    const entry: Entry = {
      ...sighting,
      reasons: sighting.reasons.length > 0 ? sighting.reasons : (before?.reasons ?? []),
      first: before?.first ?? sighting.time,
      count: (before?.count ?? 0) + count,
    };
    this.#flows.delete(key);
    this.#flows.set(key, entry);
    this.#last = entry;
    this.#makeRoom(sighting.time);
    return entry;
  }

  /** The one that was seen last. */
  get last(): Flow | undefined {
    return this.#last;
  }

  /** Takes a flow that was kept, those seen last at the end, before anything is added. */
  restore(flow: Flow, now: number): void {
    if (flow.time > now || flow.time < now - this.#options.keepFor) return;
    this.#last = flow;
    this.#flows.set(flowKey(flow), flow);
    this.#makeRoom(now);
  }

  /** Those that `select` takes, seen last first, so many at the most. */
  list(select: (flow: Flow) => boolean, limit = Number.POSITIVE_INFINITY): Flow[] {
    return [...this.#flows.values()].reverse().filter(select).slice(0, limit);
  }

  #makeRoom(now: number): void {
    for (const [key, { time }] of this.#flows) {
      const old = time < now - this.#options.keepFor;
      if (!old && this.#flows.size <= this.#options.maxFlows) return;
      if (!old) this.#forgotten++;
      this.#flows.delete(key);
    }
  }
}
