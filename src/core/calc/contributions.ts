/**
 * A map that many owners fill together, kept so that a change costs what changed: each owner says what it contributes, and
 * `take` gives an immutable map, the same object where nothing differs. Where two owners contribute one key, the greater
 * owner's value counts, so that the result does not depend on the order of events.
 */
import type { ElementData, ElementsDelta } from "../rules/ir.ts";

export interface MapDelta<V> {
  readonly from: ReadonlyMap<string, V>;
  readonly added: ReadonlyMap<string, V>;
  readonly removed: ReadonlySet<string>;
}

type Entries<V> = readonly (readonly [key: string, value: V])[];

export class Contributions<V extends string | object | null> {
  readonly #equal: (a: V, b: V) => boolean;
  readonly #owners = new Map<string, Entries<V>>();
  /** Who contributes a key; nearly always one. */
  readonly #holders = new Map<string, ReadonlyMap<string, V>>();
  readonly #touched = new Set<string>();
  #current: ReadonlyMap<string, V> = new Map();
  #delta: MapDelta<V> | undefined;

  constructor(equal: (a: V, b: V) => boolean = Object.is) {
    this.#equal = equal;
  }

  /** All that the owner contributes from now on. */
  set(owner: string, entries: Entries<V>): void {
    const old = this.#owners.get(owner) ?? [];
    if (this.#areEqual(old, entries)) return;
    for (const [key] of old) this.#withdraw(key, owner);
    for (const [key, value] of entries) this.#hold(key, owner, value);
    if (entries.length === 0) this.#owners.delete(owner);
    else this.#owners.set(owner, entries);
  }

  delete(owner: string): void {
    this.set(owner, []);
  }

  /** The map as it is now. It is never changed afterwards. */
  take(): ReadonlyMap<string, V> {
    if (this.#touched.size === 0) return this.#current;
    const added = new Map<string, V>();
    const removed = new Set<string>();
    for (const key of this.#touched) {
      const now = this.#winner(key);
      const before = this.#current.get(key);
      if (now === undefined) {
        if (before !== undefined) removed.add(key);
      } else if (before === undefined || !this.#equal(now, before)) {
        added.set(key, now);
      }
    }
    this.#touched.clear();
    if (added.size === 0 && removed.size === 0) return this.#current;
    const from = this.#current;
    const next = new Map(from);
    for (const key of removed) next.delete(key);
    for (const [key, value] of added) next.set(key, value);
    this.#current = next;
    this.#delta = { from, added, removed };
    return next;
  }

  /** How the map that `take` gave last came out of the one before; undefined for the first. */
  get delta(): MapDelta<V> | undefined {
    return this.#delta;
  }

  #winner(key: string): V | undefined {
    const holders = this.#holders.get(key);
    if (holders === undefined) return undefined;
    let winner: string | undefined;
    for (const owner of holders.keys()) if (winner === undefined || owner > winner) winner = owner;
    return winner === undefined ? undefined : holders.get(winner);
  }

  #hold(key: string, owner: string, value: V): void {
    const holders = this.#holders.get(key);
    this.#holders.set(key, holders === undefined ? new Map([[owner, value]]) : new Map(holders).set(owner, value));
    this.#touched.add(key);
  }

  #withdraw(key: string, owner: string): void {
    const holders = this.#holders.get(key);
    if (holders === undefined || !holders.has(owner)) return;
    this.#touched.add(key);
    if (holders.size === 1) {
      this.#holders.delete(key);
      return;
    }
    const rest = new Map(holders);
    rest.delete(owner);
    this.#holders.set(key, rest);
  }

  #areEqual(a: Entries<V>, b: Entries<V>): boolean {
    if (a.length !== b.length) return false;
    return a.every(([key, value], i) => {
      const other = b[i];
      return other !== undefined && other[0] === key && this.#equal(value, other[1]);
    });
  }
}

/** The delta as a set carries it, or nothing where there is none. */
export function since(delta: MapDelta<ElementData> | undefined): { since?: ElementsDelta } {
  return delta === undefined ? {} : { since: delta };
}
