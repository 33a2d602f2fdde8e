import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makePool } from "../core/ipam/pools.ts";
import { complete } from "../core/model/complete.ts";
import type { AnyResource } from "../core/model/resources.ts";
import { cidr } from "../core/net/cidr.ts";
import { MemoryStore } from "../drivers/store/memory.ts";
import { type Change, ChangeRefused, Changes } from "./changes.ts";
import { ClusterCache, RESOURCES, resourceKey } from "./cluster-cache.ts";

function set(name: string, nets: string[], extra: object = {}): AnyResource {
  return { apiVersion: "projectcalico.org/v3", kind: "GlobalNetworkSet", metadata: { name, ...extra }, spec: { nets } };
}

interface Options {
  readonly judge?: () => { path: string; message: string }[];
  readonly cuts?: (after: ReadonlyMap<string, AnyResource>) => string | undefined;
  readonly unstored?: (resource: AnyResource) => AnyResource | undefined;
  readonly store?: MemoryStore;
}

async function fixture(options: Options = {}) {
  const store = options.store ?? new MemoryStore();
  const stop = new AbortController();
  const { signal } = stop;
  const cluster = await ClusterCache.open(
    { store, onChange: () => {}, onBadValue: () => {}, onTrouble: () => {} },
    signal,
  );
  const following = cluster.follow(signal);
  const { cuts, unstored, judge = () => [] } = options;
  const changes = new Changes({ store, cluster, judge, ...(cuts && { cuts }), ...(unstored && { unstored }) });
  return {
    store,
    cluster,
    changes,
    signal,
    make: (mode: Change["mode"], resources: AnyResource[], rest: Partial<Change> = {}) =>
      changes.make({ mode, resources, ...rest }, signal),
    nets: () => cluster.all("GlobalNetworkSet").map(({ metadata, spec }) => `${metadata.name}=${spec.nets?.join()}`),
    async [Symbol.asyncDispose]() {
      stop.abort();
      changes[Symbol.dispose]();
      await following;
    },
  };
}

const outcomes = (changed: { resources: readonly { outcome: string }[] }) => changed.resources.map((r) => r.outcome);

describe("Changes", () => {
  it("creates what is missing and leaves what exists as it is, where that is asked for", async () => {
    await using f = await fixture();
    await f.make("create", [set("a", ["10.0.0.0/8"])]);
    await assert.rejects(f.make("create", [set("a", []), set("b", [])]), { code: "exists" });
    const changed = await f.make("create", [set("a", []), set("b", [])], { ignoreExisting: true });
    assert.deepEqual(outcomes(changed), ["unchanged", "created"]);
    assert.deepEqual(f.nets(), ["a=10.0.0.0/8", "b="]);
  });

  it("applies several resources as one, and the same again changes nothing", async () => {
    await using f = await fixture();
    const first = await f.make("apply", [set("a", ["10.0.0.0/8"]), set("b", [])]);
    assert.deepEqual(outcomes(first), ["created", "created"]);
    assert.deepEqual(f.nets(), ["a=10.0.0.0/8", "b="]);
    const again = await f.make("apply", [set("a", ["10.0.0.0/8"]), set("b", [])]);
    assert.deepEqual(outcomes(again), ["unchanged", "unchanged"]);
    assert.equal(again.revision, first.revision);
  });

  it("takes what is equal for no change: stored by Manx itself, of another version, or not stored at all", async () => {
    const own = set("own", ["10.9.0.0/16"]);
    await using f = await fixture({ unstored: ({ metadata }) => (metadata.name === "own" ? own : undefined) });
    const bare = set("bare", ["10.0.0.0/8"]);
    await f.store.commit({ ops: [{ kind: "put", key: resourceKey(bare), value: JSON.stringify(bare) }] }, f.signal);
    await f.cluster.refresh(f.signal);
    const old = { ...bare, metadata: { ...bare.metadata, resourceVersion: "999", uid: "other" } };
    assert.deepEqual(outcomes(await f.make("apply", [old, own])), ["unchanged", "unchanged"]);
    assert.deepEqual(f.nets(), ["bare=10.0.0.0/8"]);
    await assert.rejects(
      f.make("apply", [{ ...set("bare", []), metadata: old.metadata }]),
      (error) => error instanceof ChangeRefused && /has changed since/.test(error.problems[0]?.message ?? ""),
    );
    await assert.rejects(f.make("delete", [own]), (error) => {
      assert.ok(error instanceof ChangeRefused);
      assert.match(error.problems[0]?.message ?? "", /cannot be deleted: it is always there/);
      return true;
    });
    assert.deepEqual(outcomes(await f.make("replace", [set("own", [])], { confirmWithin: 60 })), ["updated"]);
    const pending = JSON.parse((await f.store.get("/manx/v1/pending-change", f.signal))?.value ?? "{}");
    assert.deepEqual(pending.undo, [{ key: resourceKey(own), value: null }]); // undone, it is not stored
    const pool = makePool("p", cidr("10.65.0.0/16"));
    await f.store.commit({ ops: [{ kind: "put", key: resourceKey(pool), value: JSON.stringify(pool) }] }, f.signal);
    await f.cluster.refresh(f.signal);
    assert.deepEqual(outcomes(await f.make("apply", [complete("IPPool", pool)])), ["unchanged"]);
  });

  it("tells of a change that waits for its confirmation, whoever changes what", async () => {
    await using f = await fixture();
    const { confirmBefore } = await f.make("apply", [set("a", [])], { confirmWithin: 60 });
    assert.ok(confirmBefore);
    assert.deepEqual((await f.make("apply", [set("a", [])])).confirmBefore, confirmBefore);
    assert.deepEqual((await f.make("apply", [set("b", [])])).confirmBefore, confirmBefore);
    await f.changes.confirm(f.signal);
    assert.equal((await f.make("apply", [set("a", [])])).confirmBefore, undefined);
  });

  it("takes no policy for its own that container labels made", async () => {
    const made = set("made", ["10.0.0.0/8"], { annotations: { "manx/made-from": "container labels" } });
    await using f = await fixture({ unstored: ({ metadata }) => (metadata.name === "made" ? made : undefined) });
    assert.deepEqual(outcomes(await f.make("apply", [made])), ["unchanged"]);
    for (const [mode, resource] of [
      ["apply", { ...made, spec: {} }],
      ["create", { ...made, metadata: { ...made.metadata, name: "gone" } }],
      ["delete", made],
    ] as const)
      await assert.rejects(f.make(mode, [resource as AnyResource]), (error) => {
        assert.ok(error instanceof ChangeRefused);
        assert.match(error.problems[0]?.message ?? "", /comes from the labels of a container/);
        return true;
      });
    assert.deepEqual(f.nets(), []);
  });

  it("stores nothing of a change of which one part is refused", async () => {
    await using f = await fixture({ judge: () => [{ path: "b", message: "is bad" }] });
    await assert.rejects(f.make("apply", [set("a", []), set("b", [])]), ChangeRefused);
    assert.deepEqual(f.nets(), []);
  });

  it("stores nothing that would cut the session, unless forced; what changes nothing cuts nothing", async () => {
    const session = { client: "198.51.100.7", clientPort: 50_000, server: "192.0.2.1", serverPort: 22 };
    const cuts = (after: ReadonlyMap<string, AnyResource>): string | undefined =>
      after.has(resourceKey(set("bad", []))) ? "it would cut the session: bad" : undefined;
    await using f = await fixture({ cuts });
    await f.make("apply", [set("good", [])], { session });
    for (const dryRun of [false, true])
      await assert.rejects(f.make("apply", [set("more", []), set("bad", [])], { session, dryRun }), (error) => {
        assert.ok(error instanceof ChangeRefused);
        assert.equal(error.code, "refused");
        assert.match(error.message, /it would cut the session: bad\. --force does it all the same/);
        return true;
      });
    assert.deepEqual(f.nets(), ["good="]);
    await f.make("apply", [set("bad", [])], { session, force: true });
    assert.deepEqual(f.nets(), ["bad=", "good="]);
    assert.deepEqual(outcomes(await f.make("apply", [set("bad", [])], { session })), ["unchanged"]);
    await assert.rejects(f.make("delete", [set("good", [])], { session }), ChangeRefused);
    await f.make("delete", [set("bad", [])], { session });
  });

  it("tells create, replace and delete apart, with all refusals at once", async () => {
    await using f = await fixture();
    await f.make("create", [set("a", [])]);
    const twice = await f.make("create", [set("a", []), set("b", [])]).catch((e: unknown) => e);
    assert.ok(twice instanceof ChangeRefused && twice.code === "exists");
    const absent = await f.make("replace", [set("x", []), set("y", [])]).catch((e: unknown) => e);
    assert.ok(absent instanceof ChangeRefused && absent.code === "not-found");
    assert.equal(absent.problems.length, 2);
    await assert.rejects(f.make("delete", [set("x", [])]), /Cannot/);
    assert.deepEqual(outcomes(await f.make("delete", [set("x", []), set("a", [])], { ignoreMissing: true })), [
      "absent",
      "deleted",
    ]);
    assert.deepEqual(f.nets(), []);
  });

  it("applies, undoes and deletes thousands as one whole, also while somebody else changes others", async () => {
    await using f = await fixture();
    const many = (net: string): AnyResource[] =>
      Array.from({ length: 2000 }, (_, i) => set(`n${String(i).padStart(4, "0")}`, [net]));
    const first = await f.make("apply", many("10.0.0.0/8"));
    assert.deepEqual(new Set(outcomes(first)), new Set(["created"]));
    assert.equal(f.nets().length, 2000);
    // Behind the copy's back: the first look is too old, the second is not.
    const other = set("zzz", []);
    await f.store.commit({ ops: [{ kind: "put", key: resourceKey(other), value: JSON.stringify(other) }] });
    await f.make("apply", many("10.1.0.0/16"), { confirmWithin: 5 });
    assert.ok((await f.store.list(RESOURCES)).entries.slice(0, 2000).every(({ value }) => value.includes("10.1.0.0")));
    assert.equal(await f.changes.confirm(f.signal), 2000);
    assert.deepEqual(new Set(outcomes(await f.make("delete", many("")))), new Set(["deleted"]));
    assert.deepEqual(f.nets(), ["zzz="]);
  });

  it("keeps uid and creation time, and refuses an outdated resourceVersion", async () => {
    await using f = await fixture();
    await f.make("apply", [set("a", [])]);
    const { uid, creationTimestamp } = f.cluster.all("GlobalNetworkSet")[0]?.metadata ?? assert.fail();
    await f.make("apply", [set("a", ["10.0.0.0/8"], { uid: "forged", creationTimestamp: "1970" })]);
    assert.deepEqual(
      { uid, creationTimestamp },
      { uid: f.cluster.all("GlobalNetworkSet")[0]?.metadata.uid, creationTimestamp },
    );
    for (const mode of ["apply", "replace", "delete"] as const)
      await assert.rejects(
        f.make(mode, [set("a", [], { resourceVersion: "1" })]),
        /has changed since|Cannot change/,
        mode,
      );
    const resourceVersion = String(f.cluster.get(resourceKey(set("a", [])))?.modRevision);
    assert.deepEqual(outcomes(await f.make("delete", [set("a", [], { resourceVersion })])), ["deleted"]);
  });

  it("says what it would do in a dry run, and does not", async () => {
    await using f = await fixture();
    assert.deepEqual(outcomes(await f.make("apply", [set("a", [])], { dryRun: true })), ["created"]);
    assert.deepEqual(f.nets(), []);
  });

  it("undoes by itself what nobody confirms", async () => {
    await using f = await fixture();
    await f.make("apply", [set("a", ["10.0.0.0/8"]), set("old", [])]);
    await f.make("apply", [set("a", []), set("new", [])], { confirmWithin: 0.05 });
    assert.deepEqual(f.nets(), ["a=", "new=", "old="]);
    for (let i = 0; i < 100 && f.nets().length !== 2; i++) await sleep(5);
    assert.deepEqual(f.nets(), ["a=10.0.0.0/8", "old="]);
    await assert.rejects(f.changes.confirm(f.signal), /No change waits/);
  });

  it("keeps what is confirmed, and lets one change wait at a time", async () => {
    await using f = await fixture();
    await f.make("apply", [set("a", [])], { confirmWithin: 0.2 });
    await assert.rejects(f.make("apply", [set("b", [])], { confirmWithin: 60 }), /waits for its confirmation/);
    assert.equal(await f.changes.confirm(f.signal), 1);
    await sleep(250);
    assert.deepEqual(f.nets(), ["a="]);
  });

  it("undoes the unconfirmed change of a process that died", async () => {
    const store = new MemoryStore();
    {
      await using f = await fixture({ store });
      await f.make("apply", [set("a", [])], { confirmWithin: 0.05 });
    }
    await sleep(60);
    await using g = await fixture({ store });
    assert.deepEqual(g.nets(), ["a="]);
    await g.changes.resume(g.signal);
    for (let i = 0; i < 100 && g.nets().length !== 0; i++) await sleep(5);
    assert.deepEqual(g.nets(), []);
  });

  it("tries again where somebody else was faster", async () => {
    await using f = await fixture();
    await f.make("apply", [set("a", [])]);
    const key = resourceKey(set("a", []));
    const value = JSON.stringify(set("a", ["192.168.0.0/16"]));
    await f.store.commit({ ops: [{ kind: "put", key, value }] }); // our copy has not seen it yet
    await f.make("apply", [set("a", ["10.0.0.0/8"])]);
    assert.deepEqual(f.nets(), ["a=10.0.0.0/8"]);
  });
});
