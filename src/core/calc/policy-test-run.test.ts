import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parsePolicyTests } from "../model/policy-test.ts";
import { PolicyTestError, runPolicyTest } from "./policy-test-run.ts";

function results(yaml: string): string[] {
  const { tests, problems } = parsePolicyTests(
    `apiVersion: manx/v1\nkind: PolicyTest\nmetadata: {name: t}\n${yaml}`,
    "t.yaml",
  );
  assert.deepEqual(problems, []);
  return tests
    .flatMap((test) => runPolicyTest(test))
    .map(
      ({ step, flow, family, got }) =>
        `${step} ${flow.from}-${flow.to}/${flow.port ?? flow.protocol} v${family} ${got}`,
    );
}

const ENDPOINTS = `endpoints:
  - {name: web, addresses: [10.65.0.10, "fd65:0::10"], labels: {role: web}, profiles: [apps]}
  - {name: db, namespace: shop, addresses: [10.65.0.11], labels: {role: db}, profiles: [apps], ports: {pg: {protocol: TCP, port: 5432}}}
  - {name: world, external: true, addresses: [203.0.113.9]}
`;
const NETWORK = "{apiVersion: manx/v1, kind: Network, metadata: {name: apps}, spec: {}}";
const POLICY = `{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: db, namespace: shop}, spec: {selector: 'role == "db"',
      ingress: [{action: Allow, protocol: TCP, source: {selector: 'role == "web"', namespaceSelector: 'team == "a"'}, destination: {ports: [pg]}}]}}`;

describe("a policy test", () => {
  it("runs its flows through what its resources compile to, step by step", () => {
    const out = results(`${ENDPOINTS}resources: [${NETWORK}]
steps:
  - flows:
      - {from: web, to: db, port: 5432, expect: allow}
      - {from: world, to: db, port: 5432, expect: deny}
      - {from: web, to: world, port: 80, expect: allow}
      - {from: web, to: web, protocol: ICMPv6, expect: allow}
  - apply: [${POLICY}]
    flows: [{from: web, to: db, port: 5432, expect: deny}]
  - apply: [{apiVersion: v1, kind: Namespace, metadata: {name: default, labels: {team: a}}}]
    flows:
      - {from: web, to: db, port: 5432, expect: allow}
      - {from: web, to: db, port: 5433, expect: deny}
  - setLabels: [{endpoint: web, labels: {role: admin}}]
    flows: [{from: web, to: db, port: 5432, expect: deny}]
  - delete: [{kind: NetworkPolicy, name: db, namespace: shop}]
    addEndpoints: [{name: new, addresses: [10.65.0.12], profiles: [apps]}]
    removeEndpoints: [web]
    flows: [{from: new, to: db, port: 5432, expect: allow}]
`);
    assert.deepEqual(out, [
      "1 web-db/5432 v4 allow",
      "1 world-db/5432 v4 deny",
      "1 web-world/80 v4 allow",
      "1 web-web/ICMPv6 v6 allow",
      "2 web-db/5432 v4 deny",
      "3 web-db/5432 v4 allow",
      "3 web-db/5433 v4 deny",
      "4 web-db/5432 v4 deny",
      "5 new-db/5432 v4 allow",
    ]);
  });

  it("denies where a profile is missing or there is none", () => {
    const out = results(
      `${ENDPOINTS}flows: [{from: web, to: db, port: 5432, expect: deny}, {from: world, to: web, port: 1, expect: deny}]`,
    );
    assert.deepEqual(out, ["1 web-db/5432 v4 deny", "1 world-web/1 v4 deny"]);
  });

  it("says what decided", () => {
    const { tests } = parsePolicyTests(
      `apiVersion: manx/v1\nkind: PolicyTest\nmetadata: {name: t}\n${ENDPOINTS}resources: [${NETWORK}, ${POLICY}]\nflows: [{from: web, to: db, port: 5432, expect: allow}]`,
      "t.yaml",
    );
    const [result] = tests.flatMap((test) => runPolicyTest(test));
    assert.deepEqual([result?.got, result?.ok], ["deny", false]);
    assert.deepEqual(result?.decidedBy, [
      "deny: tier default: its policies apply to the ingress, and no rule of them matches",
    ]);
  });

  it("refuses to delete what is not there", () => {
    assert.throws(
      () => results(`${ENDPOINTS}steps: [{delete: [{kind: Tier, name: nope}]}]`),
      (error) =>
        error instanceof PolicyTestError && error.message === "step 1 deletes the Tier nope, which is not there",
    );
  });
});
