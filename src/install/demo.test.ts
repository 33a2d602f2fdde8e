import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Probe, reachabilityTable } from "./demo.ts";

describe("reachabilityTable", () => {
  it("has a row a source and a column a target, in one order", () => {
    const probe = (from: string, to: string, ...reached: (4 | 6)[]): Probe[] =>
      ([4, 6] as const).map((version) => ({ from, to, version, expected: true, reached: reached.includes(version) }));
    const probes = [
      ...probe("manx-demo-a", "manx-demo-b", 4, 6),
      ...probe("manx-demo-b", "manx-demo-a"),
      ...probe("this host", "manx-demo-a", 4),
      ...probe("this host", "manx-demo-b", 6),
    ];
    assert.deepEqual(reachabilityTable(probes), [
      "from        to a   to b",
      "a           -      IPv4 IPv6",
      "b           no     -",
      "this host   IPv4   IPv6",
    ]);
  });
});
