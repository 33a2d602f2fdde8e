import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LiveFlow } from "../../core/flows/live.ts";
import type { LiveReport } from "../../core/flows/live-way.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import { LiveRequests } from "./live-requests.ts";

const FLOWS: readonly LiveFlow[] = [{ family: 4, protocol: 6, destination: "10.0.0.2", port: 80 }];
const LIVE = "/manx/v1/live/";

/** A host that sees nothing until `seen` is called, or its trace is ended. */
function host(store: MemoryStore, name: string) {
  const done = Promise.withResolvers<LiveReport>();
  const asked: (readonly LiveFlow[])[] = [];
  const trace = (flows: readonly LiveFlow[], signal: AbortSignal): Promise<LiveReport> => {
    asked.push(flows);
    signal.addEventListener("abort", () => done.resolve({ host: name, state: "nothing" }), { once: true });
    return done.promise;
  };
  const passage = { hops: [], end: "delivered", text: "given" } as const;
  const seen = (): void => done.resolve({ host: name, state: "seen", passage });
  return { requests: new LiveRequests({ store, host: name, trace }), asked, seen, ended: done.promise };
}

void describe("traces on other hosts", () => {
  void it("are asked for and answered, and all of it goes with who asked", async () => {
    await using store = new MemoryStore();
    const stop = new AbortController();
    const [one, two] = [host(store, "h1"), host(store, "h2")];
    const serving = [one, two].map(({ requests }) => requests.serve(stop.signal));
    {
      await using asked = await one.requests.ask(FLOWS, 60);
      while (!asked.watching.has("h2")) await asked.news(stop.signal);
      assert.deepEqual(two.asked, [FLOWS]);
      assert.deepEqual(one.asked, [], "who asks does not ask itself");
      two.seen();
      while (!asked.reports.has("h2")) await asked.news(stop.signal);
      assert.equal(asked.reports.get("h2")?.state, "seen");
    }
    while ((await store.list(LIVE)).entries.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await Promise.all(serving);
  });

  void it("end when the request goes, and what is no request is passed over", async () => {
    await using store = new MemoryStore();
    const stop = new AbortController();
    const two = host(store, "h2");
    const key = `${LIVE}1/request`;
    const put = (value: unknown) => ({ kind: "put", key, value: JSON.stringify(value) }) as const;
    await store.commit({ ops: [put({ host: "h1", seconds: 5, flows: [{ family: 4, protocol: 6, source: "x" }] })] });
    const serving = two.requests.serve(stop.signal);
    await store.commit({ ops: [put({ host: "h1", seconds: 600, flows: FLOWS })] });
    while (two.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await store.commit({ ops: [{ kind: "delete", key }] });
    assert.equal((await two.ended).state, "nothing");
    assert.equal(two.asked.length, 1);
    stop.abort();
    await serving;
  });
});
