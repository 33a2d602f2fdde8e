import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { IPPool } from "../core/model/resources.ts";
import { Health } from "./health.ts";
import { OverlapWatch } from "./pool-overlaps.ts";

function pool(name: string, cidr: string): IPPool {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name },
    spec: { cidr, blockSize: 26, nodeSelector: "all()", allowedUses: ["Workload"], assignmentMode: "Automatic" },
  };
}

describe("overlaps of pools with the host's routes", () => {
  it("are a condition for as long as they last", () => {
    const health = new Health(() => {});
    const watch = new OverlapWatch(health);
    const whys = (): string[] => health.list().map(({ why }) => why);
    const pools = [pool("a", "10.65.0.0/16"), pool("b", "10.66.0.0/16"), pool("c", "fd65::/64")];
    watch.look(pools, ["192.0.2.0/24", "10.0.0.0/8", "10.66.3.0/24"]);
    assert.deepEqual(whys(), [
      'the pool "a" (10.65.0.0/16) overlaps with the route to 10.0.0.0/8',
      'the pool "b" (10.66.0.0/16) overlaps with the route to 10.0.0.0/8, 10.66.3.0/24',
    ]);
    watch.look(pools, ["10.66.3.0/24"]);
    assert.deepEqual(whys(), ['the pool "b" (10.66.0.0/16) overlaps with the route to 10.66.3.0/24']);
    watch.look([], ["10.66.3.0/24"]);
    assert.deepEqual(whys(), []);
  });
});
