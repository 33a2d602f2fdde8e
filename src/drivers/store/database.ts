/**
 * The SQLite file that local state and the single-host cluster store share, each with a connection and tables of its own.
 *
 * WAL, so that a kill at any point leaves the last commit readable. `durable` says what a power loss may cost: "full" syncs
 * each commit (the cluster store: nobody else has what it holds); "process" does not (local state: a power loss ends the
 * containers too, and the engine tells the rest again), and `syncNow` makes durable what must be.
 */
import { chmodSync, closeSync, existsSync, fdatasyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DriverError, type DriverErrorCode } from "../error.ts";

export interface Schema {
  /** Whose tables these are; each has its own version in the table `migrations`. */
  readonly component: string;
  /** Migration N brings version N to N+1. Only ever appended to. */
  readonly migrations: readonly string[];
}

export interface DatabaseOptions {
  readonly path: string;
  readonly schema: Schema;
  readonly durable: "full" | "process";
}

export interface Database extends Disposable {
  readonly path: string;
  readonly sql: DatabaseSync;
  /** Runs the work in one write transaction: all of it or, where it throws, nothing. Not to be nested. @throws DriverError */
  write<T>(work: () => T): T;
  /** What is committed now survives a power loss. */
  syncNow(): void;
}

/** "Manx" in ASCII: tells our file from other SQLite files (sqlite.org/fileformat.html section 1.3.15). */
const APPLICATION_ID = 0x4d616e78;
/** How long a write waits for another process's. */
const BUSY_MS = 5000;
/** What a burst of writes may leave of the -wal file. */
const WAL_BYTES = 16 * 1024 * 1024;
/** Files up to here are checked as a whole when they are opened. */
const CHECK_BYTES = 64 * 1024 * 1024;

/**
 * Opens the file, makes it (0600, in a directory of 0700) where there is none, and brings its tables up to date.
 * @throws DriverError `invalid` for a file that is damaged, not ours or newer than this program: it is left as it is
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { path, durable, schema } = options;
  try {
    createPrivate(path);
    const sql = new DatabaseSync(path, { timeout: BUSY_MS });
    try {
      sql.exec("PRAGMA journal_mode=WAL");
      sql.exec(`PRAGMA journal_size_limit=${WAL_BYTES}`);
      sql.exec(`PRAGMA synchronous=${durable === "full" ? "FULL" : "NORMAL"}`);
      check(sql, path);
      migrate(sql, path, schema);
      return new OpenDatabase(sql, path);
    } catch (error) {
      sql.close();
      throw error;
    }
  } catch (error) {
    throw error instanceof DriverError ? error : failure(`Cannot open "${path}"`, error);
  }
}

function createPrivate(path: string): void {
  const directory = dirname(path);
  if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (existsSync(path)) chmodSync(path, 0o600);
  else closeSync(openSync(path, "wx", 0o600)); // SQLite gives its -wal and -shm files the same mode
}

function check(sql: DatabaseSync, path: string): void {
  const id = sql.prepare("PRAGMA application_id").get()?.["application_id"];
  const empty = sql.prepare("SELECT count(*) AS n FROM sqlite_master").get()?.["n"] === 0;
  if (id !== APPLICATION_ID && !(empty && id === 0))
    throw new DriverError("invalid", `Cannot open "${path}": it is a database of another program`);
  if (statSync(path).size > CHECK_BYTES) return;
  const verdict = sql.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
  if (verdict !== "ok") throw damaged(path, String(verdict));
}

function damaged(path: string, why: string, cause?: unknown): DriverError {
  const advice = "Restore it from a backup, or move it away: Manx then starts anew from what the engine runs";
  return new DriverError("invalid", `Cannot open "${path}": the file is damaged (${why}). ${advice}`, cause);
}

function migrate(sql: DatabaseSync, path: string, { component, migrations }: Schema): void {
  transaction(sql, () => {
    sql.exec(`PRAGMA application_id=${APPLICATION_ID}`);
    sql.exec(
      "CREATE TABLE IF NOT EXISTS migrations (component TEXT, version INTEGER, applied TEXT, PRIMARY KEY (component, version))",
    );
    const row = sql.prepare("SELECT max(version) AS version FROM migrations WHERE component = ?").get(component);
    const version = Number(row?.["version"] ?? 0);
    if (version > migrations.length)
      throw new DriverError(
        "invalid",
        `Cannot open "${path}": its ${component} has version ${version}, this manx knows up to ${migrations.length}. Install the newer manx again`,
      );
    const note = sql.prepare("INSERT INTO migrations VALUES (?, ?, ?)");
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      sql.exec(migration);
      note.run(component, index + 1, new Date().toISOString());
    }
  });
}

function transaction<T>(sql: DatabaseSync, work: () => T): T {
  sql.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    sql.exec("COMMIT");
    return result;
  } catch (error) {
    if (sql.isTransaction) sql.exec("ROLLBACK"); // SQLite has already rolled back after some errors (disk full)
    throw error;
  }
}

class OpenDatabase implements Database {
  readonly sql: DatabaseSync;
  readonly path: string;
  #wal: number | undefined;

  constructor(sql: DatabaseSync, path: string) {
    this.sql = sql;
    this.path = path;
  }

  write<T>(work: () => T): T {
    let broken: unknown;
    try {
      return transaction(this.sql, () => {
        try {
          return work();
        } catch (error) {
          broken = error;
          throw error;
        }
      });
    } catch (error) {
      // What the work itself threw is its own business, unless it was SQLite speaking.
      if (error === broken && !isSqlite(error)) throw error;
      throw failure(`Cannot write "${this.path}"`, error);
    }
  }

  syncNow(): void {
    // The -wal file lives as long as a connection is open, so its descriptor stays good.
    this.#wal ??= openSync(`${this.path}-wal`, "r+");
    fdatasyncSync(this.#wal);
  }

  [Symbol.dispose](): void {
    if (this.#wal !== undefined) closeSync(this.#wal);
    this.#wal = undefined;
    if (this.sql.isOpen) this.sql.close();
  }
}

function isSqlite(error: unknown): error is Error & { readonly errcode: number; readonly errstr: string } {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR";
}

/** Primary result codes, sqlite.org/rescode.html. */
const CODES: ReadonlyMap<number, DriverErrorCode> = new Map([
  [5, "busy"],
  [6, "busy"],
  [3, "denied"],
  [8, "denied"],
  [23, "denied"],
]);

/** A DriverError for something that SQLite or the file system threw. */
export function failure(what: string, error: unknown): DriverError {
  if (error instanceof DriverError) return error;
  const why = error instanceof Error ? error.message : String(error);
  if (!isSqlite(error))
    return new DriverError(hasCode(error, "EACCES") ? "denied" : "failed", `${what}: ${why}`, error);
  const code = error.errcode & 0xff;
  if (code === 26 || code === 11) return damaged(what.replace(/^.*?"|"$/g, ""), why, error);
  if (code === 13)
    return new DriverError("failed", `${what}: the disk is full. Make room; manx goes on by itself`, error);
  if (code === 5)
    return new DriverError("busy", `${what}: another process has been writing to it for ${BUSY_MS / 1000} s`, error);
  return new DriverError(CODES.get(code) ?? "failed", `${what}: ${why}`, error);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
