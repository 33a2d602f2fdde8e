import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { fakeFlows } from "../../api/fake-agent.ts";
import { type Flow, flowKey } from "../../core/flows/flow.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import { FlowExchange } from "./flow-exchange.ts";

const SEEN = "/manx/v1/flows/seen/";
const ALL = "/manx/v1/flows/";

/** Hosts h1, h2, ... on one store; what each has seen can be set. */
function hosts(store: MemoryStore, count: number) {
  const stop = new AbortController();
  const names = Array.from({ length: count }, (_, i) => `h${i + 1}`);
  const all = names.map((host) => {
    let seen: readonly Flow[] = [];
    const exchange = new FlowExchange({
      store,
      host,
      alive: () => names,
      recent: (most) => seen.slice(0, most),
      pause: () => 10,
    });
    const serving = exchange.serve(stop.signal);
    return { exchange, serving, see: (flows: readonly Flow[]) => void (seen = flows) };
  });
  return {
    all,
    stop: stop.signal,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(all.map(({ serving }) => serving));
    },
  };
}

const turn = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 10));
const keys = async (store: MemoryStore): Promise<string[]> => (await store.list(ALL)).entries.map(({ key }) => key);

void describe("flows of other hosts", () => {
  void it("are told to who looks, and again when they change; when nobody looks any more nothing is left", async () => {
    await using store = new MemoryStore();
    await using cluster = hosts(store, 3);
    const [one, two, three] = cluster.all;
    assert.ok(one && two && three);
    const [first, second] = fakeFlows() as [Flow, Flow];
    two.see([first]);
    assert.deepEqual(await keys(store), [], "nothing is written while nobody looks");
    {
      using look = one.exchange.look();
      await look.complete(cluster.stop);
      assert.deepEqual(look.silent(), []);
      assert.deepEqual(look.elsewhere.copies(flowKey(first)), [{ of: "h2", flow: first }]);
      const news = Promise.withResolvers<readonly Flow[]>();
      look.follow((flows) => news.resolve(flows));
      three.see([second]);
      assert.deepEqual(await news.promise, [second]);
    }
    while ((await keys(store)).length > 0) await turn();
  });

  void it("are written when they differ only", async () => {
    await using store = new MemoryStore();
    await using cluster = hosts(store, 2);
    const [one, two] = cluster.all;
    assert.ok(one && two);
    two.see(fakeFlows());
    using look = one.exchange.look();
    await look.complete(cluster.stop);
    const before = (await store.get(`${SEEN}h2`))?.modRevision;
    for (let i = 0; i < 10; i++) await turn();
    assert.equal((await store.get(`${SEEN}h2`))?.modRevision, before);
  });

  void it("take a bounded place, the newest of them", async () => {
    await using store = new MemoryStore();
    await using cluster = hosts(store, 2);
    const [one, two] = cluster.all;
    assert.ok(one && two);
    const [flow] = fakeFlows() as [Flow];
    // Texts that do not shrink.
    const many = Array.from({ length: 300 }, (_, i): Flow => {
      const text = createHash("sha512").update(String(i)).digest("hex");
      return { ...flow, destinationPort: i, reasons: [{ text }] };
    });
    two.see(many);
    using look = one.exchange.look();
    await look.complete(cluster.stop);
    assert.ok(((await store.get(`${SEEN}h2`))?.value.length ?? 0) <= 16 * 1024);
    const told = look.elsewhere.keys();
    assert.ok(told.size > 0 && told.size < 300 && told.has(flowKey(many[0] as Flow)), `${told.size} flows`);
  });

  void it("that do not read are passed over, and the key is asked for again when it is lost", async () => {
    await using store = new MemoryStore();
    await using cluster = hosts(store, 2);
    const [one] = cluster.all;
    assert.ok(one);
    using look = one.exchange.look();
    await look.complete(cluster.stop);
    for (const value of ["{}", "AAAA", Buffer.from("x").toString("base64")])
      await store.commit({ ops: [{ kind: "put", key: `${SEEN}h9`, value }] });
    await store.commit({ ops: [{ kind: "delete", key: `${ALL}ask/h1` }] });
    while ((await store.get(`${ALL}ask/h1`)) === undefined) await turn();
    while (!look.elsewhere.hosts().has("h2")) await turn(); // unasked it has taken its flows away
    assert.deepEqual([...look.elsewhere.hosts()], ["h2"]);
  });

  void it("of hosts that say nothing are known to be missing", async () => {
    await using store = new MemoryStore();
    const exchange = new FlowExchange({ store, host: "h1", alive: () => ["h1", "h2"], recent: () => [] });
    const stop = new AbortController();
    const serving = exchange.serve(stop.signal);
    {
      using look = exchange.look();
      await look.complete(AbortSignal.timeout(50));
      assert.deepEqual(look.silent(), ["h2"]);
    }
    stop.abort();
    await serving;
  });
});
