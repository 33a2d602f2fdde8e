/**
 * Which container is the engine at work on? RequestAddress does not say for whom it asks, but the engine holds that
 * container's lock while it waits for us, and whatever needs the lock gets no answer. So all candidates are asked for
 * something that needs it: who answers is not it.
 */
import { EngineHttp, type EngineHttpOptions } from "./http.ts";

/** Milliseconds that the last one gets at least: an idle engine answers in 1. */
const MIN_PATIENCE = 4;

export class LockProbe implements AsyncDisposable {
  readonly #http: EngineHttp;

  constructor(options: EngineHttpOptions = {}) {
    this.#http = new EngineHttp(options);
  }

  /**
   * Those of the containers (by ID or name) that gave no answer, after `limit` milliseconds at the latest (then several can be left:
   * containers that are started side by side). Ends sooner when only one is left and stays silent for longer than others needed.
   * An engine that answers nothing locks everything.
   */
  async locked(containers: readonly string[], limit: number, signal?: AbortSignal): Promise<readonly string[]> {
    const left = new Set(containers);
    const done = new AbortController();
    const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
    const begun = performance.now();
    let last: NodeJS.Timeout | undefined;
    const heard = (): void => {
      if (left.size === 0) done.abort();
      const patience = Math.max(MIN_PATIENCE, 2 * (performance.now() - begun));
      if (left.size === 1) last ??= setTimeout(() => done.abort(), patience);
    };
    const asked = containers.map(async (container) => {
      if (await this.#answers(`/containers/${encodeURIComponent(container)}/json`, limit, either))
        left.delete(container);
      heard();
    });
    // What needs no lock: how quick the engine is at present.
    const quick = this.#answers("/_ping", limit, either).then((answered) => answered && heard());
    await Promise.all([...asked, quick]);
    clearTimeout(last);
    return containers.filter((container) => left.has(container));
  }

  /** Any answer counts, also that there is no such container; silence does not. */
  async #answers(path: string, limit: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#http.text({ method: "GET", path, what: "see which container is locked", timeout: limit }, signal);
      return true;
    } catch (error) {
      return error instanceof Error && "code" in error && error.code === "not-found";
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}
