/**
 * What Docker tells nobody but who asks for the one container: its `--network-alias`es. Asked for once it runs, off the path of the
 * engine's calls, and kept with the endpoint. Its name, compose service and short ID are known before.
 */

import type { Inspect } from "../../drivers/docker/inspect.ts";
import type { EngineContainerDetails } from "../../drivers/docker/values.ts";
import { DriverError, messageOf } from "../../drivers/error.ts";
import type { LocalState } from "../local-state.ts";
import type { EndpointRecord } from "../records.ts";

export interface AliasesOptions {
  readonly state: LocalState;
  readonly inspect: Inspect;
  /** Told why some are not known, and (undefined) when all are. */
  readonly onOutcome: (why: string | undefined) => void;
  /** Milliseconds before the engine is asked again about a container, after so many tries; for tests. */
  readonly pause?: (tries: number) => number;
}

/** Milliseconds that the engine has for an answer. */
const PATIENCE = 2000;
/** After so many tries somebody should know. */
const MANY_TRIES = 10;
const MOST = 64;

/** A start takes the engine a second, on a busy machine many: five times a second at first, at last every ten seconds. */
function pauseAfter(tries: number): number {
  return Math.min(200 * 2 ** Math.max(0, tries - 5), 10_000);
}

export class Aliases implements AsyncDisposable {
  readonly #options: AliasesOptions;
  readonly #closed = new AbortController();
  readonly #wanted = new Map<string, number>();
  /** Containers that the engine does not know; whoever compares endpoints with the engine will find that out too. */
  readonly #unknown = new Set<string>();
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: AliasesOptions) {
    this.#options = options;
  }

  /** Looks up who has not been looked up yet. Returns at once. */
  readonly look = (): void => {
    let isNew = false;
    for (const { joined, aliases, container } of this.#options.state.endpoints.values()) {
      if (!joined || aliases !== undefined || container?.id === undefined || this.#isInHand(container.id)) continue;
      this.#wanted.set(container.id, 0);
      isNew = true;
    }
    // The others' turn comes after their pause, however often something changes.
    if (isNew && !this.#closed.signal.aborted) this.#running ??= this.#run();
  };

  #isInHand(container: string): boolean {
    return this.#wanted.has(container) || this.#unknown.has(container);
  }

  async #run(): Promise<void> {
    let failure: unknown;
    for (const [container, tries] of this.#wanted.entries().toArray()) {
      if (this.#closed.signal.aborted) break;
      if (!this.#isMissing(container)) {
        this.#wanted.delete(container);
        continue;
      }
      this.#wanted.set(container, tries + 1);
      try {
        const details = await this.#options.inspect(container, this.#limited());
        // The engine tells of a connection before it lists it.
        if (this.#keep(container, details)) this.#wanted.delete(container);
      } catch (error) {
        if (error instanceof DriverError && error.code === "not-found") {
          this.#wanted.delete(container);
          this.#unknown.add(container);
        } else if (tries + 1 >= MANY_TRIES) failure = error;
      }
    }
    this.#running = undefined;
    if (this.#closed.signal.aborted) return;
    if (failure !== undefined) this.#options.onOutcome(messageOf(failure));
    else if (this.#wanted.size === 0) this.#options.onOutcome(undefined);
    this.#runAgain();
  }

  #runAgain(): void {
    clearTimeout(this.#retry);
    if (this.#wanted.size === 0) return;
    const { pause = pauseAfter } = this.#options;
    const again = (): void => {
      this.#running ??= this.#run();
    };
    this.#retry = setTimeout(again, pause(Math.min(...this.#wanted.values())));
    this.#retry.unref();
  }

  /** Whether an endpoint of the container still waits for its aliases. */
  #isMissing(container: string): boolean {
    return this.#options.state.endpoints
      .values()
      .some((one) => one.joined && one.aliases === undefined && one.container?.id === container);
  }

  /** The engine says nothing about a container that it is at work on: the others must not wait behind it. */
  #limited(): AbortSignal {
    return AbortSignal.any([this.#closed.signal, AbortSignal.timeout(PATIENCE)]);
  }

  /** @returns whether all endpoints of the container were found */
  #keep(container: string, { attachments }: EngineContainerDetails): boolean {
    const { state } = this.#options;
    return state.change(() => {
      let all = true;
      for (const endpoint of state.endpoints.values()) {
        if (endpoint.container?.id !== container || !endpoint.joined) continue;
        const found = attachments.find(({ endpointId }) => endpointId === endpoint.id);
        if (found === undefined) all = false;
        else keepAliases(state, endpoint, found.aliases);
      }
      return all;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the agent is stopping"));
    clearTimeout(this.#retry);
    await this.#running;
  }
}

function keepAliases(state: LocalState, endpoint: EndpointRecord, found: readonly string[]): void {
  const aliases = [...new Set(found)].slice(0, MOST);
  if (endpoint.aliases?.join() !== aliases.join() || endpoint.aliases === undefined)
    state.putEndpoint({ ...endpoint, aliases });
}
