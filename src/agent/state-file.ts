/**
 * Records on disk that are also in memory: tables of JSON records by key, transactions over several of them, and word of
 * what changed. What a failed or undone transaction did to the memory is undone with it.
 */
import type { StatementSync } from "node:sqlite";
import type { Journal } from "../core/calc/tracker.ts";
import { DriverError } from "../drivers/error.ts";
import { type Database, openDatabase, type Schema } from "../drivers/store/database.ts";

export interface RecordTableOptions {
  readonly table: string;
  /** What `onChange` calls a change of it. */
  readonly changed: string;
  /** A change of it must survive a power loss; others survive the process only. */
  readonly durable: boolean;
}

export class StateFile implements Disposable {
  readonly #db: Database;
  readonly #listeners = new Set<(changed: ReadonlySet<string>) => void>();
  readonly #undo: (() => void)[] = [];
  #changed = new Set<string>();
  #depth = 0;
  #durable = false;

  /** @throws DriverError */
  constructor(path: string, schema: Schema) {
    this.#db = openDatabase({ path, schema, durable: "process" });
  }

  get path(): string {
    return this.#db.path;
  }

  prepare(sql: string): StatementSync {
    return this.#db.sql.prepare(sql);
  }

  /** Runs the work as one transaction; nested, as a part of it that can fail on its own. */
  change<T>(work: () => T): T {
    if (this.#depth > 0) return this.#part(work);
    const result = this.#whole(work);
    const changed = this.#changed;
    this.#changed = new Set();
    if (changed.size > 0) for (const listener of this.#listeners) tell(listener, changed);
    return result;
  }

  #whole<T>(work: () => T): T {
    this.#durable = false;
    try {
      const result = this.#db.write(() => this.#nested(work));
      this.#undo.length = 0;
      if (this.#durable) this.#db.syncNow();
      return result;
    } catch (error) {
      this.#undoTo(0);
      this.#changed = new Set();
      throw error;
    }
  }

  #part<T>(work: () => T): T {
    const mark = this.#undo.length;
    this.#db.sql.exec("SAVEPOINT part");
    try {
      const result = this.#nested(work);
      this.#db.sql.exec("RELEASE part");
      return result;
    } catch (error) {
      this.#undoTo(mark);
      this.#db.sql.exec("ROLLBACK TO part; RELEASE part");
      throw error;
    }
  }

  #nested<T>(work: () => T): T {
    this.#depth++;
    try {
      return work();
    } finally {
      this.#depth--;
    }
  }

  #undoTo(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()?.();
  }

  /** One statement and what it does in memory, inside the present transaction or as one of its own. */
  step(options: RecordTableOptions, statement: () => void, memory: () => () => void): void {
    if (this.#depth === 0) {
      this.change(() => this.step(options, statement, memory));
      return;
    }
    statement();
    this.mirror(memory);
    this.#changed.add(options.changed);
    if (options.durable) this.durably();
  }

  /** Changes something in memory that the present transaction is about; what it returns undoes that. */
  mirror(memory: () => () => void): void {
    this.#undo.push(memory());
  }

  /** The present transaction must survive a power loss. */
  durably(): void {
    this.#durable = true;
  }

  onChange(listener: (changed: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  [Symbol.dispose](): void {
    this.#db[Symbol.dispose]();
  }
}

function tell(listener: (changed: ReadonlySet<string>) => void, changed: ReadonlySet<string>): void {
  try {
    listener(changed);
  } catch (error) {
    // The change stands and the others must hear of it; a broken listener is a bug, so it ends the process at once.
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** So many changes are remembered; who last looked before them looks at everything. */
const JOURNAL = 1000;

/** Records of one kind by key. Reading costs nothing; the records are frozen, and the same object until they change. */
export class RecordTable<V extends object> implements Journal<V> {
  readonly #file: StateFile;
  readonly #options: RecordTableOptions;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #records = new Map<string, V>();
  #version = 0;
  /** Keys of the latest changes, in order; the last one made the present version. */
  #latest: string[] = [];

  constructor(file: StateFile, options: RecordTableOptions) {
    this.#file = file;
    this.#options = options;
    this.#put = file.prepare(`INSERT OR REPLACE INTO ${options.table} VALUES (?, ?)`);
    this.#delete = file.prepare(`DELETE FROM ${options.table} WHERE id = ?`);
    for (const { id, record } of file.prepare(`SELECT id, record FROM ${options.table} ORDER BY id`).all())
      this.#records.set(String(id), this.#parse(String(id), String(record)));
  }

  #parse(id: string, text: string): V {
    try {
      return Object.freeze(JSON.parse(text) as V);
    } catch (error) {
      const message = `Cannot read "${this.#file.path}": record "${id}" of ${this.#options.table} is damaged. Restore the file from a backup`;
      throw new DriverError("invalid", message, error);
    }
  }

  get all(): ReadonlyMap<string, V> {
    return this.#records;
  }

  /** Another number after each change: for what is derived from the records. */
  get version(): number {
    return this.#version;
  }

  get(id: string): V | undefined {
    return this.#records.get(id);
  }

  keys(): Iterable<string> {
    return this.#records.keys();
  }

  changedSince(version: number): Iterable<string> | undefined {
    const count = this.#version - version;
    if (count < 0 || count > this.#latest.length) return undefined;
    return new Set(this.#latest.slice(this.#latest.length - count));
  }

  put(id: string, record: V): void {
    const text = JSON.stringify(record);
    const frozen = Object.freeze(record);
    this.#file.step(
      this.#options,
      () => this.#put.run(id, text),
      () => this.#swap(id, frozen),
    );
  }

  delete(id: string): boolean {
    if (!this.#records.has(id)) return false;
    this.#file.step(
      this.#options,
      () => this.#delete.run(id),
      () => this.#swap(id, undefined),
    );
    return true;
  }

  /** @returns what undoes it */
  #swap(id: string, record: V | undefined): () => void {
    const before = this.#records.get(id);
    this.#set(id, record);
    return () => this.#set(id, before);
  }

  #set(id: string, record: V | undefined): void {
    this.#version++;
    this.#latest.push(id);
    if (this.#latest.length > 2 * JOURNAL) this.#latest = this.#latest.slice(-JOURNAL);
    if (record === undefined) this.#records.delete(id);
    else this.#records.set(id, record);
  }
}
