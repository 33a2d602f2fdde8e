import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KINDS } from "./kinds.ts";
import { formatFileProblem } from "./parse.ts";
import { parsePolicyTests, policyTestJsonSchema } from "./policy-test.ts";

const EXAMPLE = `
apiVersion: manx/v1
kind: PolicyTest
metadata: {name: shop}
endpoints:
  - {name: web, namespace: default, addresses: [10.65.0.10, "fd65::10"], labels: {role: web}, profiles: [apps],
     ports: {http: {protocol: TCP, port: 8080}}}
  - {name: db, addresses: [10.65.0.11], labels: {role: db}}
  - {name: db2, addresses: [10.65.0.12]}
  - {name: client, addresses: [192.0.2.1], external: true}
resources:
  - {apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: old}, spec: {selector: role == "db"}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
files: [../policies/]
steps:
  - apply: []
    delete: [{kind: GlobalNetworkPolicy, name: old}]
    setLabels: [{endpoint: web, labels: {role: admin}}]
    addEndpoints: [{name: new, addresses: [10.65.0.13]}]
    removeEndpoints: [db2]
    flows:
      - {from: web, to: db, protocol: TCP, port: 5432, expect: allow}
      - {from: web, to: db, protocol: ICMP, icmp: {type: 8, code: 0}, expect: deny}
      - {from: new, to: default/db, port: 5432, sourcePort: 1024, expect: deny}
`;

/** The example with some of its lines replaced. */
function problemsOf(...changes: [string, string][]): string[] {
  const text = changes.reduce((text, [from, to]) => {
    assert.ok(text.includes(from), from);
    return text.replace(from, to);
  }, EXAMPLE);
  return parsePolicyTests(text, "t.yaml").problems.map(formatFileProblem);
}

describe("parsePolicyTests", () => {
  it("reads a test with everything in it", () => {
    const { tests, problems } = parsePolicyTests(EXAMPLE, "t.yaml");
    assert.deepEqual(problems, []);
    const [test] = tests;
    assert.equal(test?.name, "shop");
    assert.deepEqual(test?.namespaces, [{ name: "shop", labels: { team: "a" } }]);
    assert.deepEqual(
      test?.resources.map(({ metadata }) => metadata.name),
      ["old"],
    );
    assert.deepEqual(test?.endpoints[1], {
      name: "db",
      namespace: "default",
      addresses: ["10.65.0.11"],
      labels: { role: "db" },
      profiles: [],
      ports: {},
      external: false,
    });
    assert.deepEqual(test?.steps[0]?.flows[2], {
      from: "new",
      to: "default/db",
      protocol: "TCP",
      port: 5432,
      sourcePort: 1024,
      expect: "deny",
    });
  });
  it("takes flows without steps as one step", () => {
    const { tests, problems } = parsePolicyTests(
      "apiVersion: manx/v1\nkind: PolicyTest\nmetadata: {name: a}\nendpoints: [{name: a, addresses: [10.0.0.1]}]\nflows: [{from: a, to: a, port: 80, expect: allow}]",
      "t.yaml",
    );
    assert.deepEqual(problems, []);
    assert.equal(tests[0]?.steps[0]?.flows.length, 1);
  });
  it("reads several in one file", () => assert.equal(parsePolicyTests(`${EXAMPLE}---${EXAMPLE}`, "t").tests.length, 2));

  const rows: [sentence: string, change: [string, string], problem: string][] = [
    [
      "an endpoint that is not there",
      ["{from: web, to: db, protocol: TCP", "{from: wbe, to: db, protocol: TCP"],
      `t.yaml:22:16 steps[0].flows[0].from: there is no endpoint "wbe" at this point`,
    ],
    [
      "an endpoint that has gone",
      ["to: default/db", "to: db2"],
      `t.yaml:24:25 steps[0].flows[2].to: there is no endpoint "db2" at this point`,
    ],
    [
      "an endpoint of another namespace",
      ["default/db", "shop/db"],
      `t.yaml:24:25 steps[0].flows[2].to: there is no endpoint "shop/db" at this point`,
    ],
    [
      "one name for two",
      ["{name: db2,", "{name: db2, namespace: shop, addresses: [10.0.0.9]}\n  - {name: db2,"],
      `t.yaml:21:23 steps[0].removeEndpoints[0]: "db2" can be shop/db2 or default/db2: write one of these`,
    ],
    [
      "the same endpoint twice",
      ["[10.65.0.13]}", "[10.65.0.13]}, {name: db, addresses: [10.65.0.14]}"],
      `t.yaml:19:65 steps[0].addEndpoints[1].name: there is an endpoint "db" already`,
    ],
    [
      "a flow without port",
      ["port: 5432, expect: allow", "expect: allow"],
      "t.yaml:22:9 steps[0].flows[0].port: is missing: a TCP flow has a port",
    ],
    [
      "a port for ICMP",
      ["icmp: {type: 8, code: 0}", "port: 8"],
      "t.yaml:23:51 steps[0].flows[1].port: ICMP has no ports",
    ],
    [
      "icmp for TCP",
      ["TCP, port: 5432", "TCP, icmp: {type: 8}, port: 5432"],
      "t.yaml:22:44 steps[0].flows[0].icmp: needs protocol ICMP or ICMPv6",
    ],
    [
      "ends without a common IP version",
      ["port: 5432, expect: allow", "port: 5432, ipVersion: 6, expect: allow"],
      "t.yaml:22:9 steps[0].flows[0]: web and db have no IPv6 addresses to talk with each other",
    ],
    [
      "an expectation that is none",
      ["expect: allow", "expect: maybe"],
      `t.yaml:22:64 steps[0].flows[0].expect: "maybe" is not one of allow, deny`,
    ],
    [
      "an expectation in capitals",
      ["expect: allow", "expect: Allow"],
      `t.yaml:22:64 steps[0].flows[0].expect: "Allow" is not allowed: write allow`,
    ],
    [
      "a bad resource in its place",
      [`role == "db"`, "role == db"],
      `t.yaml:12:107 resources[0].spec.selector: expected a string in quotes after ==, not the label "db" (a value needs quotes) (character 9 of "role == db")`,
    ],
    [
      "an unknown field",
      ["setLabels:", "setLabel:"],
      `t.yaml:18:5 steps[0].setLabel: unknown field "setLabel": did you mean setLabels?`,
    ],
    [
      "a kind that is none",
      ["kind: GlobalNetworkPolicy, name: old}]", "kind: Foo, name: old}]"],
      `t.yaml:17:21 steps[0].delete[0].kind: "Foo" is not one of ${KINDS.map(({ kind }) => kind).join(", ")}`,
    ],
    [
      "a bad address",
      ["[10.65.0.11]", "[10.65.0.11/32]"],
      `t.yaml:8:28 endpoints[1].addresses[0]: "10.65.0.11/32" is not an IP address`,
    ],
    [
      "flows beside steps",
      ["files: [../policies/]", "flows: []"],
      "t.yaml:14:1 flows: belong into a step where there are steps",
    ],
    [
      "another kind of document",
      ["kind: PolicyTest", "kind: Tier"],
      "t.yaml:3:7 kind: a PolicyTest of manx/v1 is expected here",
    ],
  ];
  for (const [sentence, change, problem] of rows)
    it(`tells ${sentence}`, () => assert.deepEqual(problemsOf(change), [problem]));

  it("tells all at once", () =>
    assert.equal(
      problemsOf(["from: new", "from: old"], [`role == "db"`, "role"], ["{type: 8, code: 0}", "{type: 999}"]).length,
      2,
    ));
  it("has a JSON schema", () => assert.match(JSON.stringify(policyTestJsonSchema()), /sourcePort/));
});
