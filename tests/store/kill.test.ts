/** Whatever was acknowledged is there after kill -9, at any moment, in local state and cluster store alike. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { BlockTable } from "../../src/agent/ipam/table.ts";
import { openLocalState } from "../../src/agent/local-state.ts";
import { blockProblems } from "../../src/core/ipam/block.ts";
import { openSqliteStore } from "../../src/drivers/store/sqlite.ts";

const ROUNDS = 25;

/** What a reader of the acknowledgements must find. The last line may be of something that is under way. */
class Ledger {
  readonly addresses = new Set<string>();
  readonly endpoints = new Set<string>();
  readonly store = new Map<string, string>();
  acknowledged = 0;

  read(line: string): void {
    const [what, key, value] = line.split(" ") as [string, string, string];
    this.acknowledged++;
    if (what === "give") this.addresses.add(key);
    if (what === "endpoint") this.endpoints.add(key);
    if (what === "leaving") {
      this.addresses.delete(key);
      this.endpoints.delete(`e-${key}`);
    }
    if (what === "store") this.store.set(key, value);
  }
}

/** Lets a writer run until so much is acknowledged, and kills it at some moment after that. */
async function round(path: string, ledger: Ledger, acknowledged: number): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve("./writer.ts")), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let left = acknowledged;
  for await (const line of createInterface({ input: child.stdout })) {
    if (left-- === 0) setTimeout(() => child.kill("SIGKILL"), acknowledged % 7);
    if (line !== "ready") ledger.read(line);
  }
  await ended;
  assert.equal(child.signalCode, "SIGKILL");
}

async function compare(path: string, ledger: Ledger): Promise<void> {
  const raw = new DatabaseSync(path);
  assert.equal(raw.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok");
  raw.close();
  using state = openLocalState(path);
  const given = new Set(state.ipam.allocations.all.keys());
  assert.deepEqual(
    [...ledger.addresses].filter((a) => !given.has(a)),
    [],
  );
  assert.ok(given.size - ledger.addresses.size <= 1, "at most the one that was under way");
  assert.deepEqual(
    [...ledger.endpoints].filter((e) => !state.endpoints.has(e)),
    [],
  );
  for (const { block } of new BlockTable(state, "h1").all.values()) assert.deepEqual(blockProblems(block), []);
  await using store = openSqliteStore({ path });
  for (const [key, value] of ledger.store) {
    const found = (await store.get(key))?.value ?? "";
    const later = Number(found.split("-")[1]) > Number(value.split("-")[1]);
    assert.ok(found === value || later, `${key}: ${found}, acknowledged ${value}`);
  }
  // What was under way may have come through: from here on it counts.
  for (const a of given) ledger.addresses.add(a);
  for (const a of ledger.addresses) if (!given.has(a)) ledger.addresses.delete(a);
  ledger.endpoints.clear();
  for (const id of state.endpoints.keys()) ledger.endpoints.add(id);
  ledger.store.clear();
}

describe("kill -9", () => {
  it(`loses nothing that was acknowledged, ${ROUNDS} times`, { timeout: 900_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), "manx-kill-"));
    const path = join(directory, "manx.db");
    const ledger = new Ledger();
    try {
      for (let i = 0; i < ROUNDS; i++) {
        await round(path, ledger, (i * 37) % 150);
        await compare(path, ledger);
      }
      assert.ok(ledger.acknowledged > 1000, `${ledger.acknowledged} writes were acknowledged`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
