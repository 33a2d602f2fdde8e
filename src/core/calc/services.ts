/**
 * Service addresses: which containers of this host have which, and what the host does for them.
 *
 *     Service resources, labels of containers  ->  members  ->  routes to those that are well
 *
 * Membership follows labels alone, and gives a container the right to send from the address and a place in the sets of peers: an
 * unhealthy one may still end what it has begun. Health decides about routes, and by them about the announcement.
 */

import type { Service, ServiceCheck } from "../model/resources.ts";
import { checkText, parseCheck, whyNotServiceAddress } from "../model/service.ts";
import { formatAddress, parseAddress } from "../net/address.ts";
import { type Cidr, cidr, parseNet } from "../net/cidr.ts";
import type { Problem } from "../problem.ts";
import { match } from "../selector/match.ts";
import { parseSelector } from "../selector/parse.ts";
import type { ServiceRoute } from "./host-state.ts";
import { containerKey, familyOf, isJoined, nodeAddresses } from "./local.ts";
import { endpointPeer } from "./peers.ts";
import type { Endpoint, ServiceMember, Snapshot } from "./snapshot.ts";

/** On a container: addresses, one of each IP version, and how it is checked. */
export const ADDRESS_LABEL = "manx.service-address";
export const CHECK_LABEL = "manx.service-check";

/** Parts of a member's share: one that is to end gets nothing new where there is another. */
const FULL_WEIGHT = 256;
const DRAINING_WEIGHT = 1;

/** A member without what is known of its health. */
export type Membership = Omit<ServiceMember, "state">;

export interface Resolved {
  readonly members: readonly Membership[];
  /** Labels that could not be read, addresses that somebody else has. */
  readonly problems: readonly Problem[];
}

export function hasService(endpoint: Endpoint): boolean {
  return endpoint.labels.has(ADDRESS_LABEL);
}

/** Members among the endpoints of this host. An address that is an endpoint's own is no service's. */
export function resolveServices(services: readonly Service[], own: readonly Endpoint[]): Resolved {
  const problems: Problem[] = [];
  const taken = new Set(own.flatMap(({ addresses }) => addresses));
  const owners = new Map<string, string>();
  for (const { metadata, spec } of services.toSorted(byName))
    for (const address of spec.addresses) if (!owners.has(address)) owners.set(address, `service ${metadata.name}`);
  const found: Membership[] = [];
  const add = (service: string, endpoint: Endpoint, addresses: readonly string[], rest: Rest): void => {
    const free = addresses.filter((address) => {
      const why = taken.has(address)
        ? `${address} is the address of a container`
        : owners.get(address) === service
          ? undefined
          : `${address} is the address of the ${owners.get(address)}`;
      if (why !== undefined) problems.push({ path: service, message: why });
      return why === undefined;
    });
    const usable = free.filter((address) => endpoint.addresses.some((one) => familyOf(one) === familyOf(address)));
    if (usable.length > 0) found.push({ service, endpoint: endpoint.id, addresses: usable, ...rest });
  };
  for (const { metadata, spec } of services) {
    const parsed = parseSelector(spec.selector);
    if (!parsed.ok) continue;
    const { check, drain } = spec;
    for (const endpoint of firstOfEach(own.filter((one) => match(parsed.selector, endpointPeer(one).labels))))
      add(`service ${metadata.name}`, endpoint, spec.addresses, { check, drain });
  }
  for (const endpoint of firstOfEach(own.filter(hasService))) {
    const read = fromLabels(endpoint, problems);
    if (read === undefined) continue;
    for (const address of read.addresses) {
      const service = `label ${address}`;
      if (!owners.has(address)) owners.set(address, service);
      add(service, endpoint, [address], { check: read.check, drain: 1 });
    }
  }
  return { members: found, problems: distinct(problems) };
}

type Rest = Pick<Membership, "check" | "drain">;

function byName(a: Service, b: Service): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

/**
 * A container on several networks is one member, by the interface that it has had longest. Of two on one network the older is what Docker
 * could not tell us the end of.
 */
function firstOfEach(endpoints: readonly Endpoint[]): Endpoint[] {
  const newest = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const key = `${containerKey(endpoint)} ${endpoint.network}`;
    const other = newest.get(key);
    if (other === undefined || (other.local?.since ?? "") < (endpoint.local?.since ?? "")) newest.set(key, endpoint);
  }
  const order = (one: Endpoint): number => one.local?.gatewayIndex ?? 0;
  const first = new Map<string, Endpoint>();
  for (const endpoint of [...newest.values()].sort((a, b) => order(a) - order(b) || (a.id < b.id ? -1 : 1))) {
    const key = containerKey(endpoint);
    if (!first.has(key)) first.set(key, endpoint);
  }
  return [...first.values()];
}

function fromLabels(
  { container, labels }: Endpoint,
  problems: Problem[],
): { addresses: readonly string[]; check: ServiceCheck } | undefined {
  const path = `${container} ${ADDRESS_LABEL}`;
  const texts = (labels.get(ADDRESS_LABEL) ?? "").split(",").map((text) => text.trim());
  const bad = texts.map(whyNotServiceAddress).find((why) => why !== undefined);
  const check = parseCheck(labels.get(CHECK_LABEL) ?? "docker");
  if (bad !== undefined) problems.push({ path, message: bad });
  if (check === undefined)
    problems.push({
      path: `${container} ${CHECK_LABEL}`,
      message: `"${labels.get(CHECK_LABEL) ?? ""}" is no check: docker, tcp:80 or http:8080/healthz`,
    });
  if (bad !== undefined || check === undefined) return undefined;
  const addresses = texts.flatMap((text) => parseAddress(text) ?? []).map(formatAddress);
  return { addresses: [...new Set(addresses)], check };
}

function distinct(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((one) => [`${one.path}\n${one.message}`, one])).values()];
}

/** Service addresses by endpoint ID. */
export function addressesByEndpoint(members: readonly Membership[]): ReadonlyMap<string, readonly string[]> {
  const out = new Map<string, string[]>();
  for (const { endpoint, addresses } of members) {
    const all = out.get(endpoint) ?? [];
    out.set(endpoint, [...all, ...addresses.filter((address) => !all.includes(address))]);
  }
  return out;
}

/** Tells a member from every other: its health has this name. */
export function memberKey({ service, endpoint, check }: Pick<Membership, "service" | "endpoint" | "check">): string {
  return `${endpoint} ${checkText(check)} ${service}`;
}

/** Routes to the members on this host, by "family prefix". */
export function serviceRoutes(snapshot: Snapshot): Map<string, ServiceRoute> {
  const out = new Map<string, ServiceRoute>();
  const members = snapshot.serviceMembers ?? [];
  if (members.length === 0) return out;
  const own = new Map((snapshot.parts?.own ?? snapshot.endpoints).map((endpoint) => [endpoint.id, endpoint]));
  const sources = nodeAddresses(snapshot);
  for (const address of new Set(members.flatMap(({ addresses }) => addresses))) {
    const family = familyOf(address);
    const there = members.filter(({ addresses, state }) => state !== "down" && addresses.includes(address));
    const hops = there.flatMap(({ endpoint: id, state }) => {
      const endpoint = own.get(id);
      if (endpoint === undefined || !isJoined(endpoint, snapshot.host)) return [];
      const weight = state === "up" ? FULL_WEIGHT : DRAINING_WEIGHT;
      return [{ interface: endpoint.local.interface, weight }];
    });
    if (hops.length === 0) continue;
    out.set(`${family} ${address}/${family === 4 ? 32 : 128}`, {
      announced: hops.some(({ weight }) => weight === FULL_WEIGHT),
      hops: hops.sort((a, b) => (a.interface < b.interface ? -1 : 1)),
      ...(sources[family] === undefined ? {} : { source: sources[family] }),
    });
  }
  return out;
}

/** What outgoing NAT leaves alone: who is asked by a service address sees who asks, as by any address of a pool. */
export function notTranslated({ pools, serviceAddresses = [] }: Snapshot): Cidr[] {
  return [
    ...pools.map(({ spec }) => cidr(spec.cidr)),
    ...serviceAddresses.flatMap((address) => parseNet(address) ?? []),
  ];
}

/**
 * Which of several local members a flow goes to is decided by its ports too, as it is across hosts: else all connections of one client
 * would end at one container.
 */
export function serviceSysctls(routes: ReadonlyMap<string, ServiceRoute>): [string, string][] {
  const families = new Set([...routes.keys()].map((key) => key[0]));
  return [
    ...(families.has("4") ? [["net/ipv4/fib_multipath_hash_policy", "1"] satisfies [string, string]] : []),
    ...(families.has("6") ? [["net/ipv6/fib_multipath_hash_policy", "1"] satisfies [string, string]] : []),
  ];
}
