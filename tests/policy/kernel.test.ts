/** The kernel agrees with the oracle on random snapshots. Needs root. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { derive } from "../../src/core/calc/derive.ts";
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import { KernelHost, type Shot } from "../../src/lab/kernel-host.ts";
import { anyFlow, anyLimits, anyOnePolicy, anySnapshot, HOST_ADDRESSES } from "./arbitrary.ts";
import { run } from "./evaluated.ts";
import { type Flow, judge } from "./oracle.ts";
import { endpoint, interfaceTo, LAN } from "./world.ts";

const SEED = Number(process.env["SEED"] ?? Date.now() % 1e9);

describe(`the kernel (seed ${SEED})`, () => {
  let kernel: KernelHost;
  before(() => {
    const endpoints = [1, 2, 3, 4, 5, 6].map((i) => endpoint(`e${i}`, { addresses: [`10.65.0.${i}`, `fd65::${i}`] }));
    kernel = new KernelHost("r", endpoints, HOST_ADDRESSES, [LAN]);
  });
  after(() => kernel[Symbol.dispose]());

  it("lets through what the policies allow, and nothing else", async () => {
    const world = fc.oneof({ weight: 2, arbitrary: anySnapshot }, anyOnePolicy);
    const cases = fc.sample(fc.tuple(world, anyLimits, fc.array(anyFlow, { minLength: 60, maxLength: 60 })), {
      numRuns: Number(process.env["RUNS"] ?? 40),
      seed: SEED,
    });
    const count = { allow: 0, deny: 0 };
    for (const [snapshot, limits, all] of cases) {
      const state = derive(snapshot, limits);
      await kernel.load(state);
      const flows = oneWay(all.filter((flow) => canStart(flow)));
      const arrivals = await kernel.shoot(flows.map((flow) => shotOf(snapshot, flow)));
      for (const [index, flow] of flows.entries()) {
        const expected = judge(snapshot, flow, HOST_ADDRESSES);
        const evaluation = run(snapshot, state, flow, HOST_ADDRESSES);
        const { route } = evaluation;
        const place = route.kind === "local" ? "host" : route.kind === "forward" ? route.interface : undefined;
        // What only passes an uplink, in and out again, is nobody's here.
        if (place !== undefined && shotOf(snapshot, flow).from === place) continue;
        const arrived = arrivals[index] ?? new Set();
        const path = evaluation.trace.map((entry) => `${entry.chain} ${entry.index} ${JSON.stringify(entry.verdict)}`);
        const wanted = expected === "allow" && place !== undefined ? [place] : [];
        assert.deepEqual([...arrived], wanted, inspect({ flow, expected, path }, { depth: 9 }));
        count[expected]++;
      }
    }
    assert.ok(count.allow > 100 && count.deny > 100, inspect(count));
  });
});

function shotOf(snapshot: Snapshot, flow: Flow): Shot {
  if (HOST_ADDRESSES.includes(flow.source)) return { flow };
  const sender = snapshot.endpoints.find(
    (one) => one.host === snapshot.host && one.local?.joined === true && one.addresses.includes(flow.source),
  );
  return { flow, from: sender?.local?.interface ?? interfaceTo(flow.source) };
}

/** Conntrack takes an ICMP message for the start of a flow only if it is a request (nf_conntrack_proto_icmp.c). */
function canStart({ protocol, icmp, source }: Flow): boolean {
  if (protocol === 1) return icmp?.type === 8 && !source.includes(":");
  if (protocol === 58) return icmp?.type === 128 && source.includes(":");
  return protocol !== 136; // UDPLite's checksum covers what its header says; conntrack calls ours invalid
}

/** Without those that conntrack would take for a repetition or for the reply of another. */
function oneWay(flows: readonly Flow[]): Flow[] {
  const taken = new Set<string>();
  return flows.filter((flow) => {
    const there = [flow.protocol, flow.source, flow.sourcePort, flow.destination, flow.destinationPort].join();
    const back = [flow.protocol, flow.destination, flow.destinationPort, flow.source, flow.sourcePort].join();
    if (taken.has(there) || taken.has(back)) return false;
    taken.add(there);
    return true;
  });
}
