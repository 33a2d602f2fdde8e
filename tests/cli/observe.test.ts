/** `manx top`, `manx suggest`, `manx diags` as a user runs them. */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { FakeAgent, fakeFlows } from "../../src/api/fake-agent.ts";
import { readArchive } from "../../src/install/diags/diags.ts";
import { type Bench, setUp } from "./harness.ts";

let bench: Bench;
before(async () => {
  const agent = new FakeAgent();
  agent.seen = fakeFlows();
  bench = await setUp(agent);
});
after(() => bench[Symbol.asyncDispose]());

it("top is one table where nobody looks, what is most first", async () => {
  const { exit, out } = await bench.manx("top", "--interval", "0.1");
  assert.equal(exit, 0);
  const lines = out.trimEnd().split("\n");
  assert.match(lines[0] ?? "", /^CONTAINER +NETWORK +SENT +RECEIVED +PACKETS +NEW FLOWS +DROPS$/);
  assert.match(lines[1] ?? "", /^postgres +db +3kB\/s +3kB\/s +20\/s +1\/s +0\/s$/);
  assert.equal(lines.length, 4);
  const named = await bench.manx("top", "--interval", "0.1", "--sort", "name", "-o", "json");
  const rows = JSON.parse(named.out) as { container: string; sentBytes: number }[];
  assert.deepEqual(
    rows.map(({ container }) => container),
    ["api", "postgres", "web"],
  );
  assert.equal((await bench.manx("top", "--interval", "0")).exit, 2);
});

it("suggest prints a policy that validates, with where it comes from", async () => {
  const { exit, out } = await bench.manx("suggest", "api", "--direction", "ingress");
  assert.equal(exit, 0);
  assert.match(out, /^# ingress\[0\]: 12 connections of 1 flow with web, since 2026-/m);
  const checked = await bench.manxWith({ input: out }, "validate", "-f", "-");
  assert.equal(checked.exit, 0, checked.err);
  assert.equal((await bench.manx("suggest", "nobody")).exit, 4);
  const quiet = await bench.manx("suggest", "postgres");
  assert.equal(quiet.exit, 1);
  assert.match(quiet.err, /no connection of it was seen/);
});

it("diags says what is in the archive and where it lies; only its owner may read it", async () => {
  const file = join(bench.folder, "report.tar.gz");
  const { exit, out, err } = await bench.manx("diags", "--file", file);
  assert.equal(exit, 0, err);
  assert.match(out, /^status\.json +[0-9]+ +health of each part/m);
  assert.ok(err.includes(file));
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const files = readArchive(await readFile(file));
  assert.match(files.get("manx-diags/endpoints.json") ?? "", /"container": "web"/);
  assert.match(files.get("manx-diags/metrics.txt") ?? "", /^manx_endpoints 3$/m);
  const again = await bench.manx("diags", "--file", file);
  assert.equal(again.exit, 7);
  assert.match(again.err, /there is a file of that name/);
});
