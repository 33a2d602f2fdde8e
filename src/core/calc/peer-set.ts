/** One set of addresses that follows its peers: exact addresses, or addresses and nets together. */
import type { Family } from "../net/address.ts";
import { address } from "../net/address.ts";
import { type Cidr, cidr, lastAddress } from "../net/cidr.ts";
import { patch } from "../reconcile/patched-map.ts";
import type { ElementData, ElementsDelta, FieldType, NftSet } from "../rules/ir.ts";
import { addressType, disjointNets } from "../rules/sets.ts";
import { CountedSet } from "./counted-set.ts";
import { familyOf } from "./local.ts";
import type { Peer } from "./peers.ts";

/** Whose contents are said owner by owner, and taken as a set. */
export interface GrowingSet {
  set(owner: string, elements: readonly string[]): void;
  delete(owner: string): void;
  /** The same object where nothing changed. */
  take(): NftSet;
}

export class ExactSet implements GrowingSet {
  readonly #key: readonly FieldType[];
  readonly #elements = new CountedSet();
  #taken: NftSet | undefined;

  constructor(key: readonly FieldType[]) {
    this.#key = key;
  }

  set(owner: string, elements: readonly string[]): void {
    this.#elements.set(owner, elements);
  }

  delete(owner: string): void {
    this.#elements.delete(owner);
  }

  take(): NftSet {
    const elements = this.#elements.take();
    if (this.#taken?.elements !== elements)
      this.#taken = { key: this.#key, interval: false, elements, ...since(this.#elements.delta) };
    return this.#taken;
  }
}

interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

/** Addresses that lie in a net of the set are not told apart from it: intervals must not overlap. */
export class IntervalSet implements GrowingSet {
  readonly #family: Family;
  readonly #nets = new CountedSet();
  readonly #addresses = new CountedSet();
  #seenNets: ReadonlyMap<string, ElementData> | undefined;
  #seenAddresses: ReadonlyMap<string, ElementData> = new Map();
  #spans: readonly Span[] = [];
  #netElements: readonly string[] = [];
  #taken: NftSet | undefined;

  constructor(family: Family) {
    this.#family = family;
  }

  set(owner: string, elements: readonly string[]): void {
    this.#nets.set(
      owner,
      elements.filter((element) => element.includes("/")),
    );
    this.#addresses.set(
      owner,
      elements.filter((element) => !element.includes("/")),
    );
  }

  delete(owner: string): void {
    this.set(owner, []);
  }

  take(): NftSet {
    const nets = this.#nets.take();
    const addresses = this.#addresses.take();
    const netsChanged = nets !== this.#seenNets;
    if (this.#taken !== undefined && !netsChanged && addresses === this.#seenAddresses) return this.#taken;
    const delta = this.#addresses.delta;
    const step =
      !netsChanged && delta?.from === this.#seenAddresses ? this.#step(delta.added.keys(), delta.removed) : undefined;
    if (netsChanged) this.#learnNets(nets);
    this.#seenAddresses = addresses;
    const elements = step === undefined ? this.#all(addresses) : step.elements;
    this.#taken = {
      key: [addressType(this.#family)],
      interval: true,
      elements,
      ...(step === undefined ? {} : { since: step.delta }),
    };
    return this.#taken;
  }

  #learnNets(nets: ReadonlyMap<string, ElementData>): void {
    this.#seenNets = nets;
    this.#netElements = disjointNets([...nets.keys()].map(cidr));
    this.#spans = this.#netElements.map((text) => span(cidr(text)));
  }

  #all(addresses: ReadonlyMap<string, ElementData>): ReadonlyMap<string, ElementData> {
    const elements = new Map<string, ElementData>(this.#netElements.map((text) => [text, null]));
    for (const text of addresses.keys()) if (!this.#covers(text)) elements.set(text, null);
    return elements;
  }

  #step(
    added: Iterable<string>,
    removed: Iterable<string>,
  ): { elements: ReadonlyMap<string, ElementData>; delta: ElementsDelta } | undefined {
    const from = this.#taken?.elements;
    if (from === undefined) return undefined;
    const delta: ElementsDelta = {
      from,
      added: new Map([...added].filter((text) => !this.#covers(text)).map((text) => [text, null])),
      removed: new Set([...removed].filter((text) => !this.#covers(text))),
    };
    if (delta.added.size === 0 && delta.removed.size === 0) return { elements: from, delta };
    return { elements: patch(delta), delta };
  }

  #covers(text: string): boolean {
    if (this.#spans.length === 0) return false;
    const { value } = address(text);
    let low = 0;
    let high = this.#spans.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const at = this.#spans[middle];
      if (at === undefined) return false;
      if (value < at.first) high = middle - 1;
      else if (value > at.last) low = middle + 1;
      else return true;
    }
    return false;
  }
}

/** The delta as a set carries it, or nothing where there is none. */
export function since(delta: ElementsDelta | undefined): { since?: ElementsDelta } {
  return delta === undefined ? {} : { since: delta };
}

function span(net: Cidr): Span {
  return { first: net.value, last: lastAddress(net).value };
}

/** What a peer is in a set of its addresses (and nets) of the family. */
export function addressElements({ addresses, nets }: Peer, family: Family): string[] {
  const out: string[] = [];
  for (const list of [addresses, nets]) for (const text of list) if (familyOf(text) === family) out.push(text);
  return out;
}

/** What a peer is in the set of a named port. */
export function portElements({ addresses, ports }: Peer, name: string, family: Family): string[] {
  const named = ports.filter((port) => port.name === name);
  if (named.length === 0) return [];
  return addresses
    .filter((text) => familyOf(text) === family)
    .flatMap((text) => named.map(({ protocol, port }) => `${text} . ${protocol} . ${port}`));
}
