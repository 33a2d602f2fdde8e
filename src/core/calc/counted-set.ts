/** As Contributions, for keys without values: elements of a set, each there as long as somebody contributes it. */

import { type MapDelta, patch } from "../reconcile/patched-map.ts";
import type { ElementData } from "../rules/ir.ts";

export class CountedSet {
  readonly #owners = new Map<string, readonly string[]>();
  readonly #counts = new Map<string, number>();
  readonly #touched = new Set<string>();
  #current: ReadonlyMap<string, ElementData> = new Map();
  #delta: MapDelta<ElementData> | undefined;

  /** All that the owner contributes from now on. */
  set(owner: string, elements: readonly string[]): void {
    const old = this.#owners.get(owner) ?? [];
    if (old.length === elements.length && old.every((element, i) => element === elements[i])) return;
    for (const element of elements) this.#add(element, 1);
    for (const element of old) this.#add(element, -1);
    if (elements.length === 0) this.#owners.delete(owner);
    else this.#owners.set(owner, exactly(elements));
  }

  delete(owner: string): void {
    this.set(owner, []);
  }

  /** The elements as they are now, each with null. The map is never changed afterwards. */
  take(): ReadonlyMap<string, ElementData> {
    if (this.#touched.size === 0) return this.#current;
    const from = this.#current;
    const added = new Map<string, ElementData>();
    const removed = new Set<string>();
    for (const element of this.#touched) {
      const now = this.#counts.has(element);
      if (now && !from.has(element)) added.set(element, null);
      if (!now && from.has(element)) removed.add(element);
    }
    this.#touched.clear();
    if (added.size === 0 && removed.size === 0) return from;
    const delta = { from, added, removed };
    // From nothing a delta says no more than the elements.
    this.#delta = from.size === 0 ? undefined : delta;
    this.#current = patch(delta);
    return this.#current;
  }

  /** How the map that `take` gave last came out of the one before; undefined if that was empty. */
  get delta(): MapDelta<ElementData> | undefined {
    return this.#delta;
  }

  #add(element: string, by: 1 | -1): void {
    const count = (this.#counts.get(element) ?? 0) + by;
    if (count === 0) this.#counts.delete(element);
    else this.#counts.set(element, count);
    this.#touched.add(element);
  }
}

/** A copy without spare room: V8 gives a list that grew by `push` or `filter` room for 16 more, and there are 100,000 of them. */
export function exactly<T>(list: readonly T[]): readonly T[] {
  return list.slice();
}
