/** The cluster store's fake: the contract of `store.ts` in memory, for tests. Refuses what the real ones refuse. */
import { DriverError } from "../error.ts";
import { assertPrefix, assertTransaction, Bell } from "./contract.ts";
import type { Compare, Entry, Listing, Op, Store, WatchBatch, WatchEvent } from "./store.ts";

interface Change {
  readonly revision: number;
  readonly event: WatchEvent;
}

export class MemoryStore implements Store {
  readonly #entries = new Map<string, Entry & { readonly lease?: string }>();
  /** With the timer of its end, once nobody keeps it alive. */
  readonly #leases = new Map<string, NodeJS.Timeout | undefined>();
  readonly #bell = new Bell();
  readonly #closed = new AbortController();
  #history: Change[] = [];
  #lastLease = 0;
  #revision = 1;
  #compacted = 0;
  #down: string | undefined;

  /** Makes every call fail, as a store does that cannot be reached; undefined: well again. */
  fail(why: string | undefined): void {
    this.#down = why;
    this.#bell.ring();
  }

  async get(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
    this.#check(signal);
    const found = this.#entries.get(key);
    return found === undefined ? undefined : plain(found);
  }

  async list(prefix: string, signal?: AbortSignal): Promise<Listing> {
    this.#check(signal);
    assertPrefix(prefix);
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix)).map(plain);
    return { revision: this.#revision, entries: entries.sort((a, b) => byteOrder(a.key, b.key)) };
  }

  async commit(
    txn: { readonly compares?: readonly Compare[]; readonly ops: readonly Op[] },
    signal?: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly revision: number }> {
    this.#check(signal);
    assertTransaction(txn);
    const differs = (compare: Compare): boolean =>
      "key" in compare
        ? (this.#entries.get(compare.key)?.modRevision ?? 0) !== compare.modRevision
        : this.#entries
            .values()
            .some(({ key, modRevision }) => key.startsWith(compare.prefix) && modRevision > compare.until);
    if (txn.compares?.some(differs) === true) return { ok: false, revision: this.#revision };
    for (const op of txn.ops)
      if (op.kind === "put" && op.lease !== undefined && !this.#leases.has(op.lease))
        throw new DriverError("not-found", `Cannot put "${op.key}": its lease has expired`);
    this.#apply(txn.ops);
    return { ok: true, revision: this.#revision };
  }

  #apply(ops: readonly Op[]): void {
    const revision = this.#revision + 1;
    const events = ops.map((op) => (op.kind === "put" ? this.#put(op, revision) : this.#delete(op.key, revision)));
    const changes = events.filter((event) => event !== undefined);
    if (changes.length === 0) return;
    this.#revision = revision;
    this.#history.push(...changes.map((event) => ({ revision, event })));
    this.#bell.ring();
  }

  #put({ key, value, lease }: Extract<Op, { kind: "put" }>, revision: number): WatchEvent {
    const createRevision = this.#entries.get(key)?.createRevision ?? revision;
    const entry = { key, value, createRevision, modRevision: revision };
    this.#entries.set(key, lease === undefined ? entry : { ...entry, lease });
    return { kind: "put", entry };
  }

  #delete(key: string, revision: number): WatchEvent | undefined {
    return this.#entries.delete(key) ? { kind: "delete", key, modRevision: revision } : undefined;
  }

  async *watch(prefix: string, revision: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    assertPrefix(prefix);
    const ends = AbortSignal.any([signal, this.#closed.signal]);
    let after = revision;
    while (!ends.aborted) {
      this.#check();
      if (after < this.#compacted || after > this.#revision) {
        yield { kind: "compacted", revision: Math.max(this.#compacted, 1) };
        return;
      }
      const heard = this.#bell.heard();
      const current = this.#revision;
      const events = this.#history
        .filter((c) => c.revision > after && keyOf(c.event).startsWith(prefix))
        .map((c) => c.event);
      after = current;
      if (events.length > 0) yield { kind: "events", revision: current, events };
      else await this.#bell.wait(heard, ends);
    }
  }

  async lease(ttl: number, signal: AbortSignal): Promise<string> {
    this.#check(signal);
    const id = String(++this.#lastLease);
    const expire = (): void => {
      this.#leases.delete(id);
      const keys = [...this.#entries.values()].filter(({ lease }) => lease === id).map(({ key }) => key);
      this.#apply(keys.map((key) => ({ kind: "delete", key })));
    };
    this.#leases.set(id, undefined);
    const die = (): void => void (this.#closed.signal.aborted || this.#leases.set(id, setTimeout(expire, ttl * 1000)));
    signal.addEventListener("abort", die, { once: true });
    return id;
  }

  /** Forgets the history up to and including the revision. */
  compact(revision: number): void {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.#revision));
    this.#history = this.#history.filter((change) => change.revision > this.#compacted);
    this.#bell.ring();
  }

  trouble(): string | undefined {
    return this.#down;
  }

  #check(signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closed.signal.aborted) throw new DriverError("unavailable", "Cannot use the store: it is closed");
    if (this.#down !== undefined) throw new DriverError("unavailable", `Cannot reach the store: ${this.#down}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    for (const timer of this.#leases.values()) clearTimeout(timer);
  }
}

function plain({ key, value, createRevision, modRevision }: Entry): Entry {
  return { key, value, createRevision, modRevision };
}

function keyOf(event: WatchEvent): string {
  return event.kind === "put" ? event.entry.key : event.key;
}

/** Order of UTF-8 bytes, as etcd and SQLite have it; JavaScript compares UTF-16 units. */
function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
