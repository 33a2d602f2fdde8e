/**
 * The details of one container. The engine answers only when nobody holds the container's lock, and it holds the lock itself
 * while it starts, stops, connects or disconnects the container and waits for our plugin: asked from inside an answer to the
 * engine this is a deadlock. So it is kept apart, and `src/plugin/docker/calls.test.ts` sees to it that nothing on that path
 * imports it.
 *
 * The same lock tells which container the engine is at work on: see `lockedContainers`, which never waits for an answer.
 */
import { EngineHttp, type EngineHttpOptions } from "./http.ts";
import { type EngineContainerDetails, readDetails } from "./values.ts";

export type Inspect = (id: string, signal?: AbortSignal) => Promise<EngineContainerDetails>;

export class Inspector implements AsyncDisposable {
  readonly #http: EngineHttp;

  constructor(options: EngineHttpOptions = {}) {
    this.#http = new EngineHttp(options);
  }

  /** @throws DriverError: "timeout" while the engine is at work on it. */
  readonly inspect: Inspect = async (id, signal) => {
    const what = `read container "${id}"`;
    const path = `/containers/${encodeURIComponent(id)}/json`;
    return readDetails(what, await this.#http.json({ method: "GET", path, what }, signal));
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}
