/** An agent whose store is away: what it starts from, what it says, what it does when the store is back. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makePool } from "../core/ipam/pools.ts";
import { cidr } from "../core/net/cidr.ts";
import { MemoryStore } from "../drivers/store/memory.ts";
import { ClusterCache, RESOURCES, resourceKey } from "./cluster-cache.ts";
import { ClusterCopy, CopiedStore } from "./cluster-copy.ts";
import { type Away, StoreLink } from "./store-link.ts";

const pool = (name: string, third: number) => makePool(name, cidr(`10.${third}.0.0/16`), {});
const putPool = (name: string, third: number) => {
  const value = pool(name, third);
  return { kind: "put", key: resourceKey(value), value: JSON.stringify(value) } as const;
};

describe("cluster copy", () => {
  it("starts an agent whose store is away, and is brought up to date when it is back", async () => {
    const folder = mkdtempSync(join(tmpdir(), "manx-copy-"));
    await using store = new MemoryStore();
    const names = (cache: ClusterCache): string[] => cache.all("IPPool").map(({ metadata }) => metadata.name);
    const open = (copy: ClusterCopy, signal: AbortSignal): Promise<ClusterCache> =>
      ClusterCache.open(
        {
          store: new CopiedStore(store, copy, [RESOURCES]),
          onChange: () => {},
          onBadValue: () => {},
          onTrouble: () => {},
        },
        signal,
      );
    const until = async (check: () => boolean): Promise<void> => {
      for (let i = 0; i < 500 && !check(); i++) await sleep(10);
      assert.ok(check());
    };
    try {
      const path = join(folder, "manx.db");
      await store.commit({ ops: [putPool("a", 1), putPool("b", 2)] });
      {
        using copy = new ClusterCopy(path);
        assert.equal(copy.load(RESOURCES), undefined, "never in sync");
        store.fail("gone");
        await assert.rejects(open(copy, AbortSignal.timeout(1000)), "there is nothing to start from");
        store.fail(undefined);
        const stop = new AbortController();
        const cache = await open(copy, stop.signal);
        const following = cache.follow(stop.signal);
        await store.commit({ ops: [putPool("c", 3), { kind: "delete", key: resourceKey(pool("a", 1)) }] });
        await until(() => names(cache).join() === "b,c");
        stop.abort();
        await following;
      }
      store.fail("gone");
      using copy = new ClusterCopy(path);
      const stop = new AbortController();
      const cache = await open(copy, stop.signal);
      assert.deepEqual(names(cache), ["b", "c"]);
      const following = cache.follow(stop.signal);
      await sleep(50);
      store.fail(undefined);
      await store.commit({ ops: [putPool("d", 4), { kind: "delete", key: resourceKey(pool("b", 2)) }] });
      store.compact((await store.list("")).revision); // whatever happened meanwhile cannot be told step by step
      await until(() => names(cache).join() === "c,d");
      stop.abort();
      await following;
      assert.deepEqual(
        copy.load(RESOURCES)?.entries.map(({ key }) => key.split("/").at(-1)),
        ["c", "d"],
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("store link", () => {
  it("tells since when, what waits and when it is back; refuses changes with a sentence", () => {
    const told: (Away | undefined)[] = [];
    let clock = 0;
    const now = (): Date => new Date(clock++ * 1000);
    using link = new StoreLink({ store: new MemoryStore(), onChange: (away) => told.push(away), now });
    let waiting = 0;
    let returned = 0;
    link.waits(() => (waiting === 0 ? undefined : `${waiting} blocks`));
    link.onReturn(() => returned++);
    link.assertThere("change the pool");
    link.tell("m1: nobody listens there");
    link.tell("m1: nobody listens there");
    link.tell("m2: no answer in time");
    waiting = 2;
    assert.deepEqual(link.waiting(), ["2 blocks"]);
    assert.deepEqual(
      told.map((away) => away?.since),
      ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"],
      "the reason changes, the beginning does not",
    );
    assert.throws(() => link.assertThere("change the pool"), {
      code: "unavailable",
      message: /^Cannot change the pool: the cluster store is away since 1970-.*no answer in time.*Nothing was changed/,
    });
    assert.equal(returned, 0);
    link.tell(undefined);
    assert.equal(returned, 1);
    assert.equal(told.at(-1), undefined);
    link.assertThere("change the pool");
  });
});
