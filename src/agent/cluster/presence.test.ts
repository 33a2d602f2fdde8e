import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryStore } from "../../drivers/store/memory.ts";
import type { Identity } from "../local-state.ts";
import { HOSTS, Presence } from "./presence.ts";

function presence(store: MemoryStore, identity: Identity, more: { ttl?: number; said?: (string | undefined)[] } = {}) {
  return new Presence({
    store,
    host: "h1",
    identity,
    address: () => "192.0.2.1",
    onChange: () => undefined,
    onConflict: (why) => more.said?.push(why),
    ttl: more.ttl ?? 0.2,
  });
}

const ONE = { machine: "one", boot: "1" };

async function eventually(check: () => void): Promise<void> {
  for (const end = Date.now() + 8000; ; await sleep(5)) {
    try {
      return check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

describe("a host's name", () => {
  it("belongs to one machine: another one is refused with its address, as is a copy of the disk", {
    timeout: 60_000,
  }, async () => {
    await using store = new MemoryStore();
    await using first = presence(store, ONE);
    await first.claim(AbortSignal.timeout(20_000));
    await using other = presence(store, { machine: "two", boot: "2" });
    await using copy = presence(store, { machine: "one", boot: "2" });
    await Promise.all(
      [other, copy].map((one) =>
        assert.rejects(one.claim(AbortSignal.timeout(10_000)), { code: "exists", message: /192\.0\.2\.1.*MANX_HOST/ }),
      ),
    );
    assert.ok(first.ours);
    assert.ok(!other.ours);
  });
  it("passes to the same machine's next agent at once, and to its next life when the lease is over", async () => {
    await using store = new MemoryStore();
    const first = presence(store, ONE);
    await first.claim(AbortSignal.timeout(20_000));
    const next = presence(store, ONE);
    await next.claim(AbortSignal.timeout(20_000));
    await next[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    const crashed = presence(store, ONE);
    await crashed.claim(AbortSignal.timeout(20_000));
    const stop = new AbortController();
    await store.lease(1, stop.signal);
    await using rebooted = presence(store, { machine: "one", boot: "2" });
    await crashed[Symbol.asyncDispose]();
    await rebooted.claim(AbortSignal.timeout(20_000));
    assert.ok(rebooted.ours);
    stop.abort();
  });
  it("is taken again when its key went, and given up while another machine has it", async () => {
    await using store = new MemoryStore();
    const said: (string | undefined)[] = [];
    await using first = presence(store, ONE, { said });
    await first.claim(AbortSignal.timeout(20_000));
    const stop = new AbortController();
    const following = first.follow(stop.signal);
    await eventually(() => assert.ok(first.alive.has("h1")));
    await store.commit({ ops: [{ kind: "delete", key: `${HOSTS}h1` }] });
    await eventually(() => assert.equal(said.length, 2));
    assert.equal((await store.list(HOSTS)).entries.length, 1);
    const value = JSON.stringify({ machine: "two", boot: "2", address: "192.0.2.2", since: "" });
    await store.commit({ ops: [{ kind: "put", key: `${HOSTS}h1`, value }] });
    await eventually(() => assert.match(said.at(-1) ?? "", /192\.0\.2\.2/));
    assert.ok(!first.ours);
    await store.commit({ ops: [{ kind: "delete", key: `${HOSTS}h1` }] });
    await eventually(() => assert.ok(first.ours));
    stop.abort();
    await following;
  });
});
