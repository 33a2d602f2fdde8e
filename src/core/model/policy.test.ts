import { calico, long, type Row, table } from "./table.test.ts";

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

table("the name of a StagedNetworkPolicy", (name) => calico("StagedNetworkPolicy", {}, { name }), [
  ["tier.thing", "tier.thing"],
  ["names of OpenStack", "ossg.default.a.b"],
  ["names of Kubernetes", "knp.default.thing", "metadata.name: a policy of Kubernetes"],
]);

table("a policy's whole", (more) => ({ ...calico("NetworkPolicy", {}), ...(more as object) }), [
  ["nothing more", "{}"],
  ["a status, as Calico writes it", "{status: {conditions: [{type: Valid, status: 'True'}]}}"],
  ["anything else", "{state: {}}", "state: unknown field"],
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
  ["the admin tier without action", "{metadata: {name: kube-admin}, spec: {order: 1000}}", "spec.defaultAction"],
  ["the admin tier by its former name", "{metadata: {name: adminnetworkpolicy}, spec: {order: 1000}}"],
  [
    "the former admin tier elsewhere",
    "{metadata: {name: adminnetworkpolicy}, spec: {order: 5}}",
    "spec.order: fixed: 1000",
  ],
  ["the former admin tier without order", "{metadata: {name: adminnetworkpolicy}}", "spec.order: fixed: 1000"],
  [
    "the former baseline tier elsewhere",
    "{metadata: {name: baselineadminnetworkpolicy}, spec: {order: 1000}}",
    "spec.order: fixed: 10000000",
  ],
  ["a negative order", "{metadata: {name: security}, spec: {order: -1.5}}"],
  ["an order that is text", "{metadata: {name: security}, spec: {order: '5'}}", "spec.order: write 5"],
  ["an order that is no number", "{metadata: {name: security}, spec: {order: .nan}}", "spec.order"],
  ["an endless order", "{metadata: {name: security}, spec: {order: .inf}}", "spec.order"],
  ["the baseline tier", "{metadata: {name: kube-baseline}, spec: {order: 10000000, defaultAction: Pass}}"],
  ["a status", "{metadata: {name: security}, status: {conditions: []}}"],
]);
