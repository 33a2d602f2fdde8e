/** One peering with its settings: Calico's `buildPeerFromData` (confd), with BIRD 2's distances and Manx's annotations. */
import { annotation, type Bfd, parseBfd, parseFamilies } from "../model/bgp-annotations.ts";
import { seconds } from "../model/duration.ts";
import { plainNet } from "../model/fields.ts";
import type { BGPConfiguration, BGPFilter, BGPPassword, BGPPeer } from "../model/resources.ts";
import { type Family, formatAddress, parseAddress } from "../net/address.ts";
import { type Cidr, contains, parseCidr } from "../net/cidr.ts";
import { isSymbol, sessionName } from "./names.ts";
import { BGP_PORT, type BgpNode, LINK_LOCAL } from "./nodes.ts";
import type { Peering } from "./peerings.ts";
import type { Remote, SecretRef, Session } from "./state.ts";

export interface SessionContext {
  readonly self: BgpNode;
  readonly global: BGPConfiguration | undefined;
  readonly filters: ReadonlyMap<string, BGPFilter>;
  /** Names of filters that nobody can understand. */
  readonly unreadable: ReadonlySet<string>;
  readonly connected: readonly Cidr[];
}

const MAX_AS = 0xffffffff;
/** Seconds. A third of the longest hold time (16 bits, RFC 4271 section 4.2). */
const MAX_KEEPALIVE = 21_845;

/** The session, or why there is none: what cannot be understood must not come up with less than was asked for. */
export function session(peering: Peering, context: SessionContext): Session | string {
  const { self, global } = context;
  const { remote, resource } = peering;
  const spec = resource?.spec;
  const family = familyOf(remote);
  if (family === undefined) return "its address or range cannot be read";
  if (remote.kind === "address" && addressOf(remote.address).value === 0n) return "its address is that of nobody";
  const linkLocal = remote.kind === "address" && contains(LINK_LOCAL, addressOf(remote.address));
  if (linkLocal && remote.interface === undefined) return "a link-local peer needs the annotation manx/bgp-interface";
  const localAs = (peering.reversed ? undefined : spec?.localASNumber) ?? self.asNumber;
  const peerAs = peering.asNumber ?? (remote.kind === "range" ? "external" : self.asNumber);
  if (peerAs === 0 || localAs === 0) return "AS number 0 is reserved (RFC 7607)";
  const numbers = spec === undefined ? undefined : whyNotNumbers(spec, [peerAs, localAs]);
  if (numbers !== undefined) return numbers;
  const gateway = peering.reversed ? undefined : spec?.reachableBy;
  const reachableBy = gateway === undefined ? undefined : canonical(gateway, family);
  if (gateway !== undefined && reachableBy === undefined) return "its gateway (reachableBy) cannot be read";
  const chain = (spec?.filters ?? []).map((name) => [name, context.filters.get(name)] as const);
  const bad = chain.find(([name]) => context.unreadable.has(name)); // one that is not there is none
  if (bad !== undefined) return `its filter "${bad[0]}" cannot be read`;
  const annotations = resource === undefined ? global?.metadata.annotations : resource.metadata.annotations;
  const restart = seconds(resource === undefined ? global?.spec.nodeMeshMaxRestartTime : spec?.maxRestartTime);
  const keepalive = seconds(spec?.keepaliveTime);
  const password = secretRef(resource === undefined ? global?.spec.nodeMeshPassword : spec?.password);
  const bindNode = global?.spec.bindMode === "NodeIP" && self.addresses[family] !== undefined && !linkLocal;
  const bfd = bfdOf(annotation(annotations, "bfd"));
  const ttlSecurity = spec?.ttlSecurity === 0 ? undefined : spec?.ttlSecurity;
  const away = distance(remote, ttlSecurity, context.connected);
  // BIRD listens where the session comes from, and BFD over several hops is between two addresses (RFC 5883).
  const needsSource = spec?.sourceAddress !== "None" || bindNode || (bfd !== undefined && away !== "direct");
  const source = linkLocal || !needsSource ? undefined : self.addresses[family];
  if (bfd !== undefined && away !== "direct" && source === undefined)
    return `BFD over several hops needs an IPv${family} address of the node`;
  const port = peering.port === undefined || peering.port === BGP_PORT ? undefined : peering.port;
  const name = sessionName(peering.kind === "mesh" ? "mesh" : "peer", remote, port);
  if (!isSymbol(`way-${name}`)) return "its address, interface and port are too long together";
  return {
    name,
    kind: peering.kind,
    ...(resource === undefined ? {} : { resource: resource.metadata.name }),
    ...(peering.node === undefined ? {} : { peerNode: peering.node.name }),
    remote,
    remotePort: peering.port ?? BGP_PORT,
    peerAs,
    localAs,
    localPort: self.port,
    ...(source === undefined ? {} : { source }),
    bindNode,
    passive: isPassive(peering, self, family),
    distance: away,
    ...(ttlSecurity === undefined ? {} : { ttlSecurity: away === "direct" ? 1 : ttlSecurity }),
    families: families(resource === undefined ? undefined : annotation(annotations, "families"), family, linkLocal),
    nextHop: nextHop(peering, peerAs === localAs),
    ...(password === undefined ? {} : { password }),
    ...(keepalive === undefined ? {} : { keepalive: Math.min(Math.max(1, keepalive), MAX_KEEPALIVE) }),
    ...(restart === undefined ? {} : { restartTime: Math.min(restart, 4095) }), // 12 bits (RFC 4724 section 3)
    ...(spec?.numAllowedLocalASNumbers && !peering.reversed ? { allowLocalAs: spec.numAllowedLocalASNumbers } : {}),
    reflectorClient: self.clusterId !== undefined && peerAs === localAs && peering.node?.clusterId !== self.clusterId,
    ...(bfd === undefined ? {} : { bfd }),
    ...(reachableBy === undefined ? {} : { reachableBy }),
    filters: chain.flatMap(([name, filter]) => (filter === undefined ? [] : [name])),
    transit: chain.some(([, filter]) => asksForTransit(filter)),
  };
}

/** What stands in the configuration as a number has to be one; the store may hold what no check has seen. */
function whyNotNumbers(spec: BGPPeer["spec"], asNumbers: readonly (number | "external")[]): string | undefined {
  const isWhole = (value: unknown, most: number): boolean =>
    value === undefined || (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most);
  if (!asNumbers.every((one) => one === "external" || isWhole(one, MAX_AS))) return "its AS numbers cannot be read";
  if (!isWhole(spec.ttlSecurity, 255)) return "its ttlSecurity cannot be read";
  if (!isWhole(spec.numAllowedLocalASNumbers, 2 ** 31 - 1)) return "its numAllowedLocalASNumbers cannot be read";
  return undefined;
}

/** An address of the family, written anew; nothing if it is none. */
function canonical(text: string, family: Family): string | undefined {
  const parsed = parseAddress(plainNet(text));
  return parsed?.family === family ? formatAddress(parsed) : undefined;
}

function addressOf(text: string) {
  return parseAddress(text) ?? { family: 4 as const, value: 0n };
}

function familyOf(remote: Remote): Family | undefined {
  return remote.kind === "address" ? parseAddress(remote.address)?.family : parseCidr(remote.cidr)?.family;
}

/** One end calls: two that call each other at once can end a graceful restart early. Calico compares the texts. */
function isPassive({ remote, resource, node, kind, reversed }: Peering, self: BgpNode, family: Family): boolean {
  if (remote.kind === "range") return true;
  if (!reversed && annotation(resource?.metadata.annotations, "passive") === "true") return true;
  const mutual = node !== undefined && kind !== "node";
  return mutual && remote.address > (self.addresses[family] ?? "");
}

/** Who names an interface says that the peer is on its wire, and BIRD takes none for a peer several hops away. */
function distance(remote: Remote, ttlSecurity: number | undefined, connected: readonly Cidr[]): Session["distance"] {
  if (remote.kind === "address" && remote.interface !== undefined) return "direct";
  if (ttlSecurity !== undefined || remote.kind === "range") return "multihop";
  const address = addressOf(remote.address);
  return connected.some((network) => contains(network, address)) ? "direct" : "multihop";
}

function families(text: string | undefined, family: Family, linkLocal: boolean): readonly Family[] {
  const asked = text === undefined ? undefined : parseFamilies(text);
  return asked ?? (linkLocal ? [4, 6] : [family]);
}

function nextHop({ resource }: Peering, isInternal: boolean): Session["nextHop"] {
  const { nextHopMode, keepOriginalNextHop } = resource?.spec ?? {};
  if (nextHopMode === "Self") return "self";
  return nextHopMode === "Keep" || (keepOriginalNextHop === true && !isInternal) ? "keep" : "auto";
}

function bfdOf(text: string | undefined): Bfd | undefined {
  const bfd = text === undefined ? "off" : parseBfd(text);
  return bfd === "off" || bfd === "invalid" ? undefined : bfd;
}

function secretRef(password: BGPPassword | undefined): SecretRef | undefined {
  const ref = password?.secretKeyRef;
  return ref === undefined ? undefined : { name: ref.name, key: ref.key, optional: ref.optional === true };
}

/** A rule that accepts routes of other peers for export asks for them to be passed on; without one a host only speaks for itself. */
function asksForTransit(filter: BGPFilter | undefined): boolean {
  const rules = [...(filter?.spec.exportV4 ?? []), ...(filter?.spec.exportV6 ?? [])];
  return rules.some(({ source, action }) => source === "RemotePeers" && action === "Accept");
}
