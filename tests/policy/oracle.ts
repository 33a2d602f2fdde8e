/**
 * The first judge: what a new flow's fate is by the text of Calico's documentation and of our own about networks, in the
 * plainest words. It reads the resources as users write them and shares nothing with the compiler but addresses and selectors.
 */
import type { Endpoint, Snapshot } from "../../src/core/calc/snapshot.ts";
import type {
  EntityRule,
  GlobalNetworkPolicy,
  NetworkPolicy,
  PolicyRule,
  Port,
  Profile,
  Protocol,
} from "../../src/core/model/resources.ts";
import { address } from "../../src/core/net/address.ts";
import { cidr, contains } from "../../src/core/net/cidr.ts";
import { match } from "../../src/core/selector/match.ts";
import { selector } from "../../src/core/selector/parse.ts";

export interface Flow {
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
}

export type Fate = "allow" | "deny";
type Policy = GlobalNetworkPolicy | NetworkPolicy;
type Direction = "ingress" | "egress";

/** Whatever selectors can mean. */
interface Thing {
  readonly labels: Map<string, string>;
  readonly nets: readonly string[];
  readonly ports: readonly { readonly name: string; readonly protocol: string | number; readonly port: number }[];
}

/** `hostAddresses`: the addresses of the host that the flow is judged on. */
export function judge(snapshot: Snapshot, flow: Flow, hostAddresses: readonly string[]): Fate {
  const local = (text: string): Endpoint | undefined =>
    snapshot.endpoints.find(
      (one) => one.host === snapshot.host && one.local?.joined === true && one.addresses.includes(text),
    );
  const sender = local(flow.source);
  const receiver = local(flow.destination);
  if (sender !== undefined && decide(snapshot, sender, "egress", flow) === "deny") return "deny";
  if (hostAddresses.includes(flow.destination)) return sender === undefined ? "allow" : toHost(snapshot, flow);
  if (receiver === undefined || hostAddresses.includes(flow.source)) return "allow";
  return decide(snapshot, receiver, "ingress", flow);
}

function toHost({ settings }: Snapshot, flow: Flow): Fate {
  if (settings.endpointToHost !== "restricted") return settings.endpointToHost;
  const isDns = [6, 17].includes(flow.protocol) && flow.destinationPort === 53;
  return isDns || flow.protocol === 1 || flow.protocol === 58 ? "allow" : "deny";
}

function decide(snapshot: Snapshot, endpoint: Endpoint, direction: Direction, flow: Flow): Fate {
  const things = everything(snapshot);
  for (const tier of tiersInOrder(snapshot)) {
    const policies = policiesInOrder(snapshot, tier.name).filter(
      (policy) => governs(policy, direction) && applies(snapshot, policy, endpoint),
    );
    if (policies.length === 0) continue;
    const verdict = firstVerdict(policies.flatMap((policy) => rulesOf(policy, direction, flow, things)));
    if (verdict === "Allow") return "allow";
    if (verdict === "Deny") return "deny";
    if (verdict === undefined && tier.action === "Deny") return "deny";
  }
  return profilesDecide(snapshot, endpoint, direction, flow, things);
}

function profilesDecide(
  snapshot: Snapshot,
  endpoint: Endpoint,
  direction: Direction,
  flow: Flow,
  things: readonly Thing[],
): Fate {
  const names = endpoint.profiles.includes(endpoint.network)
    ? endpoint.profiles
    : [...endpoint.profiles, endpoint.network];
  for (const name of names) {
    const network = snapshot.networks.find(({ metadata }) => metadata.name === name && name === endpoint.network);
    const profile = snapshot.profiles.find(({ metadata }) => metadata.name === name);
    if (network !== undefined) {
      if (networkAllows(snapshot, endpoint, direction, flow)) return "allow";
    } else if (profile === undefined) {
      return "deny";
    } else {
      const rules = (profile.spec[direction] ?? []).filter((rule) => matches(rule, undefined, flow, things));
      const verdict = firstVerdict(rules.map(({ action }) => action));
      if (verdict === "Allow") return "allow";
      if (verdict === "Deny") return "deny";
    }
  }
  return "deny";
}

function networkAllows(snapshot: Snapshot, endpoint: Endpoint, direction: Direction, flow: Flow): boolean {
  const spec = snapshot.networks.find(({ metadata }) => metadata.name === endpoint.network)?.spec;
  if (spec === undefined) return false;
  if (!spec.internal && (direction === "egress" || spec.isolation === "off")) return true;
  const peer = direction === "ingress" ? flow.source : flow.destination;
  if (spec.isolation !== "endpoint" && isOnNetwork(snapshot, endpoint.network, peer)) return true;
  if (direction === "egress" || spec.internal) return false;
  return endpoint.published.some(
    ({ protocol, port, host }) =>
      numberOf(protocol) === flow.protocol &&
      port === flow.destinationPort &&
      !(host?.address ?? "").startsWith("127."),
  );
}

/** The address belongs to a container that has an interface on the network. */
function isOnNetwork({ endpoints }: Snapshot, network: string, text: string): boolean {
  return endpoints.some(
    (owner) =>
      owner.addresses.includes(text) &&
      endpoints.some(
        (one) =>
          one.network === network &&
          (one === owner || (one.container !== "" && one.container === owner.container && one.host === owner.host)),
      ),
  );
}

function everything({ endpoints, networkSets, hostEndpoints, profiles }: Snapshot): Thing[] {
  return [
    ...endpoints.map((one) => ({
      labels: withNamespace(one.labels, one.namespace, one.profiles, profiles),
      nets: one.addresses,
      ports: one.ports,
    })),
    ...networkSets.map(({ kind, metadata, spec }) => {
      const own = new Map(Object.entries(metadata.labels ?? {}));
      const namespace = metadata.namespace ?? "default";
      return {
        labels: kind === "NetworkSet" ? withNamespace(own, namespace, [], profiles) : own,
        nets: spec.nets ?? [],
        ports: [],
      };
    }),
    ...hostEndpoints.map(({ metadata, spec }) => ({
      labels: inherit(new Map(Object.entries(metadata.labels ?? {})), spec.profiles ?? [], profiles),
      nets: spec.expectedIPs ?? [],
      ports: spec.ports ?? [],
    })),
  ];
}

function withNamespace(
  labels: ReadonlyMap<string, string>,
  namespace: string,
  parents: readonly string[],
  profiles: readonly Profile[],
): Map<string, string> {
  const own = new Map([
    ...labels,
    ["projectcalico.org/namespace", namespace],
    ["pcns.projectcalico.org/name", namespace],
    ["pcns.kubernetes.io/metadata.name", namespace],
  ] as const);
  return inherit(own, [...parents, `kns.${namespace}`], profiles);
}

function inherit(
  own: Map<string, string>,
  parents: readonly string[],
  profiles: readonly Profile[],
): Map<string, string> {
  const all = new Map<string, string>();
  for (const parent of [...parents].reverse())
    for (const profile of profiles)
      if (profile.metadata.name === parent)
        for (const [label, value] of Object.entries(profile.spec.labelsToApply ?? {})) all.set(label, value);
  for (const [label, value] of own) all.set(label, value);
  return all;
}

function tiersInOrder({ tiers, policies }: Snapshot): { name: string; action: "Deny" | "Pass" }[] {
  const all = new Map<string, { name: string; order: number; action: "Deny" | "Pass" }>([
    ["kube-admin", { name: "kube-admin", order: 1000, action: "Pass" }],
    ["default", { name: "default", order: 1e6, action: "Deny" }],
    ["kube-baseline", { name: "kube-baseline", order: 1e7, action: "Pass" }],
  ]);
  for (const { metadata, spec } of tiers)
    all.set(metadata.name, {
      name: metadata.name,
      order: spec.order ?? Number.POSITIVE_INFINITY,
      action: spec.defaultAction,
    });
  const sorted = [...all.values()].sort((a, b) =>
    a.order === b.order ? (a.name < b.name ? -1 : 1) : a.order - b.order,
  );
  const unknown = new Set(policies.map(({ spec }) => spec.tier).filter((name) => !all.has(name)));
  return [...sorted, ...[...unknown].sort().map((name) => ({ name, action: "Deny" as const }))];
}

function policiesInOrder({ policies }: Snapshot, tier: string): Policy[] {
  const order = (policy: Policy): number => policy.spec.order ?? Number.POSITIVE_INFINITY;
  const name = ({ kind, metadata }: Policy): string =>
    `${metadata.name}/${kind === "NetworkPolicy" ? (metadata.namespace ?? "default") : ""}/${kind}`;
  return policies
    .filter(({ spec }) => spec.tier === tier)
    .sort((a, b) => (order(a) === order(b) ? (name(a) < name(b) ? -1 : 1) : order(a) - order(b)));
}

function governs({ spec }: Policy, direction: Direction): boolean {
  return spec.types.length === 0 || spec.types.includes(direction === "ingress" ? "Ingress" : "Egress");
}

function applies(snapshot: Snapshot, policy: Policy, endpoint: Endpoint): boolean {
  const labels = withNamespace(endpoint.labels, endpoint.namespace, endpoint.profiles, snapshot.profiles);
  if (!match(selector(policy.spec.selector), labels)) return false;
  if (policy.kind === "NetworkPolicy") return (policy.metadata.namespace ?? "default") === endpoint.namespace;
  if (policy.spec.doNotTrack === true || policy.spec.preDNAT === true) return false;
  return inNamespaces(policy.spec.namespaceSelector, labels);
}

/** all() is any namespace, global() is none, everything else asks for labels of the namespace. */
function inNamespaces(text: string | undefined, labels: ReadonlyMap<string, string>): boolean {
  if (text === undefined || text === "") return true;
  const namespace = labels.has("projectcalico.org/namespace");
  if (text === "all()") return namespace;
  if (text === "global()") return !namespace;
  const own = new Map<string, string>();
  for (const [label, value] of labels) if (label.startsWith("pcns.")) own.set(label.slice(5), value);
  return match(selector(text), own);
}

function rulesOf(policy: Policy, direction: Direction, flow: Flow, things: readonly Thing[]): string[] {
  const namespace = policy.kind === "NetworkPolicy" ? (policy.metadata.namespace ?? "default") : undefined;
  return (policy.spec[direction] ?? [])
    .filter((rule) => matches(rule, namespace, flow, things))
    .map(({ action }) => action);
}

function firstVerdict(actions: readonly string[]): string | undefined {
  return actions.find((action) => action !== "Log");
}

function matches(rule: PolicyRule, namespace: string | undefined, flow: Flow, things: readonly Thing[]): boolean {
  const version = flow.source.includes(":") ? 6 : 4;
  const named = typeof rule.protocol === "string" ? rule.protocol.toLowerCase() : "";
  if (rule.ipVersion !== undefined && rule.ipVersion !== version) return false;
  if (rule.ipVersion === undefined && named === "icmp" && version !== 4) return false;
  if (rule.ipVersion === undefined && named === "icmpv6" && version !== 6) return false;
  if (rule.protocol !== undefined && numberOf(rule.protocol) !== flow.protocol) return false;
  if (rule.notProtocol !== undefined && numberOf(rule.notProtocol) === flow.protocol) return false;
  if (rule.icmp !== undefined && !isIcmp(rule.icmp, flow)) return false;
  if (rule.notICMP !== undefined && isIcmp(rule.notICMP, flow)) return false;
  return (
    peerMatches(rule.source ?? {}, namespace, flow.source, flow.sourcePort, flow, things) &&
    peerMatches(rule.destination ?? {}, namespace, flow.destination, flow.destinationPort, flow, things)
  );
}

function isIcmp(icmp: { type?: number; code?: number }, flow: Flow): boolean {
  return (
    (icmp.type === undefined || icmp.type === flow.icmp?.type) &&
    (icmp.code === undefined || icmp.code === flow.icmp?.code)
  );
}

function peerMatches(
  peer: EntityRule,
  namespace: string | undefined,
  text: string,
  port: number | undefined,
  flow: Flow,
  things: readonly Thing[],
): boolean {
  const inNet = (net: string): boolean => contains(cidr(net), address(text));
  if (peer.nets !== undefined && peer.nets.length > 0 && !peer.nets.some(inNet)) return false;
  if (peer.notNets?.some(inNet) === true) return false;
  const isOfFamily = (net: string): boolean => net.includes(":") === text.includes(":");
  if (peer.notNets !== undefined && peer.notNets.length > 0 && !peer.notNets.some(isOfFamily)) return false;
  const owners = things.filter(({ nets }) => nets.some(inNet));
  const usesSelectors = isSet(peer.selector) || isSet(peer.notSelector) || isSet(peer.namespaceSelector);
  const selected = (thing: Thing): boolean =>
    (!isSet(peer.selector) || match(selector(peer.selector), thing.labels)) &&
    (isSet(peer.namespaceSelector)
      ? inNamespaces(peer.namespaceSelector, thing.labels)
      : namespace === undefined || !usesSelectors || thing.labels.get("projectcalico.org/namespace") === namespace);
  const positive = isSet(peer.selector) || isSet(peer.namespaceSelector) || (namespace !== undefined && usesSelectors);
  if (positive && !owners.some(selected)) return false;
  if (isSet(peer.notSelector)) {
    const not = selector(peer.notSelector);
    if (owners.some(({ labels }) => match(not, labels))) return false;
  }
  const isPort = (wanted: Port): boolean => portIs(wanted, port, flow.protocol, owners);
  const among = positive ? owners.filter(selected) : owners;
  const isPortOfSelected = (wanted: Port): boolean => portIs(wanted, port, flow.protocol, among);
  if (peer.ports !== undefined && peer.ports.length > 0 && !peer.ports.some(isPortOfSelected)) return false;
  if (peer.notPorts !== undefined && peer.notPorts.length > 0) return port !== undefined && !peer.notPorts.some(isPort);
  return true;
}

function portIs(wanted: Port, port: number | undefined, protocol: number, owners: readonly Thing[]): boolean {
  if (port === undefined) return false;
  const range = /^(\d+)(?::(\d+))?$/.exec(String(wanted));
  if (range !== null) return Number(range[1]) <= port && port <= Number(range[2] ?? range[1]);
  return owners.some(({ ports }) =>
    ports.some((one) => one.name === wanted && one.port === port && numberOf(one.protocol) === protocol),
  );
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}

function numberOf(protocol: Protocol): number {
  const names: Record<string, number> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132, udplite: 136 };
  return typeof protocol === "number" ? protocol : (names[protocol.toLowerCase()] ?? Number(protocol));
}
