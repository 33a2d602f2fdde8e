/**
 * A map that many owners fill together, kept so that a change costs what changed: each owner says what it contributes, and
 * `take` gives an immutable map, the same object where nothing differs. Where two owners contribute one key, the greater
 * owner's value counts, so that the result does not depend on the order of events.
 */
import type { MapDelta } from "../reconcile/patched-map.ts";
import { Taken } from "./taken.ts";

type Entries<V> = readonly (readonly [key: string, value: V])[];

interface Holder<V> {
  readonly owner: string;
  readonly value: V;
}

export class Contributions<V extends string | object | null> {
  readonly #equal: (a: V, b: V) => boolean;
  readonly #owners = new Map<string, Entries<V>>();
  /** Who contributes a key, the greatest owner first: mostly one, but each endpoint to the host's forwarding. */
  readonly #holders = new Map<string, Holder<V>[]>();
  readonly #taken: Taken<V>;

  constructor(equal: (a: V, b: V) => boolean = Object.is) {
    this.#equal = equal;
    this.#taken = new Taken<V>(equal);
  }

  /** All that the owner contributes from now on. */
  set(owner: string, entries: Entries<V>): void {
    const old = this.#owners.get(owner) ?? [];
    if (this.#areEqual(old, entries)) return;
    for (const [key] of old) this.#withdraw(key, owner);
    for (const [key, value] of entries) this.#hold(key, { owner, value });
    if (entries.length === 0) this.#owners.delete(owner);
    else this.#owners.set(owner, entries);
  }

  delete(owner: string): void {
    this.set(owner, []);
  }

  /** The map as it is now. It is never changed afterwards. */
  take(): ReadonlyMap<string, V> {
    return this.#taken.take((key) => this.#holders.get(key)?.[0]?.value);
  }

  get delta(): MapDelta<V> | undefined {
    return this.#taken.delta;
  }

  #hold(key: string, holder: Holder<V>): void {
    const holders = this.#holders.get(key);
    this.#taken.touch(key);
    if (holders === undefined) {
      this.#holders.set(key, [holder]);
      return;
    }
    const at = placeOf(holder.owner, holders);
    holders.splice(at, holders[at]?.owner === holder.owner ? 1 : 0, holder);
  }

  #withdraw(key: string, owner: string): void {
    const holders = this.#holders.get(key) ?? [];
    const at = placeOf(owner, holders);
    if (holders[at]?.owner !== owner) return;
    holders.splice(at, 1);
    this.#taken.touch(key);
    if (holders.length === 0) this.#holders.delete(key);
  }

  #areEqual(a: Entries<V>, b: Entries<V>): boolean {
    if (a.length !== b.length) return false;
    return a.every(([key, value], i) => {
      const other = b[i];
      return other !== undefined && other[0] === key && this.#equal(value, other[1]);
    });
  }
}

/** Where the owner stands among the holders, or would. */
function placeOf(owner: string, holders: readonly { readonly owner: string }[]): number {
  let [from, to] = [0, holders.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((holders[middle]?.owner ?? "") > owner) from = middle + 1;
    else to = middle;
  }
  return from;
}
