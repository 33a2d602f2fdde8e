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
  const layers = from instanceof PatchedMap ? (from as PatchedMap<V>).layers : { base: from, over: EMPTY, gone: NONE };
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

interface Layers<V> {
  readonly base: ReadonlyMap<string, V>;
  readonly over: ReadonlyMap<string, V>;
  /** Keys of the base that are not to be seen. */
  readonly gone: ReadonlySet<string>;
}

const EMPTY: ReadonlyMap<string, never> = new Map<string, never>();
const NONE: ReadonlySet<string> = new Set();

class PatchedMap<V> implements ReadonlyMap<string, V> {
  readonly layers: Layers<V>;

  constructor(layers: Layers<V>) {
    this.layers = layers;
  }

  get size(): number {
    const { base, over, gone } = this.layers;
    return base.size - gone.size + over.size;
  }

  get(key: string): V | undefined {
    const { base, over, gone } = this.layers;
    const found = over.get(key);
    if (found !== undefined || over.has(key)) return found;
    return gone.has(key) ? undefined : base.get(key);
  }

  has(key: string): boolean {
    const { base, over, gone } = this.layers;
    return over.has(key) || (base.has(key) && !gone.has(key));
  }

  *entries(): MapIterator<[string, V]> {
    const { base, over, gone } = this.layers;
    for (const entry of base) if (!gone.has(entry[0])) yield entry;
    yield* over;
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  forEach(visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }
}
