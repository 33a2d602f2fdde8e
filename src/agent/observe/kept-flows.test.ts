import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { pino } from "pino";
import { fakeFlows } from "../../api/fake-agent.ts";
import { Ledger } from "../../core/flows/ledger.ts";
import { keepFlows, restoreFlows } from "./kept-flows.ts";

const log = pino({ level: "silent" });
const NOW = 10 * 3_600_000;

void it("flows outlive the agent: the same, in the same order, counted on; none that is too old, or is no flow", async () => {
  const folder = await mkdtemp(join(tmpdir(), "manx-kept-"));
  const file = join(folder, "flows.gz");
  const before = new Ledger();
  for (const flow of fakeFlows(NOW).toSorted((a, b) => a.time - b.time)) before.add(flow, flow.count);
  await keepFlows(before, join(folder, "nothing.gz"), log, AbortSignal.abort()); // nothing was seen since it began
  await assert.rejects(stat(join(folder, "nothing.gz")), { code: "ENOENT" });
  const stop = new AbortController();
  const keeping = keepFlows(before, file, log, stop.signal);
  const [flow] = fakeFlows(NOW);
  assert.ok(flow !== undefined);
  const name = "n".repeat(253); // the longest
  const reasons = [
    { text: `tier ${name}, NetworkPolicy ${name}/${name}: ingress[0] (Allow)`, tier: name, policy: name },
  ];
  before.add({ ...flow, time: NOW, reasons }, 2);
  stop.abort();
  await keeping;
  assert.equal((await stat(file)).mode & 0o777, 0o600);

  const after = new Ledger();
  await restoreFlows(after, file, log, NOW);
  assert.ok(after.size > 1);
  assert.deepEqual(
    after.list(() => true),
    before.list(() => true),
  );
  assert.deepEqual(after.last, before.last);
  assert.equal(after.add({ ...flow, time: NOW + 1 }).count, (before.last?.count ?? 0) + 1);

  const late = new Ledger();
  await restoreFlows(late, file, log, NOW + 24 * 3_600_000);
  assert.equal(late.size, 0);

  const text = gunzipSync(await readFile(file)).toString();
  await writeFile(file, gzipSync(`{}\nnull\n{"time":\n${text}[1]\n${"{".repeat(10_000)}`));
  const mended = new Ledger();
  await restoreFlows(mended, file, log, NOW);
  assert.equal(mended.size, before.size);

  for (const broken of ["", "not packed", gzipSync(text).subarray(0, 40)]) {
    await writeFile(file, broken);
    const empty = new Ledger();
    await restoreFlows(empty, file, log, NOW);
    assert.equal(empty.size, 0);
  }
  await rm(folder, { recursive: true });
});
