/**
 * Runs one step at a time, and once more if something happened meanwhile. Many wishes that arrive during a step share the next
 * one; whoever waits is told about a step that began after the wish, never about one that was already under way.
 * A step that finds the kernel too restless to read is no failure of theirs: they wait for its repetition.
 */
import { DriverError } from "../drivers/error.ts";

export interface LoopOptions {
  /** Makes everything as it should be. Throws what could not be done; it is tried again with back-off. */
  readonly step: (signal: AbortSignal) => Promise<void>;
  /** Told of each failed step, and of the first that works again (undefined). */
  readonly onOutcome: (error: unknown) => void;
  /** Milliseconds before the first repetition of a failed step; doubles up to `maxDelay`. */
  readonly minDelay?: number;
  readonly maxDelay?: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Loop implements Disposable {
  readonly #options: Required<LoopOptions>;
  readonly #abort = new AbortController();
  #waiting: Waiter[] = [];
  #wanted = false;
  #running = false;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: LoopOptions) {
    this.#options = { minDelay: 200, maxDelay: 30_000, ...options };
  }

  /** Something may have changed: a step will run soon. */
  wake(): void {
    if (this.#abort.signal.aborted) return;
    this.#wanted = true;
    if (!this.#running) void this.#drain();
  }

  /** Resolves when a step that began after this call has succeeded; rejects with its error if it failed (but for "busy"). */
  settle(): Promise<void> {
    if (this.#abort.signal.aborted) return Promise.reject(new Error("the agent is stopping"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.wake();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    await Promise.resolve(); // wishes of the same turn share the step
    while (this.#wanted && !this.#abort.signal.aborted) {
      this.#wanted = false;
      clearTimeout(this.#retry);
      const waiting = this.#waiting;
      this.#waiting = [];
      await this.#once(waiting);
    }
    this.#running = false;
  }

  async #once(waiting: readonly Waiter[]): Promise<void> {
    try {
      await this.#options.step(this.#abort.signal);
      if (this.#failures > 0) this.#options.onOutcome(undefined);
      this.#failures = 0;
      for (const { resolve } of waiting) resolve();
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#fail(error);
      if (error instanceof DriverError && error.code === "busy") this.#waiting.unshift(...waiting);
      else for (const { reject } of waiting) reject(error);
    }
  }

  #fail(error: unknown): void {
    this.#options.onOutcome(error);
    const delay = Math.min(this.#options.minDelay * 2 ** this.#failures++, this.#options.maxDelay);
    this.#retry = setTimeout(() => this.wake(), delay);
    this.#retry.unref();
  }

  /** No further step begins; those who wait are turned away. */
  [Symbol.dispose](): void {
    this.#abort.abort();
    clearTimeout(this.#retry);
    for (const { reject } of this.#waiting) reject(new Error("the agent is stopping"));
    this.#waiting = [];
  }
}
