/**
 * The first judge: what a new flow's fate is by the text of Calico's documentation and of our own about networks, in the
 * plainest words. It reads the resources as users write them and shares nothing with the compiler but addresses and selectors.
 */
import type { Endpoint, Snapshot } from "../../src/core/calc/snapshot.ts";
import type {
  EntityRule,
  GlobalNetworkPolicy,
  HostEndpoint,
  NetworkPolicy,
  PolicyRule,
  Port,
  Profile,
  Protocol,
} from "../../src/core/model/resources.ts";
import { address } from "../../src/core/net/address.ts";
import { cidr, contains } from "../../src/core/net/cidr.ts";
import { DEFAULT_FAILSAFE, type FailsafePort } from "../../src/core/rules/failsafe.ts";
import { match } from "../../src/core/selector/match.ts";
import { selector } from "../../src/core/selector/parse.ts";
import { interfaceTo as testInterfaceTo } from "./world.ts";

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

/**
 * `hostAddresses`: the addresses of the host that the flow is judged on. `interfaceTo`: behind which of its interfaces others are.
 */
export function judge(
  snapshot: Snapshot,
  flow: Flow,
  hostAddresses: readonly string[],
  interfaceTo: (address: string) => string = testInterfaceTo,
): Fate {
  const local = (text: string): Endpoint | undefined =>
    snapshot.endpoints.find(
      (one) => one.host === snapshot.host && one.local?.joined === true && one.addresses.includes(text),
    );
  const sender = local(flow.source);
  const receiver = local(flow.destination);
  const fromHost = hostAddresses.includes(flow.source);
  const isToHost = hostAddresses.includes(flow.destination);
  const way = (address: string): string => (fromHost && isToHost ? "lo" : interfaceTo(address));
  if (sender === undefined && (!fromHost || isToHost) && !mayEnter(snapshot, flow, way(flow.source), isToHost))
    return "deny";
  if (sender !== undefined && !mayCross(snapshot, flow, "ingress", isToHost)) return "deny";
  if (sender !== undefined && decide(snapshot, sender, "egress", flow) === "deny") return "deny";
  if (isToHost && sender !== undefined) return toHost(snapshot, flow);
  if (receiver === undefined && (fromHost || !isToHost) && !mayLeave(snapshot, flow, way(flow.destination), fromHost))
    return "deny";
  if (receiver === undefined || fromHost) return "allow";
  if (!mayCross(snapshot, flow, "egress", false)) return "deny";
  return decide(snapshot, receiver, "ingress", flow);
}

/** In by an interface of the host: untracked policies, then preDNAT, then normal ones or those that apply on forward. */
function mayEnter(snapshot: Snapshot, flow: Flow, name: string, isToHost: boolean): boolean {
  const host = hostEndpointOf(snapshot, name);
  if (host === undefined || isBetweenNeighbours(flow)) return true;
  const { inbound, outbound } = snapshot.settings.failsafe ?? DEFAULT_FAILSAFE;
  const isFailsafe = inbound.some((one) => isOpen(one, flow, flow.destinationPort, flow.source));
  const isReply = outbound.some((one) => isOpen(one, flow, flow.sourcePort, flow.source));
  if (!isFailsafe && !isReply && host.spec.interfaceName !== "*") {
    const untracked = stageDecides(snapshot, host, "ingress", flow, isUntracked);
    if (untracked !== undefined) return untracked === "allow";
  }
  const beforeDnat = isFailsafe ? undefined : stageDecides(snapshot, host, "ingress", flow, isPreDnat);
  if (beforeDnat !== undefined) return beforeDnat === "allow";
  return isToHost
    ? isFailsafe || isAllowed(snapshot, host, "ingress", flow)
    : isForwarded(snapshot, host, "ingress", flow);
}

/** By a workload's interface: the host endpoint of all interfaces governs what passes through the host there as well. */
function mayCross(snapshot: Snapshot, flow: Flow, direction: Direction, isToHost: boolean): boolean {
  const host = hostEndpointOf(snapshot, "");
  if (host === undefined) return true;
  if (direction === "ingress" && !isBetweenNeighbours(flow)) {
    const { inbound } = snapshot.settings.failsafe ?? DEFAULT_FAILSAFE;
    const isFailsafe = inbound.some((one) => isOpen(one, flow, flow.destinationPort, flow.source));
    const before = isFailsafe ? undefined : stageDecides(snapshot, host, "ingress", flow, isPreDnat);
    if (before !== undefined) return before === "allow";
  }
  return isToHost || isForwarded(snapshot, host, direction, flow);
}

function mayLeave(snapshot: Snapshot, flow: Flow, name: string, fromHost: boolean): boolean {
  const host = hostEndpointOf(snapshot, name);
  if (host === undefined) return true;
  if (!fromHost) return isForwarded(snapshot, host, "egress", flow);
  if (isBetweenNeighbours(flow)) return true;
  const { inbound, outbound } = snapshot.settings.failsafe ?? DEFAULT_FAILSAFE;
  const isFailsafe = outbound.some((one) => isOpen(one, flow, flow.destinationPort, flow.destination));
  const isReply = inbound.some((one) => isOpen(one, flow, flow.sourcePort, flow.destination));
  if (!isFailsafe && !isReply && host.spec.interfaceName !== "*") {
    const untracked = stageDecides(snapshot, host, "egress", flow, isUntracked);
    if (untracked !== undefined) return untracked === "allow";
  }
  return isFailsafe || isAllowed(snapshot, host, "egress", flow);
}

/** The interface's own by its name or address, the first of several; otherwise that of all interfaces. */
function hostEndpointOf({ host, hostEndpoints, hostInterfaces }: Snapshot, name: string): HostEndpoint | undefined {
  const here = hostEndpoints.filter(({ spec }) => spec.node === host);
  const sorted = here.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const addresses = hostInterfaces.find((one) => one.name === name)?.addresses ?? [];
  const own = sorted.find(({ spec: { interfaceName = "", expectedIPs = [] } }) =>
    interfaceName === "" ? expectedIPs.some((one) => addresses.includes(one)) : interfaceName === name,
  );
  return own ?? sorted.find(({ spec }) => spec.interfaceName === "*");
}

function isOpen({ protocol, port, net }: FailsafePort, flow: Flow, own: number | undefined, peer: string): boolean {
  return (
    numberOf(protocol) === flow.protocol && port === own && (net === undefined || contains(cidr(net), address(peer)))
  );
}

/** Listeners, routers and neighbours on the link: without them IPv6 does not work at all. */
function isBetweenNeighbours({ protocol, icmp }: Flow): boolean {
  return protocol === 58 && icmp !== undefined && [130, 131, 132, 133, 134, 135, 136, 143].includes(icmp.type);
}

const isUntracked = (policy: Policy): boolean =>
  policy.kind === "GlobalNetworkPolicy" && policy.spec.doNotTrack === true;
const isPreDnat = (policy: Policy): boolean => policy.kind === "GlobalNetworkPolicy" && policy.spec.preDNAT === true;
const isNormal = (policy: Policy): boolean => !isUntracked(policy) && !isPreDnat(policy);

/** Of untracked or preDNAT policies: undefined where none of them says anything. Their tiers have no end. */
function stageDecides(
  snapshot: Snapshot,
  host: HostEndpoint,
  direction: Direction,
  flow: Flow,
  counts: (policy: Policy) => boolean,
): Fate | undefined {
  return policiesDecide(snapshot, hostLabels(snapshot, host), direction, flow, counts, false);
}

function isForwarded(snapshot: Snapshot, host: HostEndpoint, direction: Direction, flow: Flow): boolean {
  const counts = (policy: Policy): boolean =>
    isNormal(policy) && policy.kind === "GlobalNetworkPolicy" && policy.spec.applyOnForward === true;
  return policiesDecide(snapshot, hostLabels(snapshot, host), direction, flow, counts, true) !== "deny";
}

function isAllowed(snapshot: Snapshot, host: HostEndpoint, direction: Direction, flow: Flow): boolean {
  const decided = policiesDecide(snapshot, hostLabels(snapshot, host), direction, flow, isNormal, true);
  if (decided !== undefined) return decided === "allow";
  for (const name of host.spec.profiles ?? []) {
    const verdict = profileDecides(snapshot, name, direction, flow, everything(snapshot));
    if (verdict !== undefined) return verdict === "allow";
  }
  return false;
}

function hostLabels({ profiles }: Snapshot, { metadata, spec }: HostEndpoint): Map<string, string> {
  return inherit(new Map(Object.entries(metadata.labels ?? {})), spec.profiles ?? [], profiles);
}

function toHost({ settings }: Snapshot, flow: Flow): Fate {
  if (settings.endpointToHost !== "restricted") return settings.endpointToHost;
  const isDns = [6, 17].includes(flow.protocol) && flow.destinationPort === 53;
  return isDns || flow.protocol === 1 || flow.protocol === 58 ? "allow" : "deny";
}

function decide(snapshot: Snapshot, endpoint: Endpoint, direction: Direction, flow: Flow): Fate {
  const labels = withNamespace(endpoint.labels, endpoint.namespace, endpoint.profiles, snapshot.profiles);
  return (
    policiesDecide(snapshot, labels, direction, flow, isNormal, true) ??
    profilesDecide(snapshot, endpoint, direction, flow, everything(snapshot))
  );
}

/** Undefined where the policies that count leave it to what comes after them. `closes`: a tier that applies ends as it says. */
function policiesDecide(
  snapshot: Snapshot,
  labels: ReadonlyMap<string, string>,
  direction: Direction,
  flow: Flow,
  counts: (policy: Policy) => boolean,
  closes: boolean,
): Fate | undefined {
  const things = everything(snapshot);
  for (const tier of tiersInOrder(snapshot)) {
    const policies = policiesInOrder(snapshot, tier.name).filter(
      (policy) => counts(policy) && governs(policy, direction) && applies(policy, labels),
    );
    if (policies.length === 0) continue;
    const verdict = firstVerdict(policies.flatMap((policy) => rulesOf(policy, direction, flow, things)));
    if (verdict === "Allow") return "allow";
    if (verdict === "Deny") return "deny";
    if (verdict === undefined && closes && tier.action === "Deny") return "deny";
  }
  return undefined;
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
    if (network !== undefined) {
      if (networkAllows(snapshot, endpoint, direction, flow)) return "allow";
    } else {
      const verdict = profileDecides(snapshot, name, direction, flow, things);
      if (verdict !== undefined) return verdict;
    }
  }
  return "deny";
}

/** One that nobody has defined allows nothing, but that which is built in. */
function profileDecides(
  snapshot: Snapshot,
  name: string,
  direction: Direction,
  flow: Flow,
  things: readonly Thing[],
): Fate | undefined {
  const profile = snapshot.profiles.find(({ metadata }) => metadata.name === name);
  if (name === "projectcalico-default-allow") return "allow";
  if (profile === undefined) return "deny";
  const rules = (profile.spec[direction] ?? []).filter((rule) => matches(rule, undefined, flow, things));
  const verdict = firstVerdict(rules.map(({ action }) => action));
  return verdict === "Allow" ? "allow" : verdict === "Deny" ? "deny" : undefined;
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

function applies(policy: Policy, labels: ReadonlyMap<string, string>): boolean {
  if (!match(selector(policy.spec.selector), labels)) return false;
  if (policy.kind === "NetworkPolicy")
    return (policy.metadata.namespace ?? "default") === labels.get("projectcalico.org/namespace");
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
  const ownIcmp = rule.protocol !== undefined || flow.protocol === (version === 6 ? 58 : 1);
  if (rule.notICMP?.type !== undefined && ownIcmp && isIcmp(rule.notICMP, flow)) return false;
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
  const excluded = ({ labels }: Thing): boolean => isSet(peer.notSelector) && match(selector(peer.notSelector), labels);
  const selected = (thing: Thing): boolean =>
    !excluded(thing) &&
    (!isSet(peer.selector) || match(selector(peer.selector), thing.labels)) &&
    (isSet(peer.namespaceSelector)
      ? inNamespaces(peer.namespaceSelector, thing.labels)
      : namespace === undefined || !usesSelectors || thing.labels.get("projectcalico.org/namespace") === namespace);
  const positive = isSet(peer.selector) || isSet(peer.namespaceSelector) || (namespace !== undefined && usesSelectors);
  if (positive ? !owners.some(selected) : owners.some(excluded)) return false;
  const among = positive ? owners.filter(selected) : owners;
  const isPort = (wanted: Port): boolean => portIs(wanted, port, flow.protocol, among);
  const hasPorts = [6, 17, 132].includes(flow.protocol);
  if (peer.ports !== undefined && peer.ports.length > 0 && !peer.ports.some(isPort)) return false;
  if (peer.notPorts !== undefined && peer.notPorts.length > 0)
    return (port !== undefined || !hasPorts) && !peer.notPorts.some(isPort);
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
