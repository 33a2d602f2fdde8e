/** What is in the sets that rules look things up in. */
import type { Family } from "../net/address.ts";
import { cidr } from "../net/cidr.ts";
import type { FieldType, NftSet } from "../rules/ir.ts";
import { addressType, disjointNets, mergedKey, type Nature, type SetSpec, sizeClass } from "../rules/sets.ts";
import { exactSet, intervalSet } from "../rules/steps.ts";
import { allAddresses, containerKey, familyOf } from "./local.ts";
import type { Peer } from "./peers.ts";
import type { Endpoint } from "./snapshot.ts";

function hasNets(peers: Iterable<Peer>, family: Family): boolean {
  for (const { nets } of peers) if (nets.some((net) => familyOf(net) === family)) return true;
  return false;
}

export function natureOf(peers: readonly Peer[], family: Family): Nature {
  return { size: sizeClass(peers.length), nets: hasNets(peers, family) };
}

export function mergedSet(
  { family, shape, fixed, selectors }: Extract<SetSpec, { kind: "merged" }>,
  peersOf: (selector: string) => Iterable<Peer>,
): NftSet {
  const elements = new Set(fixed);
  for (const [selector, suffixes] of selectors)
    for (const peer of peersOf(selector))
      for (const element of mergedElements(peer, suffixes, family)) elements.add(element);
  return exactSet(mergedKey(shape, family), elements);
}

/** Each address of the family with each suffix. */
export function mergedElements({ addresses }: Peer, suffixes: readonly string[], family: Family): string[] {
  return addresses
    .filter((text) => familyOf(text) === family)
    .flatMap((text) => suffixes.map((suffix) => text + suffix));
}

export function selectorSet(peers: Iterable<Peer>, family: Family, interval: boolean): NftSet {
  const key: readonly FieldType[] = [addressType(family)];
  const elements = new Set<string>();
  for (const { addresses, nets } of peers)
    for (const list of [addresses, nets]) for (const text of list) if (familyOf(text) === family) elements.add(text);
  if (!interval) return exactSet(key, elements);
  return intervalSet(key, disjointNets([...elements].map(cidr)));
}

export function namedPortSet(peers: Iterable<Peer>, name: string, family: Family): NftSet {
  const elements = new Set<string>();
  for (const { addresses, ports } of peers)
    for (const port of ports)
      if (port.name === name)
        for (const address of addresses)
          if (familyOf(address) === family) elements.add(`${address} . ${port.protocol} . ${port.port}`);
  return exactSet([addressType(family), "inet_proto", "inet_service"], elements);
}

/**
 * All addresses of the containers on a network, those on their other networks too: which interface a container sends from is
 * its routing table's choice, not a statement about who it is.
 */
export function memberSet(endpoints: readonly Endpoint[], network: string, family: Family): NftSet {
  const containers = new Set<string>();
  for (const endpoint of endpoints) if (endpoint.network === network) containers.add(containerKey(endpoint));
  const elements = new Set<string>();
  for (const endpoint of endpoints)
    if (containers.has(containerKey(endpoint)))
      for (const address of allAddresses(endpoint)) if (familyOf(address) === family) elements.add(address);
  return exactSet([addressType(family)], elements);
}
