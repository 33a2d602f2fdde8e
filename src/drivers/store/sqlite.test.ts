import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { storeContract } from "../../../tests/store/store-contract.ts";
import { openDatabase } from "./database.ts";
import { openSqliteStore } from "./sqlite.ts";

function inDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "manx-store-"));
  const clean = (): void => rmSync(directory, { recursive: true, force: true });
  let result: T;
  try {
    result = work(directory);
  } catch (error) {
    clean();
    throw error;
  }
  if (result instanceof Promise) return result.finally(clean) as T;
  clean();
  return result;
}

storeContract("sqlite", async () => {
  const directory = mkdtempSync(join(tmpdir(), "manx-store-"));
  const store = openSqliteStore({ path: join(directory, "manx.db") });
  return {
    store,
    compact: (revision) => store.compact(revision),
    close: async () => {
      await store[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
});

describe("sqlite store", () => {
  it("finds everything again after it was closed, revisions included", () =>
    inDirectory(async (directory) => {
      const path = join(directory, "manx.db");
      let at: number;
      {
        await using store = openSqliteStore({ path });
        at = (await store.commit({ ops: [{ kind: "put", key: "/a", value: "1" }] })).revision;
      }
      await using store = openSqliteStore({ path });
      assert.deepEqual(await store.get("/a"), { key: "/a", value: "1", createRevision: at, modRevision: at });
      assert.equal((await store.commit({ ops: [{ kind: "put", key: "/a", value: "2" }] })).revision, at + 1);
    }));

  it("shows one connection what another commits", () =>
    inDirectory(async (directory) => {
      const path = join(directory, "manx.db");
      await using one = openSqliteStore({ path });
      await using other = openSqliteStore({ path });
      const { revision } = await one.list("");
      setTimeout(() => void other.commit({ ops: [{ kind: "put", key: "/a", value: "1" }] }), 20);
      for await (const batch of one.watch("/", revision, AbortSignal.timeout(5000))) {
        assert.equal(batch.kind === "events" && batch.events.length, 1);
        break;
      }
    }));

  it("keeps as much history as it was told, and compacts the rest by itself", () =>
    inDirectory(async (directory) => {
      const path = join(directory, "manx.db");
      await using store = openSqliteStore({ path, keepRevisions: 10 });
      for (let i = 0; i < 1000; i++) await store.commit({ ops: [{ kind: "put", key: "/a", value: String(i) }] });
      const rows = new DatabaseSync(path, { readOnly: true });
      const kept = Number(rows.prepare("SELECT count(*) AS n FROM history").get()?.["n"]);
      rows.close();
      assert.ok(kept < 20, `${kept} revisions are kept`);
    }));

  it("makes the file for root's eyes only, also where it was open to others", () =>
    inDirectory(async (directory) => {
      const path = join(directory, "deep", "manx.db");
      await openSqliteStore({ path })[Symbol.asyncDispose]();
      assert.equal(statSync(join(directory, "deep")).mode & 0o777, 0o700);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      chmodSync(path, 0o644);
      await using store = openSqliteStore({ path });
      await store.commit({ ops: [{ kind: "put", key: "/a", value: "1" }] });
      for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o777, 0o600, file);
    }));

  const refused: readonly (readonly [string, (path: string) => void, RegExp])[] = [
    ["a file that is no database", (path) => writeFileSync(path, "hello, world ".repeat(1000)), /is damaged.*backup/],
    ["a database cut short", (path) => truncateSync(filled(path), 20_000), /is damaged/],
    ["a database of somebody else", foreign, /database of another program/],
    ["a database of a newer manx", newer, /version 99, this manx knows up to 1/],
    ["a directory", (path) => void openSqliteStore({ path: join(path, "x") })[Symbol.asyncDispose](), /Cannot open/],
  ];
  for (const [what, make, message] of refused)
    it(`refuses ${what} and leaves it as it is`, () =>
      inDirectory((directory) => {
        const path = join(directory, "manx.db");
        make(path);
        const before = statSync(path).size;
        assert.throws(() => openSqliteStore({ path }), { name: "DriverError", message });
        assert.equal(statSync(path).size, before);
      }));

  it("undoes a write that throws, and throws what it threw", () =>
    inDirectory((directory) => {
      const schema = { component: "test", migrations: ["CREATE TABLE t (a INTEGER)"] };
      using db = openDatabase({ path: join(directory, "manx.db"), schema, durable: "process" });
      const thrown = new Error("mine");
      const work = (): void => {
        db.sql.exec("INSERT INTO t VALUES (1)");
        throw thrown;
      };
      assert.throws(() => db.write(work), thrown);
      assert.equal(db.sql.prepare("SELECT count(*) AS n FROM t").get()?.["n"], 0);
      db.write(() => db.sql.exec("INSERT INTO t VALUES (1)"));
      db.syncNow();
    }));

  it("brings each component's tables up to date on its own", () =>
    inDirectory((directory) => {
      const path = join(directory, "manx.db");
      const first = { component: "a", migrations: ["CREATE TABLE a (x INTEGER)"] };
      openDatabase({ path, schema: first, durable: "process" })[Symbol.dispose]();
      openDatabase({
        path,
        schema: { component: "b", migrations: ["CREATE TABLE b (x INTEGER)"] },
        durable: "process",
      })[Symbol.dispose]();
      const second = { component: "a", migrations: [...first.migrations, "ALTER TABLE a ADD COLUMN y TEXT"] };
      using db = openDatabase({ path, schema: second, durable: "process" });
      db.sql.exec("INSERT INTO a VALUES (1, 'y')");
    }));
});

function filled(path: string): string {
  const db = new DatabaseSync(path);
  db.exec("CREATE TABLE t (a TEXT)");
  for (let i = 0; i < 100; i++) db.prepare("INSERT INTO t VALUES (?)").run("x".repeat(1000));
  db.exec("PRAGMA application_id=0x4d616e78");
  db.close();
  return path;
}

function foreign(path: string): void {
  const db = new DatabaseSync(path);
  db.exec("CREATE TABLE theirs (a TEXT)");
  db.close();
}

function newer(path: string): void {
  using db = openDatabase({ path, schema: { component: "other", migrations: [] }, durable: "process" });
  db.sql.exec("INSERT INTO migrations VALUES ('store', 99, '')");
}
