/** Oracle and compiled rules agree on random snapshots and flows. No root needed. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { decisions } from "../../src/core/calc/decision.ts";
import { derive } from "../../src/core/calc/derive.ts";
import { membershipOf } from "../../src/core/calc/membership.ts";
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import { MERGE_LIMITS, type MergeLimits } from "../../src/core/rules/merge.ts";
import { anyFlow, anyFlowOrPing, anyLimits, anyOnePolicy, anySnapshot, HOST_ADDRESSES } from "./arbitrary.ts";
import { fate, run } from "./evaluated.ts";
import { judge } from "./oracle.ts";
import { hostEndpoint } from "./world.ts";

/** A chain for each policy, and for each rule one of its own. */
const UNMERGED: MergeLimits = { ...MERGE_LIMITS, rules: Number.POSITIVE_INFINITY, policies: Number.POSITIVE_INFINITY };

it("the compiled rules decide as the text of the policies says", () => {
  fc.assert(
    fc.property(
      anySnapshot,
      anyLimits,
      fc.array(anyFlow, { minLength: 20, maxLength: 40 }),
      (snapshot, limits, flows) => {
        const state = derive(snapshot, limits);
        for (const flow of flows) {
          const expected = judge(snapshot, flow, HOST_ADDRESSES);
          const evaluation = run(snapshot, state, flow, HOST_ADDRESSES);
          const path = evaluation.trace.map(
            (entry) => `${entry.chain} ${entry.index} ${JSON.stringify(entry.verdict)}`,
          );
          assert.equal(fate(evaluation), expected, inspect({ flow, path }, { depth: 9 }));
        }
      },
    ),
    { numRuns: Number(process.env["RUNS"] ?? 300) },
  );
});

it("and one policy by itself, whatever conditions its rules have", () => {
  const flows = fc.array(fc.oneof(anyFlow, anyFlowOrPing), { minLength: 40, maxLength: 80 });
  fc.assert(
    fc.property(anyOnePolicy, anyLimits, flows, (snapshot, limits, flows) => {
      const state = derive(snapshot, limits);
      const [policy] = snapshot.policies;
      for (const flow of flows) {
        const evaluation = run(snapshot, state, flow, HOST_ADDRESSES);
        assert.equal(
          fate(evaluation),
          judge(snapshot, flow, HOST_ADDRESSES),
          inspect({ flow, policy, sets: snapshot.networkSets }, { depth: 9 }),
        );
      }
    }),
    { numRuns: Number(process.env["RUNS"] ?? 300) },
  );
});

it("whoever decided is named as exactly as if no rules were merged", () => {
  fc.assert(
    fc.property(
      anySnapshot,
      anyLimits,
      fc.array(anyFlow, { minLength: 20, maxLength: 40 }),
      (snapshot, limits, flows) => {
        const [merged, plain] = [derive(snapshot, limits), derive(snapshot, UNMERGED)];
        const members = membershipOf(snapshot);
        for (const flow of flows) {
          const [told, expected] = [merged, plain].map((state) =>
            decisions(run(snapshot, state, flow, HOST_ADDRESSES), state.origins, members),
          );
          assert.deepEqual(told, expected, inspect({ flow }, { depth: 9 }));
        }
      },
    ),
    { numRuns: Number(process.env["RUNS"] ?? 150) },
  );
});

it("and so about the host's own interfaces, where every world has policies for them", () => {
  const first = hostEndpoint("aa", { interfaceName: "eth0", profiles: ["p1"] }, { role: "web" });
  const dense = anySnapshot.map((snapshot) => ({
    ...snapshot,
    hostEndpoints: [first, ...snapshot.hostEndpoints],
    policies: snapshot.policies.map((policy) => ({
      ...policy,
      spec: { ...policy.spec, selector: "all()" },
    })) as Snapshot["policies"],
  }));
  const places = anyFlow.filter(({ source, destination }) =>
    [source, destination].some((text) => !text.startsWith("10.65.") && !text.startsWith("fd65:")),
  );
  fc.assert(
    fc.property(dense, fc.array(places, { minLength: 20, maxLength: 40 }), (snapshot, flows) => {
      const state = derive(snapshot);
      for (const flow of flows) {
        const evaluation = run(snapshot, state, flow, HOST_ADDRESSES);
        const path = evaluation.trace.map((entry) => `${entry.chain} ${entry.index} ${JSON.stringify(entry.verdict)}`);
        assert.equal(fate(evaluation), judge(snapshot, flow, HOST_ADDRESSES), inspect({ flow, path }, { depth: 9 }));
      }
    }),
    { numRuns: Number(process.env["RUNS"] ?? 300) },
  );
});
