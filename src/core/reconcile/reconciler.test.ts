import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Delta, diff } from "./delta.ts";
import { patch } from "./patched-map.ts";
import { Reconciler, type Target } from "./reconciler.ts";

class FakeTarget implements Target<string, number> {
  readonly contents: Map<string, number>;
  writes = 0;
  lists = 0;
  failNext = false;
  readonly equal = (a: number, b: number): boolean => a === b;

  constructor(contents: Iterable<[string, number]> = []) {
    this.contents = new Map(contents);
  }

  list(): Promise<ReadonlyMap<string, number>> {
    this.lists++;
    return Promise.resolve(new Map(this.contents));
  }

  apply(delta: Delta<string, number>): Promise<void> {
    this.writes++;
    for (const [key, value] of delta.upserts) {
      this.contents.set(key, value);
      if (this.failNext) {
        this.failNext = false;
        return Promise.reject(new Error("broke half way"));
      }
    }
    for (const key of delta.deletes) this.contents.delete(key);
    return Promise.resolve();
  }
}

const signal = new AbortController().signal;

describe("Reconciler", () => {
  it("reads back once, then writes only what differs", async () => {
    const target = new FakeTarget([
      ["left over", 1],
      ["right", 2],
    ]);
    const reconciler = new Reconciler(target);
    const delta = await reconciler.step(
      new Map([
        ["right", 2],
        ["new", 3],
      ]),
      signal,
    );
    assert.deepEqual([...delta.upserts], [["new", 3]]);
    assert.deepEqual([...delta.deletes], ["left over"]);
    await reconciler.step(new Map(target.contents), signal);
    assert.equal(target.lists, 1);
    assert.equal(target.writes, 1);
  });

  it("writes nothing when a fresh process finds all as it should be", async () => {
    const target = new FakeTarget([["a", 1]]);
    await new Reconciler(target).step(new Map([["a", 1]]), signal);
    assert.equal(target.writes, 0);
  });

  it("looks again after a write that failed half way", async () => {
    const target = new FakeTarget();
    const reconciler = new Reconciler(target);
    const desired = new Map([
      ["a", 1],
      ["b", 2],
    ]);
    target.failNext = true;
    await assert.rejects(reconciler.step(desired, signal));
    await reconciler.step(desired, signal);
    assert.deepEqual(target.contents, desired);
    assert.equal(target.lists, 2);
  });

  it("repairs what somebody else changed, once it is told to distrust", async () => {
    const target = new FakeTarget();
    const reconciler = new Reconciler(target);
    await reconciler.step(new Map([["a", 1]]), signal);
    target.contents.set("a", 7);
    reconciler.resync();
    await reconciler.step(new Map([["a", 1]]), signal);
    assert.equal(target.contents.get("a"), 1);
  });
});

describe("diff", () => {
  it("says of maps that were patched what it says of their copies", () => {
    const key = fc.nat(200).map(String);
    const changes = fc.array(fc.tuple(fc.array(fc.tuple(key, fc.nat(3))), fc.uniqueArray(key)), { maxLength: 6 });
    const begin: ReadonlyMap<string, number> = new Map(Array.from({ length: 100 }, (_, i) => [String(i), i % 4]));
    const grow = (steps: readonly (readonly [[string, number][], string[]])[]): ReadonlyMap<string, number> =>
      steps.reduce(
        (from, [added, removed]) => patch({ from, added: new Map(added), removed: new Set(removed) }),
        begin,
      );
    const same = (a: number, b: number): boolean => a === b;
    fc.assert(
      fc.property(changes, changes, (left, right) => {
        const [desired, actual] = [grow(left), grow(right)];
        const quick = diff(desired, actual, same);
        const slow = diff(new Map(desired), new Map(actual), same);
        assert.deepEqual(quick.upserts, slow.upserts); // order does not matter to deepEqual of maps
        assert.deepEqual(quick.deletes, slow.deletes);
      }),
    );
  });

  it("gives a delta that turns actual into desired, and an empty one for equals", () => {
    const state = fc
      .uniqueArray(fc.tuple(fc.string(), fc.integer()), { selector: ([key]) => key })
      .map((e) => new Map(e));
    fc.assert(
      fc.property(state, state, (desired, actual) => {
        const delta = diff(desired, actual, (a, b) => a === b);
        const result = new Map(actual);
        for (const [key, value] of delta.upserts) result.set(key, value);
        for (const key of delta.deletes) result.delete(key);
        assert.deepEqual(result, desired);
        const again = diff(desired, result, (a, b) => a === b);
        assert.equal(again.upserts.size + again.deletes.size, 0);
      }),
    );
  });
});
