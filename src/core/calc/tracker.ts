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

/** A collection that remembers what changed lately, so that a look at it costs what has changed and not what there is. */
export interface Journal<T> {
  /** Grows with every change. */
  readonly version: number;
  get(key: string): T | undefined;
  keys(): Iterable<string>;
  /** Keys that changed after that version; undefined if that is too long ago to be known. */
  changedSince(version: number): Iterable<string> | undefined;
}

/** As Tracker, for a journal. */
export class JournalTracker<T> {
  readonly #seen = new Map<string, T>();
  #version = -1;

  update(journal: Journal<T>): Changes<T> {
    if (journal.version === this.#version) return NONE;
    const keys = this.#version < 0 ? undefined : journal.changedSince(this.#version);
    this.#version = journal.version;
    const upserts: T[] = [];
    const removed: T[] = [];
    for (const key of keys ?? new Set([...this.#seen.keys(), ...journal.keys()])) {
      const before = this.#seen.get(key);
      const now = journal.get(key);
      if (now === before) continue;
      if (now === undefined) {
        this.#seen.delete(key);
        removed.push(before as T);
      } else {
        this.#seen.set(key, now);
        upserts.push(now);
      }
    }
    return { upserts, removed };
  }
}
