/**
 * The endpoints of all other hosts, as those publish them. One change costs one change, however many there are: who follows
 * asks for what has changed since. Live: a look shows the present.
 */
import { ENDPOINTS, parseEndpointKey, readEndpoint } from "../../core/calc/published.ts";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import type { Journal } from "../../core/calc/tracker.ts";
import type { Store } from "../../drivers/store/store.ts";
import { Departed } from "./departed.ts";
import { follow } from "./follow.ts";

/** So many changes are remembered; who has missed more looks at everything. */
const MOST_CHANGES = 10_000;

export interface RemoteEndpointsOptions {
  readonly store: Store;
  /** This host: its own are left out. */
  readonly host: string;
  readonly onChange: () => void;
  readonly onBadValue: (key: string, why: string | undefined) => void;
  readonly onTrouble: (error: unknown) => void;
}

export class RemoteEndpoints implements Journal<Endpoint> {
  /** Addresses of containers that went: they may come back elsewhere. */
  readonly departed = new Departed();
  readonly #options: RemoteEndpointsOptions;
  readonly #byKey = new Map<string, Endpoint>();
  /** By network name, how many by host. */
  readonly #networks = new Map<string, Map<string, Set<Endpoint>>>();
  readonly #words = new Map<string, string>();
  readonly #bad = new Set<string>();
  #changes: string[] = [];
  /** Version before the first of the changes. */
  #oldest = 0;
  readonly #known = Promise.withResolvers<void>();

  constructor(options: RemoteEndpointsOptions) {
    this.#options = options;
  }

  get version(): number {
    return this.#oldest + this.#changes.length;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Endpoint | undefined {
    return this.#byKey.get(key);
  }

  keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  values(): Iterable<Endpoint> {
    return this.#byKey.values();
  }

  changedSince(version: number): Iterable<string> | undefined {
    return version < this.#oldest ? undefined : new Set(this.#changes.slice(version - this.#oldest));
  }

  /** Endpoints on a network by host. */
  onNetwork(network: string): ReadonlyMap<string, ReadonlySet<Endpoint>> {
    return this.#networks.get(network) ?? new Map<string, Set<Endpoint>>();
  }

  /** Resolves when the store has been read for the first time. */
  known(): Promise<void> {
    return this.#known.promise;
  }

  /** Follows the store until the signal aborts. */
  follow(signal: AbortSignal): Promise<void> {
    const { store, onChange, onTrouble } = this.#options;
    return follow(
      store,
      ENDPOINTS,
      {
        reset: (entries) => {
          const present = new Set(entries.map(({ key }) => key));
          for (const key of [...this.#byKey.keys(), ...this.#bad]) if (!present.has(key)) this.#drop(key);
          for (const { key, value } of entries) this.#put(key, value);
          this.#known.resolve();
        },
        put: ({ key, value }) => this.#put(key, value),
        drop: (key) => this.#drop(key),
        changed: onChange,
        trouble: onTrouble,
      },
      signal,
    );
  }

  #put(key: string, value: string): void {
    const name = parseEndpointKey(key);
    if (name?.host === this.#options.host) return;
    const read = name === undefined ? undefined : readEndpoint(name, value, (text) => this.#intern(text));
    this.#tellBad(key, read === undefined);
    if (read === undefined) return this.#drop(key, true);
    // Hosts made from one disk image may publish the same IDs for a while, this host's own among them.
    const endpoint = { ...read, id: `${read.id}@${read.host}` };
    this.#count(this.#byKey.get(key), endpoint);
    this.#byKey.set(key, endpoint);
    this.departed.cameBack(endpoint);
    this.#note(key);
  }

  #drop(key: string, bad = false): void {
    if (!bad) this.#tellBad(key, false);
    const before = this.#byKey.get(key);
    if (before === undefined) return;
    this.#byKey.delete(key);
    this.#count(before, undefined);
    this.departed.went(before);
    this.#note(key);
  }

  #tellBad(key: string, bad: boolean): void {
    if (bad === this.#bad.has(key)) return;
    if (bad) this.#bad.add(key);
    else this.#bad.delete(key);
    this.#options.onBadValue(key, bad ? "the value is not an endpoint" : undefined);
  }

  #count(before: Endpoint | undefined, after: Endpoint | undefined): void {
    if (before !== undefined) {
      const hosts = this.#networks.get(before.network);
      const own = hosts?.get(before.host);
      own?.delete(before);
      if (own?.size === 0) hosts?.delete(before.host);
      if (hosts?.size === 0) this.#networks.delete(before.network);
    }
    if (after === undefined) return;
    const hosts = this.#networks.get(after.network) ?? new Map<string, Set<Endpoint>>();
    this.#networks.set(after.network, hosts);
    const own = hosts.get(after.host) ?? new Set<Endpoint>();
    hosts.set(after.host, own.add(after));
  }

  #note(key: string): void {
    this.#changes.push(key);
    if (this.#changes.length <= 2 * MOST_CHANGES) return;
    this.#oldest += this.#changes.length - MOST_CHANGES;
    this.#changes = this.#changes.slice(-MOST_CHANGES);
  }

  #intern(text: string): string {
    const found = this.#words.get(text);
    if (found !== undefined) return found;
    if (this.#words.size > MOST_CHANGES) this.#words.clear(); // labels without end: sharing is only a saving
    this.#words.set(text, text);
    return text;
  }
}
