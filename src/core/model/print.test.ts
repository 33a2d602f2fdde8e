/** validate(print(x)) = x, whatever x is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { jsonSchema } from "./json-schema.ts";
import { findKind, KINDS, kindInfo } from "./kinds.ts";
import { parseResources as parseFile } from "./parse.ts";
import { printResource, printResources } from "./print.ts";
import type { AnyResource } from "./resources.ts";
import { schemaSays } from "./schema-says.test.ts";
import { validateResource } from "./validate.ts";

function parseResources(text: string, file: string) {
  const { resources, problems } = parseFile(text, file);
  return { resources, problems };
}

const some = <T>(values: readonly T[], max = 3) =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: max });
const maybe = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { requiredKeys: [] });

// Names that YAML is tempted to read as something else.
const name = fc.constantFrom("web", "a.b", "1", "0x1f", "1e3", "on", "no", "y", "null", "true", "1.5", "0o7");
const plain = fc.constantFrom("web", "1", "0x1f", "on", "null");
const label = fc.constantFrom("", "yes", "1.0", "null", "a_b", "00", "1e5", "on", "2024-01-01", "x");
const labels = fc.dictionary(fc.constantFrom("a", "y", "on", "example.com/A", "1", "null"), label, {
  noNullPrototype: true,
});
const annotations = fc.dictionary(fc.constantFrom("note", "Example.com/Note"), fc.string({ unit: "grapheme" }), {
  noNullPrototype: true,
});
const selector = fc.constantFrom(
  "all()",
  `a == "b"`,
  `a in {"x", 'y"'}`,
  "has(on)",
  `a != "# no comment: {x}"`,
  "!has(x) || has(y)",
);
const v4 = some(["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32"]);
const v6 = some(["fd00::/8", "::/0", "2001:db8::1/128"]);
const port = fc.constantFrom(80, "8000:8100", "http", 65535);
const entity = (nets: fc.Arbitrary<string[]>) =>
  maybe({
    nets,
    notNets: nets.map((list) => list.filter((net) => !net.endsWith("/0"))),
    selector,
    notSelector: selector,
    namespaceSelector: fc.constantFrom("global()", "has(a)"),
    ports: fc.array(port, { maxLength: 3 }),
    notPorts: fc.array(port, { maxLength: 3 }),
  });
const portless = (nets: fc.Arbitrary<string[]>) => maybe({ nets, selector });
const action = fc.constantFrom("Allow", "Deny", "Log", "Pass");
const rule = fc.oneof(
  fc.constantFrom(v4, v6).chain((nets) =>
    fc.record(
      {
        action,
        protocol: fc.constantFrom("TCP", "UDP", "SCTP", 6),
        source: entity(nets),
        destination: entity(nets),
        metadata: maybe({ annotations }),
      },
      { requiredKeys: ["action", "protocol"] },
    ),
  ),
  fc.record(
    {
      action,
      protocol: fc.constantFrom("ICMP", 1),
      icmp: fc.constantFrom({}, { type: 8 }, { type: 3, code: 0 }),
      source: portless(v4),
      ipVersion: fc.constant(4),
    },
    { requiredKeys: ["action", "protocol"] },
  ),
  fc.record(
    { action, notProtocol: fc.constantFrom("TCP", 47), notICMP: fc.constant({ type: 8 }) },
    { requiredKeys: ["action"] },
  ),
);
const rules = fc.array(rule, { maxLength: 3 });
const order = fc.double({ noNaN: true, noDefaultInfinity: true });
const policy = {
  tier: plain,
  order,
  selector,
  types: some(["Ingress", "Egress"], 2),
  ingress: rules,
  egress: rules,
  performanceHints: some(["AssumeNeededOnEveryNode"]),
};
const network = maybe({
  pools: some(["10.65.0.0/16", "my-pool"]),
  families: some([4, 6]),
  mtu: fc.integer({ min: 1280, max: 65535 }),
  publish: fc.constantFrom("address", "host", "off"),
  isolation: fc.constantFrom("network", "endpoint", "off"),
  internal: fc.boolean(),
  sticky: fc.boolean(),
});

const hostPort = fc.record(
  {
    protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
    port: fc.integer({ min: 1, max: 65535 }),
    net: fc.constantFrom("10.0.0.0/8", "fd00::/64", "192.0.2.1"),
  },
  { requiredKeys: ["protocol", "port"] },
);

const specs: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  NetworkPolicy: maybe(policy),
  GlobalNetworkPolicy: maybe({ ...policy, namespaceSelector: selector, applyOnForward: fc.boolean() }),
  StagedNetworkPolicy: fc.oneof(
    maybe({ ...policy, stagedAction: fc.constantFrom("Set", "Learn") }),
    fc.constant({ stagedAction: "Delete" }),
  ),
  StagedGlobalNetworkPolicy: maybe({ ...policy, namespaceSelector: selector }),
  Tier: maybe({ order, defaultAction: fc.constantFrom("Pass", "Deny") }),
  Profile: maybe({ labelsToApply: labels, ingress: rules, egress: rules }),
  NetworkSet: maybe({ nets: v4 }),
  GlobalNetworkSet: maybe({ nets: v6 }),
  HostEndpoint: fc.record(
    {
      node: plain,
      interfaceName: fc.constantFrom("*", "eth0", "1", "on"),
      expectedIPs: some(["192.0.2.1", "fd00::1"]),
      profiles: some(["a", "on"]),
      ports: fc.constant([{ name: "http", protocol: "TCP", port: 80 }]),
    },
    { requiredKeys: ["node", "interfaceName"] },
  ),
  IPPool: fc.record(
    {
      cidr: fc.constantFrom("10.0.0.0/8", "10.65.0.0/16"),
      blockSize: fc.integer({ min: 20, max: 32 }),
      disabled: fc.boolean(),
      natOutgoing: fc.boolean(),
      nodeSelector: selector,
      namespaceSelector: selector,
      allowedUses: fc.constantFrom(["Workload"], ["Workload", "Tunnel"], ["Tunnel", "Workload"]),
      assignmentMode: fc.constantFrom("Automatic", "Manual"),
      ipipMode: fc.constantFrom("Never", "Always"),
    },
    { requiredKeys: ["cidr"] },
  ),
  IPReservation: maybe({ reservedCIDRs: v4 }),
  Node: maybe({
    addresses: fc.constant([{ address: "192.0.2.1", type: "InternalIP" }]),
    bgp: fc.record({ asNumber: fc.constantFrom(64512, "1.10", "65000") }),
  }),
  Network: network,
  Service: fc.record(
    {
      addresses: fc.constantFrom(["203.0.113.10"], ["203.0.113.10", "2001:db8::10"]),
      selector,
      check: fc.constantFrom(
        {},
        { type: "docker", rise: 1 },
        { type: "tcp", port: 80, interval: 5 },
        { type: "http", port: 8080, path: "/healthz", timeout: 2, fall: 1 },
      ),
      drain: fc.integer({ min: 0, max: 25 }),
    },
    { requiredKeys: ["addresses", "selector"] },
  ),
  WorkloadEndpoint: fc.record(
    {
      orchestrator: plain,
      workload: name,
      node: name,
      endpoint: plain,
      ipNetworks: some(["192.0.2.1/32", "fd00::1", "192.0.2.2"]),
      profiles: some(["a", "on"]),
      interfaceName: fc.constantFrom("eth0", "1", "on"),
      containerID: fc.constantFrom("1e5", "0x1f", "abc"),
      mac: fc.constantFrom("02:42:0a:41:00:02", "0000.5e00.5301"),
      ports: fc.constant([{ name: "http", protocol: 6, port: 80, hostPort: 8080 }]),
    },
    { requiredKeys: ["interfaceName"] },
  ),
  BGPPeer: maybe({
    node: plain,
    peerIP: fc.constantFrom("192.0.2.1", "[fd00::1]:179", "192.0.2.1:1790"),
    asNumber: fc.constantFrom(64512, "1.10", "65000"),
    password: fc.record({ secretKeyRef: fc.record({ name, key: plain }) }),
    sourceAddress: fc.constantFrom("UseNodeIP", "None"),
    maxRestartTime: fc.constantFrom("90s", "0", "1m30s"),
    filters: some(["a", "on", "1"]),
    ttlSecurity: fc.constantFrom(0, 1, 255),
  }),
  BGPFilter: maybe({
    exportV4: fc.array(
      fc.record(
        {
          action: fc.constant("Accept"),
          interface: fc.constantFrom("eth*", "1", "*"),
          communities: fc.constant({ values: ["65000:1"] }),
          operations: fc.constant([{ setPriority: { value: 100 } }, { prependASPath: { prefix: [65000, "1.10"] } }]),
        },
        { requiredKeys: ["action"] },
      ),
      { maxLength: 2 },
    ),
    importV6: fc.constant([
      { cidr: "fd00::/8", matchOperator: "In", prefixLength: { min: 0, max: 64 }, action: "Reject" },
    ]),
  }),
  BGPConfiguration: maybe({
    logSeverityScreen: fc.constantFrom("Info", "Debug"),
    nodeToNodeMeshEnabled: fc.boolean(),
    asNumber: fc.constantFrom(64512, "1.10"),
    prefixAdvertisements: fc.constant([{ cidr: "10.0.0.0/8", communities: ["65000:1"] }]),
  }),
  FelixConfiguration: maybe({
    defaultEndpointToHostAction: fc.constantFrom("Drop", "Accept", "Return"),
    failsafeInboundHostPorts: fc.array(hostPort, { maxLength: 2 }),
    failsafeOutboundHostPorts: fc.array(hostPort, { maxLength: 2 }),
  }),
  IPAMConfiguration: fc.record(
    { strictAffinity: fc.constant(true), autoAllocateBlocks: fc.boolean(), maxBlocksPerHost: fc.nat(20) },
    { requiredKeys: ["strictAffinity"] },
  ),
};

/** Kinds of which there is one, and its name. */
const FIXED_NAMES: Readonly<Record<string, string>> = {
  BGPConfiguration: "default",
  FelixConfiguration: "default",
  IPAMConfiguration: "default",
};

const resource = fc
  .constantFrom(...Object.entries(specs))
  .chain(([kind, spec]) =>
    fc.record({
      apiVersion: fc.constant(["Network", "Service"].includes(kind) ? "manx/v1" : "projectcalico.org/v3"),
      kind: fc.constant(kind),
      metadata: fc.record(
        {
          name: FIXED_NAMES[kind] === undefined ? (kind === "Tier" ? plain : name) : fc.constant(FIXED_NAMES[kind]),
          ...(findKind(kind)?.namespaced === true ? { namespace: fc.constantFrom("default", "on", "1") } : {}),
          labels,
          annotations,
          resourceVersion: fc.constantFrom("1", "0x10"),
        },
        { requiredKeys: ["name"] },
      ),
      spec,
    }),
  )
  .map((value): AnyResource => {
    const result = validateResource(value);
    return result.ok ? result.value : assert.fail(`${JSON.stringify(value)}\n${JSON.stringify(result.problems)}`);
  });

describe("a resource of any kind", () => {
  it("is any kind there is", () =>
    assert.deepEqual(
      KINDS.filter(({ kind }) => specs[kind] === undefined).map(({ kind }) => kind),
      [],
    ));
  it("is good by its kind's JSON schema too", () => {
    fc.assert(
      fc.property(resource, (resource) =>
        assert.deepEqual(schemaSays(jsonSchema(kindInfo(resource.kind)), resource), []),
      ),
      { numRuns: 300 },
    );
  });
  it("passes again as it is", () => {
    fc.assert(
      fc.property(resource, (resource) => assert.deepEqual(validateResource(resource), { ok: true, value: resource })),
      { numRuns: 300 },
    );
  });
  it("is read back from what is printed, as YAML and as JSON", () => {
    fc.assert(
      fc.property(resource, (resource) => {
        for (const text of [printResource(resource), JSON.stringify(resource), JSON.stringify(resource, null, "\t")])
          assert.deepEqual(parseResources(text, "f"), { resources: [resource], problems: [] }, text);
      }),
      { numRuns: 150 },
    );
  });
  it("means the same to a reader of YAML 1.1, as Calico is", () => {
    fc.assert(
      fc.property(resource, (resource) =>
        assert.deepEqual(parse(printResource(resource), { version: "1.1" }), resource),
      ),
      { numRuns: 100 },
    );
  });
  it("stays itself in a file with others", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(resource, {
          selector: ({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`,
          maxLength: 5,
        }),
        (resources) => assert.deepEqual(parseResources(printResources(resources), "f"), { resources, problems: [] }),
      ),
    );
  });
});

it("prints fields in Calico's order", () => {
  const result = validateResource({
    spec: {
      selector: "a == 'b'",
      ingress: [{ source: { selector: "all()" }, protocol: "TCP", action: "Allow" }],
      order: 10,
    },
    metadata: { namespace: "shop", name: "web", labels: { on: "yes" } },
    kind: "NetworkPolicy",
    apiVersion: "projectcalico.org/v3",
  });
  assert.ok(result.ok);
  assert.equal(
    printResource(result.value),
    `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  labels:
    "on": "yes"
  name: web
  namespace: shop
spec:
  ingress:
    - action: Allow
      protocol: TCP
      source:
        selector: all()
  order: 10
  selector: a == 'b'
  tier: default
  types:
    - Ingress
`,
  );
});
