/** What Calico's own API accepts is accepted, what it refuses is refused. A row: a sentence, the YAML, the places of its problems. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { validateResource } from "./validate.ts";

type Row = readonly [sentence: string, yaml: string, ...problems: string[]];

/** A problem is given as `path` or `path: part of the message`. */
function judge(value: unknown, expected: readonly string[]): void {
  const result = validateResource(value);
  const got = result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
  const missing = expected.filter((want) => {
    const [path = "", ...words] = want.split(": ");
    return !got.some((line) => line.startsWith(`${path}: `) && line.includes(words.join(": ")));
  });
  assert.deepEqual(missing, [], `not found among ${JSON.stringify(got, null, 1)}`);
  assert.equal(got.length, expected.length, JSON.stringify(got, null, 1));
}

function table(title: string, wrap: (value: unknown) => unknown, rows: readonly Row[]): void {
  describe(title, () => {
    for (const [sentence, yaml, ...problems] of rows)
      it(`${problems.length === 0 ? "accepts" : "refuses"} ${sentence}`, () => judge(wrap(parse(yaml)), problems));
  });
}

const calico = (kind: string, spec: unknown, metadata: object = { name: "thing" }) => ({
  apiVersion: "projectcalico.org/v3",
  kind,
  metadata,
  spec,
});
const long = (length: number) => "x".repeat(length);

const at = "spec.ingress[0]";
table("a rule", (rule) => calico("NetworkPolicy", { ingress: [rule] }), [
  ["action Allow", "action: Allow"],
  ["action Deny", "action: Deny"],
  ["action Log", "action: Log"],
  ["action Pass", "action: Pass"],
  ["an unknown action", "action: unknown", `${at}.action: not one of Allow, Deny, Log, Pass`],
  ["an action in lower case, with what to write", "action: allow", `${at}.action: write Allow`],
  ["a rule without action", "{}", `${at}.action: is missing`],
  ["nothing instead of a rule", "null", at],
  ["IP version 4", "{action: Allow, ipVersion: 4}"],
  ["IP version 6", "{action: Allow, ipVersion: 6}"],
  ["IP version 0", "{action: Allow, ipVersion: 0}", `${at}.ipVersion: 0 is not one of 4, 6`],
  ["an IP version as text", `{action: Allow, ipVersion: "4"}`, `${at}.ipVersion: write 4`],

  ["protocol TCP", "{action: Allow, protocol: TCP}"],
  ["protocol UDP", "{action: Allow, protocol: UDP}"],
  ["protocol ICMP", "{action: Allow, protocol: ICMP}"],
  ["protocol ICMPv6", "{action: Allow, protocol: ICMPv6}"],
  ["protocol SCTP", "{action: Allow, protocol: SCTP}"],
  ["protocol UDPLite", "{action: Allow, protocol: UDPLite}"],
  ["protocol 1", "{action: Allow, protocol: 1}"],
  ["protocol 255", "{action: Allow, protocol: 255}"],
  [`protocol "255"`, `{action: Allow, protocol: "255"}`],
  ["protocol 0", "{action: Allow, protocol: 0}", `${at}.protocol: 0 is not a protocol number (1-255)`],
  [`protocol "0"`, `{action: Allow, protocol: "0"}`, `${at}.protocol`],
  ["protocol 256", "{action: Allow, protocol: 256}", `${at}.protocol`],
  [`protocol "256"`, `{action: Allow, protocol: "256"}`, `${at}.protocol`],
  ["protocol -1", "{action: Allow, protocol: -1}", `${at}.protocol`],
  ["protocol 6.5", "{action: Allow, protocol: 6.5}", `${at}.protocol`],
  ["protocol tcp, with what to write", "{action: Allow, protocol: tcp}", `${at}.protocol: write "TCP"`],
  ["protocol tcpfoo", "{action: Allow, protocol: tcpfoo}", `${at}.protocol`],
  ["protocol toString", "{action: Allow, protocol: toString}", `${at}.protocol`],
  ["protocol any", "{action: Allow, protocol: any}", `${at}.protocol`],
  ["an empty protocol", `{action: Allow, protocol: ""}`, `${at}.protocol`],
  ["a protocol that is a list", "{action: Allow, protocol: [TCP]}", `${at}.protocol`],
  ["notProtocol", "{action: Allow, notProtocol: UDP}"],
  ["notProtocol foo", "{action: Allow, notProtocol: foo}", `${at}.notProtocol`],

  ["source ports and protocol 6", "{action: Allow, protocol: 6, source: {ports: [1]}}"],
  ["named source ports and protocol 6", "{action: Allow, protocol: 6, source: {ports: [foo]}}"],
  ["named ports and protocol UDP", "{action: Allow, protocol: UDP, source: {ports: [foo]}}"],
  ["no source ports and protocol 7", "{action: Allow, protocol: 7, source: {ports: []}}"],
  ["source notPorts and protocol 17", "{action: Allow, protocol: 17, source: {notPorts: [1]}}"],
  ["no notPorts and protocol 100", "{action: Allow, protocol: 100, source: {notPorts: []}}"],
  ["destination ports and TCP", "{action: Allow, protocol: TCP, destination: {ports: [1]}}"],
  ["destination ports and SCTP", "{action: Allow, protocol: SCTP, destination: {ports: [1]}}"],
  ["named ports without protocol", "{action: Allow, destination: {ports: [http]}}"],
  [
    "a number beside a name without protocol",
    "{action: Allow, destination: {ports: [http, 80]}}",
    `${at}.destination.ports: need a protocol`,
  ],
  ["destination ports and no protocol", "{action: Allow, destination: {ports: [1]}}", `${at}.destination.ports`],
  [
    "destination notPorts and no protocol",
    `{action: Allow, destination: {notPorts: ["1:2"]}}`,
    `${at}.destination.notPorts`,
  ],
  [
    "source ports and protocol 7",
    "{action: Allow, protocol: 7, source: {ports: [1]}}",
    `${at}.source.ports: 7 has no ports`,
  ],
  ["named ports and ICMP", "{action: Allow, protocol: ICMP, source: {ports: [foo]}}", `${at}.source.ports`],
  ["notPorts and protocol 100", "{action: Allow, protocol: 100, source: {notPorts: [1]}}", `${at}.source.notPorts`],
  ["ports and UDPLite", "{action: Allow, protocol: UDPLite, destination: {ports: [1]}}", `${at}.destination.ports`],
  ["ports and notProtocol", "{action: Allow, notProtocol: TCP, destination: {ports: [1]}}", `${at}.destination.ports`],
  ["port 65535", "{action: Allow, protocol: TCP, destination: {ports: [65535]}}"],
  [
    "port 0",
    "{action: Allow, protocol: TCP, destination: {notPorts: [0]}}",
    `${at}.destination.notPorts[0]: (1-65535)`,
  ],
  [
    "port 65536",
    "{action: Allow, protocol: TCP, destination: {ports: [65536]}}",
    `${at}.destination.ports[0]: 65536 is not a port`,
  ],
  ["port -1", "{action: Allow, protocol: TCP, destination: {ports: [-1]}}", `${at}.destination.ports[0]`],
  ["port 80.5", "{action: Allow, protocol: TCP, destination: {ports: [80.5]}}", `${at}.destination.ports[0]`],
  [
    `ports "80", "080" and "8000:8100"`,
    `{action: Allow, protocol: TCP, destination: {ports: ["80", "080", "8000:8100"]}}`,
  ],
  [`the range "1:65535"`, `{action: Allow, protocol: TCP, destination: {ports: ["1:65535"]}}`],
  [
    `the range "0:100"`,
    `{action: Allow, protocol: TCP, destination: {ports: ["0:100"]}}`,
    `${at}.destination.ports[0]`,
  ],
  [
    `the range "0:65536"`,
    `{action: Allow, protocol: TCP, destination: {ports: ["0:65536"]}}`,
    `${at}.destination.ports[0]`,
  ],
  [
    `the range "200:100"`,
    `{action: Allow, protocol: TCP, source: {ports: ["200:100"]}}`,
    `${at}.source.ports[0]: ends before it begins`,
  ],
  [`the range "1:2:3"`, `{action: Allow, protocol: TCP, source: {ports: ["1:2:3"]}}`, `${at}.source.ports[0]`],
  [`the range "-1:5"`, `{action: Allow, protocol: TCP, source: {ports: ["-1:5"]}}`, `${at}.source.ports[0]`],
  [
    `the range "1-5", with what to write`,
    `{action: Allow, protocol: TCP, source: {ports: ["1-5"]}}`,
    `${at}.source.ports[0]: write "1:5"`,
  ],
  [`a port "*"`, `{action: Allow, protocol: TCP, source: {ports: ["*"]}}`, `${at}.source.ports[0]`],
  ["an empty port", `{action: Allow, protocol: TCP, source: {ports: [""]}}`, `${at}.source.ports[0]`],
  ["a port name in upper case", "{action: Allow, protocol: TCP, source: {ports: [HTTP]}}", `${at}.source.ports[0]`],
  ["a port name of 15 characters", "{action: Allow, protocol: TCP, source: {ports: [a23456789012345]}}"],
  [
    "a port name of 16 characters",
    "{action: Allow, protocol: TCP, source: {ports: [a234567890123456]}}",
    `${at}.source.ports[0]`,
  ],
  [
    "a port name with a double hyphen",
    "{action: Allow, protocol: TCP, source: {ports: [a--b]}}",
    `${at}.source.ports[0]`,
  ],
  ["a port that is nothing", "{action: Allow, protocol: TCP, source: {ports: [null]}}", `${at}.source.ports[0]`],
  [
    "a port outside of a list, with what to write",
    "{action: Allow, protocol: TCP, source: {ports: 80}}",
    `${at}.source.ports: write [80]`,
  ],
  [
    "each of several bad ports",
    `{action: Allow, protocol: TCP, destination: {ports: [80, 70000, "x y", true]}}`,
    `${at}.destination.ports[1]`,
    `${at}.destination.ports[2]`,
    `${at}.destination.ports[3]: true is a truth value, a number or text is expected`,
  ],

  ["icmp without type", "{action: Allow, protocol: ICMP, icmp: {}}"],
  ["icmp type 0", "{action: Allow, protocol: ICMP, icmp: {type: 0}}"],
  ["icmp type 254", "{action: Allow, protocol: ICMP, icmp: {type: 254}}"],
  ["icmp type and code", "{action: Allow, protocol: ICMP, icmp: {type: 128, code: 255}}"],
  ["icmp of ICMPv6", "{action: Allow, protocol: ICMPv6, icmp: {type: 128}}"],
  ["icmp with the protocol's number", "{action: Allow, protocol: 1, icmp: {type: 8}}"],
  ["icmp with the protocol's number as text", `{action: Allow, protocol: "58", icmp: {type: 8}}`],
  ["icmp type 255", "{action: Allow, protocol: ICMP, icmp: {type: 255}}", `${at}.icmp.type: 255 is more than 254`],
  ["icmp code 256", "{action: Allow, protocol: ICMP, icmp: {type: 128, code: 256}}", `${at}.icmp.code`],
  ["an icmp code without type", "{action: Allow, protocol: ICMP, icmp: {code: 0}}", `${at}.icmp.code: needs a type`],
  ["a notICMP code without type", "{action: Allow, protocol: ICMP, notICMP: {code: 0}}", `${at}.notICMP.code`],
  ["notICMP", "{action: Allow, protocol: ICMP, notICMP: {type: 8}}"],
  [
    "icmp without protocol",
    "{action: Allow, ipVersion: 4, icmp: {type: 0}}",
    `${at}.icmp: needs protocol ICMP or ICMPv6`,
  ],
  ["icmp with TCP", "{action: Allow, protocol: TCP, icmp: {type: 0}}", `${at}.icmp`],
  ["ICMP with ipVersion 4", "{action: Allow, protocol: ICMP, ipVersion: 4, icmp: {type: 0}}"],
  ["ICMPv6 with ipVersion 6", "{action: Allow, protocol: ICMPv6, ipVersion: 6, icmp: {type: 0}}"],
  ["ICMP with ipVersion 6", "{action: Allow, protocol: ICMP, ipVersion: 6}", `${at}.ipVersion: write ICMPv6`],
  ["ICMPv6 with ipVersion 4", "{action: Allow, protocol: ICMPv6, ipVersion: 4}", `${at}.ipVersion`],
  ["protocol 58 with ipVersion 4", "{action: Allow, protocol: 58, ipVersion: 4}", `${at}.ipVersion`],
  ["notProtocol ICMP with ipVersion 6", "{action: Allow, notProtocol: ICMP, ipVersion: 6}", `${at}.ipVersion`],

  ["IPv4 nets on both sides", "{action: Allow, source: {nets: [1.2.3.0/26]}, destination: {nets: [1.2.0.0/32]}}"],
  ["0.0.0.0/0", "{action: Allow, source: {nets: [0.0.0.0/0]}}"],
  ["overlapping nets", "{action: Allow, source: {nets: [10.0.0.0/8, 10.1.0.0/16, 0.0.0.0/0]}}"],
  ["an IPv6 net written in full", "{action: Allow, source: {nets: ['AABB:aabb::0000/122']}}"],
  [
    "IPv4 and IPv6 on two sides",
    "{action: Allow, source: {nets: [1.2.3.0/26]}, destination: {nets: ['aabb:aabb::/122']}}",
    `${at}.destination.nets[0]: both IPv4 and IPv6`,
  ],
  [
    "IPv6 and IPv4 on two sides",
    "{action: Allow, source: {nets: ['aabb:aabb::/128']}, destination: {nets: [1.2.0.0/32]}}",
    `${at}.destination.nets[0]`,
  ],
  ["IPv4 and IPv6 in one list", "{action: Allow, source: {nets: [1.2.3.0/26, '::/0']}}", `${at}.source.nets[1]`],
  [
    "IPv4 nets and IPv6 notNets",
    "{action: Allow, source: {nets: [1.2.3.0/26], notNets: ['a::/64']}}",
    `${at}.source.notNets[0]`,
  ],
  [
    "IPv4 nets for ipVersion 6",
    "{action: Allow, ipVersion: 6, source: {nets: [1.2.3.4/32]}}",
    `${at}.source.nets[0]: for ipVersion 6`,
  ],
  [
    "IPv6 nets for ipVersion 4",
    "{action: Allow, ipVersion: 4, destination: {nets: ['aabb::/64']}}",
    `${at}.destination.nets[0]`,
  ],
  [
    "IPv4 notNets for ipVersion 6",
    "{action: Allow, ipVersion: 6, destination: {notNets: [1.2.0.0/32]}}",
    `${at}.destination.notNets[0]`,
  ],
  [
    "a net with host bits, with what to write",
    "{action: Allow, source: {nets: [10.0.0.1/8]}}",
    `${at}.source.nets[0]: write "10.0.0.0/8"`,
  ],
  [
    "an address as net, with what to write",
    "{action: Allow, source: {nets: [10.0.0.1]}}",
    `${at}.source.nets[0]: write "10.0.0.1/32"`,
  ],
  ["garbage as net", "{action: Allow, source: {nets: [garbage]}}", `${at}.source.nets[0]`],
  ["a net with leading zeros", "{action: Allow, source: {nets: [010.0.0.0/8]}}", `${at}.source.nets[0]`],
  ["a net /33", "{action: Allow, source: {nets: [10.0.0.0/33]}}", `${at}.source.nets[0]`],
  ["a net as number", "{action: Allow, source: {nets: [10]}}", `${at}.source.nets[0]: write "10"`],
  [
    "notNets of everything",
    "{action: Allow, source: {notNets: [0.0.0.0/0]}}",
    `${at}.source.notNets[0]: matches nothing`,
  ],
  ["notNets of all IPv6", "{action: Allow, source: {notNets: ['::/0']}}", `${at}.source.notNets[0]`],
  ["notNets", "{action: Allow, source: {notNets: [10.0.0.0/8]}}"],

  ["a selector", `{action: Allow, source: {selector: 'foo == "bar"'}}`],
  ["a selector with has and /", "{action: Allow, source: {selector: has(calico/k8s_NS-.1/role)}}"],
  ["an empty selector", `{action: Allow, source: {selector: ""}}`],
  [
    "a broken selector, with the character",
    "{action: Allow, source: {selector: 'thing=hello &'}}",
    `${at}.source.selector: expected == (character 6`,
  ],
  ["a broken notSelector", "{action: Allow, source: {notSelector: 'a b'}}", `${at}.source.notSelector`],
  [
    "global() in a selector",
    "{action: Allow, source: {selector: '  global()  '}}",
    `${at}.source.selector: namespaceSelector`,
  ],
  ["global() in a namespaceSelector", "{action: Allow, source: {namespaceSelector: '  global( )  '}}"],
  ["a namespaceSelector", "{action: Allow, destination: {namespaceSelector: projectcalico.org/name == 'test'}}"],
  [
    "global() with more",
    "{action: Allow, source: {namespaceSelector: ' global() && all()'}}",
    `${at}.source.namespaceSelector: cannot be combined`,
  ],
  [
    "global() or more",
    "{action: Allow, source: {namespaceSelector: global()||all()}}",
    `${at}.source.namespaceSelector`,
  ],
  ["not global()", "{action: Allow, source: {namespaceSelector: '!global()'}}", `${at}.source.namespaceSelector`],
  [
    "global() in parentheses",
    "{action: Allow, source: {namespaceSelector: (global())}}",
    `${at}.source.namespaceSelector`,
  ],
  ["a selector that is true", "{action: Allow, source: {selector: true}}", `${at}.source.selector: write "true"`],

  ["annotations", "{action: Allow, metadata: {annotations: {foo: bar}}}"],
  [
    "a bad key of annotations",
    "{action: Allow, metadata: {annotations: {...: bar}}}",
    `${at}.metadata.annotations["..."]`,
  ],
  [
    "an annotation that is a number",
    "{action: Allow, metadata: {annotations: {foo: 1}}}",
    `${at}.metadata.annotations.foo: write "1"`,
  ],
  [
    "service accounts",
    "{action: Allow, source: {serviceAccounts: {names: [a]}}}",
    `${at}.source.serviceAccounts: belong to Kubernetes`,
  ],
  [
    "services",
    "{action: Allow, destination: {services: {name: a}}}",
    `${at}.destination.services: belong to Kubernetes`,
  ],
  ["HTTP matches", "{action: Allow, http: {methods: [GET]}}", `${at}.http: proxy`],
  ["domains", "{action: Allow, destination: {domains: [example.com]}}", `${at}.destination.domains: network set`],
  [
    "fields without value",
    "{action: Allow, protocol: null, icmp: null, source: null, destination: {ports: null}, http: null}",
  ],
  [
    "an unknown field, with the one meant",
    "{action: Allow, protocoll: TCP}",
    `${at}.protocoll: did you mean protocol?`,
  ],
  ["a field in the wrong case", "{action: Allow, Protocol: TCP}", `${at}.Protocol: did you mean protocol?`],
  ["an unknown field, with those known", "{action: Allow, foo: 1}", `${at}.foo: known are action, ipVersion`],
  ["text instead of a rule", "Allow", `${at}: "Allow" is text, a map of fields is expected`],
]);

const globalRows: readonly Row[] = [
  ["an empty spec", "{}"],
  ["no spec", "null"],
  [
    "preDNAT with doNotTrack",
    "{preDNAT: true, doNotTrack: true, applyOnForward: true}",
    "spec.preDNAT: together with doNotTrack",
  ],
  ["preDNAT", "{preDNAT: true, applyOnForward: true}"],
  ["doNotTrack", "{preDNAT: false, doNotTrack: true, applyOnForward: true}"],
  ["preDNAT with egress rules", "{preDNAT: true, applyOnForward: true, egress: [{action: Allow}]}", "spec.egress"],
  ["preDNAT with ingress rules", "{preDNAT: true, applyOnForward: true, ingress: [{action: Allow}]}"],
  ["applyOnForward alone", "{applyOnForward: true}"],
  ["all three false", "{preDNAT: false, doNotTrack: false, applyOnForward: false}"],
  ["preDNAT without applyOnForward", "{preDNAT: true}", "spec.preDNAT: needs applyOnForward: true"],
  ["doNotTrack without applyOnForward", "{doNotTrack: true, applyOnForward: false}", "spec.doNotTrack"],
  ["type Ingress with preDNAT", "{preDNAT: true, applyOnForward: true, types: [Ingress]}"],
  ["type Egress with preDNAT", "{preDNAT: true, applyOnForward: true, types: [Egress]}", "spec.types[0]"],
  ["both types with preDNAT", "{preDNAT: true, applyOnForward: true, types: [Ingress, Egress]}", "spec.types[1]"],
  [
    "global() as namespaceSelector",
    "{namespaceSelector: global()}",
    "spec.namespaceSelector: only in the namespaceSelector of a rule",
  ],
  ["a namespaceSelector", "{namespaceSelector: has(team)}"],
];
const policyRows: readonly Row[] = [
  ["no types", "{}"],
  ["empty types", "{types: []}"],
  ["type Ingress", "{types: [Ingress]}"],
  ["type Egress", "{types: [Egress]}"],
  ["both types", "{types: [Ingress, Egress]}"],
  ["a type twice", "{types: [Egress, Egress]}", "spec.types[1]: twice"],
  ["an unknown type", "{types: [unexpected]}", "spec.types[0]: not one of Ingress, Egress"],
  ["type Egress with ingress rules", "{types: [Egress], ingress: [{action: Allow}]}"],
  ["type Ingress with egress rules", "{types: [Ingress], egress: [{action: Allow}]}"],
  ["HTTP matches in egress rules", "{egress: [{action: Allow, http: {methods: [GET]}}]}", "spec.egress[0].http"],
  ["global() as selector", "{selector: global()}", "spec.selector: only in the namespaceSelector of a rule"],
  ["a selector of service accounts", "{serviceAccountSelector: has(a)}", "spec.serviceAccountSelector: Kubernetes"],
  ["an empty selector of service accounts", `{serviceAccountSelector: ""}`],
  ["the hint", "{performanceHints: [AssumeNeededOnEveryNode]}"],
  ["an unknown hint", "{performanceHints: [junk]}", "spec.performanceHints[0]"],
  [
    "a hint twice",
    "{performanceHints: [AssumeNeededOnEveryNode, AssumeNeededOnEveryNode]}",
    "spec.performanceHints[1]",
  ],
  ["an order that is a fraction", "{order: 10.5}"],
  ["an order below zero", "{order: -1}"],
  ["an order as text", `{order: "10"}`, "spec.order: write 10"],
  ["an order that is infinite", "{order: .inf}", "spec.order"],
  ["an order that is no number", "{order: .nan}", "spec.order"],
  ["another tier", "{tier: security}"],
  ["a tier with capitals", "{tier: Security}", "spec.tier"],
  ["a list as spec", "[]", "spec: a map of fields is expected"],
  ["rules that are a map", "{ingress: {action: Allow}}", "spec.ingress: a list is expected"],
  ["an unknown field", "{ingres: []}", "spec.ingres: did you mean ingress?"],
  [
    "and tells all problems at once",
    "{order: x, types: [Foo], ingress: [{action: Foo}, {action: Allow, protocol: 999}], foo: 1}",
    "spec.order",
    "spec.types[0]",
    "spec.ingress[0].action",
    "spec.ingress[1].protocol",
    "spec.foo",
  ],
];
table("a GlobalNetworkPolicy", (spec) => calico("GlobalNetworkPolicy", spec), [...policyRows, ...globalRows]);
table("a NetworkPolicy", (spec) => calico("NetworkPolicy", spec), [
  ...policyRows,
  ["what only global policies have", "{doNotTrack: true}", "spec.doNotTrack: unknown field"],
  ["a namespaceSelector of its own", "{namespaceSelector: has(a)}", "spec.namespaceSelector: unknown field"],
]);
const stagedRows: readonly Row[] = [
  ["stagedAction Set", "{stagedAction: Set, ingress: [{action: Allow}]}"],
  ["stagedAction Learn", "{stagedAction: Learn}"],
  ["stagedAction Ignore", "{stagedAction: Ignore}"],
  ["stagedAction Delete", "{stagedAction: Delete}"],
  ["stagedAction Delete with a tier", "{stagedAction: Delete, tier: security, types: [Ingress]}"],
  ["stagedAction Delete with fields that are empty", `{stagedAction: Delete, selector: "", ingress: [], egress: []}`],
  ["stagedAction Delete with a selector", "{stagedAction: Delete, selector: all()}", "spec.selector: must be absent"],
  ["stagedAction Delete with an order", "{stagedAction: Delete, order: 0}", "spec.order: must be absent"],
  ["stagedAction Delete with rules", "{stagedAction: Delete, egress: [{action: Allow}]}", "spec.egress"],
  ["another stagedAction", "{stagedAction: set}", "spec.stagedAction: write Set"],
];
table("a StagedNetworkPolicy", (spec) => calico("StagedNetworkPolicy", spec), [...policyRows, ...stagedRows]);
table("a StagedGlobalNetworkPolicy", (spec) => calico("StagedGlobalNetworkPolicy", spec), [
  ...policyRows,
  ...stagedRows,
  ...globalRows,
]);

table("the name of a GlobalNetworkPolicy", (name) => calico("GlobalNetworkPolicy", {}, { name }), [
  ["thing", "thing"],
  ["tier.thing", "tier.thing"],
  ["253 characters", long(253)],
  ["254 characters", long(254), "metadata.name: at most 253"],
  ["odd characters", "t~!s.h.i.ng", "metadata.name"],
  ["capitals", "tHiNg", "metadata.name"],
  ["names of Kubernetes", "knp.default.thing", "metadata.name"],
  ["two dots", "t.h.ing", "metadata.name: more than one"],
  ["a hyphen at the end", "thing-", "metadata.name"],
  ["a dot at the end", "thing.", "metadata.name"],
  ["nothing", `""`, "metadata.name: may not be empty"],
  ["a number", "5", `metadata.name: write "5"`],
  ["no name at all", "null", "metadata.name: is missing"],
]);
table("the name of a NetworkPolicy", (name) => calico("NetworkPolicy", {}, { name }), [
  ["thing", "thing"],
  ["tier.thing", "tier.thing"],
  ["names of Kubernetes", "knp.default.thing"],
  ["names of Kubernetes with dots", "knp.default.a.b.c"],
  ["names of OpenStack", "ossg.default.a.b"],
  ["names of Kubernetes with capitals", "knp.default.Thing", "metadata.name"],
  ["more dots", "t.h.i.ng", "metadata.name"],
]);

table("a Tier", (value) => ({ apiVersion: "projectcalico.org/v3", kind: "Tier", ...(value as object) }), [
  ["a tier", "{metadata: {name: security}, spec: {order: 100}}"],
  ["a tier that passes", "{metadata: {name: security}, spec: {order: 100, defaultAction: Pass}}"],
  [
    "a tier that allows",
    "{metadata: {name: security}, spec: {defaultAction: Allow}}",
    "spec.defaultAction: not one of Deny, Pass",
  ],
  ["a name with a dot", "{metadata: {name: a.b}}", "metadata.name"],
  ["a name of 63 characters", `{metadata: {name: ${long(63)}}}`],
  ["a name of 64 characters", `{metadata: {name: ${long(64)}}}`, "metadata.name: at most 63"],
  ["the default tier as it is", "{metadata: {name: default}, spec: {order: 1000000, defaultAction: Deny}}"],
  ["the default tier without spec", "{metadata: {name: default}}"],
  ["the default tier elsewhere", "{metadata: {name: default}, spec: {order: 999}}", "spec.order: fixed: 1000000"],
  [
    "the default tier all different",
    "{metadata: {name: default}, spec: {order: 999, defaultAction: Pass}}",
    "spec.order",
    "spec.defaultAction: fixed: Deny",
  ],
  ["the admin tier", "{metadata: {name: kube-admin}, spec: {order: 1000, defaultAction: Pass}}"],
  [
    "the admin tier that denies",
    "{metadata: {name: kube-admin}, spec: {order: 1000, defaultAction: Deny}}",
    "spec.defaultAction",
  ],
  ["the baseline tier", "{metadata: {name: kube-baseline}, spec: {order: 10000000, defaultAction: Pass}}"],
  ["a status", "{metadata: {name: security}, status: {conditions: []}}"],
]);

table("an IPPool", (spec) => calico("IPPool", spec), [
  ["1.2.3.0/26", "{cidr: 1.2.3.0/26}"],
  ["1.0.0.0/10", "{cidr: 1.0.0.0/10}"],
  ["an IPv6 /122", "{cidr: 'aabb:aabb::0000/122', ipipMode: Never, vxlanMode: Never}"],
  ["an IPv6 /10", "{cidr: 'aa00:0000::0000/10'}"],
  ["a disabled /27", "{cidr: 1.2.3.0/27, disabled: true}"],
  ["a disabled /128", "{cidr: 'aabb:aabb::ffff/128', disabled: true}"],
  ["a /27", "{cidr: 1.2.3.0/27}", "spec.cidr: smaller than one block (/26)"],
  ["a /27 with blocks of /28", "{cidr: 1.2.3.0/27, blockSize: 28}"],
  ["an IPv6 /128", "{cidr: 'aabb:aabb::ffff/128'}", "spec.cidr"],
  ["no cidr", "{}", "spec.cidr: is missing"],
  ["an empty cidr", `{cidr: ""}`, "spec.cidr"],
  ["/33", "{cidr: 1.2.3.4/33}", "spec.cidr"],
  ["/129", "{cidr: 'aa:bb::/129'}", "spec.cidr"],
  ["host bits", "{cidr: 10.65.1.0/16}", `spec.cidr: write "10.65.0.0/16"`],
  ["an address", "{cidr: 10.65.0.1}", "spec.cidr"],
  ["IPIP for IPv6", "{cidr: 'aabb::/64', ipipMode: Always}", "spec.ipipMode"],
  ["VXLAN for IPv6", "{cidr: 'aabb::/64', vxlanMode: Always}"],
  ["link-local IPv4", "{cidr: 169.254.5.0/24}", "spec.cidr: link-local"],
  ["what holds link-local IPv4", "{cidr: 169.0.0.0/8}", "spec.cidr: link-local"],
  ["link-local IPv6", "{cidr: 'fe80::/120'}", "spec.cidr: link-local"],
  ["ipipMode CrossSubnet", "{cidr: 1.2.3.0/24, ipipMode: CrossSubnet}"],
  ["ipipMode never", "{cidr: 1.2.3.0/24, ipipMode: never}", "spec.ipipMode: write Never"],
  ["vxlanMode badVal", "{cidr: 1.2.3.0/24, vxlanMode: badVal}", "spec.vxlanMode"],
  ["both tunnels", "{cidr: 1.2.3.0/24, ipipMode: Always, vxlanMode: Always}", "spec.vxlanMode"],
  ["uses", "{cidr: 1.0.0.0/10, allowedUses: [Workload, Tunnel]}"],
  ["an unknown use", "{cidr: 1.0.0.0/10, allowedUses: [Garbage]}", "spec.allowedUses[0]"],
  ["a LoadBalancer pool", "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer]}"],
  [
    "a LoadBalancer pool for containers",
    "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer, Workload]}",
    "spec.allowedUses[1]",
  ],
  [
    "a LoadBalancer pool with IPIP",
    "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer], ipipMode: Always}",
    "spec.allowedUses",
  ],
  [
    "a LoadBalancer pool of some nodes",
    "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer], nodeSelector: has(a)}",
    "spec.nodeSelector",
  ],
  ["blocks of /20", "{cidr: 1.0.0.0/10, blockSize: 20}"],
  ["blocks of /32", "{cidr: 1.0.0.0/10, blockSize: 32}"],
  ["blocks of /19", "{cidr: 1.0.0.0/10, blockSize: 19}", "spec.blockSize: not between 20 and 32"],
  ["blocks of /33", "{cidr: 1.0.0.0/10, blockSize: 33}", "spec.blockSize"],
  ["blocks of /64 in IPv6", "{cidr: 'fd00::/48', blockSize: 64}", "spec.blockSize: not between 116 and 128"],
  ["blocks of /116 in IPv6", "{cidr: 'fd00::/48', blockSize: 116}"],
  ["the usual block size as 0", "{cidr: 1.0.0.0/10, blockSize: 0}"],
  ["a block size as text", `{cidr: 1.0.0.0/10, blockSize: "26"}`, "spec.blockSize: write 26"],
  ["a nodeSelector", `{cidr: 1.2.3.0/26, nodeSelector: 'foo == "bar"'}`],
  ["a broken nodeSelector", "{cidr: 1.2.3.0/26, nodeSelector: this is not valid}", "spec.nodeSelector"],
  ["assignmentMode Manual", "{cidr: 1.2.3.0/26, assignmentMode: Manual}"],
  ["assignmentMode manual", "{cidr: 1.2.3.0/26, assignmentMode: manual}", "spec.assignmentMode"],
  ["yes for a truth value", "{cidr: 1.2.3.0/26, natOutgoing: yes}", "spec.natOutgoing: write true"],
  ["the first API's ipip", "{cidr: 1.2.3.0/26, ipip: {enabled: true}}", "spec.ipip: write ipipMode"],
  ["the first API's nat-outgoing", "{cidr: 1.2.3.0/26, nat-outgoing: true}", "spec.nat-outgoing: write natOutgoing"],
]);

const poolWith = (metadata: unknown) => calico("IPPool", { cidr: "1.2.3.0/26" }, metadata as object);
table("metadata", poolWith, [
  ["a label", `{name: pool.name, labels: {projectcalico.org/label: ${long(63)}}}`],
  ["a label with a capital", "{name: pool.name, labels: {projectcalico.org/Label: value}}"],
  ["an empty label", `{name: pool.name, labels: {a: "", b: null}}`],
  ["a value of 64 characters", `{name: pool.name, labels: {a: ${long(64)}}}`, "metadata.labels.a: at most 63"],
  [
    "a capital in the domain",
    "{name: pool.name, labels: {ProjectCalico.org/label: value}}",
    `metadata.labels["ProjectCalico.org/label"]`,
  ],
  ["two slashes", "{name: pool.name, labels: {a/b/c: value}}", `metadata.labels["a/b/c"]: at most one "/"`],
  ["an empty prefix", "{name: pool.name, labels: {/c: value}}", `metadata.labels["/c"]`],
  ["a key that begins with a dot", "{name: pool.name, labels: {.mylabel: value}}", `metadata.labels[".mylabel"]`],
  ["a value with a space", "{name: pool.name, labels: {a: b c}}", "metadata.labels.a"],
  ["a number as label", "{name: pool.name, labels: {a: 1.0}}", `metadata.labels.a: write "1"`],
  ["a list of labels", "{name: pool.name, labels: [a]}", "metadata.labels: a map of names to text is expected"],
  ["annotations", `{name: pool.name, annotations: {ProjectCalico.org/Label: "any text { at all\\n"}}`],
  [
    "a bad key of annotations",
    "{name: pool.name, annotations: {projectcalico.org$label: value}}",
    `metadata.annotations["projectcalico.org$label"]`,
  ],
  ["annotations of 256 kB", `{name: pool.name, annotations: {key: ${long(256 * 1024 - 3)}}}`],
  [
    "annotations of more",
    `{name: pool.name, annotations: {key: ${long(256 * 1024 - 2)}}}`,
    "metadata.annotations: 262145",
  ],
  [
    "what Kubernetes keeps there",
    "{name: a, generation: 3, managedFields: [{a: 1}], finalizers: [x], ownerReferences: [], selfLink: /a, creationTimestamp: null, uid: u, resourceVersion: '7'}",
  ],
  ["a namespace where there are none", "{name: a, namespace: default}"],
  ["generateName", "{generateName: a}", "metadata.name: is missing", "metadata.generateName: give a name"],
  ["an unknown field", "{name: a, lables: {}}", "metadata.lables: did you mean labels?"],
  ["text", "foo", "metadata: a map of fields is expected"],
]);
table("a namespace", (namespace) => calico("NetworkPolicy", {}, { name: "a", namespace }), [
  ["shop", "shop"],
  ["the names of compose projects", "my_shop-2"],
  ["capitals", "Shop", "metadata.namespace"],
  ["a slash", "a/b", "metadata.namespace"],
  ["nothing, which is default", `""`],
]);

table("an IPReservation", (spec) => calico("IPReservation", spec), [
  ["an address", "{reservedCIDRs: [10.0.0.1]}"],
  ["a CIDR", "{reservedCIDRs: [10.0.1.0/24]}"],
  ["host bits", "{reservedCIDRs: [10.0.1.7/24]}"],
  ["both families", "{reservedCIDRs: [10.0.0.1, 'cafe::1', 'cafe:f00d::/96']}"],
  ["nothing", "{}"],
  ["garbage", "{reservedCIDRs: [garbage]}", "spec.reservedCIDRs[0]"],
  ["/33", "{reservedCIDRs: [10.0.1.0/24, 10.0.1.0/33]}", "spec.reservedCIDRs[1]"],
]);
table("an IPAMConfiguration", (spec) => calico("IPAMConfiguration", spec, { name: "default" }), [
  ["strict", "{strictAffinity: true, maxBlocksPerHost: 20}"],
  ["loose", "{strictAffinity: false, autoAllocateBlocks: true}"],
  ["neither", "{strictAffinity: false, autoAllocateBlocks: false}", "spec.autoAllocateBlocks"],
  ["a limit without strictness", "{strictAffinity: false, maxBlocksPerHost: 5}", "spec.maxBlocksPerHost"],
  ["a limit below zero", "{strictAffinity: true, maxBlocksPerHost: -1}", "spec.maxBlocksPerHost"],
  ["nothing said", "{}", "spec.strictAffinity: is missing"],
]);

for (const kind of ["GlobalNetworkSet", "NetworkSet"])
  table(`a ${kind}`, (value) => ({ apiVersion: "projectcalico.org/v3", kind, ...(value as object) }), [
    [
      "CIDRs and addresses",
      "{metadata: {name: a}, spec: {nets: [10.0.0.1, 11.0.0.0/8, 11.0.0.7/8, 'dead:beef::', 'dead:beef::/96', 0.0.0.0/0]}}",
    ],
    ["garbage", "{metadata: {name: a}, spec: {nets: [garbage]}}", "spec.nets[0]"],
    ["labels", "{metadata: {name: a, labels: {a: b}}}"],
    [
      "the reserved label",
      "{metadata: {name: a, labels: {projectcalico.org/namespace: foo}}}",
      `metadata.labels["projectcalico.org/namespace"]: reserved`,
    ],
    ["a bad name", "{metadata: {name: test$set}}", "metadata.name"],
    ["a name with dots", "{metadata: {name: a.b.c}}"],
  ]);

table("a Profile", (spec) => calico("Profile", spec), [
  ["labels to apply", `{labelsToApply: {project.calico.org/my-valid-label: ${long(63)}}}`],
  ["a value of 64 characters", `{labelsToApply: {a: ${long(64)}}}`, "spec.labelsToApply.a"],
  ["a key that begins with a dot", "{labelsToApply: {.mylabel: value}}", `spec.labelsToApply[".mylabel"]`],
  ["a key with !", "{labelsToApply: {my!nvalid-label: value}}", `spec.labelsToApply["my!nvalid-label"]`],
  ["rules", "{ingress: [{action: Allow}], egress: [{action: Deny, protocol: TCP, destination: {ports: [25]}}]}"],
  ["a bad rule", "{egress: [{action: Allow, destination: {ports: [25]}}]}", "spec.egress[0].destination.ports"],
]);
it("refuses the profile that is built in", () =>
  judge(calico("Profile", {}, { name: "projectcalico-default-allow" }), ["metadata.name: built in"]));

table("a HostEndpoint", (spec) => calico("HostEndpoint", spec), [
  ["an interface and a node", "{interfaceName: eth0, node: node01}"],
  ["expected addresses", "{expectedIPs: [1.2.3.4, 'aabb:aabb::ffff'], node: node01}"],
  ["both", "{interfaceName: eth0, expectedIPs: [1.2.3.4], node: node01}"],
  ["all interfaces", "{interfaceName: '*', node: node01}"],
  ["an interface with all its characters", "{interfaceName: Valid_Iface.0-9, node: node01}"],
  ["an interface that is too long", "{interfaceName: interfaceTooLong, node: node01}", "spec.interfaceName"],
  ["an odd interface", "{interfaceName: 'eth0:1', node: node01}", "spec.interfaceName"],
  ["neither", "{node: node01}", "spec: needs an interfaceName, or expectedIPs"],
  ["an empty interface and no addresses", `{interfaceName: "", expectedIPs: [], node: node01}`, "spec"],
  ["no node", "{interfaceName: eth0}", "spec.node: is missing"],
  ["nothing", "{}", "spec.node", "spec"],
  ["a CIDR as address", "{expectedIPs: [1.2.3.4/32], node: node01}", "spec.expectedIPs[0]"],
  ["profiles", "{interfaceName: eth0, node: node01, profiles: [knp.default.fun, fun-funner1234]}"],
  ["a bad profile", "{interfaceName: eth0, node: node01, profiles: [.fun]}", "spec.profiles[0]"],
  ["ports", "{interfaceName: eth0, node: node01, ports: [{name: a-valid-port, protocol: TCP, port: 1234}]}"],
  [
    "the same name for two ports",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: TCP, port: 1}, {name: a, protocol: UDP, port: 2}]}",
  ],
  [
    "a port without name",
    "{interfaceName: eth0, node: node01, ports: [{protocol: TCP, port: 1234}]}",
    "spec.ports[0].name: is missing",
  ],
  [
    "a port without protocol",
    "{interfaceName: eth0, node: node01, ports: [{name: a, port: 1234}]}",
    "spec.ports[0].protocol: is missing",
  ],
  [
    "a port of ICMP",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: ICMP, port: 1234}]}",
    "spec.ports[0].protocol: has no ports",
  ],
  [
    "a port of protocol 123",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: 123, port: 1234}]}",
    "spec.ports[0].protocol",
  ],
  ["port 0", "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: TCP, port: 0}]}", "spec.ports[0].port"],
  [
    "no port",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: TCP}]}",
    "spec.ports[0].port: is missing",
  ],
]);

table(
  "a WorkloadEndpoint",
  (spec) =>
    calico("WorkloadEndpoint", {
      orchestrator: "docker",
      workload: "shop-web-1",
      node: "n",
      endpoint: "e",
      ipNetworks: [],
      profiles: [],
      interfaceName: "manx0",
      ...(spec as object),
    }),
  [
    ["addresses", "{ipNetworks: [1.2.3.4/32, 'aabb::1/128', 1.2.3.5]}"],
    ["more than one address", "{ipNetworks: [1.2.3.0/26]}", "spec.ipNetworks[0]"],
    ["more than one IPv6 address", "{ipNetworks: ['aabb:aabb::/122']}", "spec.ipNetworks[0]"],
    ["a container", "{containerID: Cath01234-G}"],
    ["a container that begins with a hyphen", "{containerID: -abcdefg}", "spec.containerID"],
    ["a container with a dot", "{containerID: abcde-j.g}", "spec.containerID"],
    ["a MAC address", "{mac: 'EE:ee:ee:ee:ee:01'}"],
    ["a bad MAC address", "{mac: 'ee:ee'}", "spec.mac"],
  ],
);

table("a Node", (spec) => calico("Node", spec), [
  ["nothing", "{}"],
  ["an AS number", "{bgp: {asNumber: 64512, ipv4Address: 192.0.2.1/24, ipv6Address: 'fd00::1'}}"],
  ["an AS number with a dot", `{bgp: {asNumber: "1.10"}}`],
  ["the largest AS number", `{bgp: {asNumber: "4294967295"}}`],
  ["an AS number that is too large", "{bgp: {asNumber: 4294967296}}", "spec.bgp.asNumber"],
  ["an AS number below zero", "{bgp: {asNumber: -1}}", "spec.bgp.asNumber"],
  ["an AS number with two dots", `{bgp: {asNumber: "1.1.1"}}`, "spec.bgp.asNumber"],
  ["an AS number with a large half", `{bgp: {asNumber: "65536.1"}}`, "spec.bgp.asNumber"],
  ["empty bgp", "{bgp: {}}", "spec.bgp: is empty"],
  ["IPv6 as ipv4Address", "{bgp: {ipv4Address: 'fd00::1/64'}}", "spec.bgp.ipv4Address"],
  ["a route reflector", "{bgp: {routeReflectorClusterID: 224.0.0.1}}"],
  ["a route reflector without address", "{bgp: {routeReflectorClusterID: rr}}", "spec.bgp.routeReflectorClusterID"],
  ["addresses", "{addresses: [{address: 192.0.2.1, type: InternalIP}, {address: 192.0.2.1/32}]}"],
  ["an address with host bits", "{addresses: [{address: 192.0.2.1/24}]}", "spec.addresses[0].address"],
]);

const bgpConfig = (spec: unknown) => calico("BGPConfiguration", spec, { name: "default" });
table("a BGPConfiguration", bgpConfig, [
  ["nothing", "{}"],
  [
    "everything",
    "{logSeverityScreen: Info, nodeToNodeMeshEnabled: true, asNumber: 64512, listenPort: 179, bindMode: NodeIP, ignoredInterfaces: [valid_iface*, interface_name], nodeMeshMaxRestartTime: 200s, nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}",
  ],
  ["a log level in lower case", "{logSeverityScreen: info}", "spec.logSeverityScreen: write Info"],
  [
    "a password without mesh",
    "{nodeToNodeMeshEnabled: false, nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}",
    "spec.nodeMeshPassword: needs nodeToNodeMeshEnabled",
  ],
  [
    "a restart time without mesh",
    "{nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: 200s}",
    "spec.nodeMeshMaxRestartTime",
  ],
  ["a restart time without unit", `{nodeMeshMaxRestartTime: "200"}`, "spec.nodeMeshMaxRestartTime: time span"],
  ["a pattern of all interfaces", "{ignoredInterfaces: ['*']}", "spec.ignoredInterfaces[0]"],
  ["port 0", "{listenPort: 0}", "spec.listenPort"],
  ["communities that nothing uses", "{communities: [{name: a, value: '101:5695'}]}", "spec.communities: used nowhere"],
  [
    "communities without name",
    "{communities: [{value: '536:785'}], prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['100:100']}]}",
    "spec.communities[0].name",
  ],
  [
    "communities without value",
    "{communities: [{name: a}], prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['100:100']}]}",
    "spec.communities[0].value",
  ],
  [
    "large communities",
    "{communities: [{name: a, value: '100:520:56'}], prefixAdvertisements: [{cidr: '2001:4860::/128', communities: [a, '100:5964:1147483647']}]}",
  ],
  [
    "a number as community",
    "{communities: [{name: a, value: '100'}], prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['100:100']}]}",
    "spec.communities[0].value",
  ],
  [
    "a community of more than 16 bits",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['65536:9']}]}",
    "spec.prefixAdvertisements[0].communities[0]",
  ],
  [
    "a large community of more than 32 bits",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['1:1:4294967296']}]}",
    "spec.prefixAdvertisements[0].communities[0]",
  ],
  [
    "the name of no community",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: [foo]}]}",
    "spec.prefixAdvertisements[0].communities[0]: nor the name of one",
  ],
  [
    "advertisements without cidr",
    "{prefixAdvertisements: [{communities: ['100:5964']}]}",
    "spec.prefixAdvertisements[0].cidr",
  ],
  [
    "advertisements without communities",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28}]}",
    "spec.prefixAdvertisements[0].communities",
  ],
  ["services", "{serviceClusterIPs: [{cidr: 10.96.0.0/12}]}", "spec.serviceClusterIPs: belong to Kubernetes"],
]);
table("the name of a BGPConfiguration", (name) => calico("BGPConfiguration", { asNumber: 65001 }, { name }), [
  ["default", "default"],
  ["a node's", "node.host1"],
  ["another", "foo", "metadata.name"],
]);
table("a BGPPeer", (spec) => calico("BGPPeer", spec), [
  ["nothing", "{}"],
  ["an address", "{peerIP: 192.0.2.1, asNumber: 65001, node: host1}"],
  ["an address with a port", "{peerIP: '192.0.2.1:4444', asNumber: 65001}"],
  ["an IPv6 address with a port", "{peerIP: '[fd00::1]:4444', asNumber: '1.10'}"],
  ["port 0", "{peerIP: '192.0.2.1:0'}", "spec.peerIP"],
  ["port 65536", "{peerIP: '192.0.2.1:65536'}", "spec.peerIP"],
  ["an IPv6 address with a port and no brackets", "{peerIP: 'fd00::1:4444x'}", "spec.peerIP"],
  ["a host name", "{peerIP: router.example.com}", "spec.peerIP"],
  ["selectors", "{nodeSelector: has(rack), peerSelector: has(rr)}"],
  ["a broken selector", "{nodeSelector: rack}", "spec.nodeSelector"],
  ["node and nodeSelector", "{node: a, nodeSelector: has(rack)}", "spec.node: beside nodeSelector"],
  ["peerIP and peerSelector", "{peerIP: 192.0.2.1, peerSelector: has(rr)}", "spec.peerIP: beside peerSelector"],
  ["asNumber and peerSelector", "{asNumber: 1, peerSelector: has(rr)}", "spec.asNumber: beside peerSelector"],
  ["a gateway", "{peerIP: 192.0.2.1, reachableBy: 10.0.0.1}"],
  ["a gateway to nobody", "{reachableBy: 10.0.0.1}", "spec.reachableBy: needs a peerIP"],
  [
    "a gateway of another IP version",
    "{peerIP: '[fd00::1]:179', reachableBy: 10.0.0.1}",
    "spec.reachableBy: another IP version",
  ],
  ["two ways to keep the next hop", "{keepOriginalNextHop: true, nextHopMode: Auto}", "spec.keepOriginalNextHop"],
  ["an unknown nextHopMode", "{nextHopMode: Invalid}", "spec.nextHopMode"],
  [
    "filters, times and hops",
    "{peerIP: 192.0.2.1, filters: [a, b.c], maxRestartTime: 1m30s, keepaliveTime: 10s, ttlSecurity: 1, numAllowedLocalASNumbers: 1}",
  ],
  [
    "peering with containers",
    "{localWorkloadSelector: has(a), asNumber: 1}",
    "spec.localWorkloadSelector: not supported",
  ],
]);
table("a rule of a BGPFilter", (rule) => calico("BGPFilter", { exportV4: [rule] }), [
  ["an action", "{action: Accept}"],
  ["no action", "{interface: eth0}", "spec.exportV4[0].action"],
  ["interfaces", "{interface: '*.calico', action: Accept}"],
  ["all interfaces", "{interface: '*', action: Accept}"],
  ["an odd interface", "{interface: 'eth&', action: Reject}", "spec.exportV4[0].interface"],
  ["a source", "{source: RemotePeers, action: Reject}"],
  ["an unknown source", "{source: xyz, action: Reject}", "spec.exportV4[0].source"],
  ["a CIDR", "{cidr: 192.168.0.0/26, matchOperator: In, prefixLength: {min: 28, max: 32}, action: Accept}"],
  ["a CIDR without operator", "{cidr: 10.0.0.0/8, action: Accept}", "spec.exportV4[0].cidr: needs a matchOperator"],
  ["an operator without CIDR", "{matchOperator: In, action: Accept}", "spec.exportV4[0].matchOperator: needs a cidr"],
  ["lengths without CIDR", "{prefixLength: {min: 16}, action: Accept}", "spec.exportV4[0].prefixLength"],
  [
    "a length of 33",
    "{cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {max: 33}, action: Accept}",
    "spec.exportV4[0].prefixLength.max",
  ],
  [
    "lengths the wrong way round",
    "{cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {min: 20, max: 10}, action: Accept}",
    "spec.exportV4[0].prefixLength.min",
  ],
  [
    "an IPv6 CIDR among IPv4 rules",
    "{cidr: 'fd00::/48', matchOperator: Equal, action: Accept}",
    "spec.exportV4[0].cidr: not of IPv4",
  ],
  ["host bits", "{cidr: 10.0.0.1/8, matchOperator: In, action: Accept}", "spec.exportV4[0].cidr"],
  [
    "operations",
    "{action: Accept, operations: [{addCommunity: {value: '65000:1'}}, {prependASPath: {prefix: [65000, '1.10']}}, {setPriority: {value: 100}}]}",
  ],
  [
    "operations on what is rejected",
    "{action: Reject, operations: [{setPriority: {value: 100}}]}",
    "spec.exportV4[0].operations",
  ],
  ["an empty operation", "{action: Accept, operations: [{}]}", "spec.exportV4[0].operations[0]: exactly one"],
  [
    "two operations in one",
    "{action: Accept, operations: [{addCommunity: {value: '65000:1'}, setPriority: {value: 100}}]}",
    "spec.exportV4[0].operations[0]",
  ],
  ["communities", "{action: Accept, communities: {values: ['65000:1']}}"],
  [
    "two communities",
    "{action: Accept, communities: {values: ['65000:1', '65000:2']}}",
    "spec.exportV4[0].communities.values",
  ],
]);

table("a Network", (spec) => ({ apiVersion: "manx/v1", kind: "Network", metadata: { name: "front" }, spec }), [
  ["nothing", "{}"],
  [
    "everything",
    "{pools: [10.65.0.0/16, 'fd65::/64', my-pool], ranges: [10.65.1.0/24], families: [4, 6], mtu: 1500, publish: host, isolation: endpoint, internal: true, sticky: true}",
  ],
  ["a third family", "{families: [4, 5]}", "spec.families[1]: not one of 4, 6"],
  ["a family twice", "{families: [4, 4]}", "spec.families[1]"],
  ["no family", "{families: []}", "spec.families"],
  ["a small MTU for IPv6", "{families: [6], mtu: 1000}", "spec.mtu: 1280"],
  ["a range outside", "{pools: [10.65.0.0/16], ranges: [10.66.0.0/24]}", "spec.ranges[0]: outside"],
  ["an unknown way to publish", "{publish: maybe}", "spec.publish"],
]);

table("a resource", (value) => value, [
  ["a list", "[]", ": is not a resource"],
  ["text", "foo", ": is not a resource"],
  ["an empty map", "{}", "kind: is missing", "apiVersion: is missing"],
  ["another kind", "{apiVersion: projectcalico.org/v3, kind: Foo, metadata: {name: a}}", "kind: known are"],
  ["a kind in lower case", "{apiVersion: projectcalico.org/v3, kind: ippool}", "kind: write IPPool"],
  [
    "a kind of Calico that we have no use for",
    "{apiVersion: projectcalico.org/v3, kind: FelixConfiguration}",
    "kind: not used here",
  ],
  ["a kind named like a method", "{apiVersion: projectcalico.org/v3, kind: constructor}", "kind"],
  [
    "Kubernetes' NetworkPolicy",
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy}",
    "apiVersion: belongs to Kubernetes",
  ],
  ["a pod", "{apiVersion: v1, kind: Pod}", "apiVersion: belongs to Kubernetes"],
  [
    "the wrong version",
    "{apiVersion: manx/v1, kind: IPPool, metadata: {name: a}}",
    "apiVersion: write projectcalico.org/v3",
  ],
  [
    "Calico's stored version",
    "{apiVersion: crd.projectcalico.org/v1, kind: IPPool}",
    "apiVersion: write projectcalico.org/v3",
  ],
  ["a kind that is a list", "{apiVersion: projectcalico.org/v3, kind: [IPPool]}", "kind: this is not text"],
  [
    "an unknown part",
    "{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}, sepc: {}}",
    "sepc: did you mean spec?",
  ],
]);

describe("hostile values", () => {
  it("have their __proto__ refused, and leave the prototype alone", () => {
    const value: unknown = JSON.parse(
      `{"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"a","labels":{"__proto__":"x"}},"spec":{"__proto__":{"order":1}}}`,
    );
    judge(value, ["metadata.labels.__proto__: not a name", "spec.__proto__: not a name"]);
    assert.equal(({} as { order?: number }).order, undefined);
  });
  it("may be nested as deep as they like", () => {
    let deep: unknown = {};
    for (let i = 0; i < 100_000; i++) deep = { a: deep };
    judge(calico("Tier", deep), ["spec.a.a.a.a.a.a.a: nested", "spec.a"]);
  });
  it("do not inherit fields", () =>
    judge(calico("IPPool", Object.create({ cidr: "10.0.0.0/16" })), ["spec.cidr: is missing"]));
  it("of a strange kind of object are no trouble", () => {
    for (const value of [null, undefined, 1, "x", [], new Map(), () => {}, Symbol("x"), new Date(0), 10n])
      assert.equal(validateResource(value).ok, false);
  });
});
