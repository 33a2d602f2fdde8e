/**
 * When to compare what Docker knows with what we know: after a gap in the events, when in doubt, and every minute as long as
 * Docker asks us things or the last look left something open. A host where nothing happens is looked at seldom: with 1,000
 * containers a look costs Docker and us a tenth of a second of CPU each.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineReport } from "../plugin/docker/reconcile.ts";

/** Milliseconds. Two looks must agree before anything is concluded, so a doubt is looked at twice. */
const EVERY = 60_000;
const AT_REST = 600_000;
const SOON = 500;
const SECOND_LOOK = 6_000;

export interface EngineWatchOptions {
  readonly reconcile: (signal: AbortSignal) => Promise<EngineReport>;
  readonly onReport: (report: EngineReport) => void;
  readonly onFailure: (error: unknown) => void;
  /** Milliseconds between two looks, while something happens and while nothing does. */
  readonly every?: number;
  readonly atRest?: number;
}

export class EngineWatch {
  readonly #options: EngineWatchOptions;
  readonly #looks: number[] = [];
  #lookedAt = performance.now();
  /** Nothing has happened since the last look, and it left nothing open. */
  #rests = false;
  #wake: () => void = () => {};

  constructor(options: EngineWatchOptions) {
    this.#options = options;
  }

  /** Something is or may be out of step. */
  doubt(): void {
    const now = performance.now();
    this.#looks.push(now + SOON, now + SECOND_LOOK);
    this.#looks.sort((a, b) => a - b).splice(4);
    this.#wake();
  }

  /** Docker asked for something: what it may forget of that is found within a minute. */
  busy(): void {
    if (!this.#rests) return;
    this.#rests = false;
    this.#wake();
  }

  /** Looks until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pause(signal);
      if (signal.aborted) return;
      const now = performance.now();
      while ((this.#looks[0] ?? Number.POSITIVE_INFINITY) <= now) this.#looks.shift();
      this.#lookedAt = now;
      this.#rests = true;
      try {
        const report = await this.#options.reconcile(signal);
        if (!isQuiet(report)) this.#rests = false;
        this.#options.onReport(report);
      } catch (error) {
        this.#rests = false;
        if (!signal.aborted) this.#options.onFailure(error);
      }
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { every = EVERY, atRest = AT_REST } = this.#options;
    for (;;) {
      const next = Math.min(
        this.#lookedAt + (this.#rests ? atRest : every),
        this.#looks[0] ?? Number.POSITIVE_INFINITY,
      );
      const wait = next - performance.now();
      if (wait <= 0 || signal.aborted) return;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await sleep(wait, undefined, { signal: AbortSignal.any([signal, woken.signal]), ref: false }).catch(() => {});
    }
  }
}

/** Another look would find the same, as far as this one can tell. */
function isQuiet({ removed, adopted, corrected, problems, addresses, open }: EngineReport): boolean {
  const { released, adopted: taken, collected, problems: wrong } = addresses;
  return (
    !open && [removed, adopted, corrected, problems, released, taken, collected, wrong].every((one) => one.length === 0)
  );
}
