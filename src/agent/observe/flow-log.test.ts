import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fakeFlows } from "../../api/fake-agent.ts";
import type { FlowView } from "../../api/schema/flow.ts";
import type { Flow } from "../../core/flows/flow.ts";
import { bind, MSG_DONTWAIT, recvfrom, SOCK_NONBLOCK, socket } from "../../drivers/syscall/libc.ts";
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

void it("a syslog that takes them slowly gets them all, and that is no trouble", async () => {
  const folder = await mkdtemp(join(tmpdir(), "manx-flow-log-"));
  const path = join(folder, "log");
  const address = new Uint8Array(110);
  address[0] = 1; // AF_UNIX
  address.set(Buffer.from(path), 2);
  const fd = socket(1, 2 | SOCK_NONBLOCK, 0);
  bind(fd, address);
  const stop = new AbortController();
  const [flow] = fakeFlows() as [Flow];
  const count = 700; // more than any distribution's net.unix.max_dgram_qlen
  const observer = {
    follow: (listener: (flow: Flow) => void) => {
      for (let port = 1; port <= count; port++) listener({ ...flow, destinationPort: port });
      return () => {};
    },
  };
  const troubles: string[] = [];
  const options = { syslog: { socket: path, facility: "local0" } } as const;
  const writing = writeFlows(observer, options, (_, why) => troubles.push(String(why)), stop.signal);
  const ports = new Set<number | undefined>();
  while (troubles.length === 0 || ports.size < count) {
    await sleep(1);
    const buffer = new Uint8Array(9_000);
    for (
      let length: number | undefined;
      (length = recvfrom(fd, buffer, MSG_DONTWAIT, new Uint8Array(110))) !== undefined;
    ) {
      const text = Buffer.from(buffer.subarray(0, length)).toString();
      ports.add((JSON.parse(text.slice(text.indexOf("{"))) as FlowView).destinationPort);
    }
  }
  assert.deepEqual(troubles, ["undefined"]);
  stop.abort();
  await writing;
  closeSync(fd);
  await rm(folder, { recursive: true });
});
