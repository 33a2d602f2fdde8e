/** `manx test --kernel`: the kernel agrees with the compiled rules about a policy test, and nothing is left. Needs root. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { runPolicyTest } from "../../src/core/calc/policy-test-run.ts";
import { parsePolicyTests } from "../../src/core/model/policy-test.ts";
import { runOnKernel } from "../../src/lab/policy-kernel.ts";

const TEST = `apiVersion: manx/v1
kind: PolicyTest
metadata: {name: shop}
endpoints:
  - {name: web, addresses: [10.65.0.10, "fd65::10"], labels: {role: web}, profiles: [apps]}
  - {name: db, addresses: [10.65.0.11, "fd65::11"], labels: {role: db}, profiles: [apps]}
  - {name: world, external: true, addresses: [203.0.113.9, "2001:db8::9"]}
resources: [{apiVersion: manx/v1, kind: Network, metadata: {name: apps}, spec: {}}]
steps:
  - flows:
      - {from: web, to: db, port: 5432, expect: allow}
      - {from: db, to: web, port: 80, expect: allow}
      - {from: world, to: db, port: 5432, expect: deny}
  - apply:
      - apiVersion: projectcalico.org/v3
        kind: NetworkPolicy
        metadata: {name: db}
        spec:
          selector: role == "db"
          ingress: [{action: Allow, protocol: TCP, source: {selector: 'role == "web"'}, destination: {ports: [5432]}}]
    addEndpoints: [{name: late, addresses: [10.65.0.12], labels: {role: web}, profiles: [apps]}]
    flows:
      - {from: web, to: db, port: 5432, expect: allow}
      - {from: late, to: db, port: 5432, expect: allow}
      - {from: web, to: db, port: 5433, expect: deny}
      - {from: web, to: world, port: 443, expect: allow}
      - {from: web, to: db, protocol: ICMP, expect: deny}
      - {from: web, to: db, protocol: ICMP, icmp: {type: 13, code: 0}, expect: deny}
      - {from: db, to: web, protocol: ICMPv6, expect: allow}
      - {from: web, to: db, protocol: UDP, port: 53, expect: deny}
      - {from: web, to: db, protocol: 47, expect: deny}
      - {from: web, to: db, protocol: SCTP, port: 5432, expect: deny}
`;

describe("a policy test on the kernel", () => {
  it("comes to the same as the compiled rules, and as expected", async () => {
    const { tests, problems } = parsePolicyTests(TEST, "shop.yaml");
    assert.deepEqual(problems, []);
    for (const test of tests) {
      const results = await runOnKernel(test);
      const brief = (all: typeof results) =>
        all.map(({ step, flow, family, got }) => `${step} ${flow.from} ${flow.to} ${family} ${got}`);
      assert.deepEqual(brief(results), brief(runPolicyTest(test)));
      assert.deepEqual(
        results.filter(({ ok }) => !ok),
        [],
      );
      assert.equal(results.length, 22);
    }
    assert.doesNotMatch(execFileSync("ip", ["netns", "list"], { encoding: "utf8" }), new RegExp(`mxp${process.pid}`));
  });
});
