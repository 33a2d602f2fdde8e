/** What a change is said to touch is enough: no flow that it forbids is passed over, and none that is allowed is cut. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Deriver } from "../../src/core/calc/deriver.ts";
import { type Flow as Connection, FlowJudge, moved } from "../../src/core/calc/flow-judge.ts";
import type { HostState } from "../../src/core/calc/host-state.ts";
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import { touched, touchesNobody } from "../../src/core/rules/touched.ts";
import { anyPath } from "./any-path.ts";
import { anyFlow, HOST_ADDRESSES } from "./arbitrary.ts";
import { run } from "./evaluated.ts";
import type { Flow } from "./oracle.ts";
import { interfaceTo } from "./world.ts";

const AROUND = { hostAddresses: HOST_ADDRESSES, uplink: "eth0", interfaceTo };

function connection(flow: Flow): Connection {
  const { source, destination, sourcePort, destinationPort, ...rest } = flow;
  const ports = sourcePort === undefined ? {} : { sourcePort: destinationPort ?? 0, destinationPort: sourcePort };
  const reply = { ...rest, source: destination, destination: source, ...ports };
  return { family: source.includes(":") ? 6 : 4, original: flow, reply, destinationNat: false };
}

const isLocal = ({ routes }: HostState, text: string): boolean =>
  routes.get(text.includes(":") ? `6 ${text}/128` : `4 ${text}/32`)?.kind === "link";

describe("what a change touches", () => {
  it("is every flow of an endpoint that was allowed and is forbidden", () => {
    let [forbidden, passedOver] = [0, 0];
    fc.assert(
      fc.property(anyPath, fc.array(anyFlow, { minLength: 40, maxLength: 40 }), (path, flows) => {
        const deriver = new Deriver();
        let last: { snapshot: Snapshot; state: HostState } | undefined;
        for (const snapshot of path) {
          const state = deriver.derive(snapshot);
          if (last !== undefined) {
            const change = touched(last.state.ruleset, state.ruleset);
            const { gone, taken } = moved(last.state, state);
            const judge = new FlowJudge(state, gone, AROUND);
            for (const flow of flows) {
              const ends = [flow.source, flow.destination];
              const was = run(last.snapshot, last.state, flow, HOST_ADDRESSES).outcome;
              const is = run(snapshot, state, flow, HOST_ADDRESSES).outcome;
              const orphaned = ends.some((end) => gone.has(end) || snapshot.blocks.includes(`${end}/32`));
              if (!orphaned) assert.equal(judge.allows(connection(flow)), is !== "drop");
              if (!ends.some((end) => isLocal(state, end)) || ends.some((end) => taken.has(end))) continue;
              const concerned = judge.concerns(connection(flow), change);
              if (was === "accept" && is === "drop") assert.ok(concerned, JSON.stringify(flow));
              if (was === "accept" && is === "drop") forbidden++;
              if (!concerned) passedOver++;
            }
          }
          last = { snapshot, state };
        }
      }),
      { numRuns: Number(process.env["RUNS"] ?? 150), interruptAfterTimeLimit: 20_000, endOnFailure: true },
    );
    assert.ok(forbidden > 100 && passedOver > 100, `${forbidden} forbidden, ${passedOver} passed over`);
  });

  it("is nobody where nothing changed, and everybody where nothing is known", () => {
    fc.assert(
      fc.property(anyPath, ([snapshot]) => {
        assert.ok(snapshot);
        const { ruleset } = new Deriver().derive(snapshot);
        assert.ok(touchesNobody(touched(ruleset, new Map(ruleset))));
        assert.ok(touched(undefined, ruleset).everything);
      }),
      { numRuns: 20 },
    );
  });
});
