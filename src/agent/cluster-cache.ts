/**
 * What the cluster store holds, kept in memory: the agent decides from this copy, so a store that is away stops nothing.
 * Each key's value is parsed once; a value that is no resource is reported and left out, never guessed at.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { field, textField } from "../core/model/loose.ts";
import type { AnyResource, Kind } from "../core/model/resources.ts";
import type { Store, WatchBatch } from "../drivers/store/store.ts";

/** Where resources live in the store: one key a resource. */
export const RESOURCES = "/manx/v1/resources/";

export function resourceKey(resource: {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}): string {
  const { name, namespace } = resource.metadata;
  return `${RESOURCES}${resource.kind}/${namespace ?? "-"}/${name}`;
}

export interface Cached {
  readonly resource: AnyResource;
  readonly modRevision: number;
}

export interface ClusterCacheOptions {
  readonly store: Store;
  readonly onChange: () => void;
  /** Told of a key whose value cannot be read, and (undefined) when it is well again or gone. */
  readonly onBadValue: (key: string, why: string | undefined) => void;
  /** Told when the store cannot be watched, and (undefined) when it can again. */
  readonly onTrouble: (error: unknown) => void;
}

export class ClusterCache {
  readonly #options: ClusterCacheOptions;
  #byKey = new Map<string, Cached>();
  readonly #byKind = new Map<Kind, readonly AnyResource[]>();
  #revision = 0;
  readonly #listeners = new Set<() => void>();
  readonly #waiters = new Set<{ readonly revision: number; readonly resolve: () => void }>();

  private constructor(options: ClusterCacheOptions) {
    this.#options = options;
  }

  /** Reads everything once; from then on `follow` keeps it so. */
  static async open(options: ClusterCacheOptions, signal: AbortSignal): Promise<ClusterCache> {
    const cache = new ClusterCache(options);
    await cache.#relist(signal);
    return cache;
  }

  /** Revision of the store that this copy shows. */
  get revision(): number {
    return this.#revision;
  }

  /** Resolves when this copy shows the store's revision or a later one; rejects when the signal aborts. */
  until(revision: number, signal: AbortSignal): Promise<void> {
    if (this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = { revision, resolve };
      this.#waiters.add(waiter);
      signal.addEventListener(
        "abort",
        () => {
          this.#waiters.delete(waiter);
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }

  #advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    for (const waiter of this.#waiters) {
      if (waiter.revision > this.#revision) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** The store's revision of a resource; undefined if it is not stored. */
  revisionOf(resource: AnyResource): number | undefined {
    return this.#byKey.get(resourceKey(resource))?.modRevision;
  }

  /** Called after each change of this copy. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    this.#options.onChange();
    for (const listener of this.#listeners) listener();
  }

  get(key: string): Cached | undefined {
    return this.#byKey.get(key);
  }

  entries(): Iterable<{ readonly key: string; readonly resource: AnyResource }> {
    return [...this.#byKey].map(([key, { resource }]) => ({ key, resource }));
  }

  /** All resources of a kind in key order. The same array as long as none of them changed. */
  all<K extends Kind>(kind: K): readonly Extract<AnyResource, { kind: K }>[] {
    let found = this.#byKind.get(kind);
    if (found === undefined) {
      const prefix = `${RESOURCES}${kind}/`;
      const keys = [...this.#byKey.keys()].filter((key) => key.startsWith(prefix)).sort();
      found = keys.map((key) => (this.#byKey.get(key) as Cached).resource);
      this.#byKind.set(kind, found);
    }
    return found as readonly Extract<AnyResource, { kind: K }>[];
  }

  /** Follows the store until the signal aborts; survives its absence and its compaction. */
  async follow(signal: AbortSignal): Promise<void> {
    let delay = 100;
    for (let doubt = false; !signal.aborted; ) {
      try {
        // A watch that shows nothing may be well, or not there at all: a read tells.
        if (doubt) {
          await this.#options.store.get(RESOURCES, signal);
          this.#options.onTrouble(undefined);
        }
        doubt = false;
        for await (const batch of this.#options.store.watch(RESOURCES, this.#revision, signal)) {
          await this.#take(batch, signal);
          this.#options.onTrouble(undefined);
          delay = 100;
        }
      } catch (error) {
        if (signal.aborted) return;
        doubt = true;
        this.#options.onTrouble(error);
      }
      await sleep(delay, undefined, { signal, ref: false }).catch(() => {});
      delay = Math.min(delay * 2, 5000);
    }
  }

  async #take(batch: WatchBatch, signal: AbortSignal): Promise<void> {
    if (batch.kind === "compacted") {
      await this.#relist(signal);
    } else {
      for (const event of batch.events) {
        if (event.kind === "put") this.#put(this.#byKey, event.entry.key, event.entry.value, event.entry.modRevision);
        else this.#drop(event.key);
      }
      this.#advance(batch.revision);
    }
    this.#changed();
  }

  /** Reads everything again, now. */
  async refresh(signal: AbortSignal): Promise<void> {
    await this.#relist(signal);
    this.#changed();
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const listing = await this.#options.store.list(RESOURCES, signal);
    const fresh = new Map<string, Cached>();
    for (const { key, value, modRevision } of listing.entries) this.#put(fresh, key, value, modRevision);
    this.#byKey = fresh;
    this.#byKind.clear();
    this.#revision = listing.revision; // not the larger of both: a store that was restored from a backup goes back
    this.#advance(listing.revision);
  }

  #put(into: Map<string, Cached>, key: string, value: string, modRevision: number): void {
    const resource = parse(value);
    this.#byKind.delete(key.slice(RESOURCES.length).split("/")[0] as Kind);
    if (resource === undefined) {
      into.delete(key);
      this.#options.onBadValue(key, "the value is not a resource");
    } else {
      into.set(key, { resource, modRevision });
      this.#options.onBadValue(key, undefined);
    }
  }

  #drop(key: string): void {
    this.#byKey.delete(key);
    this.#byKind.delete(key.slice(RESOURCES.length).split("/")[0] as Kind);
    this.#options.onBadValue(key, undefined);
  }
}

function parse(value: string): AnyResource | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    const good =
      textField(parsed, "kind") !== undefined &&
      textField(field(parsed, "metadata"), "name") !== undefined &&
      typeof field(parsed, "spec") === "object" &&
      field(parsed, "spec") !== null;
    return good ? (parsed as AnyResource) : undefined;
  } catch {
    return undefined;
  }
}
