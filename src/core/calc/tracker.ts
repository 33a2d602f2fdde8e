/** What changed between two lists of things that have names. The lists may be long, and differ in a place or two. */
export interface Changes<T> {
  /** New, or other than before. */
  readonly upserts: readonly T[];
  readonly removed: readonly T[];
}

const NONE: Changes<never> = { upserts: [], removed: [] };

export class Tracker<T> {
  readonly #keyOf: (item: T) => string;
  readonly #equal: (a: T, b: T) => boolean;
  #last: readonly T[] = [];

  /** `equal` is asked where the objects differ: for lists that are made anew each time. */
  constructor(keyOf: (item: T) => string, equal: (a: T, b: T) => boolean = Object.is) {
    this.#keyOf = keyOf;
    this.#equal = equal;
  }

  /** Compares objects by identity, first from both ends: what lies between is all that has to be looked up. */
  update(items: readonly T[]): Changes<T> {
    const last = this.#last;
    this.#last = items;
    if (last === items) return NONE;
    const shorter = Math.min(last.length, items.length);
    let start = 0;
    while (start < shorter && last[start] === items[start]) start++;
    let end = 0;
    while (end < shorter - start && last[last.length - 1 - end] === items[items.length - 1 - end]) end++;
    if (start + end === last.length && start + end === items.length) return NONE;
    const before = new Map(last.slice(start, last.length - end).map((item) => [this.#keyOf(item), item]));
    const upserts: T[] = [];
    for (const item of items.slice(start, items.length - end)) {
      const key = this.#keyOf(item);
      const old = before.get(key);
      if (old === undefined || !(old === item || this.#equal(old, item))) upserts.push(item);
      before.delete(key);
    }
    return { upserts, removed: [...before.values()] };
  }
}
