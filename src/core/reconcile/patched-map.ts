/**
 * An immutable map made from another by a few changes, without copying it: the changes lie over the base. Once they are many
 * for the size of the base, a copy is made, so that reading stays as quick as from a plain map.
 */
export interface MapDelta<V> {
  readonly from: ReadonlyMap<string, V>;
  readonly added: ReadonlyMap<string, V>;
  readonly removed: ReadonlySet<string>;
}

/** Below this many entries copying costs less than looking twice. */
const SMALL = 64;

/** The map `from` without `removed`, then with `added`. */
export function patch<V>({ from, added, removed }: MapDelta<V>): ReadonlyMap<string, V> {
  const layers = layersOf(from);
  const { base } = layers;
  const limit = Math.max(SMALL, base.size / 16);
  if (base.size < SMALL || layers.over.size + layers.gone.size + added.size + removed.size > limit) {
    const copy = new Map(from);
    for (const key of removed) copy.delete(key);
    for (const [key, value] of added) copy.set(key, value);
    return copy;
  }
  const over = new Map<string, V>(layers.over);
  const gone = new Set(layers.gone);
  for (const key of removed) {
    over.delete(key);
    if (base.has(key)) gone.add(key);
  }
  for (const [key, value] of added) {
    over.set(key, value);
    // Of the base only what `over` does not say again is seen.
    if (base.has(key)) gone.add(key);
  }
  return new PatchedMap({ base, over, gone });
}

/**
 * Keys at which the two can differ, where both came out of one map by `patch`: their changes, and not all that they hold.
 * Undefined where they have nothing in common.
 */
export function mayDiffer<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): Iterable<K> | undefined {
  if (a === b) return [];
  const [left, right] = [layersOf(a), layersOf(b)];
  if (left.base !== right.base) return undefined;
  return new Set([...left.over.keys(), ...left.gone, ...right.over.keys(), ...right.gone]);
}

/** As `mayDiffer`, and all keys of both where they have nothing in common. */
export function keysThatMayDiffer<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): Iterable<K> {
  return mayDiffer(a, b) ?? new Set([...a.keys(), ...b.keys()]);
}

function layersOf<K, V>(map: ReadonlyMap<K, V>): Layers<K, V> {
  if (map instanceof PatchedMap) return (map as PatchedMap<K, V>).layers;
  return { base: map, over: EMPTY, gone: NONE };
}

interface Layers<K, V> {
  readonly base: ReadonlyMap<K, V>;
  readonly over: ReadonlyMap<K, V>;
  /** Keys of the base that are not to be seen. */
  readonly gone: ReadonlySet<K>;
}

const EMPTY: ReadonlyMap<never, never> = new Map<never, never>();
const NONE: ReadonlySet<never> = new Set();

class PatchedMap<K, V> implements ReadonlyMap<K, V> {
  readonly layers: Layers<K, V>;

  constructor(layers: Layers<K, V>) {
    this.layers = layers;
  }

  get size(): number {
    const { base, over, gone } = this.layers;
    return base.size - gone.size + over.size;
  }

  get(key: K): V | undefined {
    const { base, over, gone } = this.layers;
    const found = over.get(key);
    if (found !== undefined || over.has(key)) return found;
    return gone.has(key) ? undefined : base.get(key);
  }

  has(key: K): boolean {
    const { base, over, gone } = this.layers;
    return over.has(key) || (base.has(key) && !gone.has(key));
  }

  *entries(): MapIterator<[K, V]> {
    const { base, over, gone } = this.layers;
    for (const entry of base) if (!gone.has(entry[0])) yield entry;
    yield* over;
  }

  *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  forEach(visit: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }
}
