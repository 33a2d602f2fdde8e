/** Oracle and compiled rules agree on random snapshots and flows. No root needed. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { derive } from "../../src/core/calc/derive.ts";
import { anyFlow, anySnapshot, HOST_ADDRESSES } from "./arbitrary.ts";
import { fate, run } from "./evaluated.ts";
import { judge } from "./oracle.ts";

it("the compiled rules decide as the text of the policies says", () => {
  fc.assert(
    fc.property(anySnapshot, fc.array(anyFlow, { minLength: 20, maxLength: 40 }), (snapshot, flows) => {
      const state = derive(snapshot);
      for (const flow of flows) {
        const expected = judge(snapshot, flow, HOST_ADDRESSES);
        const evaluation = run(snapshot, state, flow, HOST_ADDRESSES);
        const path = evaluation.trace.map((entry) => `${entry.chain} ${entry.index} ${JSON.stringify(entry.verdict)}`);
        assert.equal(fate(evaluation), expected, inspect({ flow, path }, { depth: 9 }));
      }
    }),
    { numRuns: Number(process.env["RUNS"] ?? 300) },
  );
});
