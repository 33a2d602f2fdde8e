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
   * Those of the containers (by ID or name) that gave no answer, after `limit` milliseconds at the latest (then several can be left: containers
   * that are started side by side). Ends sooner when only one is left and stays silent for as long as the others needed twice
   * over. An engine that answers nothing locks everything.
   */
  async locked(ids: readonly string[], limit: number, signal?: AbortSignal): Promise<readonly string[]> {
    const left = new Set(ids);
    const done = new AbortController();
    const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
    const begun = performance.now();
    let last: NodeJS.Timeout | undefined;
    const answers = ids.map(async (id) => {
      if (await this.#answers(id, limit, either)) left.delete(id);
      const patience = Math.max(MIN_PATIENCE, 2 * (performance.now() - begun));
      if (left.size === 1) last ??= setTimeout(() => done.abort(), patience);
    });
    await Promise.all(answers);
    clearTimeout(last);
    return ids.filter((id) => left.has(id));
  }

  /** Any answer counts, also that there is no such container; silence does not. */
  async #answers(id: string, limit: number, signal: AbortSignal): Promise<boolean> {
    const path = `/containers/${encodeURIComponent(id)}/json`;
    try {
      await this.#http.text({ method: "GET", path, what: `read container "${id}"`, timeout: limit }, signal);
      return true;
    } catch (error) {
      return error instanceof Error && "code" in error && error.code === "not-found";
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}
