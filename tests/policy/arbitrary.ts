/** Random snapshots and flows, small enough that rules often meet packets. */
import fc from "fast-check";
import type { Endpoint, Snapshot } from "../../src/core/calc/snapshot.ts";
import type {
  EntityRule,
  GlobalNetworkPolicy,
  GlobalNetworkSet,
  HostEndpoint,
  NetworkPolicy,
  NetworkPolicySpec,
  NetworkSet,
  PolicyRule,
  Profile,
  StagedAction,
  StagedGlobalNetworkPolicy,
  StagedNetworkPolicy,
  Tier,
} from "../../src/core/model/resources.ts";
import type { Failsafe } from "../../src/core/rules/failsafe.ts";
import type { MergeLimits } from "../../src/core/rules/merge.ts";
import type { Flow } from "./oracle.ts";
import { emptySnapshot, endpoint, HOST, hostEndpoint, network } from "./world.ts";

const V3 = "projectcalico.org/v3";
const NAMESPACES = ["default", "shop"];
export const HOST_ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];
/** Behind `eth0`, and the second of each family behind `eth1`. */
const OUTSIDE = ["198.51.100.7", "203.0.113.9", "2001:db8:1::7", "2001:db8:2::9"];
const PORTS = [22, 53, 80, 443, 8080];

const label = fc.constantFrom("role", "env", "extra");
const value = fc.constantFrom("web", "db", "x");
const atom = fc.oneof(
  fc.tuple(label, fc.constantFrom("==", "!="), value).map(([l, op, v]) => `${l} ${op} "${v}"`),
  label.map((l) => `has(${l})`),
  fc
    .tuple(label, fc.constantFrom("in", "not in"), fc.subarray(["web", "db", "x"]))
    .map(([l, op, vs]) => `${l} ${op} {${vs.map((v) => `"${v}"`).join(", ")}}`),
  fc.constant("all()"),
);
const selectorText = fc.oneof(
  { weight: 3, arbitrary: atom },
  { weight: 1, arbitrary: fc.tuple(atom, fc.constantFrom("&&", "||"), atom).map((parts) => parts.join(" ")) },
  { weight: 1, arbitrary: atom.map((text) => `!(${text})`) },
);
const namespaceSelector = fc.constantFrom(
  "all()",
  "global()",
  `projectcalico.org/name == "shop"`,
  `team == "red"`,
  `team != "red"`,
);

const net4 = fc.constantFrom("10.65.0.0/30", "10.65.0.0/16", "10.65.0.2", "198.51.100.0/24", "0.0.0.0/0", "192.0.2.1");
const net6 = fc.constantFrom("fd65::/126", "fd65::/64", "fd65::2", "2001:db8:1::/64", "::/0");
const nets = fc.uniqueArray(fc.oneof({ weight: 3, arbitrary: net4 }, net6), { minLength: 1, maxLength: 3 });
const port = fc.oneof(
  fc.constantFrom(...PORTS),
  fc.constantFrom("1:100", "8000:9000", "443:443"),
  fc.constantFrom("http", "dns"),
);
const ports = fc.array(port, { minLength: 1, maxLength: 3 });

/** At most two conditions: with more, hardly any packet meets them all. */
function entity(withPorts: boolean): fc.Arbitrary<EntityRule> {
  const parts: fc.Arbitrary<EntityRule>[] = [
    nets.map((list) => ({ nets: list })),
    nets.map((list) => ({ notNets: list })),
    selectorText.map((text) => ({ selector: text })),
    selectorText.map((text) => ({ notSelector: text })),
    namespaceSelector.map((text) => ({ namespaceSelector: text })),
    ...(withPorts ? [ports.map((list) => ({ ports: list })), ports.map((list) => ({ notPorts: list }))] : []),
  ];
  const part = fc.oneof(...parts);
  return fc.oneof(
    fc.constant({}),
    part,
    fc.tuple(part, part).map(([a, b]) => ({ ...a, ...b })),
  );
}

function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

const action = fc.constantFrom("Allow", "Allow", "Deny", "Pass", "Log") as fc.Arbitrary<PolicyRule["action"]>;
const icmp = fc
  .record({ type: fc.constantFrom(0, 3, 8, 128) })
  .chain((one) => fc.option(fc.constantFrom(0, 1), { nil: undefined }).map((code) => defined({ ...one, code })));

function ruleOf(actions: fc.Arbitrary<PolicyRule["action"]>): fc.Arbitrary<PolicyRule> {
  const plain = fc.record({ action: actions, source: entity(false), destination: entity(false) });
  return fc.oneof(
    { weight: 2, arbitrary: plain },
    {
      weight: 4,
      arbitrary: fc.record({
        action: actions,
        protocol: fc.constantFrom("TCP", "UDP", "SCTP", "tcp", 6, 17),
        source: entity(true),
        destination: entity(true),
      }),
    },
    {
      weight: 1,
      arbitrary: fc
        .record({
          action: actions,
          protocol: fc.constantFrom("ICMP", "ICMPv6"),
          icmp: fc.option(icmp, { nil: undefined }),
          notICMP: fc.option(icmp, { nil: undefined }),
        })
        .map((rule) => defined(rule)),
    },
    {
      weight: 1,
      arbitrary: fc
        .record({
          action: actions,
          notProtocol: fc.constantFrom("TCP", "ICMP", 17),
          ipVersion: fc.option(fc.constantFrom(4 as const, 6 as const), { nil: undefined }),
          source: entity(false),
        })
        .map((rule) => defined(rule)),
    },
  );
}

const namedPorts = fc.array(fc.constantFrom("http", "dns"), { minLength: 1, maxLength: 2 });

/** Whatever validation lets through: any conditions together, also those that exclude each other. */
const validRule: fc.Arbitrary<PolicyRule> = fc
  .record(
    {
      action: fc.constant<PolicyRule["action"]>("Allow"),
      protocol: fc.constantFrom("TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "UDPLite", 1, 6, 17, 47, 58, 136),
      notProtocol: fc.constantFrom("TCP", "UDP", "ICMP", "ICMPv6", 1, 17, 47, 58),
      icmp: fc.oneof(icmp, fc.constant({})),
      notICMP: fc.oneof(icmp, fc.constant({})),
      ipVersion: fc.constantFrom(4 as const, 6 as const),
      source: entity(true),
      destination: entity(true),
    },
    { requiredKeys: ["action"] },
  )
  .chain((rule) =>
    namedPorts.map((named) => {
      const { icmp: match, ipVersion: version, ...rest } = rule;
      const [four, six] = [
        ["ICMP", 1],
        ["ICMPv6", 58],
      ].map((names) => [rest.protocol, rest.notProtocol].some((one) => names.includes(one ?? "")));
      const isVersion = version !== undefined && !(version === 6 ? four : six);
      const isIcmp = ["ICMP", "ICMPv6", 1, 58].includes(rule.protocol ?? "");
      const hasPorts = ["TCP", "UDP", "SCTP", 6, 17].includes(rule.protocol ?? "");
      const peer = ({ ports: some, notPorts: others, ...one }: EntityRule): EntityRule => {
        if (!hasPorts && rule.protocol !== undefined) return one;
        return defined({
          ...one,
          ports: some === undefined || hasPorts ? some : named,
          notPorts: others === undefined || hasPorts ? others : named,
        });
      };
      return defined({
        ...rest,
        ...(isVersion ? { ipVersion: version } : {}),
        ...(isIcmp && match !== undefined ? { icmp: match } : {}),
        ...(rule.source === undefined ? {} : { source: peer(rule.source) }),
        ...(rule.destination === undefined ? {} : { destination: peer(rule.destination) }),
      }) as PolicyRule;
    }),
  );

const wideNets = fc.uniqueArray(fc.oneof(net4, net6, fc.constantFrom("10.0.0.0/8", "10.65.0.4/30", "10.65.0.3")), {
  minLength: 1,
  maxLength: 2,
});
const numericPorts = fc.array(
  fc.constantFrom<(number | string)[]>(...PORTS, "1:100", "80:90", "443:443", "8000:9000"),
  {
    minLength: 1,
    maxLength: 3,
  },
);

/** A rule that may be merged with its neighbours: who, which protocol, which port. */
function plainRule(one: PolicyRule["action"], direction: "ingress" | "egress"): fc.Arbitrary<PolicyRule> {
  const whom = fc.oneof(
    fc.constant({}),
    wideNets.map((list) => ({ nets: list })),
    selectorText.map((text) => ({ selector: text })),
    selectorText.map((text) => ({ selector: text })),
  );
  const what = fc.oneof(
    fc.constant({}),
    fc.record({ protocol: fc.constantFrom("TCP", "UDP", "ICMP", "ICMPv6", 47) }),
    fc.record({ protocol: fc.constantFrom("TCP", "UDP", "SCTP"), ports: numericPorts }),
    fc.record({ protocol: fc.constantFrom("TCP", "UDP", "SCTP"), ports: numericPorts }),
  );
  return fc
    .tuple(whom, what, fc.option(fc.constantFrom(4 as const, 6 as const), { freq: 9, nil: undefined }))
    .map(
      ([peer, { ports: list, protocol }, ipVersion]: [
        EntityRule,
        { ports?: (number | string)[]; protocol?: string | number },
        4 | 6 | undefined,
      ]) => {
        const own: EntityRule = list === undefined ? {} : { ports: list };
        return defined({
          action: one,
          protocol,
          ipVersion,
          ...(direction === "ingress" ? { source: peer, destination: own } : { destination: { ...peer, ...own } }),
        }) as PolicyRule;
      },
    );
}

/** One with a condition more, which keeps it from being merged: its neighbours are merged around it. */
function nearlyPlainRule(one: PolicyRule["action"], direction: "ingress" | "egress"): fc.Arbitrary<PolicyRule> {
  const more = fc.oneof<fc.Arbitrary<PolicyRule>[]>(
    fc.constantFrom("TCP", "ICMP", 17).map((notProtocol) => ({ action: one, notProtocol })),
    numericPorts.map((list) => ({ action: one, protocol: "TCP", source: { ports: list } })),
    numericPorts.map((list) => ({ action: one, protocol: "TCP", source: { notPorts: list } })),
    numericPorts.map((list) => ({ action: one, protocol: "UDP", destination: { notPorts: list } })),
    fc
      .constantFrom("http", "dns")
      .map((name) => ({ action: one, protocol: "TCP", destination: { ports: [name, 443] } })),
    icmp.map((match) => ({ action: one, protocol: "ICMP", icmp: match })),
    icmp.map((match) => ({ action: one, notICMP: match })),
    selectorText.map((text) => ({
      action: one,
      [direction === "ingress" ? "source" : "destination"]: { notSelector: text },
    })),
    nets.map((list) => ({ action: one, [direction === "ingress" ? "source" : "destination"]: { notNets: list } })),
    nets.map((list) => ({ action: one, [direction === "ingress" ? "destination" : "source"]: { nets: list } })),
  );
  return fc.tuple(plainRule(one, direction), more).map(([plain, extra]) => {
    const { protocol, ...both }: PolicyRule = { ...plain, ...extra };
    const known = both.notProtocol === undefined ? protocol : undefined;
    const { ports: some, ...peer } = { ...plain.destination, ...extra.destination };
    const hasPorts = ["TCP", "UDP", "SCTP"].includes(String(known));
    return defined({
      ...both,
      protocol: known,
      source: { ...plain.source, ...extra.source },
      destination: hasPorts ? defined({ ...peer, ports: some }) : peer,
    });
  });
}

/** Few rules of any kind, or long runs of rules that act alike, with something else between them. */
function ruleList(direction: "ingress" | "egress", maxLength: number): fc.Arbitrary<PolicyRule[]> {
  const run = fc.constantFrom<PolicyRule["action"][]>("Allow", "Allow", "Deny").chain((one) =>
    fc.array(fc.oneof({ weight: 6, arbitrary: plainRule(one, direction) }, nearlyPlainRule(one, direction)), {
      minLength: 2,
      maxLength: 12,
    }),
  );
  return fc.oneof(
    fc.array(ruleOf(action), { maxLength }),
    run,
    fc.tuple(run, fc.array(ruleOf(action), { maxLength: 1 }), run).map((parts) => parts.flat()),
  );
}

const spec: fc.Arbitrary<NetworkPolicySpec> = fc
  .record({
    tier: fc.constantFrom("default", "default", "security", "last", "ghost"),
    order: fc.option(fc.constantFrom(1, 10, 10.5, 100), { nil: undefined }),
    selector: selectorText,
    types: fc.constantFrom<NetworkPolicySpec["types"][]>(["Ingress"], ["Egress"], ["Ingress", "Egress"], []),
    ingress: ruleList("ingress", 4),
    egress: ruleList("egress", 3),
  })
  .map((one) => defined(one));

const name = fc.constantFrom("a", "b", "c", "d");
/** As validation lets them through: preDNAT for ingress alone, and both of them with applyOnForward. */
function forHosts(
  one: NetworkPolicySpec,
  kind: "normal" | "forward" | "preDNAT" | "doNotTrack",
): GlobalNetworkPolicy["spec"] {
  if (kind === "normal") return one;
  if (kind !== "preDNAT")
    return { ...one, applyOnForward: true, ...(kind === "doNotTrack" ? { doNotTrack: true } : {}) };
  const { egress: _, ...ingress } = one;
  return { ...ingress, types: ["Ingress"], applyOnForward: true, preDNAT: true };
}

const globalPolicy: fc.Arbitrary<GlobalNetworkPolicy> = fc
  .tuple(
    name,
    spec,
    fc.option(namespaceSelector, { nil: undefined, freq: 4 }),
    fc.constantFrom("normal", "normal", "forward", "forward", "preDNAT", "doNotTrack"),
  )
  .map(([policyName, one, scope, kind]) => ({
    apiVersion: V3,
    kind: "GlobalNetworkPolicy",
    metadata: { name: policyName },
    spec: { ...forHosts(one, kind), ...(scope === undefined ? {} : { namespaceSelector: scope }) },
  }));
const namespacedPolicy: fc.Arbitrary<NetworkPolicy> = fc
  .tuple(name, fc.constantFrom(...NAMESPACES), spec)
  .map(([policyName, namespace, one]) => ({
    apiVersion: V3,
    kind: "NetworkPolicy",
    metadata: { name: policyName, namespace },
    spec: one,
  }));

/** On trial: whatever they say decides nothing, and a tier that has no others ends in nothing. */
const stagedPolicy: fc.Arbitrary<StagedGlobalNetworkPolicy | StagedNetworkPolicy> = fc
  .tuple(
    fc.oneof(globalPolicy, namespacedPolicy),
    fc.constantFrom<StagedAction[]>("Set", "Set", "Set", "Delete", "Learn", "Ignore"),
  )
  .map(([policy, stagedAction]) =>
    policy.kind === "NetworkPolicy"
      ? { ...policy, kind: "StagedNetworkPolicy", spec: { ...policy.spec, stagedAction } }
      : { ...policy, kind: "StagedGlobalNetworkPolicy", spec: { ...policy.spec, stagedAction } },
  );

/** Many policies of one tier that do nothing but allow (or deny), as a cluster has where each service lets its clients in. */
const crowd: fc.Arbitrary<GlobalNetworkPolicy[]> = fc
  .tuple(
    fc.constantFrom("ingress" as const, "egress" as const),
    fc.constantFrom<PolicyRule["action"][]>("Allow", "Deny"),
  )
  .chain(([direction, one]) =>
    fc
      .array(fc.tuple(selectorText, fc.array(plainRule(one, direction), { minLength: 1, maxLength: 3 })), {
        maxLength: 6,
      })
      .map((all) =>
        all.map(([text, rules], i) => ({
          apiVersion: V3,
          kind: "GlobalNetworkPolicy",
          metadata: { name: `crowd-${i}` },
          spec: {
            tier: "default",
            order: 10,
            selector: i < 3 ? "all()" : text,
            types: [direction === "ingress" ? "Ingress" : "Egress"],
            [direction]: rules,
          },
        })),
      ),
  );

const tier: fc.Arbitrary<Tier> = fc
  .tuple(
    fc.constantFrom("security", "last", "default"),
    fc.option(fc.constantFrom(5, 2e6), { nil: undefined }),
    fc.constantFrom("Deny" as const, "Pass" as const),
  )
  .map(([tierName, order, defaultAction]) => ({
    apiVersion: V3,
    kind: "Tier",
    metadata: { name: tierName },
    spec: { defaultAction, ...(order === undefined ? {} : { order }) },
  }));

const labels = fc.dictionary(label, value, { noNullPrototype: true });
const profileActions = fc.constantFrom("Allow", "Deny", "Pass", "Log") as fc.Arbitrary<PolicyRule["action"]>;
const profile: fc.Arbitrary<Profile> = fc
  .tuple(
    fc.constantFrom("p1", "p2", "kns.shop", "kns.default"),
    labels,
    fc.constantFrom("red", "blue"),
    fc.array(ruleOf(profileActions), { maxLength: 2 }),
  )
  .map(([profileName, labelsToApply, team, rules]) => ({
    apiVersion: V3,
    kind: "Profile",
    metadata: { name: profileName },
    spec: profileName.startsWith("kns.")
      ? { labelsToApply: { "pcns.team": team } }
      : { labelsToApply, ingress: rules, egress: rules.slice(0, 1) },
  }));

const networkSet: fc.Arbitrary<GlobalNetworkSet | NetworkSet> = fc
  .tuple(name, fc.option(fc.constantFrom(...NAMESPACES), { nil: undefined }), labels, nets)
  .map(([setName, namespace, own, list]) => {
    const common = { apiVersion: V3, spec: { nets: list } } as const;
    return namespace === undefined
      ? { ...common, kind: "GlobalNetworkSet", metadata: { name: setName, labels: own } }
      : { ...common, kind: "NetworkSet", metadata: { name: setName, namespace, labels: own } };
  });

const hostEndpointSpec: fc.Arbitrary<HostEndpoint["spec"]> = fc
  .tuple(
    fc.constantFrom(HOST, HOST, HOST, "h2"),
    fc.oneof(
      fc.constantFrom("eth0", "eth1", "lo", "*", "*").map((interfaceName) => ({ interfaceName })),
      fc
        .subarray(["192.0.2.1", "2001:db8::2", "203.0.113.1", "198.51.100.7", "10.65.0.1"], { minLength: 1 })
        .map((expectedIPs) => ({ expectedIPs })),
      fc.constantFrom("eth0", "manx1").map((interfaceName) => ({ interfaceName, expectedIPs: ["203.0.113.1"] })),
    ),
    fc.subarray(["p1", "p2", "nobody"], { maxLength: 2 }),
  )
  .map(([node, which, profiles]) => ({
    node,
    ...which,
    profiles,
    ports: [{ name: "http", protocol: "TCP", port: 443 }],
  }));

const hostEndpoints: fc.Arbitrary<HostEndpoint[]> = fc.oneof(
  fc.constant<HostEndpoint[]>([]),
  fc.uniqueArray(
    fc.tuple(name, labels, hostEndpointSpec).map(([one, own, parts]) => hostEndpoint(one, parts, own)),
    { minLength: 1, maxLength: 3, selector: ({ metadata }) => metadata.name },
  ),
);

const failsafe: fc.Arbitrary<Failsafe | undefined> = fc.constantFrom<(Failsafe | undefined)[]>(
  undefined,
  { inbound: [], outbound: [] },
  {
    inbound: [
      { protocol: "tcp", port: 22, net: "198.51.100.0/24" },
      { protocol: "tcp", port: 22, net: "198.51.100.7/32" },
      { protocol: "udp", port: 53, net: "2001:db8:1::/64" },
      { protocol: "tcp", port: 80, net: "0.0.0.0/0" },
    ],
    outbound: [{ protocol: "tcp", port: 443 }],
  },
);

function endpointAt(index: number): fc.Arbitrary<Endpoint> {
  return fc
    .record({
      host: fc.constantFrom(HOST, HOST, HOST, "h2"),
      namespace: fc.constantFrom(...NAMESPACES),
      network: fc.constantFrom("apps", "apps", "dbs", "alone", "inner", "open"),
      labels,
      profiles: fc.subarray(["p1", "p2", "nobody"], { maxLength: 2 }),
      ports: fc.subarray([
        { name: "http", protocol: "TCP" as const, port: 80 },
        { name: "http", protocol: "TCP" as const, port: 8080 },
        { name: "dns", protocol: "UDP" as const, port: 53 },
      ]),
      published: fc.subarray([
        { protocol: "TCP" as const, port: 443 },
        { protocol: "UDP" as const, port: 53 },
        { protocol: "TCP" as const, port: 22, host: { address: "127.0.0.1", port: 2222 } },
      ]),
      container: fc.constantFrom(`c${index}`, `c${index}`, "shared"),
      hasProfiles: fc.boolean(),
      joined: fc.constantFrom(true, true, true, true, false),
    })
    .map(({ hasProfiles, profiles, ...parts }) =>
      endpoint(`e${index}`, {
        ...parts,
        addresses: [`10.65.0.${index}`, `fd65::${index}`],
        profiles: hasProfiles ? [...profiles, parts.network] : [parts.network],
      }),
    );
}

export const anySnapshot: fc.Arbitrary<Snapshot> = fc
  .record({
    endpoints: fc.tuple(...[1, 2, 3, 4, 5, 6].map(endpointAt)),
    policies: fc.uniqueArray(fc.oneof(globalPolicy, namespacedPolicy), {
      maxLength: 5,
      selector: ({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`,
    }),
    stagedPolicies: fc.uniqueArray(stagedPolicy, {
      maxLength: 2,
      selector: ({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`,
    }),
    crowd: fc.oneof({ weight: 2, arbitrary: fc.constant<GlobalNetworkPolicy[]>([]) }, crowd),
    tiers: fc.uniqueArray(tier, { maxLength: 3, selector: ({ metadata }) => metadata.name }),
    profiles: fc.uniqueArray(profile, { maxLength: 4, selector: ({ metadata }) => metadata.name }),
    networkSets: fc.uniqueArray(networkSet, {
      maxLength: 3,
      selector: ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
    }),
    hostEndpoints,
    failsafe,
    logGroup: fc.option(fc.constant(7), { nil: undefined }),
    endpointToHost: fc.constantFrom("allow" as const, "restricted" as const, "deny" as const),
  })
  .map(({ logGroup, endpointToHost, failsafe: open, crowd: more, ...parts }) =>
    emptySnapshot({
      ...parts,
      policies: [...parts.policies, ...more],
      networks: [
        network("apps"),
        network("dbs"),
        network("alone", { isolation: "endpoint" }),
        network("inner", { internal: true }),
        network("open", { isolation: "off" }),
      ],
      settings: {
        endpointToHost,
        guardForwarding: [],
        ...(logGroup === undefined ? {} : { logGroup }),
        ...(open === undefined ? {} : { failsafe: open }),
      },
    }),
  );

/** Worlds where one policy decides, often of one rule: it applies to everybody, and all else is open. */
export const anyOnePolicy: fc.Arbitrary<Snapshot> = fc
  .constantFrom("ingress" as const, "egress" as const)
  .chain((direction) => {
    const one = fc.oneof(validRule, ruleOf(fc.constant("Allow"))).map((rule) => [rule]);
    const several = ruleList(direction, 4);
    return fc.tuple(anySnapshot, fc.oneof(one, several), fc.constant(direction), fc.boolean());
  })
  .map(([snapshot, rules, direction, namespaced]) => {
    const common = {
      apiVersion: V3,
      spec: {
        tier: "default",
        selector: "all()",
        types: [direction === "ingress" ? "Ingress" : "Egress"],
        [direction]: rules,
      } as NetworkPolicySpec,
    } as const;
    return {
      ...snapshot,
      endpoints: snapshot.endpoints.map((one) => ({ ...one, network: "open", profiles: ["open"] })),
      policies: namespaced
        ? [{ ...common, kind: "NetworkPolicy", metadata: { name: "only", namespace: "default" } }]
        : [{ ...common, kind: "GlobalNetworkPolicy", metadata: { name: "only" } }],
      tiers: [],
      hostEndpoints: [],
    };
  });

/** A flow between two places of one family, not from a place that this host cannot see (another host's inside). */
export const anyFlow = flowOf(4);
/** As many without ports as with, so that what rules say of ICMP is asked too. */
export const anyFlowOrPing = flowOf(1);

function flowOf(weight: number): fc.Arbitrary<Flow> {
  return fc.boolean().chain((six) => flowIn(six, weight));
}

function flowIn(six: boolean, weight: number): fc.Arbitrary<Flow> {
  const inside = [1, 2, 3, 4, 5, 6].map((index) => (six ? `fd65::${index}` : `10.65.0.${index}`));
  const outside = [...OUTSIDE, ...HOST_ADDRESSES].filter((text) => text.includes(":") === six);
  const place = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...inside) }, fc.constantFrom(...outside));
  const transport = fc.record({
    protocol: fc.constantFrom(6, 6, 17, 132),
    sourcePort: fc.constantFrom(1024, 40000, 80),
    destinationPort: fc.constantFrom(...PORTS, 9999),
  });
  const other = fc.oneof(
    fc.record({ type: fc.constantFrom(0, 3, 8, 128), code: fc.constantFrom(0, 1) }).map((one) => ({
      protocol: six ? 58 : 1,
      icmp: one,
    })),
    fc.constantFrom(47, 136).map((protocol) => ({ protocol })),
    fc.constantFrom(0, 8, 128).map((type) => ({ protocol: six ? 1 : 58, icmp: { type, code: 0 } })),
  );
  return fc
    .tuple(place, place, fc.oneof({ weight, arbitrary: transport }, other))
    .filter(([source, destination]) => source !== destination)
    .map(([source, destination, rest]) => ({ source, destination, ...rest }));
}

/** Limits so low that small worlds merge, in every way there is. */
export const anyLimits: fc.Arbitrary<MergeLimits> = fc.record({
  rules: fc.constantFrom(1, 2, 3, 8),
  policies: fc.constantFrom(1, 2, 8),
  selectors: fc.constantFrom(1, 2, 4),
  width: fc.constantFrom(1, 16, 2000),
  elements: fc.constantFrom(0, 40, 1_000_000),
  boxes: fc.constantFrom(0, 3, 1000),
});
