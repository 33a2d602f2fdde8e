import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, it } from "node:test";
import { RecordTable, StateFile } from "./state-file.ts";

const SCHEMA = {
  component: "test",
  migrations: ["CREATE TABLE t (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID"],
};
const TABLE = { table: "t", changed: "t", durable: true };

describe("state file", () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "manx-state-"));
    path = join(directory, "manx.db");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("says that the disk is full, has in memory what is on disk, and goes on when there is room", () => {
    using file = new StateFile(path, SCHEMA);
    const table = new RecordTable<{ text: string }>(file, TABLE);
    const told: string[] = [];
    file.onChange((changed) => told.push([...changed].join()));
    const pages = Number(file.prepare("PRAGMA page_count").get()?.["page_count"]);
    file.prepare(`PRAGMA max_page_count=${pages + 4}`).get();
    table.put("small", { text: "x" });
    const large = { text: "x".repeat(100_000) };
    assert.throws(() => table.put("large", large), {
      name: "DriverError",
      code: "failed",
      message: /the disk is full/,
    });
    const both = (): void => {
      table.delete("small");
      table.put("large", large);
    };
    assert.throws(() => file.change(both), /the disk is full/);
    assert.deepEqual([...table.all.keys()], ["small"]);
    file.prepare("PRAGMA max_page_count=100000").get();
    table.put("large", large);
    assert.deepEqual(told, ["t", "t"]);
    assert.deepEqual([...new RecordTable(file, TABLE).all.keys()], ["large", "small"]);
  });

  it("says which record is damaged", () => {
    new StateFile(path, SCHEMA)[Symbol.dispose]();
    const raw = new DatabaseSync(path);
    raw.exec("INSERT INTO t VALUES ('a', '{')");
    raw.close();
    using file = new StateFile(path, SCHEMA);
    assert.throws(() => new RecordTable(file, TABLE), { code: "invalid", message: /record "a" of t is damaged/ });
  });

  it("says who writes where another process does not let it", { timeout: 60_000 }, () => {
    using file = new StateFile(path, SCHEMA);
    const table = new RecordTable<{ text: string }>(file, TABLE);
    file.prepare("PRAGMA busy_timeout=10").get();
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    assert.throws(() => table.put("a", { text: "x" }), { code: "busy", message: /another process/ });
    assert.equal(table.all.size, 0);
    other.exec("ROLLBACK");
    other.close();
    table.put("a", { text: "x" });
  });
});
