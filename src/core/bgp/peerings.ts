/**
 * Which peers a host has, as Calico works it out (confd, `updatePeersV1` and `processMeshPeers`): the mesh, the BGPPeers without a
 * node, those of this node, and the other ends of those that name this host. Where two name one address and port, the first of
 * that order counts, and among equals the first by name.
 */
import { parsePeerAddress } from "../model/bgp.ts";
import { annotation, isInterfaceName } from "../model/bgp-annotations.ts";
import { canonicalCidr, plainNet } from "../model/fields.ts";
import type { BGPPeer } from "../model/resources.ts";
import { formatAddress, parseAddress } from "../net/address.ts";
import { match } from "../selector/match.ts";
import { parseSelector } from "../selector/parse.ts";
import type { BgpNode } from "./nodes.ts";
import type { Problems } from "./problems.ts";
import type { Remote, Session } from "./state.ts";

/** A peer of this host before its settings are worked out. */
export interface Peering {
  readonly kind: Session["kind"];
  readonly remote: Remote;
  /** Undefined: 179. */
  readonly port?: number;
  readonly asNumber?: number;
  /** The peer is a node of the cluster. */
  readonly node?: BgpNode;
  /** Undefined: the mesh. */
  readonly resource?: BGPPeer;
  /** The resource describes the other end: what it calls local is the peer's. */
  readonly reversed: boolean;
}

const FAMILIES = [4, 6] as const;

export function meshPeerings(self: BgpNode, nodes: readonly BgpNode[]): Peering[] {
  if (self.clusterId !== undefined) return [];
  return nodes
    .filter((node) => node.name !== self.name && node.clusterId === undefined)
    .flatMap((node) => nodePeerings("mesh", self, node, FAMILIES));
}

export function configuredPeerings(
  self: BgpNode,
  nodes: readonly BgpNode[],
  peers: readonly BGPPeer[],
  problems: Problems,
): Peering[] {
  const sorted = [...peers].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const ends = sorted.map((peer) => {
    const kind = peer.spec.node || peer.spec.nodeSelector ? "node" : "global";
    const both = (): { kind: "node" | "global"; forth: Peering[]; back: Peering[] } => ({
      kind,
      forth: localNodes(peer, nodes).includes(self) ? forward(kind, self, nodes, peer) : [],
      back: reverse(self, nodes, peer),
    });
    return problems.of(`BGPPeer ${peer.metadata.name}`, both, { kind, forth: [], back: [] });
  });
  return [
    ...ends.flatMap(({ kind, forth }) => (kind === "global" ? forth : [])),
    ...ends.flatMap(({ kind, forth }) => (kind === "node" ? forth : [])),
    ...ends.flatMap(({ back }) => back),
  ];
}

/** One a remote end: the first wins. */
export function distinct(peerings: readonly Peering[]): Peering[] {
  const seen = new Map<string, Peering>();
  for (const peering of peerings) {
    const key = `${JSON.stringify(peering.remote)} ${peering.port ?? 179}`;
    if (!seen.has(key)) seen.set(key, peering);
  }
  return [...seen.values()];
}

function forward(kind: Session["kind"], self: BgpNode, nodes: readonly BgpNode[], peer: BGPPeer): Peering[] {
  const { spec } = peer;
  if (spec.peerSelector)
    return selected(spec.peerSelector, nodes)
      .filter((node) => node !== self)
      .flatMap((node) => nodePeerings(kind, self, node, FAMILIES, peer));
  const remote = remoteOf(peer);
  if (remote === undefined) return [];
  const base = { kind, resource: peer, reversed: false };
  const asNumber = spec.asNumber === undefined ? {} : { asNumber: spec.asNumber };
  if (remote.remote.kind === "range") return [{ ...base, ...asNumber, remote: remote.remote }];
  const { address } = remote.remote;
  if (isOwn(self, address)) return [];
  const [node] = nodesAt(nodes, address, spec.asNumber, remote.port);
  const port = remote.port ?? node?.port;
  return [
    {
      ...base,
      ...(node === undefined ? asNumber : { asNumber: node.asNumber }),
      remote: remote.remote,
      ...(port === undefined ? {} : { port }),
      ...(node === undefined ? {} : { node }),
    },
  ];
}

/** The other ends of peerings that are described from the far side. */
function reverse(self: BgpNode, nodes: readonly BgpNode[], peer: BGPPeer): Peering[] {
  if (peer.spec.reversePeering === "Manual") return [];
  const families = reversedFamilies(self, nodes, peer);
  return localNodes(peer, nodes)
    .filter((node) => node !== self)
    .flatMap((node) => nodePeerings("node", self, node, families, peer, true));
}

function reversedFamilies(self: BgpNode, nodes: readonly BgpNode[], peer: BGPPeer): readonly (4 | 6)[] {
  const { peerSelector, asNumber } = peer.spec;
  if (peerSelector) return selected(peerSelector, nodes).includes(self) ? FAMILIES : [];
  const remote = remoteOf(peer);
  if (remote === undefined || remote.remote.kind === "range") return [];
  const { address } = remote.remote;
  if (!nodesAt(nodes, address, asNumber, remote.port).includes(self)) return [];
  return [address.includes(":") ? 6 : 4];
}

function nodePeerings(
  kind: Session["kind"],
  self: BgpNode,
  node: BgpNode,
  families: readonly (4 | 6)[],
  resource?: BGPPeer,
  reversed = false,
): Peering[] {
  return families.flatMap((family): Peering[] => {
    const address = node.addresses[family];
    if (address === undefined || address === self.addresses[family] || self.addresses[family] === undefined) return [];
    return [
      {
        kind,
        remote: { kind: "address", address },
        port: node.port,
        asNumber: (reversed ? resource?.spec.localASNumber : undefined) ?? node.asNumber,
        node,
        ...(resource === undefined ? {} : { resource }),
        reversed,
      },
    ];
  });
}

function remoteOf({ spec, metadata }: BGPPeer): { readonly remote: Remote; readonly port?: number } | undefined {
  const range = annotation(metadata.annotations, "range");
  if (spec.peerIP === undefined)
    return range === undefined ? undefined : { remote: { kind: "range", cidr: canonicalCidr(range) } };
  const parsed = parsePeerAddress(spec.peerIP);
  const value = parsed === undefined ? undefined : parseAddress(plainNet(parsed.address));
  if (parsed === undefined || value === undefined) return undefined;
  const on = annotation(metadata.annotations, "interface");
  const named = on !== undefined && isInterfaceName(on) ? { interface: on } : {};
  const remote: Remote = { kind: "address", address: formatAddress(value), ...named };
  return { remote, ...(parsed.port === undefined ? {} : { port: parsed.port }) };
}

function isOwn(self: BgpNode, address: string): boolean {
  return self.addresses[4] === address || self.addresses[6] === address;
}

/** The nodes that a peer with this address can be: of that AS and at that port, where these are said. */
function nodesAt(
  nodes: readonly BgpNode[],
  address: string,
  asNumber: number | undefined,
  port: number | undefined,
): BgpNode[] {
  return nodes.filter(
    (node) =>
      isOwn(node, address) &&
      (asNumber === undefined || node.asNumber === asNumber) &&
      (port === undefined || port === node.port),
  );
}

/** The nodes that have the peer. */
function localNodes({ spec }: BGPPeer, nodes: readonly BgpNode[]): readonly BgpNode[] {
  if (spec.nodeSelector) return selected(spec.nodeSelector, nodes);
  return spec.node ? nodes.filter(({ name }) => name === spec.node) : nodes;
}

function selected(selector: string, nodes: readonly BgpNode[]): BgpNode[] {
  const parsed = parseSelector(selector);
  return parsed.ok ? nodes.filter(({ labels }) => match(parsed.selector, labels)) : [];
}
