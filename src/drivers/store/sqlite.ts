/**
 * The cluster store of a single host: the contract of `store.ts` on an SQLite file, without a server.
 *
 * Each commit is synced to the disk before it is acknowledged. `history` holds the changes of the last commits, for watches;
 * older ones are compacted away. Several processes may open the file: others' commits are seen within `POLL_MS`.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { StatementSync } from "node:sqlite";
import { DriverError } from "../error.ts";
import { assertPrefix, assertTransaction, Bell } from "./contract.ts";
import { type Database, failure, openDatabase, type Schema } from "./database.ts";
import type { Compare, Entry, Listing, Op, Store, WatchBatch, WatchEvent } from "./store.ts";

/** How many revisions a watch may lag behind before it has to list again. */
const KEEP_REVISIONS = 1000;
const COMPACT_EVERY = 100;
const POLL_MS = 1_000;
/** Events in one batch, as long as whole commits allow. */
const BATCH_EVENTS = 1000;

const SCHEMA: Schema = {
  component: "store",
  migrations: [
    `CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, lease TEXT) WITHOUT ROWID;
     CREATE INDEX kv_lease ON kv (lease) WHERE lease IS NOT NULL;
     CREATE TABLE history (revision INTEGER, key TEXT, value TEXT, created INTEGER, PRIMARY KEY (revision, key)) WITHOUT ROWID;
     CREATE TABLE revisions (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
     INSERT INTO revisions VALUES ('current', 1), ('compacted', 0);
     CREATE TABLE leases (id TEXT PRIMARY KEY, boot TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;`,
  ],
};

export interface SqliteStoreOptions {
  readonly path: string;
  /** Revisions kept for watches; for tests. */
  readonly keepRevisions?: number;
}

/** @throws DriverError */
export function openSqliteStore(options: SqliteStoreOptions): SqliteStore {
  return new SqliteStore(options);
}

interface Row {
  readonly key: string;
  readonly value: string | null;
  readonly created: number;
  readonly modified: number;
}

export class SqliteStore implements Store {
  readonly #db: Database;
  readonly #keep: number;
  readonly #bell = new Bell();
  readonly #closed = new AbortController();
  readonly #statements = new Map<string, StatementSync>();
  readonly #boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  #poll: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #seen: unknown;
  #trouble: string | undefined;

  constructor({ path, keepRevisions = KEEP_REVISIONS }: SqliteStoreOptions) {
    this.#db = openDatabase({ path, schema: SCHEMA, durable: "full" });
    this.#keep = keepRevisions;
    this.#expire();
  }

  async get(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
    return this.#guard(signal, () => {
      const row = this.#sql("SELECT key, value, created, modified FROM kv WHERE key = ?").get(key);
      return row === undefined ? undefined : entryOf(row as unknown as Row);
    });
  }

  async list(prefix: string, signal?: AbortSignal): Promise<Listing> {
    return this.#guard(signal, () => {
      assertPrefix(prefix);
      // One read transaction, so that entries and revision are of one moment even beside another process.
      this.#db.sql.exec("BEGIN");
      try {
        const rows = this.#sql(
          "SELECT key, value, created, modified FROM kv WHERE key >= ? AND key < ? ORDER BY key",
        ).all(prefix, end(prefix));
        return { revision: this.#revision("current"), entries: (rows as unknown as Row[]).map(entryOf) };
      } finally {
        this.#db.sql.exec("COMMIT");
      }
    });
  }

  async commit(
    txn: { readonly compares?: readonly Compare[]; readonly ops: readonly Op[] },
    signal?: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly revision: number }> {
    const result = this.#guard(signal, () => {
      assertTransaction(txn);
      return this.#db.write(() => {
        const current = this.#revision("current");
        const holds = (txn.compares ?? []).every((compare) => this.#holds(compare));
        return holds ? { ok: true, revision: this.#apply(txn.ops, current) } : { ok: false, revision: current };
      });
    });
    if (result.ok) this.#bell.ring();
    return result;
  }

  #holds(compare: Compare): boolean {
    if ("key" in compare) {
      const found = this.#sql("SELECT modified FROM kv WHERE key = ?").get(compare.key);
      return Number(found?.["modified"] ?? 0) === compare.modRevision;
    }
    const { prefix, until } = compare;
    const later = "SELECT 1 FROM kv WHERE key >= ? AND key < ? AND modified > ? LIMIT 1";
    return this.#sql(later).get(prefix, end(prefix), until) === undefined;
  }

  /** @returns the revision after the operations */
  #apply(ops: readonly Op[], current: number): number {
    const revision = current + 1;
    let changed = false;
    for (const op of ops)
      changed = (op.kind === "put" ? this.#put(op, revision) : this.#delete(op.key, revision)) || changed;
    if (!changed) return current;
    this.#setRevision("current", revision);
    if (revision % COMPACT_EVERY === 0) this.#compactTo(revision - this.#keep);
    return revision;
  }

  #put({ key, value, lease }: Extract<Op, { kind: "put" }>, revision: number): true {
    if (lease !== undefined && this.#sql("SELECT 1 FROM leases WHERE id = ?").get(lease) === undefined)
      throw new DriverError("not-found", `Cannot put "${key}": its lease has expired`);
    const created = Number(this.#sql("SELECT created FROM kv WHERE key = ?").get(key)?.["created"] ?? revision);
    this.#sql("INSERT OR REPLACE INTO kv VALUES (?, ?, ?, ?, ?)").run(key, value, created, revision, lease ?? null);
    this.#sql("INSERT INTO history VALUES (?, ?, ?, ?)").run(revision, key, value, created);
    return true;
  }

  #delete(key: string, revision: number): boolean {
    if (this.#sql("DELETE FROM kv WHERE key = ?").run(key).changes === 0) return false;
    this.#sql("INSERT INTO history VALUES (?, ?, NULL, 0)").run(revision, key);
    return true;
  }

  async *watch(prefix: string, revision: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    assertPrefix(prefix);
    const ends = AbortSignal.any([signal, this.#closed.signal]);
    let after = revision;
    this.#watchers(1);
    try {
      while (!ends.aborted) {
        const heard = this.#bell.heard(); // before the look: what is committed in between must not be missed
        const batch = this.#guard(undefined, () => this.#since(prefix, after));
        if (batch.kind === "compacted" || batch.events.length > 0) yield batch;
        if (batch.kind === "compacted") return;
        if (batch.revision === after) await this.#bell.wait(heard, ends);
        after = batch.revision;
      }
    } finally {
      this.#watchers(-1);
    }
  }

  #since(prefix: string, after: number): WatchBatch {
    const current = this.#revision("current");
    const compacted = this.#revision("compacted");
    if (after < compacted || after > current) return { kind: "compacted", revision: Math.max(compacted, 1) };
    const query =
      "SELECT revision AS modified, key, value, created FROM history WHERE revision > ? AND key >= ? AND key < ? ORDER BY revision, key LIMIT ?";
    const rows = this.#sql(query).all(after, prefix, end(prefix), BATCH_EVENTS + 1) as unknown as Row[];
    if (rows.length <= BATCH_EVENTS) return { kind: "events", revision: current, events: rows.map(eventOf) };
    return this.#wholeCommits(prefix, after, rows);
  }

  #wholeCommits(prefix: string, after: number, rows: readonly Row[]): WatchBatch {
    const cut = (rows.at(-1) as Row).modified;
    const whole = rows.filter(({ modified }) => modified < cut);
    if (whole.length > 0) return { kind: "events", revision: cut - 1, events: whole.map(eventOf) };
    const query =
      "SELECT revision AS modified, key, value, created FROM history WHERE revision > ? AND revision <= ? AND key >= ? AND key < ? ORDER BY key";
    const all = this.#sql(query).all(after, cut, prefix, end(prefix)) as unknown as Row[];
    return { kind: "events", revision: cut, events: all.map(eventOf) };
  }

  /** Another process's commits ring no bell here: while somebody watches, look now and then (sqlite.org/pragma.html#pragma_data_version). */
  #watchers(change: 1 | -1): void {
    this.#bell.listeners += change;
    if (this.#bell.listeners > 0) this.#poll ??= setInterval(() => this.#look(), POLL_MS);
    else {
      clearInterval(this.#poll);
      this.#poll = undefined;
    }
  }

  #look(): void {
    const version = this.#sql("PRAGMA data_version").get()?.["data_version"];
    if (version !== this.#seen) this.#bell.ring();
    this.#seen = version;
  }

  async lease(ttl: number, signal: AbortSignal): Promise<string> {
    const id = randomBytes(8).toString("hex");
    const renew = (): void => {
      this.#sql("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)").run(id, this.#boot, uptime() + ttl * 1000);
    };
    this.#guard(signal, renew);
    this.#expireIn(ttl * 1000);
    const timer = setInterval(() => this.#keepAlive(id, ttl), (ttl * 1000) / 3);
    const stop = (): void => clearInterval(timer);
    AbortSignal.any([signal, this.#closed.signal]).addEventListener("abort", stop, { once: true });
    return id;
  }

  #keepAlive(id: string, ttl: number): void {
    try {
      // An expired lease stays expired, as in etcd.
      this.#sql("UPDATE leases SET expires = ? WHERE id = ?").run(uptime() + ttl * 1000, id);
    } catch (error) {
      this.#trouble = failure(`Cannot write "${this.#db.path}"`, error).message;
    }
  }

  #expireIn(ms: number): void {
    clearTimeout(this.#expiry);
    if (!this.#closed.signal.aborted) this.#expiry = setTimeout(() => this.#expire(), Math.max(ms, 10)).unref();
  }

  /** Deletes what expired leases leave, and comes back when the next one may expire. Leases of an earlier boot are dead. */
  #expire(): void {
    try {
      const dead = this.#sql("SELECT id FROM leases WHERE boot <> ? OR expires <= ?").all(this.#boot, uptime());
      if (dead.length > 0) this.#db.write(() => this.#dropLeases(dead.map(({ id }) => String(id))));
      if (dead.length > 0) this.#bell.ring();
      const next = this.#sql("SELECT min(expires) AS next FROM leases").get()?.["next"];
      if (typeof next === "number") this.#expireIn(Math.min(next - uptime() + 5, 1000));
    } catch (error) {
      this.#trouble = failure(`Cannot write "${this.#db.path}"`, error).message;
      this.#expireIn(1000);
    }
  }

  #dropLeases(ids: readonly string[]): void {
    const keys: Op[] = [];
    for (const id of ids) {
      // Looked at again inside the transaction: the owner may have renewed it.
      const gone = this.#sql("DELETE FROM leases WHERE id = ? AND (boot <> ? OR expires <= ?)").run(
        id,
        this.#boot,
        uptime(),
      );
      if (gone.changes === 0) continue;
      for (const { key } of this.#sql("SELECT key FROM kv WHERE lease = ?").all(id))
        keys.push({ kind: "delete", key: String(key) });
    }
    this.#apply(keys, this.#revision("current"));
  }

  /** Forgets the history up to and including the revision. */
  compact(revision: number): void {
    this.#guard(undefined, () => this.#db.write(() => this.#compactTo(revision)));
  }

  #compactTo(revision: number): void {
    const to = Math.min(revision, this.#revision("current"));
    if (to <= this.#revision("compacted")) return;
    this.#sql("DELETE FROM history WHERE revision <= ?").run(to);
    this.#setRevision("compacted", to);
  }

  #revision(name: "current" | "compacted"): number {
    return Number(this.#sql("SELECT revision FROM revisions WHERE name = ?").get(name)?.["revision"]);
  }

  #setRevision(name: "current" | "compacted", revision: number): void {
    this.#sql("UPDATE revisions SET revision = ? WHERE name = ?").run(revision, name);
  }

  trouble(): string | undefined {
    return this.#trouble;
  }

  #guard<T>(signal: AbortSignal | undefined, work: () => T): T {
    signal?.throwIfAborted();
    if (this.#closed.signal.aborted)
      throw new DriverError("unavailable", `Cannot use "${this.#db.path}": it is closed`);
    try {
      const result = work();
      this.#trouble = undefined;
      return result;
    } catch (error) {
      const known = failure(`Cannot use "${this.#db.path}"`, error);
      if (known.code !== "invalid" && known.code !== "not-found") this.#trouble = known.message;
      throw known;
    }
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, (statement = this.#db.sql.prepare(text)));
    return statement;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    clearInterval(this.#poll);
    clearTimeout(this.#expiry);
    this.#db[Symbol.dispose]();
  }
}

/** Milliseconds of CLOCK_MONOTONIC: the same for all processes of a boot, and no clock change moves it. */
function uptime(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** Keys hold no U+10FFFF, so this bounds all that begin with the prefix. SQLite compares UTF-8 bytes. */
function end(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

function entryOf({ key, value, created, modified }: Row): Entry {
  return { key, value: value ?? "", createRevision: created, modRevision: modified };
}

function eventOf(row: Row): WatchEvent {
  return row.value === null
    ? { kind: "delete", key: row.key, modRevision: row.modified }
    : { kind: "put", entry: entryOf(row) };
}
