import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { editSequence } from "./sequence.ts";

/** What the kernel would have after the edit. */
function edited(
  before: readonly (string | undefined)[],
  after: readonly string[],
): { readonly result: (string | undefined)[]; readonly kept: number } {
  const { remove, insert } = editSequence(before, after, (item) => item);
  const gone = new Set(remove);
  const behind = new Map(insert.map(({ after: index, items }) => [index, items]));
  const result: (string | undefined)[] = [...(behind.get(-1) ?? [])];
  for (const [index, item] of before.entries()) {
    if (!gone.has(index)) result.push(item);
    if (behind.has(index)) assert.ok(!gone.has(index), "nothing is put behind what goes");
    result.push(...(behind.get(index) ?? []));
  }
  return { result, kept: before.length - remove.length };
}

const letters = fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 12 });

describe("editing a sequence", () => {
  it("ends at what is wanted", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "b", "c", undefined)), letters, (before, after) => {
        assert.deepEqual(edited(before, after).result, after);
      }),
    );
  });

  it("keeps all that it can where each item is there once", () => {
    const unique = fc.uniqueArray(fc.integer({ min: 0, max: 9 }).map(String));
    fc.assert(
      fc.property(unique, unique, (before, after) => {
        assert.equal(edited(before, after).kept, longestCommon(before, after));
      }),
    );
  });

  it("inserts one and removes one where only that differs, however long", () => {
    const before = Array.from({ length: 10_000 }, (_, i) => String(i));
    const after = before.toSpliced(7000, 1).toSpliced(5, 0, "new");
    const edit = editSequence(before, after, (item) => item);
    assert.deepEqual(edit, { remove: [7000], insert: [{ after: 4, items: ["new"] }] });
  });
});

function longestCommon(a: readonly string[], b: readonly string[]): number {
  const [x, ...rest] = a;
  if (x === undefined || b.length === 0) return 0;
  const at = b.indexOf(x);
  const without = longestCommon(rest, b);
  return at < 0 ? without : Math.max(without, 1 + longestCommon(rest, b.slice(at + 1)));
}
