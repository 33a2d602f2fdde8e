/** What a listing shows of each kind. */
import type { AnyResource, EntityRule, HostPort, Kind, PolicyRule } from "../core/model/resources.ts";
import { checkText } from "../core/model/service.ts";
import type { Column } from "./output.ts";

type Columns<K extends Kind> = readonly Column<Extract<AnyResource, { kind: K }>>[];

const number = (value: number | undefined): string => (value === undefined ? "" : String(value));
const list = (values: readonly unknown[] | undefined): string => (values ?? []).join(", ");
const yesNo = (value: boolean | undefined): string => (value ? "yes" : "no");

interface PolicySpec {
  readonly tier: string;
  readonly order?: number;
  readonly selector: string;
  readonly types: readonly string[];
  readonly ingress?: readonly PolicyRule[];
  readonly egress?: readonly PolicyRule[];
}

const POLICY: readonly Column<{ readonly spec: PolicySpec }>[] = [
  { title: "TIER", value: ({ spec }) => spec.tier },
  { title: "ORDER", value: ({ spec }) => number(spec.order) },
  { title: "TYPES", value: ({ spec }) => list(spec.types) },
  { title: "SELECTOR", value: ({ spec }) => spec.selector || "all()" },
  { title: "INGRESS", value: ({ spec }) => rules(spec.ingress), wide: true },
  { title: "EGRESS", value: ({ spec }) => rules(spec.egress), wide: true },
];

function rules(all: readonly PolicyRule[] | undefined): string {
  return (all ?? []).map(ruleText).join("; ");
}

/** A rule in a line, for an overview: `allow TCP from role == "web" to ports 5432`. */
function ruleText(rule: PolicyRule): string {
  const protocol = rule.protocol ?? (rule.notProtocol === undefined ? undefined : `not ${rule.notProtocol}`);
  const words = [
    rule.action.toLowerCase(),
    rule.ipVersion === undefined ? undefined : `IPv${rule.ipVersion}`,
    protocol === undefined ? undefined : String(protocol),
    entity("from", rule.source),
    entity("to", rule.destination),
  ];
  return words.filter((word) => word !== undefined).join(" ");
}

function entity(word: string, given: EntityRule | undefined): string | undefined {
  if (given === undefined) return undefined;
  const parts = [
    given.selector,
    given.namespaceSelector === undefined ? undefined : `namespaces ${given.namespaceSelector}`,
    given.notSelector === undefined ? undefined : `not (${given.notSelector})`,
    given.nets === undefined ? undefined : list(given.nets),
    given.notNets === undefined ? undefined : `not ${list(given.notNets)}`,
    given.ports === undefined ? undefined : `ports ${list(given.ports)}`,
    given.notPorts === undefined ? undefined : `not ports ${list(given.notPorts)}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : `${word} ${parts.join(" ")}`;
}

const NETWORK_SET: readonly Column<{ readonly spec: { readonly nets?: readonly string[] } }>[] = [
  { title: "NETS", value: ({ spec }) => list(spec.nets) },
];

const COLUMNS: { readonly [K in Kind]?: Columns<K> } = {
  NetworkPolicy: POLICY,
  GlobalNetworkPolicy: POLICY,
  StagedNetworkPolicy: POLICY,
  StagedGlobalNetworkPolicy: POLICY,
  NetworkSet: NETWORK_SET,
  GlobalNetworkSet: NETWORK_SET,
  Tier: [
    { title: "ORDER", value: ({ spec }) => number(spec.order) },
    { title: "DEFAULT", value: ({ spec }) => spec.defaultAction },
  ],
  Profile: [
    { title: "LABELS TO APPLY", value: ({ spec }) => labelText(spec.labelsToApply) },
    { title: "INGRESS", value: ({ spec }) => rules(spec.ingress), wide: true },
    { title: "EGRESS", value: ({ spec }) => rules(spec.egress), wide: true },
  ],
  IPPool: [
    { title: "CIDR", value: ({ spec }) => spec.cidr },
    { title: "NAT", value: ({ spec }) => yesNo(spec.natOutgoing) },
    { title: "DISABLED", value: ({ spec }) => yesNo(spec.disabled) },
    { title: "SELECTOR", value: ({ spec }) => spec.nodeSelector },
    { title: "BLOCK SIZE", value: ({ spec }) => `/${spec.blockSize}`, wide: true },
  ],
  FelixConfiguration: [
    { title: "CONTAINER TO HOST", value: ({ spec }) => spec.defaultEndpointToHostAction ?? "" },
    { title: "FAILSAFE IN", value: ({ spec }) => hostPorts(spec.failsafeInboundHostPorts) },
    { title: "FAILSAFE OUT", value: ({ spec }) => hostPorts(spec.failsafeOutboundHostPorts) },
  ],
  IPReservation: [{ title: "RESERVED", value: ({ spec }) => list(spec.reservedCIDRs) }],
  HostEndpoint: [
    { title: "NODE", value: ({ spec }) => spec.node },
    { title: "INTERFACE", value: ({ spec }) => spec.interfaceName ?? "" },
    { title: "IPS", value: ({ spec }) => list(spec.expectedIPs) },
    { title: "PROFILES", value: ({ spec }) => list(spec.profiles), wide: true },
  ],
  WorkloadEndpoint: [
    { title: "WORKLOAD", value: ({ spec }) => spec.workload },
    { title: "NODE", value: ({ spec }) => spec.node },
    { title: "NETWORKS", value: ({ spec }) => list(spec.ipNetworks) },
    { title: "INTERFACE", value: ({ spec }) => spec.interfaceName },
    { title: "PROFILES", value: ({ spec }) => list(spec.profiles), wide: true },
  ],
  Node: [
    { title: "IPV4", value: ({ spec }) => spec.bgp?.ipv4Address ?? "" },
    { title: "IPV6", value: ({ spec }) => spec.bgp?.ipv6Address ?? "" },
    { title: "ASN", value: ({ spec }) => String(spec.bgp?.asNumber ?? "") },
    { title: "ADDRESSES", value: ({ spec }) => list(spec.addresses?.map(({ address }) => address)), wide: true },
  ],
  Service: [
    { title: "ADDRESSES", value: ({ spec }) => list(spec.addresses) },
    { title: "SELECTOR", value: ({ spec }) => spec.selector },
    { title: "CHECK", value: ({ spec }) => checkText(spec.check) },
    { title: "DRAIN", value: ({ spec }) => `${spec.drain}s`, wide: true },
  ],
  Network: [
    { title: "POOLS", value: ({ spec }) => list(spec.pools) || "any" },
    { title: "ISOLATION", value: ({ spec }) => spec.isolation },
    { title: "PUBLISH", value: ({ spec }) => spec.publish },
    { title: "INTERNAL", value: ({ spec }) => yesNo(spec.internal) },
  ],
};

function hostPorts(ports: readonly HostPort[] | undefined): string {
  if (ports?.length === 0) return "none";
  return list(ports?.map(({ protocol, port, net }) => `${protocol} ${port}${net === undefined ? "" : ` from ${net}`}`));
}

function labelText(labels: Readonly<Record<string, string>> | undefined): string {
  return list(Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`));
}

/** Name, namespace where kinds have one, what the kind shows, and with `-o wide` the labels. */
export function columnsOf(kind: Kind, namespaced: boolean): readonly Column<AnyResource>[] {
  return [
    ...(namespaced
      ? [{ title: "NAMESPACE", value: ({ metadata }: AnyResource) => metadata.namespace ?? "default" }]
      : []),
    { title: "NAME", value: ({ metadata }) => metadata.name, style: () => "strong" },
    // Each kind's columns are given resources of that kind only.
    ...((COLUMNS[kind] ?? []) as readonly Column<AnyResource>[]),
    { title: "LABELS", value: ({ metadata }) => labelText(metadata.labels), wide: true },
  ];
}
