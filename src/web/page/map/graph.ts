/** What the map and the flow list show: endpoints and the flows between them, after the filter. */
import { computed } from "@preact/signals";
import type { EndpointView, FlowView, PartyView } from "../../../api/client.ts";
import { filter, partyId } from "../filter.ts";
import { endpoints, flows, nodes } from "../session.ts";
import { plain } from "../text.ts";

export interface MapNode {
  readonly id: string;
  readonly kind: "endpoint" | "host" | "outside";
  readonly label: string;
  readonly network: string;
  readonly host: string;
  readonly endpoint?: EndpointView;
  /** A container that is not there any more; its flows are. */
  readonly gone?: boolean;
}

export interface Edge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** The gravest of its flows'. */
  readonly verdict: FlowView["verdict"];
  readonly flows: readonly FlowView[];
  readonly count: number;
  readonly last: string;
}

export interface Graph {
  readonly nodes: readonly MapNode[];
  readonly edges: readonly Edge[];
  /** Seen last first. */
  readonly flows: readonly FlowView[];
}

const GRAVITY: Readonly<Record<FlowView["verdict"], number>> = {
  deny: 5,
  "would-deny": 4,
  log: 3,
  "would-pass": 2,
  "would-allow": 1,
  allow: 0,
};

export const OUTSIDE = { lan: "lan", internet: "internet" } as const;

/** Private, shared and link-local addresses (RFC 6890, RFC 4193). */
const PRIVATE =
  /^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd]|fe[89ab])/i;

export const graph = computed((): Graph => {
  void flows.changed.value;
  const wanted = filter.value;
  const known = new Map<string, EndpointView>();
  for (const one of endpoints.value) known.set(partyId(one), one);
  const shown = new Set(endpoints.value.filter((one) => wanted.endpoint(one)).map(({ id }) => id));
  const all = shown.size === endpoints.value.length;
  const nodeOf = (party: PartyView): string => {
    if (party.kind === "host") return `host ${party.host ?? party.address}`;
    if (party.kind === "outside") return PRIVATE.test(party.address) ? OUTSIDE.lan : OUTSIDE.internet;
    return known.get(partyId(party))?.id ?? `gone ${party.network ?? ""}/${party.container ?? party.address}`;
  };
  const used = new Set<string>();
  const edges = new Map<string, { from: string; to: string; flows: FlowView[] }>();
  const listed: FlowView[] = [];
  for (const flow of flows.list()) {
    if (!wanted.flow(flow)) continue;
    const [from, to] = [nodeOf(flow.source), nodeOf(flow.destination)];
    if (!all && !shown.has(from) && !shown.has(to)) continue;
    listed.push(flow);
    used.add(from).add(to);
    const id = `${from}>${to}`;
    const edge = edges.get(id);
    if (edge === undefined) edges.set(id, { from, to, flows: [flow] });
    else edge.flows.push(flow);
  }
  const mapNodes = endpoints.value.filter(({ id }) => shown.has(id) || used.has(id)).map(endpointNode);
  for (const node of nodes.value) mapNodes.push(hostNode(node.name));
  for (const id of used) {
    if (id.startsWith("host ") && !nodes.value.some(({ name }) => `host ${name}` === id))
      mapNodes.push(hostNode(id.slice(5)));
    if (id === OUTSIDE.lan) mapNodes.push(outside(id, "LAN"));
    if (id === OUTSIDE.internet) mapNodes.push(outside(id, "Internet"));
    if (id.startsWith("gone ")) mapNodes.push(gone(id));
  }
  return {
    nodes: mapNodes,
    edges: [...edges].map(([id, edge]) => ({ id, ...edge, ...summary(edge.flows) })),
    flows: listed,
  };
});

function summary(all: readonly FlowView[]): Pick<Edge, "verdict" | "count" | "last"> {
  let verdict: FlowView["verdict"] = "allow";
  let [count, last] = [0, ""];
  for (const flow of all) {
    if (GRAVITY[flow.verdict] > GRAVITY[verdict]) verdict = flow.verdict;
    count += flow.count;
    if (flow.last > last) last = flow.last;
  }
  return { verdict, count, last };
}

function endpointNode(endpoint: EndpointView): MapNode {
  const { id, container, network, host } = endpoint;
  return {
    id,
    kind: "endpoint",
    label: plain(container === "" ? id.slice(0, 12) : container),
    network,
    host,
    endpoint,
  };
}

function hostNode(name: string): MapNode {
  return { id: `host ${name}`, kind: "host", label: plain(name), network: "", host: name };
}

function outside(id: string, label: string): MapNode {
  return { id, kind: "outside", label, network: "", host: "" };
}

function gone(id: string): MapNode {
  const [network = "", container = ""] = id.slice(5).split("/");
  return { id, kind: "endpoint", label: plain(container), network, host: "", gone: true };
}
