/**
 * The sets that rules look things up in, kept while peers and rules come and go. A set exists while a piece of the ruleset
 * uses it; a selector is followed while a set needs it.
 */
import type { Family } from "../net/address.ts";
import type { FieldType, NftSet } from "../rules/ir.ts";
import { addressType, type PeerFacts, type SetSpec } from "../rules/sets.ts";
import { LabelIndex } from "../selector/label-index.ts";
import { selector as parse } from "../selector/parse.ts";
import type { Labels } from "./labels.ts";
import { containerKey, familyOf } from "./local.ts";
import { addressElements, ExactSet, type GrowingSet, IntervalSet, portElements } from "./peer-set.ts";
import type { Peer } from "./peers.ts";
import type { Endpoint } from "./snapshot.ts";

type Followed = Extract<SetSpec, { kind: "selector" | "named-port" }>;

interface Used {
  readonly spec: SetSpec;
  users: number;
  /** Absent for a constant set. */
  readonly set?: GrowingSet;
}

/** A container's part in the sets of members: all its addresses, in the set of each of its networks. */
interface Container {
  readonly networks: ReadonlySet<string>;
  readonly addresses: readonly string[];
}

export class PeerSets implements PeerFacts {
  readonly #index = new LabelIndex();
  readonly #peers = new Map<string, Peer>();
  /** Peers with nets: few, and what makes a selector's set one of intervals. */
  readonly #withNets = new Set<string>();
  readonly #used = new Map<string, Used>();
  /** Selector text to the names of the sets that follow it. */
  readonly #followers = new Map<string, Set<string>>();
  readonly #endpoints = new Map<string, Map<string, Endpoint>>();
  readonly #containers = new Map<string, Container>();
  /** Names of sets that may differ from when they were taken last. */
  readonly #dirty = new Set<string>();
  #netsMoved = false;

  setPeer(peer: Peer): void {
    const before = this.#peers.get(peer.id);
    const hasNets = peer.nets.length > 0;
    this.#netsMoved ||= hasNets || this.#withNets.has(peer.id);
    this.#peers.set(peer.id, peer);
    if (hasNets) this.#withNets.add(peer.id);
    else this.#withNets.delete(peer.id);
    const changes = this.#index.setItem(peer.id, peer.labels, peer.parents);
    this.#applyMatches(changes);
    if (before !== undefined && !sameContents(before, peer))
      for (const selector of this.#index.selectorsOf(peer.id)) this.#contribute(selector, peer);
  }

  deletePeer(id: string): void {
    this.#netsMoved ||= this.#withNets.delete(id);
    this.#peers.delete(id);
    this.#applyMatches(this.#index.deleteItem(id));
  }

  /** Labels that a profile gives; undefined: it gives none. */
  setProfile(name: string, labels: Labels | undefined): void {
    this.#netsMoved ||= this.#withNets.size > 0;
    this.#applyMatches(labels === undefined ? this.#index.deleteParent(name) : this.#index.setParent(name, labels));
  }

  setEndpoint(endpoint: Endpoint, before: Endpoint | undefined): void {
    if (before !== undefined && containerKey(before) !== containerKey(endpoint)) this.deleteEndpoint(before);
    const key = containerKey(endpoint);
    const own = this.#endpoints.get(key) ?? new Map<string, Endpoint>();
    this.#endpoints.set(key, own.set(endpoint.id, endpoint));
    this.#recount(key);
  }

  deleteEndpoint(endpoint: Endpoint): void {
    const key = containerKey(endpoint);
    const own = this.#endpoints.get(key);
    own?.delete(endpoint.id);
    if (own?.size === 0) this.#endpoints.delete(key);
    this.#recount(key);
  }

  /** All addresses of the endpoint's container, and the endpoints that are its interfaces. */
  container(endpoint: Endpoint): { readonly addresses: readonly string[]; readonly ids: Iterable<string> } {
    const key = containerKey(endpoint);
    return { addresses: this.#containers.get(key)?.addresses ?? [], ids: this.#endpoints.get(key)?.keys() ?? [] };
  }

  matchesNets(selector: string, family: Family): boolean {
    if (this.#withNets.size === 0) return false;
    this.#follow(selector);
    const matching = this.#index.itemsOf(selector);
    for (const id of this.#withNets)
      if (matching.has(id) && this.#peers.get(id)?.nets.some((net) => familyOf(net) === family) === true) return true;
    return false;
  }

  /** True once after anything that can make `matchesNets` answer otherwise. */
  takeNetsMoved(): boolean {
    const moved = this.#netsMoved;
    this.#netsMoved = false;
    return moved;
  }

  use(name: string, spec: SetSpec): void {
    const used = this.#used.get(name);
    if (used !== undefined) {
      used.users++;
      return;
    }
    const set = this.#build(name, spec);
    this.#dirty.add(name);
    this.#used.set(name, { spec, users: 1, ...(set === undefined ? {} : { set }) });
  }

  release(name: string): void {
    const used = this.#used.get(name);
    if (used === undefined) return;
    if (--used.users > 0) return;
    this.#used.delete(name);
    this.#dirty.add(name);
    if (used.spec.kind === "selector" || used.spec.kind === "named-port")
      this.#followers.get(used.spec.selector)?.delete(name);
  }

  /** Stops following selectors that no set needs any more. */
  sweep(): void {
    for (const [selector, names] of this.#followers) {
      if (names.size > 0) continue;
      this.#followers.delete(selector);
      this.#index.deleteSelector(selector);
    }
  }

  /** The sets that may have changed since the last time, as they are now; undefined for those that nobody uses any more. */
  *takeChanged(): Iterable<readonly [string, NftSet | undefined]> {
    for (const name of this.#dirty) {
      const used = this.#used.get(name);
      if (used === undefined) yield [name, undefined];
      else if (used.spec.kind === "constant") yield [name, used.spec.set];
      else yield [name, used.set?.take()];
    }
    this.#dirty.clear();
  }

  #build(name: string, spec: SetSpec): GrowingSet | undefined {
    if (spec.kind === "constant") return undefined;
    const set = growingSet(spec);
    if (spec.kind === "members") {
      for (const [key, container] of this.#containers)
        if (container.networks.has(spec.network)) set.set(key, addressesOf(container, spec.family));
      return set;
    }
    this.#follow(spec.selector).add(name);
    for (const id of this.#index.itemsOf(spec.selector)) {
      const peer = this.#peers.get(id);
      if (peer !== undefined) set.set(id, elementsOf(spec, peer));
    }
    return set;
  }

  #follow(selector: string): Set<string> {
    let names = this.#followers.get(selector);
    if (names === undefined) {
      names = new Set();
      this.#followers.set(selector, names);
      this.#index.setSelector(selector, parse(selector));
    }
    return names;
  }

  #applyMatches(changes: readonly { selector: string; item: string; matches: boolean }[]): void {
    for (const { selector, item, matches } of changes) {
      const peer = this.#peers.get(item);
      if (matches && peer !== undefined) this.#contribute(selector, peer);
      else this.#each(selector, (set) => set.delete(item));
    }
  }

  #contribute(selector: string, peer: Peer): void {
    this.#each(selector, (set, spec) => set.set(peer.id, elementsOf(spec, peer)));
  }

  #each(selector: string, visit: (set: GrowingSet, spec: Followed) => void): void {
    for (const name of this.#followers.get(selector) ?? []) {
      const used = this.#used.get(name);
      if (used?.set === undefined || (used.spec.kind !== "selector" && used.spec.kind !== "named-port")) continue;
      this.#dirty.add(name);
      visit(used.set, used.spec);
    }
  }

  #recount(key: string): void {
    const own = this.#endpoints.get(key);
    const before = this.#containers.get(key);
    const after: Container | undefined =
      own === undefined
        ? undefined
        : {
            networks: new Set([...own.values()].map(({ network }) => network)),
            addresses: [...own.values()].flatMap(({ addresses }) => addresses),
          };
    if (after === undefined) this.#containers.delete(key);
    else this.#containers.set(key, after);
    const networks = new Set([...(before?.networks ?? []), ...(after?.networks ?? [])]);
    for (const [name, { spec, set }] of this.#used) {
      if (spec.kind !== "members" || set === undefined || !networks.has(spec.network)) continue;
      this.#dirty.add(name);
      if (after?.networks.has(spec.network) === true) set.set(key, addressesOf(after, spec.family));
      else set.delete(key);
    }
  }
}

function growingSet(spec: Exclude<SetSpec, { kind: "constant" }>): GrowingSet {
  const key: readonly FieldType[] = [addressType(spec.family)];
  if (spec.kind === "named-port") return new ExactSet([...key, "inet_proto", "inet_service"]);
  return spec.kind === "selector" && spec.interval ? new IntervalSet(spec.family) : new ExactSet(key);
}

function elementsOf(spec: Followed, peer: Peer): string[] {
  if (spec.kind === "named-port") return portElements(peer, spec.name, spec.family);
  return addressElements(peer, spec.family);
}

function addressesOf({ addresses }: Container, family: Family): string[] {
  return addresses.filter((text) => familyOf(text) === family);
}

function sameContents(a: Peer, b: Peer): boolean {
  return (
    sameList(a.addresses, b.addresses) &&
    sameList(a.nets, b.nets) &&
    a.ports.length === b.ports.length &&
    a.ports.every((one, i) => {
      const other = b.ports[i];
      return one.name === other?.name && one.protocol === other.protocol && one.port === other.port;
    })
  );
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
