/** Whom rules can mean: everything that has labels and addresses, on any host. */
import type { GlobalNetworkSet, HostEndpoint, NetworkSet } from "../model/resources.ts";
import { type Cidr, cidr, parseNet } from "../net/cidr.ts";
import { protocolNumber } from "../rules/protocol.ts";
import { netText } from "../rules/sets.ts";
import { type Labels, NAMESPACE_LABEL, NAMESPACE_PREFIX, namespaceProfile, recordLabels } from "./labels.ts";
import { allAddresses } from "./local.ts";
import type { Endpoint, Snapshot } from "./snapshot.ts";

export interface Peer {
  /** Tells it from every other peer. */
  readonly id: string;
  readonly labels: Labels;
  /** Profiles whose labels it inherits, in order. */
  readonly parents: readonly string[];
  /** Canonical addresses of an endpoint. */
  readonly addresses: readonly string[];
  /** Nets of a network set, as elements (`netText`). */
  readonly nets: readonly string[];
  readonly ports: readonly PeerPort[];
}

export interface PeerPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

export function endpointPeer(endpoint: Endpoint): Peer {
  return {
    id: `endpoint ${endpoint.id}`,
    ...namespaced(endpoint.labels, endpoint.namespace, endpoint.profiles),
    addresses: allAddresses(endpoint),
    nets: [],
    ports: endpoint.ports.map(({ name, protocol, port }) => ({ name, port, protocol: protocolNumber(protocol) })),
  };
}

/** What names the namespace is not the owner's to set. */
function namespaced(
  labels: Labels,
  namespace: string,
  profiles: readonly string[],
): { labels: Labels; parents: readonly string[] } {
  const own = new Map(labels);
  own.set(NAMESPACE_LABEL, namespace);
  own.set(`${NAMESPACE_PREFIX}projectcalico.org/name`, namespace);
  own.set(`${NAMESPACE_PREFIX}kubernetes.io/metadata.name`, namespace);
  return { labels: own, parents: profiles.concat(namespaceProfile(namespace)) };
}

export function networkSetPeer(set: GlobalNetworkSet | NetworkSet): Peer {
  const { name, namespace = "default", labels } = set.metadata;
  const own = recordLabels(labels);
  const scope = set.kind === "NetworkSet" ? namespaced(own, namespace, []) : { labels: own, parents: [] };
  return {
    id: `set ${set.kind === "NetworkSet" ? namespace : ""}/${name}`,
    ...scope,
    addresses: [],
    nets: (set.spec.nets ?? []).map((net) => netText(cidr(net))),
    ports: [],
  };
}

export function hostEndpointPeer({ metadata, spec }: HostEndpoint): Peer {
  return {
    id: `host ${metadata.name}`,
    labels: recordLabels(metadata.labels),
    parents: spec.profiles ?? [],
    addresses: (spec.expectedIPs ?? []).flatMap((text) => bareAddress(parseNet(text))),
    nets: [],
    ports: (spec.ports ?? []).map(({ name, protocol, port }) => ({ name, port, protocol: protocolNumber(protocol) })),
  };
}

function bareAddress(net: Cidr | undefined): string[] {
  return net === undefined ? [] : [netText(net)];
}

export function peersOf(snapshot: Snapshot): Peer[] {
  return [
    ...snapshot.endpoints.map(endpointPeer),
    ...snapshot.networkSets.map(networkSetPeer),
    ...snapshot.hostEndpoints.map(hostEndpointPeer),
  ];
}
