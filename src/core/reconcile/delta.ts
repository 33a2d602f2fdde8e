import { mayDiffer } from "./patched-map.ts";

/** What must change so that `actual` becomes `desired`. */
export interface Delta<K, V> {
  readonly upserts: ReadonlyMap<K, V>;
  readonly deletes: ReadonlySet<K>;
}

export function diff<K, V>(
  desired: ReadonlyMap<K, V>,
  actual: ReadonlyMap<K, V>,
  equal: (a: V, b: V) => boolean,
): Delta<K, V> {
  const upserts = new Map<K, V>();
  const deletes = new Set<K>();
  const keys = mayDiffer(desired, actual);
  if (keys !== undefined) {
    for (const key of keys) {
      const [want, have] = [desired.get(key), actual.get(key)];
      if (want !== undefined && (have === undefined || !equal(want, have))) upserts.set(key, want);
      else if (want === undefined && actual.has(key)) deletes.add(key);
    }
    return { upserts, deletes };
  }
  for (const [key, value] of desired) {
    const have = actual.get(key);
    if (have === undefined || !equal(value, have)) upserts.set(key, value);
  }
  for (const key of actual.keys()) if (!desired.has(key)) deletes.add(key);
  return { upserts, deletes };
}

export function isEmpty<K, V>(delta: Delta<K, V>): boolean {
  return delta.upserts.size === 0 && delta.deletes.size === 0;
}
