/** The table of cases, by all three judges. The kernel's part needs root. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";
import { derive } from "../../src/core/calc/derive.ts";
import { KernelHost } from "../../src/lab/kernel-host.ts";
import { casesOf, ENDPOINTS, HOST_ADDRESSES, ROWS, snapshotOf } from "./cases.ts";
import { fate, run } from "./evaluated.ts";
import { HOST_ROWS } from "./host-cases.ts";
import { MATCH_ROWS } from "./match-cases.ts";
import { NAMED_PORT_ROWS } from "./named-port-cases.ts";
import { type Flow, judge } from "./oracle.ts";
import { SELECTOR_ROWS } from "./selector-cases.ts";
import { interfaceTo, LAN } from "./world.ts";

describe("policy cases", () => {
  let kernel: KernelHost;
  before(() => {
    kernel = new KernelHost("t", ENDPOINTS, HOST_ADDRESSES, [LAN]);
  });
  after(() => kernel[Symbol.dispose]());

  for (const row of [...ROWS, ...SELECTOR_ROWS, ...MATCH_ROWS, ...HOST_ROWS, ...NAMED_PORT_ROWS])
    it(row[0], async () => {
      const snapshot = snapshotOf(row);
      const state = derive(snapshot);
      await kernel.load(state);
      for (const { line, flow, expected } of casesOf(row)) {
        assert.equal(judge(snapshot, flow, HOST_ADDRESSES), expected, `oracle: ${line}`);
        const evaluation = run(snapshot, state, flow, HOST_ADDRESSES);
        const path = evaluation.trace.map(({ chain, index, verdict }) => `${chain} ${index} ${inspect(verdict)}`);
        assert.equal(fate(evaluation), expected, `compiled rules: ${line}\n${path.join("\n")}`);
        kernel.forget();
        const [arrived] = await kernel.shoot([{ flow, ...comesIn(flow) }]);
        assert.equal((arrived?.size ?? 0) > 0 ? "allow" : "deny", expected, `kernel: ${line}`);
      }
    });
});

function comesIn({ source }: Flow): { from?: string } {
  if (HOST_ADDRESSES.includes(source)) return {};
  return {
    from: ENDPOINTS.find(({ addresses }) => addresses.includes(source))?.local?.interface ?? interfaceTo(source),
  };
}
