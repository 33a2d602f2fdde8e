/** How to make one sequence of rules out of another, keeping as many as can stay where they are. */

export interface Edit<T> {
  /** Indices into the old sequence, ascending: what goes. */
  readonly remove: readonly number[];
  /** Runs of new items, each right behind the old item with index `after` (which stays; -1: before all). */
  readonly insert: readonly { readonly after: number; readonly items: readonly T[] }[];
}

/**
 * `before` and `keyOf(item)` name rules; an undefined key is never kept. Items with equal keys are interchangeable. What
 * stays is a longest increasing run of matches, so one new rule anywhere is one insertion. O(n log n).
 */
export function editSequence<T>(
  before: readonly (string | undefined)[],
  after: readonly T[],
  keyOf: (item: T) => string | undefined,
): Edit<T> {
  const partner = matches(before, after.map(keyOf));
  const kept = longestIncreasing(partner);
  const stays = new Set(kept.values());
  const insert: { after: number; items: T[] }[] = [];
  let behind = -1;
  let run: T[] | undefined;
  for (const [index, item] of after.entries()) {
    const old = kept.get(index);
    if (old !== undefined) {
      behind = old;
      run = undefined;
      continue;
    }
    if (run === undefined) insert.push({ after: behind, items: (run = []) });
    run.push(item);
  }
  return { remove: before.map((_, i) => i).filter((i) => !stays.has(i)), insert };
}

/** For each new key the index of an old one that equals it, each old one used once; -1 where there is none. */
function matches(before: readonly (string | undefined)[], after: readonly (string | undefined)[]): number[] {
  const places = new Map<string, number[]>();
  for (let i = before.length - 1; i >= 0; i--) {
    const key = before[i];
    if (key === undefined) continue;
    const list = places.get(key);
    if (list === undefined) places.set(key, [i]);
    else list.push(i);
  }
  return after.map((key) => (key === undefined ? -1 : (places.get(key)?.pop() ?? -1)));
}

/** Of index -> value (negative: none), a longest subset that increases in both (patience sorting). */
function longestIncreasing(values: readonly number[]): Map<number, number> {
  const tails: number[] = [];
  const previous = new Map<number, number>();
  const value = (index: number | undefined): number => (index === undefined ? -1 : (values[index] ?? -1));
  for (const [index, wanted] of values.entries()) {
    if (wanted < 0) continue;
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value(tails[middle]) < wanted) low = middle + 1;
      else high = middle;
    }
    const before = tails[low - 1];
    if (before !== undefined) previous.set(index, before);
    tails[low] = index;
  }
  const out = new Map<number, number>();
  for (let at = tails.at(-1); at !== undefined; at = previous.get(at)) out.set(at, value(at));
  return out;
}
