import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fakeFlows } from "../../api/fake-agent.ts";
import type { FlowView } from "../../api/schema/flow.ts";
import type { Flow } from "../../core/flows/flow.ts";
import { writeFlows } from "./flow-log.ts";

void it("flows of the wanted verdicts go to the file, one JSON object a line; what fails is told, and when it is well again", async () => {
  const folder = await mkdtemp(join(tmpdir(), "manx-flow-log-"));
  const path = join(folder, "flows.log");
  const stop = new AbortController();
  let tell: (flow: Flow) => void = () => {};
  const observer = {
    follow: (listener: (flow: Flow) => void) => {
      tell = listener;
      return () => {};
    },
  };
  const troubles: string[] = [];
  const options = { verdicts: ["deny"], file: { path, maxSize: 10_000, keep: 1 } } as const;
  const writing = writeFlows(observer, options, (what, why) => troubles.push(`${what} ${why}`), stop.signal);
  for (const flow of fakeFlows()) tell(flow);
  const read = (): Promise<string> => readFile(path, "utf8").catch(() => "");
  while ((await read()) === "") await sleep(5);
  const lines = (await read()).trim().split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as FlowView).verdict),
    ["deny"],
  );
  assert.deepEqual(troubles, ["file undefined"]);
  stop.abort();
  await writing;
  await rm(folder, { recursive: true });
});
