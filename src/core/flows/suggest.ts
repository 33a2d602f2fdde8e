/**
 * The smallest policy that allows what was seen of a container: each rule stands for flows, and nothing that no flow asked for is
 * allowed. Peers go by what stays when they are made anew (compose service, else container name), hosts and outsiders by address.
 */
import type { EntityRule, NetworkPolicy, PolicyRule, PolicyType, Port } from "../model/resources.ts";
import { parseAddress } from "../net/address.ts";
import { cidrOf, formatCidr, mergeRanges, rangeToCidrs, toRange } from "../net/cidr.ts";
import { protocolName, protocolNumber, WITH_PORTS } from "../rules/protocol.ts";

/** A connection that was let through; as the API tells it. */
export interface SeenFlow {
  readonly first: string;
  readonly count: number;
  /** Name or number. */
  readonly protocol: string;
  readonly source: SeenParty;
  readonly destination: SeenParty;
  readonly destinationPort?: number | undefined;
  readonly icmp?: { readonly type: number; readonly code: number } | undefined;
}

interface SeenParty {
  readonly kind: "endpoint" | "host" | "outside";
  readonly address: string;
  readonly container?: string | undefined;
  readonly namespace?: string | undefined;
}

/** Endpoints as they are now: what their names and labels are. */
export interface KnownEndpoint {
  readonly container: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface SuggestAsk {
  /** Container or compose service. */
  readonly name: string;
  readonly directions: readonly PolicyType[];
  readonly endpoints: readonly KnownEndpoint[];
  readonly flows: readonly SeenFlow[];
}

export interface SuggestedRule {
  readonly direction: PolicyType;
  readonly index: number;
  /** Who, in words. */
  readonly peer: string;
  readonly flows: number;
  readonly connections: number;
  readonly since: string;
}

export type Suggestion =
  | {
      readonly ok: true;
      readonly policy: NetworkPolicy;
      readonly rules: readonly SuggestedRule[];
      readonly since: string;
    }
  | { readonly ok: false; readonly why: "unknown" | "ambiguous" | "nothing-seen" };

const SERVICE = "manx/service";
const CONTAINER = "manx/container";

export function suggest({ name, directions, endpoints, flows }: SuggestAsk): Suggestion {
  const own = endpoints.filter(({ container, labels }) => container === name || labels[SERVICE] === name);
  const [first] = own;
  if (first === undefined) return { ok: false, why: "unknown" };
  if (own.some(({ namespace }) => namespace !== first.namespace)) return { ok: false, why: "ambiguous" };
  const book = new Book(endpoints);
  const self = book.subject(first);
  const isSelf = (party: SeenParty): boolean => party.kind === "endpoint" && book.subjectOf(party) === self;
  const made = directions.map((direction) => {
    const [mine, theirs] =
      direction === "Ingress" ? (["destination", "source"] as const) : (["source", "destination"] as const);
    const seen = flows.filter((flow) => isSelf(flow[mine]));
    return { direction, ...rulesOf(seen, direction, (flow) => book.peer(flow[theirs], first.namespace)) };
  });
  const rules = made.flatMap(({ told }) => told);
  if (rules.length === 0) return { ok: false, why: "nothing-seen" };
  const bodies = Object.fromEntries(made.map(({ direction, rules: list }) => [direction.toLowerCase(), list]));
  return {
    ok: true,
    since: rules.map(({ since }) => since).sort()[0] ?? "",
    rules,
    policy: {
      apiVersion: "projectcalico.org/v3",
      kind: "NetworkPolicy",
      metadata: { name: policyName(name), namespace: first.namespace },
      spec: { tier: "default", order: 1_000, selector: self, types: directions, ...bodies },
    },
  };
}

/** Lower-case letters, digits, "-" and "." only, as names of resources are. */
function policyName(name: string): string {
  const safe = name.toLowerCase().replaceAll(/[^a-z0-9.-]+/g, "-");
  return `suggested-${safe.replaceAll(/^[.-]+|[.-]+$/g, "").replaceAll(/[.-]*\.[.-]*/g, ".")}`.slice(0, 200);
}

type Peer =
  | { readonly kind: "endpoint"; readonly selector: string; readonly namespace: string | undefined }
  | { readonly kind: "address"; readonly address: string };

/** What to call endpoints in selectors. */
class Book {
  readonly #byName = new Map<string, KnownEndpoint>();

  constructor(endpoints: readonly KnownEndpoint[]) {
    for (const endpoint of endpoints) this.#byName.set(`${endpoint.namespace}/${endpoint.container}`, endpoint);
  }

  subject({ container, labels }: KnownEndpoint): string {
    const service = labels[SERVICE];
    return service === undefined ? equals(CONTAINER, container) : equals(SERVICE, service);
  }

  /** Of one that is gone, too: by the name that it had. */
  subjectOf({ container = "", namespace = "" }: SeenParty): string {
    return this.subject(this.#byName.get(`${namespace}/${container}`) ?? { container, namespace, labels: {} });
  }

  peer(party: SeenParty, home: string): Peer {
    if (party.kind !== "endpoint") return { kind: "address", address: party.address };
    const namespace = party.namespace === home ? undefined : party.namespace;
    return { kind: "endpoint", selector: this.subjectOf(party), namespace };
  }
}

/** Calico's strings have no escapes: a value with both kinds of quotes cannot be written, and no Docker name has either. */
function equals(label: string, value: string): string {
  return value.includes('"') ? `${label} == '${value}'` : `${label} == "${value}"`;
}

interface Group {
  readonly peers: Map<string, Peer>;
  readonly protocol: number;
  readonly ports: Set<number>;
  readonly icmp: Extract<SeenFlow["icmp"], object> | undefined;
  readonly family: 4 | 6 | undefined;
  readonly flows: SeenFlow[];
}

function rulesOf(flows: readonly SeenFlow[], direction: PolicyType, peerOf: (flow: SeenFlow) => Peer) {
  // First by peer, so that its ports come together; then peers of the same ports into one rule.
  const byPeer = grouped(
    flows.map((flow) => groupOf(flow, peerOf(flow))),
    (group) => `${keyOfPeers(group)}|${kindOf(group)}`,
  );
  const merged = grouped(
    byPeer,
    (group) =>
      `${placeOf(group)}|${kindOf(group)}|${[...group.ports]
        .map(String)
        .sort((a, b) => (a < b ? -1 : 1))
        .join(",")}`,
  );
  const rules = merged.map((group) => ruleOf(group, direction));
  const told = merged.map(
    (group, index): SuggestedRule => ({
      direction,
      index,
      peer: wordsOf(group),
      flows: group.flows.length,
      connections: group.flows.reduce((sum, { count }) => sum + count, 0),
      since: group.flows.map(({ first }) => first).sort()[0] ?? "",
    }),
  );
  return { rules, told };
}

function groupOf(flow: SeenFlow, peer: Peer): Group {
  const protocol = protocolNumber(flow.protocol);
  const { destinationPort: port, icmp } = flow;
  const hasPort = port !== undefined && WITH_PORTS.includes(protocol);
  return {
    peers: new Map([[JSON.stringify(peer), peer]]),
    protocol,
    ports: new Set(hasPort ? [port] : []),
    icmp,
    family: peer.kind === "address" ? (peer.address.includes(":") ? 6 : 4) : undefined,
    flows: [flow],
  };
}

function grouped(groups: readonly Group[], key: (group: Group) => string): Group[] {
  return [...Map.groupBy(groups, key).values()].map((some) => {
    const [first] = some as [Group];
    return {
      ...first,
      peers: new Map(some.flatMap(({ peers }) => [...peers])),
      ports: new Set(some.flatMap(({ ports }) => [...ports])),
      flows: some.flatMap((group) => group.flows),
    };
  });
}

const keyOfPeers = ({ peers }: Group): string => [...peers.keys()].join(" ");
const kindOf = ({ protocol, icmp, ports }: Group): string =>
  `${protocol}|${icmp === undefined ? "" : `${icmp.type}/${icmp.code}`}|${ports.size > 0}`;

/** Peers that one rule can name together. */
function placeOf({ peers, family }: Group): string {
  const [first] = peers.values();
  return first?.kind === "endpoint" ? `endpoint|${first.namespace ?? ""}` : `address|${family}`;
}

function ruleOf(group: Group, direction: PolicyType): PolicyRule {
  const peer = entityOf([...group.peers.values()]);
  const ports = portsOf(group.ports);
  const isIcmp = group.icmp !== undefined;
  const destination = { ...(direction === "Egress" ? peer : {}), ...(ports.length === 0 ? {} : { ports }) };
  const name = protocolName(group.protocol);
  return {
    action: "Allow",
    ...(group.family === undefined ? {} : { ipVersion: group.family }),
    protocol: /^[0-9]+$/.test(name) ? group.protocol : name,
    ...(isIcmp ? { icmp: { type: group.icmp.type, code: group.icmp.code } } : {}),
    ...(direction === "Ingress" ? { source: peer } : {}),
    ...(Object.keys(destination).length === 0 ? {} : { destination }),
  };
}

function entityOf(peers: readonly Peer[]): EntityRule {
  const selectors = new Set(peers.flatMap((peer) => (peer.kind === "endpoint" ? [peer.selector] : [])));
  const [first] = peers;
  if (first?.kind === "endpoint") {
    const elsewhere =
      first.namespace === undefined ? {} : { namespaceSelector: equals("projectcalico.org/name", first.namespace) };
    return { selector: [...selectors].sort().join(" || "), ...elsewhere };
  }
  const ranges = peers.flatMap((peer) => {
    const address = peer.kind === "address" ? parseAddress(peer.address) : undefined;
    return address === undefined ? [] : [toRange(cidrOf(address, address.family === 4 ? 32 : 128))];
  });
  return { nets: mergeRanges(ranges).flatMap(rangeToCidrs).map(formatCidr) };
}

/** Neighbouring ports as one range: `8000:8002`. */
function portsOf(ports: ReadonlySet<number>): Port[] {
  const runs: [number, number][] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === port - 1) last[1] = port;
    else runs.push([port, port]);
  }
  return runs.map(([from, to]) => (from === to ? from : `${from}:${to}`));
}

function wordsOf({ peers }: Group): string {
  const names = [...peers.values()].map((peer) =>
    peer.kind === "address"
      ? peer.address
      : `${peer.namespace === undefined ? "" : `${peer.namespace}/`}${/["'](.*)["']$/.exec(peer.selector)?.[1] ?? ""}`,
  );
  const shown = [...new Set(names)];
  return shown.length > 4 ? `${shown.slice(0, 3).join(", ")} and ${shown.length - 3} more` : shown.join(", ");
}
