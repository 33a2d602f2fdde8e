/**
 * The sets that rules look things up in, kept while peers and rules come and go. A set exists while a piece of the ruleset
 * uses it; a selector is followed while a set needs it.
 */

import type { Family } from "../net/address.ts";
import type { FieldType, NftSet } from "../rules/ir.ts";
import { addressType, mergedKey, type Nature, type PeerFacts, type SetSpec, sizeClass } from "../rules/sets.ts";
import { LabelIndex } from "../selector/label-index.ts";
import { selector as parse } from "../selector/parse.ts";
import { exactly } from "./exactly.ts";
import type { Labels } from "./labels.ts";
import { allAddresses, containerKey, familyOf } from "./local.ts";
import { mergedElements } from "./members.ts";
import { addressElements, ExactSet, type GrowingSet, IntervalSet, portElements } from "./peer-set.ts";
import type { Peer } from "./peers.ts";
import type { Endpoint } from "./snapshot.ts";

type Merged = Extract<SetSpec, { kind: "merged" }>;

interface Used {
  spec: SetSpec;
  users: number;
  /** Absent for a constant set. */
  readonly set?: GrowingSet;
}

/** A selector that somebody asked about. */
interface Followed {
  /** Names of the sets that take its members. */
  readonly sets: Set<string>;
  /** Class of the number of its members, as `nature` said last. */
  size: number;
}

/** A container's part in the sets of members: all its addresses, in the set of each of its networks. */
interface Container {
  readonly networks: readonly string[];
  readonly addresses: readonly string[];
}

export class PeerSets implements PeerFacts {
  readonly #index = new LabelIndex();
  readonly #peers = new Map<string, Peer>();
  /** Peers with nets: few, and what makes a selector's set one of intervals. */
  readonly #withNets = new Set<string>();
  readonly #used = new Map<string, Used>();
  /** By selector text. */
  readonly #followed = new Map<string, Followed>();
  readonly #endpoints = new Map<string, Map<string, Endpoint>>();
  readonly #containers = new Map<string, Container>();
  /** Names of the sets of members, by network. */
  readonly #memberSets = new Map<string, Set<string>>();
  /** Selectors that may be needed by no set. */
  readonly #idle = new Set<string>();
  /** Names of sets that may differ from when they were taken last. */
  readonly #dirty = new Set<string>();
  #naturesMoved = false;

  setPeer(peer: Peer): void {
    const before = this.#peers.get(peer.id);
    const hasNets = peer.nets.length > 0;
    this.#naturesMoved ||= hasNets || this.#withNets.has(peer.id);
    this.#peers.set(peer.id, peer);
    if (hasNets) this.#withNets.add(peer.id);
    else this.#withNets.delete(peer.id);
    const changes = this.#index.setItem(peer.id, peer.labels, peer.parents);
    this.#applyMatches(changes);
    if (before !== undefined && !sameContents(before, peer))
      for (const selector of this.#index.selectorsOf(peer.id)) this.#contribute(selector, peer);
  }

  deletePeer(id: string): void {
    this.#naturesMoved ||= this.#withNets.delete(id);
    this.#peers.delete(id);
    this.#applyMatches(this.#index.deleteItem(id));
  }

  /** Labels that a profile gives; undefined: it gives none. */
  setProfile(name: string, labels: Labels | undefined): void {
    this.#naturesMoved ||= this.#withNets.size > 0;
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

  nature(selector: string, family: Family): Nature {
    const followed = this.#follow(selector);
    const matching = this.#index.itemsOf(selector);
    followed.size = sizeClass(matching.size);
    let nets = false;
    for (const id of this.#withNets)
      nets ||= matching.has(id) && this.#peers.get(id)?.nets.some((net) => familyOf(net) === family) === true;
    return { size: followed.size, nets };
  }

  /** True once after anything that can make `nature` answer otherwise. */
  takeNaturesMoved(): boolean {
    const moved = this.#naturesMoved;
    this.#naturesMoved = false;
    return moved;
  }

  use(name: string, spec: SetSpec): void {
    const used = this.#used.get(name);
    if (used !== undefined) {
      used.users++;
      if (spec.kind === "merged" && used.spec !== spec) this.#remerge(name, used, spec);
      return;
    }
    this.#dirty.add(name);
    const set = this.#build(name, spec);
    this.#used.set(name, { spec, users: 1, ...(set === undefined ? {} : { set }) });
  }

  release(name: string): void {
    const used = this.#used.get(name);
    if (used === undefined) return;
    if (--used.users > 0) return;
    this.#used.delete(name);
    this.#dirty.add(name);
    if (used.spec.kind === "members") this.#memberSets.get(used.spec.network)?.delete(name);
    for (const selector of selectorsOf(used.spec)) this.#unfollow(selector, name);
  }

  /** Stops following selectors that no set needs any more. */
  sweep(): void {
    for (const selector of this.#idle) {
      if (this.#followed.get(selector)?.sets.size !== 0) continue;
      this.#followed.delete(selector);
      this.#index.deleteSelector(selector);
    }
    this.#idle.clear();
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
      const names = this.#memberSets.get(spec.network) ?? new Set();
      this.#memberSets.set(spec.network, names.add(name));
      for (const [key, container] of this.#containers)
        if (container.networks.includes(spec.network)) set.set(key, addressesOf(container, spec.family));
      return set;
    }
    if (spec.kind === "merged") set.set(FIXED, spec.fixed);
    for (const selector of selectorsOf(spec)) this.#fill(name, spec, set, selector);
    return set;
  }

  #fill(name: string, spec: SetSpec, set: GrowingSet, selector: string): void {
    this.#follow(selector).sets.add(name);
    for (const id of this.#index.itemsOf(selector)) {
      const peer = this.#peers.get(id);
      if (peer !== undefined) set.set(ownerOf(spec, selector, id), elementsOf(spec, selector, peer));
    }
  }

  /** Other rules were merged under the same name. */
  #remerge(name: string, used: Used, spec: Merged): void {
    const { set, spec: before } = used;
    if (set === undefined || before.kind !== "merged") throw new Error(`${name} is not a merged set`);
    used.spec = spec;
    this.#dirty.add(name);
    set.set(FIXED, spec.fixed);
    for (const [selector, suffixes] of spec.selectors)
      if (!isSameList(before.selectors.get(selector), suffixes)) this.#fill(name, spec, set, selector);
    for (const selector of before.selectors.keys()) {
      if (spec.selectors.has(selector)) continue;
      this.#unfollow(selector, name);
      for (const id of this.#index.itemsOf(selector)) set.delete(ownerOf(spec, selector, id));
    }
  }

  #follow(selector: string): Followed {
    let followed = this.#followed.get(selector);
    if (followed === undefined) {
      followed = { sets: new Set(), size: 0 };
      this.#followed.set(selector, followed);
      this.#idle.add(selector);
      this.#index.setSelector(selector, parse(selector));
      followed.size = sizeClass(this.#index.itemsOf(selector).size);
    }
    return followed;
  }

  #unfollow(selector: string, name: string): void {
    const followed = this.#followed.get(selector);
    followed?.sets.delete(name);
    if (followed?.sets.size === 0) this.#idle.add(selector);
  }

  #applyMatches(changes: readonly { selector: string; item: string; matches: boolean }[]): void {
    for (const { selector, item, matches } of changes) {
      const followed = this.#followed.get(selector);
      if (followed === undefined) continue;
      this.#naturesMoved ||= followed.size !== sizeClass(this.#index.itemsOf(selector).size);
      const peer = matches ? this.#peers.get(item) : undefined;
      if (peer !== undefined) this.#contribute(selector, peer);
      else this.#each(followed, (set, spec) => set.delete(ownerOf(spec, selector, item)));
    }
  }

  #contribute(selector: string, peer: Peer): void {
    const followed = this.#followed.get(selector);
    if (followed === undefined) return;
    this.#each(followed, (set, spec) => set.set(ownerOf(spec, selector, peer.id), elementsOf(spec, selector, peer)));
  }

  #each({ sets }: Followed, visit: (set: GrowingSet, spec: SetSpec) => void): void {
    for (const name of sets) {
      const used = this.#used.get(name);
      if (used?.set === undefined) continue;
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
            networks: Array.from(new Set(Array.from(own.values(), ({ network }) => network))),
            addresses: exactly([...own.values()].flatMap(allAddresses)),
          };
    if (after === undefined) this.#containers.delete(key);
    else this.#containers.set(key, after);
    const networks = new Set([...(before?.networks ?? []), ...(after?.networks ?? [])]);
    for (const network of networks)
      for (const name of this.#memberSets.get(network) ?? []) {
        const { spec, set } = this.#used.get(name) ?? {};
        if (spec?.kind !== "members" || set === undefined) continue;
        this.#dirty.add(name);
        if (after?.networks.includes(network) === true) set.set(key, addressesOf(after, spec.family));
        else set.delete(key);
      }
  }
}

const FIXED = "fixed";

/** A peer may be in a merged set for several selectors; any other set has one. */
function ownerOf({ kind }: SetSpec, selector: string, id: string): string {
  return kind === "merged" ? `${id} ${selector}` : id;
}

function selectorsOf(spec: SetSpec): Iterable<string> {
  switch (spec.kind) {
    case "selector":
    case "named-port":
      return [spec.selector];
    case "merged":
      return spec.selectors.keys();
    case "members":
    case "constant":
      return [];
  }
}

function growingSet(spec: Exclude<SetSpec, { kind: "constant" }>): GrowingSet {
  const key: readonly FieldType[] = [addressType(spec.family)];
  if (spec.kind === "merged") return new ExactSet(mergedKey(spec.shape, spec.family));
  if (spec.kind === "named-port") return new ExactSet([...key, "inet_proto", "inet_service"]);
  return spec.kind === "selector" && spec.interval ? new IntervalSet(spec.family) : new ExactSet(key);
}

/** What a peer that the selector matches is in the set. */
function elementsOf(spec: SetSpec, selector: string, peer: Peer): string[] {
  switch (spec.kind) {
    case "selector":
      return addressElements(peer, spec.family);
    case "named-port":
      return portElements(peer, spec.name, spec.family);
    case "merged":
      return mergedElements(peer, spec.selectors.get(selector) ?? [], spec.family);
    case "members":
    case "constant":
      return [];
  }
}

function addressesOf({ addresses }: Container, family: Family): string[] {
  return addresses.filter((text) => familyOf(text) === family);
}

function sameContents(a: Peer, b: Peer): boolean {
  return (
    isSameList(a.addresses, b.addresses) &&
    isSameList(a.nets, b.nets) &&
    a.ports.length === b.ports.length &&
    a.ports.every((one, i) => {
      const other = b.ports[i];
      return one.name === other?.name && one.protocol === other.protocol && one.port === other.port;
    })
  );
}

function isSameList(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a?.length === b.length && a.every((text, i) => text === b[i]);
}
