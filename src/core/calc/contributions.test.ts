import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Contributions } from "./contributions.ts";

const OWNERS = ["a", "b", "c", "d", "e"];
const entries = fc.array(fc.tuple(fc.constantFrom("k", "l", "m"), fc.constantFrom("1", "2", "3")), { maxLength: 4 });
const changes = fc.array(fc.tuple(fc.constantFrom(...OWNERS), entries, fc.boolean()), { maxLength: 30 });

describe("contributions", () => {
  it("are, after any changes, what each owner said last, the greatest owner's over the others'", () => {
    fc.assert(
      fc.property(changes, (steps) => {
        const contributions = new Contributions<string>();
        const said = new Map<string, readonly (readonly [string, string])[]>();
        for (const [owner, entries, taken] of steps) {
          contributions.set(owner, entries);
          said.set(owner, entries);
          if (taken) contributions.take();
        }
        const expected = new Map(OWNERS.flatMap((owner) => said.get(owner) ?? []));
        assert.deepEqual(new Map(contributions.take()), expected);
      }),
    );
  });
});
