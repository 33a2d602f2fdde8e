import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runPolicyTest } from "../calc/policy-test-run.ts";
import type { PolicyTest, TestEndpoint, TestFlow } from "../model/policy-test.ts";
import type { AnyResource, NetworkPolicy, Protocol } from "../model/resources.ts";
import { validateResource } from "../model/validate.ts";
import { type KnownEndpoint, type SeenFlow, type SuggestAsk, suggest } from "./suggest.ts";

interface Peer extends KnownEndpoint {
  readonly address: string;
}
const peer = (container: string, address: string, service?: string, namespace = "default"): Peer => ({
  container,
  namespace,
  address,
  labels: { "manx/container": container, ...(service === undefined ? {} : { "manx/service": service }) },
});
const WEB1 = peer("shop-web-1", "10.65.0.2", "web");
const WEB2 = peer("shop-web-2", "10.65.0.3", "web");
const DB = peer("db", "10.65.0.4");
const JOB = peer("job", "10.65.0.5");
const OTHER = peer("spy", "10.65.0.6", undefined, "elsewhere");
const ALL = [WEB1, WEB2, DB, JOB, OTHER];
const OUTSIDE = ["203.0.113.8", "203.0.113.9", "198.51.100.1"];

const party = (end: Peer | string): SeenFlow["source"] =>
  typeof end === "string"
    ? { kind: "outside", address: end }
    : { kind: "endpoint", address: end.address, container: end.container, namespace: end.namespace };
const flow = (
  from: Peer | string,
  to: Peer | string,
  port?: number,
  protocol = "tcp",
  icmp?: SeenFlow["icmp"],
): SeenFlow => ({
  first: "2026-11-27T10:00:00.000Z",
  count: 3,
  protocol,
  source: party(from),
  destination: party(to),
  destinationPort: port,
  icmp,
});

function suggested(flows: readonly SeenFlow[], ask: Partial<SuggestAsk> = {}): NetworkPolicy {
  const made = suggest({ name: "db", directions: ["Ingress", "Egress"], endpoints: ALL, flows, ...ask });
  assert.ok(made.ok, JSON.stringify(made));
  const checked = validateResource(made.policy);
  assert.ok(checked.ok, JSON.stringify(checked));
  return made.policy;
}

/** Every packet between anybody and any of the ports, judged with the policy in force: those that are allowed. */
function allowed(policy: NetworkPolicy, subject: string): Set<string> {
  const inside = ALL.map(
    (one): TestEndpoint => ({
      name: one.container,
      namespace: one.namespace,
      addresses: [one.address],
      labels: one.labels,
      profiles: ["apps"],
      ports: {},
      external: false,
    }),
  );
  const outside = OUTSIDE.map(
    (address): TestEndpoint => ({
      name: address,
      namespace: "default",
      addresses: [address],
      labels: {},
      profiles: [],
      ports: {},
      external: true,
    }),
  );
  const endpoints = [...inside, ...outside];
  const services: readonly (readonly [Protocol, number | undefined])[] = [
    ["TCP", 80],
    ["TCP", 443],
    ["TCP", 5432],
    ["TCP", 5433],
    ["UDP", 53],
    ["UDP", 5432],
  ];
  const flows = endpoints.flatMap((from) =>
    endpoints
      .filter((to) => to !== from && (to.name === subject || from.name === subject))
      .flatMap((to) =>
        services.map(
          ([protocol, port]): TestFlow => ({
            from: from.name,
            to: to.name,
            protocol,
            ...(port === undefined ? {} : { port }),
            expect: "allow",
          }),
        ),
      ),
  );
  const network = { apiVersion: "manx/v1", kind: "Network", metadata: { name: "apps" }, spec: {} } as AnyResource;
  const namespaces = ["default", "elsewhere"].map((name) => ({ name, labels: {} }));
  const empty = { namespaces: [], delete: [], setLabels: [], addEndpoints: [], removeEndpoints: [] };
  const test: PolicyTest = {
    name: "t",
    endpoints,
    resources: [network, policy],
    files: [],
    namespaces,
    steps: [{ apply: [], ...empty, flows }],
  };
  const results = runPolicyTest(test).filter(({ got }) => got === "allow");
  return new Set(results.map(({ flow: { from, to, protocol, port } }) => `${from} ${to} ${protocol}/${port}`));
}

describe("a suggested policy", () => {
  it("allows all that was seen, and nothing else", () => {
    const flows = [flow(WEB1, DB, 5432), flow(DB, "203.0.113.9", 443), flow(DB, JOB, 53, "udp")];
    assert.deepEqual(
      allowed(suggested(flows), "db"),
      // Of web all replicas: the next one that compose makes is meant as well.
      new Set(["shop-web-1 db TCP/5432", "shop-web-2 db TCP/5432", "db 203.0.113.9 TCP/443", "db job UDP/53"]),
    );
  });

  it("speaks of another project by its namespace, so that nobody of that name at home is meant", () => {
    const policy = suggested([flow(OTHER, DB, 80)]);
    assert.deepEqual(policy.spec.ingress?.[0]?.source, {
      selector: 'manx/container == "spy"',
      namespaceSelector: 'projectcalico.org/name == "elsewhere"',
    });
    assert.deepEqual(allowed(policy, "db"), new Set(["spy db TCP/80"]));
  });

  it("is small: a rule for peers of the same ports, ranges of ports, nets of addresses", () => {
    const ports = [5432, 5433].flatMap((port) => [flow(WEB1, DB, port), flow(WEB2, DB, port), flow(JOB, DB, port)]);
    const policy = suggested([...ports, flow(DB, "203.0.113.8", 443), flow(DB, "203.0.113.9", 443)]);
    assert.deepEqual(policy.spec.ingress, [
      {
        action: "Allow",
        protocol: "TCP",
        source: { selector: 'manx/container == "job" || manx/service == "web"' },
        destination: { ports: ["5432:5433"] },
      },
    ]);
    assert.deepEqual(policy.spec.egress, [
      { action: "Allow", ipVersion: 4, protocol: "TCP", destination: { nets: ["203.0.113.8/31"], ports: [443] } },
    ]);
  });

  it("keeps a port that one peer used from the others", () => {
    const policy = suggested([flow(WEB1, DB, 5432), flow(JOB, DB, 5432), flow(JOB, DB, 5433)]);
    assert.ok(!allowed(policy, "db").has("shop-web-1 db TCP/5433"));
    assert.ok(allowed(policy, "db").has("job db TCP/5433"));
  });

  it("closes the direction in which nothing was seen, and leaves out the one that is not asked for", () => {
    assert.deepEqual(suggested([flow(WEB1, DB, 80)]).spec.egress, []);
    const one = suggested([flow(WEB1, DB, 80)], { directions: ["Ingress"] });
    assert.deepEqual(one.spec.types, ["Ingress"]);
    assert.equal(one.spec.egress, undefined);
  });

  it("names the type of ICMP and protocols that have no name", () => {
    const policy = suggested([
      flow(WEB1, DB, undefined, "icmp", { type: 8, code: 0 }),
      flow(WEB1, DB, undefined, "47"),
    ]);
    assert.deepEqual(
      policy.spec.ingress?.map(({ protocol, icmp }) => ({ protocol, icmp })),
      [
        { protocol: "ICMP", icmp: { type: 8, code: 0 } },
        { protocol: 47, icmp: undefined },
      ],
    );
  });

  for (const [sentence, ask, why] of [
    ["is none for a name that nobody has", { name: "nobody" }, "unknown"],
    ["is none where nothing was seen", { flows: [flow(WEB1, JOB, 80)] }, "nothing-seen"],
    [
      "is none where two projects have the name",
      { endpoints: [...ALL, peer("db", "10.65.0.9", undefined, "x")] },
      "ambiguous",
    ],
  ] as const)
    it(sentence, () => {
      const made = suggest({
        name: "db",
        directions: ["Ingress"],
        endpoints: ALL,
        flows: [flow(WEB1, DB, 80)],
        ...ask,
      });
      assert.deepEqual(made, { ok: false, why });
    });

  it("says from how many flows each rule comes", () => {
    const made = suggest({
      name: "web",
      directions: ["Egress"],
      endpoints: ALL,
      flows: [flow(WEB1, DB, 1), flow(WEB2, DB, 2)],
    });
    assert.ok(made.ok);
    assert.deepEqual(made.rules, [
      { direction: "Egress", index: 0, peer: "db", flows: 2, connections: 6, since: "2026-11-27T10:00:00.000Z" },
    ]);
  });
});
