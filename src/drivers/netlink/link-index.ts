/** Interface names to indexes. */
import type { Rtnetlink } from "./rtnetlink.ts";

/** One question a name costs 20 us, the list of 1,000 links 4 ms. */
const FEW = 32;

/** Indexes of those of the names that exist. */
export function indexesOf(rtnetlink: Rtnetlink, names: Iterable<string>): ReadonlyMap<string, number> {
  const wanted = new Set(names);
  if (wanted.size > FEW) return new Map(rtnetlink.links().map(({ name, index }) => [name, index]));
  const out = new Map<string, number>();
  for (const name of wanted) {
    const link = rtnetlink.link(name);
    if (link !== undefined) out.set(name, link.index);
  }
  return out;
}
