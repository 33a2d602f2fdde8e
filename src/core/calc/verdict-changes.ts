/**
 * Between which endpoints, this host and the internet a change turns a verdict round. Endpoints that no rule can tell apart are asked about once: what
 * counts is the number of kinds of endpoints, not of endpoints. Both ends decide, whichever hosts they run on.
 */
import type { Family } from "../net/address.ts";
import { type Evaluation, evaluate } from "../rules/evaluate.ts";
import { FIXED_SETS } from "../rules/fixed.ts";
import { ALL_INTERFACES } from "../rules/host-chains.ts";
import type { FieldType, Table } from "../rules/ir.ts";
import { valueHolds } from "../rules/lookup.ts";
import type { Packet } from "../rules/packet.ts";
import { ICMP, ICMPV6, protocolName, TCP, UDP, WITH_PORTS } from "../rules/protocol.ts";
import { INET_KEY } from "../rules/table.ts";
import { type Touched, touched } from "../rules/touched.ts";
import { decisions } from "./decision.ts";
import { Deriver } from "./deriver.ts";
import { activeHostEndpoints } from "./host-endpoints.ts";
import type { HostState } from "./host-state.ts";
import { placeHere } from "./hypothetical.ts";
import { membershipOf } from "./membership.ts";
import { INTERNET, INTERNET_NAME, OUTSIDE } from "./outside.ts";
import type { AnyPolicy } from "./policies.ts";
import { resolvePolicy } from "./policies.ts";
import type { Endpoint, Snapshot } from "./snapshot.ts";
import { stateRouting } from "./state-routing.ts";

export interface VerdictChange {
  /** Names of endpoints that no rule can tell apart. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** `tcp 5432`, `other tcp`, `icmp`. */
  readonly flows: readonly string[];
  readonly before: "allow" | "deny";
  readonly after: "allow" | "deny";
  readonly decidedBy: string;
}

/** A flow that is asked about; `port` absent: one that no policy names. */
interface Question {
  readonly protocol: number;
  readonly port?: number;
}

export interface VerdictReport {
  readonly changes: readonly VerdictChange[];
  /** False: there were more kinds of endpoints and ports than could be asked about. */
  readonly complete: boolean;
}

const MOST_EVALUATIONS = 60_000;
const MOST_PORTS = 24;
/** Evaluations after which the caller gets a turn. */
const BATCH = 100;
const SOURCE_PORT = 50_000;

/** What of this host is no container's. */
export interface Outside {
  /** Interface of the default route. */
  readonly uplink?: string;
  /** Canonical addresses of the host. */
  readonly addresses: readonly string[];
}

/** Of whom packets come and to whom they go: endpoints that no rule can tell apart, this host, or the internet by one of its interfaces. */
interface End {
  readonly names: readonly string[];
  /** Canonical. */
  readonly addresses: readonly string[];
  /** By which the sender's packets come in; absent: this host is the sender. */
  readonly interface?: string;
  readonly mac: string;
  /** The other one that is asked about where an end is both sender and receiver; absent: it is no end of its own flows. */
  readonly peer?: Pick<End, "addresses">;
  /** Its packets, and those to it, pass no chain of its own. */
  readonly isOutside?: true;
}

/** Yields now and then, so that the caller may do something else; returns the report. `policies`: those that changed. */
export function* verdictChanges(
  before: Snapshot,
  after: Snapshot,
  policies: readonly AnyPolicy[],
  outside: Outside = { addresses: [] },
): Generator<void, VerdictReport> {
  const placed = placeHere(before, before.endpoints);
  const then: Snapshot = { ...placeHere(after, []), endpoints: placed.endpoints };
  const deriver = new Deriver();
  const [old, now] = [deriver.derive(placed), deriver.derive(then)];
  yield;
  const ends = endsOf(kindsOf(placed.endpoints, [old, now]), placed.endpoints, [before, after], outside);
  const changed = [touched(old.ruleset, now.ruleset), touched(now.ruleset, old.ruleset)];
  const questions = questionsOf(policies, placed.endpoints);
  const members = membershipOf(then);
  const found = new Map<string, { change: VerdictChange; flows: Set<string> }>();
  let count = 0;
  for (const from of ends)
    for (const to of ends) {
      const receiver = from === to ? to.peer : to;
      if (receiver === undefined || (from.isOutside && to.isOutside)) continue;
      if (![from, to].some((end) => changed.some((change) => isTouched(end, change)))) continue;
      for (const question of questions)
        for (const packet of packetsOf(question, from, receiver)) {
          if (++count > MOST_EVALUATIONS) return { changes: reportOf(found), complete: false };
          if (count % BATCH === 0) yield;
          const [was, is] = [old, now].map((state) => run(state, packet, from, to, outside));
          if (was === undefined || is === undefined || (was.outcome === "drop") === (is.outcome === "drop")) continue;
          const decidedBy = decisions(is, now.origins, members).at(-1)?.text ?? "no rule stands in the way";
          const [first, last] = is.outcome === "drop" ? (["allow", "deny"] as const) : (["deny", "allow"] as const);
          const key = JSON.stringify([from.names, to.names, first, decidedBy]);
          const entry = found.get(key) ?? {
            flows: new Set<string>(),
            change: { from: from.names, to: to.names, flows: [], before: first, after: last, decidedBy },
          };
          entry.flows.add(flowText(question));
          found.set(key, entry);
        }
    }
  return { changes: reportOf(found), complete: true };
}

function reportOf(found: ReadonlyMap<string, { change: VerdictChange; flows: Set<string> }>): VerdictChange[] {
  return [...found.values()].map(({ change, flows }) => ({ ...change, flows: [...flows] }));
}

/** `NETWORK/CONTAINER` where a container is on several networks, as `manx why` reads it. */
function namer(endpoints: readonly Endpoint[]): (endpoint: Endpoint) => string {
  const container = ({ id, labels }: Endpoint): string => labels.get("manx/container") ?? id.slice(0, 12);
  const counts = new Map<string, number>();
  for (const one of endpoints) counts.set(container(one), (counts.get(container(one)) ?? 0) + 1);
  return (endpoint) => {
    const name = container(endpoint);
    if ((counts.get(name) ?? 0) > 1) return `${endpoint.network}/${name}`;
    return endpoint.namespace === "default" ? name : `${endpoint.namespace}/${name}`;
  };
}

/** The host, and the internet by each of its interfaces that has a host endpoint, are asked about as well. */
function endsOf(
  kinds: readonly (readonly Endpoint[])[],
  endpoints: readonly Endpoint[],
  snapshots: readonly Snapshot[],
  { uplink, addresses }: Outside,
): End[] {
  const nameOf = namer(endpoints);
  const containers = kinds.flatMap((kind): End[] => {
    const [one, another] = kind;
    if (one?.local === undefined) return [];
    const { interface: name, mac } = one.local;
    const end = { names: kind.map(nameOf), addresses: one.addresses, interface: name, mac };
    return [another === undefined ? end : { ...end, peer: { addresses: another.addresses } }];
  });
  const interfaces = new Set([uplink ?? OUTSIDE]);
  for (const snapshot of snapshots)
    for (const { interface: name } of activeHostEndpoints(snapshot)) if (name !== ALL_INTERFACES) interfaces.add(name);
  const internet = Array.from(interfaces, (name): End => {
    const names = [name === (uplink ?? OUTSIDE) ? INTERNET_NAME : `${INTERNET_NAME} by ${name}`];
    return { names, addresses: INTERNET, interface: name, mac: "", isOutside: true };
  });
  const host: End[] = addresses.length === 0 ? [] : [{ names: [`host ${snapshots[0]?.host}`], addresses, mac: "" }];
  return [...containers, ...internet, ...host];
}

function run(state: HostState, packet: Packet, from: End, to: End, { addresses, uplink }: Outside): Evaluation {
  const way = to.isOutside ? to.interface : uplink;
  const around = { hostAddresses: addresses, ...(way === undefined ? {} : { uplink: way }) };
  return evaluate(state.ruleset, packet, from.interface, stateRouting(state, around));
}

function isTouched(
  { addresses, interface: name }: End,
  { everything, interfaces, addresses: moved }: Touched,
): boolean {
  return everything || (name !== undefined && interfaces.has(name)) || addresses.some((one) => moved.has(one));
}

/** The ports that the policies name, a port of TCP and UDP that none of them names, and an echo request. */
function questionsOf(policies: readonly AnyPolicy[], endpoints: readonly Endpoint[]): Question[] {
  const named = new Map<string, Question>();
  for (const policy of policies) {
    const { ingress, egress } = resolvePolicy(policy) ?? {};
    for (const { protocol, destination } of [...(ingress?.rules ?? []), ...(egress?.rules ?? [])]) {
      const byName = endpoints.flatMap(({ ports }) =>
        ports.filter(({ name }) => destination.ports?.named.includes(name)),
      );
      const ports = [...(destination.ports?.ranges ?? []).map(({ first }) => first), ...byName.map(({ port }) => port)];
      const protocols = protocol === undefined ? [TCP, UDP] : [protocol];
      for (const one of protocols) {
        if (!WITH_PORTS.includes(one)) continue;
        for (const port of ports) if (named.size < MOST_PORTS) named.set(`${one} ${port}`, { protocol: one, port });
        named.set(`${one}`, { protocol: one });
      }
    }
  }
  return [
    ...[...named.values()].filter(({ port }) => port !== undefined),
    ...[...new Set([TCP, UDP, ...[...named.values()].map(({ protocol }) => protocol)])].map((protocol) => ({
      protocol,
    })),
    { protocol: ICMP },
  ];
}

/** A port that nobody names on purpose. */
const UNNAMED = 49_151;

function packetsOf({ protocol, port }: Question, from: End, to: Pick<End, "addresses">): Packet[] {
  return ([4, 6] as const).flatMap((family): Packet[] => {
    const [source, destination] = [from, to].map((end) => addressOf(end, family));
    if (source === undefined || destination === undefined) return [];
    const base = { family, source, destination, mac: from.mac };
    if (protocol === ICMP)
      return [{ ...base, protocol: family === 4 ? ICMP : ICMPV6, icmp: { type: family === 4 ? 8 : 128, code: 0 } }];
    return [{ ...base, protocol, sourcePort: SOURCE_PORT, destinationPort: port ?? UNNAMED }];
  });
}

function addressOf({ addresses }: Pick<End, "addresses">, family: Family): string | undefined {
  return addresses.find((one) => one.includes(":") === (family === 6));
}

function flowText({ protocol, port }: Question): string {
  const name = protocolName(protocol).toLowerCase();
  return protocol === ICMP ? "icmp" : port === undefined ? `other ${name}` : `${name} ${port}`;
}

/** Sets that say whose an address is: they tell every endpoint from every other, and no policy reads them. */
const IDENTITY: ReadonlySet<string> = new Set([
  FIXED_SETS.sources4,
  FIXED_SETS.sources6,
  FIXED_SETS.macs,
  FIXED_SETS.interfaces,
  FIXED_SETS.endpoints4,
  FIXED_SETS.endpoints6,
  FIXED_SETS.from,
  FIXED_SETS.to,
]);

/** Endpoints that have the same programs and are in the same sets, before and after. */
function kindsOf(endpoints: readonly Endpoint[], states: readonly HostState[]): Endpoint[][] {
  const readers = states.flatMap(({ ruleset }) => {
    const table = ruleset.get(INET_KEY);
    return table === undefined ? [] : [signatures(table)];
  });
  const kinds = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    if (endpoint.local === undefined || endpoint.addresses.length === 0) continue;
    const key = JSON.stringify(readers.map((read) => read(endpoint)));
    const kind = kinds.get(key);
    if (kind === undefined) kinds.set(key, [endpoint]);
    else kind.push(endpoint);
  }
  return [...kinds.values()];
}

function signatures(table: Table): (endpoint: Endpoint) => unknown {
  const exact = new Map<string, string[]>();
  const wide: { readonly type: FieldType; readonly value: string; readonly what: string }[] = [];
  for (const [name, set] of table.sets) {
    const at = set.key.findIndex((type) => type === "ipv4_addr" || type === "ipv6_addr");
    const type = set.key[at];
    if (type === undefined || IDENTITY.has(name)) continue;
    for (const key of set.elements.keys()) {
      const fields = key.split(" . ");
      const value = fields[at] ?? "";
      const what = `${name} ${fields.toSpliced(at, 1).join()}`;
      if (/[-/]/.test(value)) wide.push({ type, value, what });
      else exact.set(value, [...(exact.get(value) ?? []), what]);
    }
  }
  for (const { rules } of table.chains.values())
    for (const { steps } of rules)
      for (const step of steps)
        if (step.kind === "match" && /^ip6? [sd]addr$/.test(step.field))
          wide.push({
            type: step.field.startsWith("ip6") ? "ipv6_addr" : "ipv4_addr",
            value: step.value,
            what: step.value,
          });
  const maps = [FIXED_SETS.from, FIXED_SETS.to].map((name) => table.sets.get(name)?.elements);
  return ({ addresses, local }) => [
    maps.map((elements) => elements?.get(local?.interface ?? "")),
    addresses.map((address) => {
      const type = address.includes(":") ? "ipv6_addr" : "ipv4_addr";
      const inside = wide.filter((one) => one.type === type && valueHolds(type, one.value, address));
      return [(exact.get(address) ?? []).toSorted(), inside.map(({ what }) => what)];
    }),
  ];
}
