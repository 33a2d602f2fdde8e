/** A map that is taken again and again: what was touched meanwhile is looked at, the rest is kept. */
import { type MapDelta, patch } from "../reconcile/patched-map.ts";

export class Taken<V> {
  readonly #touched = new Set<string>();
  readonly #equal: (a: V, b: V) => boolean;
  #current: ReadonlyMap<string, V> = new Map();
  #delta: MapDelta<V> | undefined;

  constructor(equal: (a: V, b: V) => boolean = Object.is) {
    this.#equal = equal;
  }

  /** The key may have another value than when the map was taken last. */
  touch(key: string): void {
    this.#touched.add(key);
  }

  /** The map as it is now, the same object where nothing differs; it is never changed afterwards. `valueOf`: undefined for none. */
  take(valueOf: (key: string) => V | undefined): ReadonlyMap<string, V> {
    if (this.#touched.size === 0) return this.#current;
    const from = this.#current;
    const added = new Map<string, V>();
    const removed = new Set<string>();
    for (const key of this.#touched) {
      const [before, now] = [from.get(key), valueOf(key)];
      if (now === undefined) {
        if (before !== undefined) removed.add(key);
      } else if (before === undefined || !this.#equal(now, before)) {
        added.set(key, now);
      }
    }
    this.#touched.clear();
    if (added.size === 0 && removed.size === 0) return from;
    const delta = { from, added, removed };
    // From nothing a delta says no more than the map.
    this.#delta = from.size === 0 ? undefined : delta;
    this.#current = patch(delta);
    return this.#current;
  }

  /** How the map that `take` gave last came out of the one before; undefined if that was empty. */
  get delta(): MapDelta<V> | undefined {
    return this.#delta;
  }
}
