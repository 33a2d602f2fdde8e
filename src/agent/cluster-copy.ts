/**
 * This host's copy of parts of the cluster store on its own disk: what the agent starts from while the store is away. Beside it in
 * the same file is the store of a single host; they are different tables, and of the copy nothing is ever written back.
 */
import { type Database, openDatabase, type Schema } from "../drivers/store/database.ts";
import type { Compare, Entry, Listing, Op, Store, WatchBatch, WatchEvent } from "../drivers/store/store.ts";

const SCHEMA: Schema = {
  component: "copy of the cluster store",
  migrations: [
    `CREATE TABLE copy (key TEXT PRIMARY KEY, value TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE copied (prefix TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;`,
  ],
};

export class ClusterCopy implements Disposable {
  readonly #db: Database;

  /** @throws DriverError */
  constructor(path: string) {
    // A power loss may cost the last changes: the store, once reached, tells them again.
    this.#db = openDatabase({ path, schema: SCHEMA, durable: "process" });
  }

  /** Undefined where this part was never read as a whole. */
  load(prefix: string): Listing | undefined {
    const at = this.#db.sql.prepare("SELECT revision FROM copied WHERE prefix = ?").get(prefix);
    if (at === undefined) return undefined;
    const query = "SELECT key, value, created, modified FROM copy WHERE key >= ? AND key < ? ORDER BY key";
    const entries = this.#db.sql.prepare(query).all(prefix, end(prefix));
    return {
      revision: Number(at["revision"]),
      entries: entries.map(({ key, value, created, modified }) => ({
        key: String(key),
        value: String(value),
        createRevision: Number(created),
        modRevision: Number(modified),
      })),
    };
  }

  replace(prefix: string, { revision, entries }: Listing): void {
    this.#db.write(() => {
      this.#db.sql.prepare("DELETE FROM copy WHERE key >= ? AND key < ?").run(prefix, end(prefix));
      for (const entry of entries) this.#put(entry);
      this.#at(prefix, revision);
    });
  }

  apply(prefix: string, revision: number, events: readonly WatchEvent[]): void {
    this.#db.write(() => {
      for (const event of events)
        if (event.kind === "put") this.#put(event.entry);
        else this.#db.sql.prepare("DELETE FROM copy WHERE key = ?").run(event.key);
      this.#at(prefix, revision);
    });
  }

  /** For a host that goes over to another store. */
  clear(): void {
    this.#db.write(() => this.#db.sql.exec("DELETE FROM copy; DELETE FROM copied"));
  }

  #put({ key, value, createRevision, modRevision }: Entry): void {
    const query = "INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?)";
    this.#db.sql.prepare(query).run(key, value, createRevision, modRevision);
  }

  #at(prefix: string, revision: number): void {
    this.#db.sql.prepare("INSERT OR REPLACE INTO copied VALUES (?, ?)").run(prefix, revision);
  }

  [Symbol.dispose](): void {
    this.#db[Symbol.dispose]();
  }
}

/** Keys hold no U+10FFFF (drivers/store/contract.ts). */
function end(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

/** How long the first listing waits for a store that there is a copy of. */
const START_MS = 3000;

type Tellable = Store & { onTrouble?(listener: (why: string | undefined) => void): () => void };

/**
 * A store whose listings of some prefixes come from the copy as long as it has not been reached since the start. Whoever watches
 * after such a listing is told to list again as soon as the store is there.
 */
export class CopiedStore implements Store {
  readonly #store: Tellable;
  readonly #copy: ClusterCopy;
  readonly #prefixes: ReadonlySet<string>;
  readonly #stale = new Set<string>();
  readonly #reached = new Set<string>();

  constructor(store: Tellable, copy: ClusterCopy, prefixes: readonly string[]) {
    this.#store = store;
    this.#copy = copy;
    this.#prefixes = new Set(prefixes);
  }

  async list(prefix: string, signal?: AbortSignal): Promise<Listing> {
    if (!this.#prefixes.has(prefix)) return this.#store.list(prefix, signal);
    const copied = this.#reached.has(prefix) ? undefined : this.#copy.load(prefix);
    const limit = copied === undefined ? [] : [AbortSignal.timeout(START_MS)];
    const signals = [...(signal === undefined ? [] : [signal]), ...limit];
    try {
      const listing = await this.#store.list(prefix, AbortSignal.any(signals));
      this.#copy.replace(prefix, listing);
      this.#reached.add(prefix);
      this.#stale.delete(prefix);
      return listing;
    } catch (error) {
      if (copied === undefined || signal?.aborted === true) throw error;
      this.#stale.add(prefix);
      return copied;
    }
  }

  async *watch(prefix: string, revision: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    if (this.#stale.has(prefix)) {
      // What was deleted meanwhile, or whether it is the same store at all, only a whole listing tells.
      await this.#store.get(prefix, signal);
      this.#reached.add(prefix);
      this.#stale.delete(prefix);
      yield { kind: "compacted", revision };
      return;
    }
    const copied = this.#prefixes.has(prefix);
    for await (const batch of this.#store.watch(prefix, revision, signal)) {
      if (copied && batch.kind === "events" && batch.events.length > 0)
        this.#copy.apply(prefix, batch.revision, batch.events);
      yield batch;
    }
  }

  get(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
    return this.#store.get(key, signal);
  }

  commit(
    txn: { readonly compares?: readonly Compare[]; readonly ops: readonly Op[] },
    signal?: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly revision: number }> {
    return this.#store.commit(txn, signal);
  }

  lease(ttl: number, signal: AbortSignal): Promise<string> {
    return this.#store.lease(ttl, signal);
  }

  trouble(): string | undefined {
    return this.#store.trouble();
  }

  onTrouble(listener: (why: string | undefined) => void): () => void {
    return this.#store.onTrouble?.(listener) ?? (() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}
