import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { address, formatAddress } from "../net/address.ts";
import { cidr } from "../net/cidr.ts";
import {
  addressAt,
  allocate,
  annotate,
  assign,
  type Block,
  blockProblems,
  newBlock,
  release,
  repairBlock,
  usualBlockSize,
} from "./block.ts";

const anyAddress = (): boolean => true;

describe("block", () => {
  it("gives out every address, the first and the last too, in order", () => {
    let block = newBlock(cidr("10.65.0.8/30"), "h1");
    const seen: string[] = [];
    for (
      let given = allocate(block, { handle: "x" }, anyAddress);
      given !== undefined;
      given = allocate(block, { handle: "x" }, anyAddress)
    ) {
      seen.push(formatAddress(given.address));
      block = given.block;
    }
    assert.deepEqual(seen, ["10.65.0.8", "10.65.0.9", "10.65.0.10", "10.65.0.11"]);
  });

  it("works as well at the end of the IPv6 space", () => {
    const block = newBlock(cidr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffc0/122"), "h1");
    const last = assign(block, address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), { handle: "x" });
    assert.equal(last?.ordinal, 63);
  });

  it("does not release to another handle, nor an address that was given out again", () => {
    const first = allocate(newBlock(cidr("10.65.0.8/32"), "h1"), { handle: "a" }, anyAddress);
    assert.ok(first);
    const at = first.address;
    assert.equal(release(first.block, at, { handle: "b" }), undefined);
    const free = release(first.block, at, { handle: "a", sequence: 1 });
    assert.ok(free);
    assert.equal(release(free, at), undefined);
    const second = allocate(free, { handle: "a" }, anyAddress);
    assert.ok(second);
    assert.equal(release(second.block, at, { handle: "a", sequence: 1 }), undefined);
    assert.ok(release(second.block, at, { handle: "a", sequence: 2 }));
  });

  it("refuses addresses outside of it, and to be too large", () => {
    const block = newBlock(cidr("10.65.0.8/30"), "h1");
    for (const text of ["10.65.0.7", "10.65.0.12", "::a41:8"])
      assert.throws(() => assign(block, address(text), { handle: "x" }), RangeError);
    assert.throws(() => annotate(block, address("10.65.0.8"), {}), RangeError);
    assert.throws(() => newBlock(cidr("10.0.0.0/19"), "h1"), RangeError);
    assert.throws(() => newBlock(cidr("fd00::/64"), "h1"), RangeError);
    assert.equal(newBlock(cidr("fd00::/116"), "h1").free.length, 4096);
  });

  it("has the usual size, or that of a pool which is smaller", () => {
    const sizes = ["10.0.0.0/8", "10.0.0.0/26", "10.0.0.0/29", "10.0.0.0/32", "fd00::/64", "fd00::/127"].map((p) =>
      usualBlockSize(cidr(p)),
    );
    assert.deepEqual(sizes, [26, 26, 29, 32, 122, 127]);
  });

  it("any steps: no address twice, none lost, longest released first, as a slow model says", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("allocate" as const), not: fc.nat(15) }),
      fc.record({ do: fc.constant("assign" as const), at: fc.nat(15) }),
      fc.record({ do: fc.constant("release" as const), at: fc.nat(15) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let block: Block = newBlock(cidr("fd00::10/124"), "h1");
        const queue = Array.from({ length: 16 }, (_, i) => i);
        const used = new Set<number>();
        for (const s of steps) {
          if (s.do === "allocate") {
            const want = queue.find((ordinal) => ordinal !== s.not);
            const got = allocate(block, { handle: "x" }, (a) => a.value !== addressAt(block, s.not).value);
            assert.equal(got?.ordinal, want);
            if (got === undefined || want === undefined) continue;
            block = got.block;
            queue.splice(queue.indexOf(want), 1);
            used.add(want);
          } else if (s.do === "assign") {
            const got = assign(block, addressAt(block, s.at), { handle: "x" });
            assert.equal(got === undefined, used.has(s.at));
            if (got === undefined) continue;
            block = got.block;
            queue.splice(queue.indexOf(s.at), 1);
            used.add(s.at);
          } else {
            const got = release(block, addressAt(block, s.at));
            assert.equal(got !== undefined, used.delete(s.at));
            if (got === undefined) continue;
            block = got;
            queue.push(s.at);
          }
          assert.deepEqual(blockProblems(block), []);
          assert.deepEqual(block.free, queue);
          assert.deepEqual(new Set(block.allocations.keys()), used);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("any damage is seen and repaired, and no allocation is lost by it", () => {
    const damage = fc.record({
      free: fc.array(fc.integer({ min: -2, max: 9 }), { maxLength: 12 }),
      used: fc.uniqueArray(fc.integer({ min: -2, max: 9 }), { maxLength: 8 }),
    });
    fc.assert(
      fc.property(damage, ({ free, used }) => {
        const allocations = new Map(used.map((o) => [o, { handle: "x", attributes: {}, sequence: 7 }]));
        const block = { ...newBlock(cidr("10.0.0.0/29"), "h1"), free, allocations };
        const repaired = repairBlock(block);
        assert.deepEqual(blockProblems(repaired), []);
        for (const o of used) assert.equal(repaired.allocations.has(o), o >= 0 && o < 8);
        if (blockProblems(block).length === 0) assert.deepEqual(repaired, block);
      }),
      { numRuns: 300 },
    );
  });
});
