/** What is not said is filled in as Calico fills it in; what says nothing is left out. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { validateResource } from "./validate.ts";

function specOf(kind: string, yaml: string): unknown {
  const apiVersion = kind === "Network" ? "manx/v1" : "projectcalico.org/v3";
  const result = validateResource({ apiVersion, kind, metadata: { name: "default" }, spec: parse(yaml) });
  assert.ok(result.ok, JSON.stringify(result));
  return result.value.spec;
}

const allow = [{ action: "Allow" }];
const rows: readonly [sentence: string, kind: string, yaml: string, spec: unknown][] = [
  [
    "a policy without rules closes ingress",
    "NetworkPolicy",
    "{}",
    { tier: "default", selector: "all()", types: ["Ingress"] },
  ],
  [
    "ingress rules: Ingress",
    "NetworkPolicy",
    "{ingress: [{action: Allow}]}",
    { tier: "default", selector: "all()", types: ["Ingress"], ingress: allow },
  ],
  [
    "egress rules: Egress",
    "NetworkPolicy",
    "{egress: [{action: Allow}]}",
    { tier: "default", selector: "all()", types: ["Egress"], egress: allow },
  ],
  [
    "both: both",
    "GlobalNetworkPolicy",
    "{ingress: [{action: Allow}], egress: [{action: Allow}]}",
    { tier: "default", selector: "all()", types: ["Ingress", "Egress"], ingress: allow, egress: allow },
  ],
  [
    "an empty list of rules is none",
    "GlobalNetworkPolicy",
    "{ingress: [], egress: [{action: Allow}], types: []}",
    { tier: "default", selector: "all()", types: ["Egress"], egress: allow },
  ],
  [
    "types that are given stay",
    "NetworkPolicy",
    "{types: [Egress, Ingress], ingress: [{action: Allow}]}",
    { tier: "default", selector: "all()", types: ["Ingress", "Egress"], ingress: allow },
  ],
  [
    "empty texts and false are as if absent",
    "GlobalNetworkPolicy",
    `{tier: "", selector: "", namespaceSelector: "", doNotTrack: false, order: 0}`,
    { tier: "default", selector: "all()", types: ["Ingress"], order: 0 },
  ],
  [
    "a rule keeps only what says something",
    "NetworkPolicy",
    `{ingress: [{action: Allow, protocol: "17", source: {nets: [], selector: "", ports: ["53", "053:53", "1000:2000", dns]}, destination: {}, metadata: {annotations: {}}, icmp: null}]}`,
    {
      tier: "default",
      selector: "all()",
      types: ["Ingress"],
      ingress: [{ action: "Allow", protocol: 17, source: { ports: [53, 53, "1000:2000", "dns"] } }],
    },
  ],
  [
    "a staged policy is set",
    "StagedNetworkPolicy",
    "{}",
    { stagedAction: "Set", tier: "default", selector: "all()", types: ["Ingress"] },
  ],
  [
    "a staged deletion has no types",
    "StagedGlobalNetworkPolicy",
    "{stagedAction: Delete, types: [Ingress]}",
    { stagedAction: "Delete", tier: "default", selector: "", types: [] },
  ],
  ["a tier denies, beside the default one", "Tier", "null", { order: 1_000_000, defaultAction: "Deny" }],
  [
    "a pool for everything",
    "IPPool",
    "{cidr: 10.65.0.0/16, natOutgoing: false, blockSize: 0, allowedUses: []}",
    {
      cidr: "10.65.0.0/16",
      blockSize: 26,
      nodeSelector: "all()",
      allowedUses: ["Workload", "Tunnel"],
      assignmentMode: "Automatic",
      ipipMode: "Never",
      vxlanMode: "Never",
    },
  ],
  [
    "an IPv6 pool, canonical",
    "IPPool",
    "{cidr: 'FD65:0::/64', natOutgoing: true}",
    {
      cidr: "fd65::/64",
      blockSize: 122,
      natOutgoing: true,
      nodeSelector: "all()",
      allowedUses: ["Workload", "Tunnel"],
      assignmentMode: "Automatic",
      ipipMode: "Never",
      vxlanMode: "Never",
    },
  ],
  ["an AS number as number", "Node", `{bgp: {asNumber: "1.10"}}`, { bgp: { asNumber: 65546 } }],
  [
    "failsafe ports: none at all",
    "FelixConfiguration",
    "{failsafeInboundHostPorts: []}",
    { failsafeInboundHostPorts: [] },
  ],
  ["a reservation of nothing", "IPReservation", "{}", { reservedCIDRs: [] }],
  ["an empty network set", "NetworkSet", "{nets: []}", {}],
  [
    "IPAM takes blocks",
    "IPAMConfiguration",
    "{strictAffinity: true}",
    { strictAffinity: true, autoAllocateBlocks: true, maxBlocksPerHost: 0 },
  ],
  [
    "IPAM of which nothing is said",
    "IPAMConfiguration",
    "{}",
    { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 },
  ],
  [
    "a BGP peer",
    "BGPPeer",
    `{peerIP: 192.0.2.1, asNumber: "0.65001", keepOriginalNextHop: false}`,
    { peerIP: "192.0.2.1", asNumber: 65001, sourceAddress: "UseNodeIP" },
  ],
  [
    "a network",
    "Network",
    "{ranges: []}",
    { pools: [], families: [4], publish: "address", isolation: "network", internal: false, sticky: false },
  ],
];

describe("complete", () => {
  for (const [sentence, kind, yaml, spec] of rows) it(sentence, () => assert.deepEqual(specOf(kind, yaml), spec));

  it("puts namespaced kinds into default, and others nowhere", () => {
    const namespaceOf = (kind: string, namespace?: string) => {
      const result = validateResource({ apiVersion: "projectcalico.org/v3", kind, metadata: { name: "a", namespace } });
      return result.ok ? result.value.metadata.namespace : assert.fail();
    };
    assert.equal(namespaceOf("NetworkSet"), "default");
    assert.equal(namespaceOf("NetworkSet", "shop"), "shop");
    assert.equal(namespaceOf("GlobalNetworkSet"), undefined);
  });
  it("reads a label without value as the empty text", () => {
    const metadata = parse("{name: a, labels: {a: null, b: }, annotations: {c: null}}");
    const result = validateResource({ apiVersion: "projectcalico.org/v3", kind: "Tier", metadata });
    assert.deepEqual(result.ok && result.value.metadata, {
      name: "a",
      labels: { a: "", b: "" },
      annotations: { c: "" },
    });
  });
  it("orders fields by name, so that equal resources are equal as text", () => {
    const [a, b] = [
      `{"kind":"Tier","spec":{"order":1},"metadata":{"labels":{"b":"1","a":"2"},"name":"a"},"apiVersion":"projectcalico.org/v3"}`,
      `{"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"a","labels":{"a":"2","b":"1"},"annotations":{}},"spec":{"defaultAction":"Deny","order":1}}`,
    ].map((text) => JSON.stringify(validateResource(JSON.parse(text))));
    assert.equal(a, b);
  });
});
