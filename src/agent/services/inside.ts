/**
 * Service addresses inside the containers, beside their own: without duplicate address detection, since others have them too, and never
 * chosen for what a container sends of itself. They carry our protocol, so that what is no longer wanted is found and taken away.
 */
import { messageOf } from "../../drivers/error.ts";
import type { LocalState } from "../local-state.ts";
import type { EndpointRecord } from "../records.ts";

export interface ServiceInsideOptions {
  readonly state: Pick<LocalState, "endpoints">;
  /** Makes the container's interface have these service addresses and no others. @throws while it cannot be done */
  readonly apply: (endpoint: EndpointRecord, addresses: readonly string[]) => void;
  /** A container has what it should. */
  readonly wake: () => void;
  readonly onTrouble: (endpoint: string, why: string | undefined) => void;
}

/** Milliseconds between two attempts: until its engine has moved the interface, a container has none. */
const SOON = 15;
const LATER = 250;
const HURRY = 3000;
const LIMIT = 60_000;

export class ServiceInside implements Disposable {
  readonly #options: ServiceInsideOptions;
  #wanted: ReadonlyMap<string, readonly string[]> = new Map();
  /** What containers have, as text, by endpoint. */
  readonly #done = new Map<string, string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(options: ServiceInsideOptions) {
    this.#options = options;
  }

  has(endpoint: string): boolean {
    return this.#done.get(endpoint) === textOf(this.#wanted.get(endpoint));
  }

  /** `wanted`: addresses by endpoint. Those that had some and are not in it lose them. */
  follow(wanted: ReadonlyMap<string, readonly string[]>): void {
    this.#wanted = wanted;
    for (const id of new Set([...wanted.keys(), ...this.#done.keys()])) if (!this.has(id)) this.#try(id, Date.now());
  }

  /** Somebody may have changed what is inside. */
  distrust(): void {
    for (const id of this.#wanted.keys()) this.#try(id, Date.now());
  }

  #try(id: string, begun: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    const endpoint = this.#options.state.endpoints.get(id);
    if (endpoint === undefined || !endpoint.joined || endpoint.sandbox === undefined) {
      this.#done.delete(id);
      this.#options.onTrouble(id, undefined);
      return;
    }
    const addresses = this.#wanted.get(id) ?? [];
    try {
      this.#options.apply(endpoint, addresses);
    } catch (error) {
      return this.#again(id, begun, error);
    }
    const was = this.has(id);
    if (addresses.length === 0) this.#done.delete(id);
    else this.#done.set(id, textOf(addresses));
    this.#options.onTrouble(id, undefined);
    if (!was) this.#options.wake();
  }

  #again(id: string, begun: number, error: unknown): void {
    const passed = Date.now() - begun;
    if (passed > LIMIT) return this.#options.onTrouble(id, messageOf(error));
    const timer = setTimeout(() => this.#try(id, begun), passed < HURRY ? SOON : LATER).unref();
    this.#timers.set(id, timer);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}

function textOf(addresses: readonly string[] = []): string {
  return [...addresses].sort().join();
}
