/** When to compare what Docker knows with what we know: after a gap in the events, when in doubt, and every minute. */
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineReport } from "../plugin/docker/reconcile.ts";

/** Milliseconds. Two looks must agree before anything is concluded, so a doubt is looked at twice. */
const EVERY = 60_000;
const SOON = 500;
const SECOND_LOOK = 6_000;

export interface EngineWatchOptions {
  readonly reconcile: (signal: AbortSignal) => Promise<EngineReport>;
  readonly onReport: (report: EngineReport) => void;
  readonly onFailure: (error: unknown) => void;
}

export class EngineWatch {
  readonly #options: EngineWatchOptions;
  readonly #looks: number[] = [];
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

  /** Looks until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pause(signal);
      if (signal.aborted) return;
      const now = performance.now();
      while ((this.#looks[0] ?? Number.POSITIVE_INFINITY) <= now) this.#looks.shift();
      try {
        this.#options.onReport(await this.#options.reconcile(signal));
      } catch (error) {
        if (!signal.aborted) this.#options.onFailure(error);
      }
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const due = performance.now() + EVERY;
    for (;;) {
      const next = Math.min(due, this.#looks[0] ?? Number.POSITIVE_INFINITY);
      const wait = next - performance.now();
      if (wait <= 0 || signal.aborted) return;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await sleep(wait, undefined, { signal: AbortSignal.any([signal, woken.signal]), ref: false }).catch(() => {});
    }
  }
}
