/** Elements that the kernel would not have beside each other. */
import type { NftSet } from "../../core/rules/ir.ts";
import { encodeKey, padded } from "./element.ts";
import { compareBytes, lengthOf, type Span } from "./value.ts";

interface Entry {
  readonly text: string;
  readonly span: Span;
}

/**
 * Two elements of an interval set that overlap, in the order in which they come; undefined if there are none. Elements that
 * cannot be encoded are somebody else's trouble and must not be there.
 */
export function findOverlap(set: NftSet): readonly [string, string] | undefined {
  const entries: Entry[] = [...set.elements.keys()].map((text) => ({ text, span: encodeKey(set.key, text) }));
  if (!set.interval) return undefined;
  // Only elements that overlap in the first field (all of the key, if it is the only one) can overlap at all.
  const head = lengthOf(set.key[0] ?? "mark");
  entries.sort((a, b) => compareBytes(a.span.first.subarray(0, head), b.span.first.subarray(0, head)));
  let reach: Entry[] = [];
  for (const entry of entries) {
    reach = reach.filter(
      ({ span }) => compareBytes(span.last.subarray(0, head), entry.span.first.subarray(0, head)) >= 0,
    );
    const other = reach.find((one) => overlaps(set, one.span, entry.span));
    if (other !== undefined) return [other.text, entry.text];
    reach.push(entry);
  }
  return undefined;
}

/** In every field. */
function overlaps(set: NftSet, a: Span, b: Span): boolean {
  let offset = 0;
  for (const type of set.key) {
    const end = offset + lengthOf(type);
    if (compareBytes(a.first.subarray(offset, end), b.last.subarray(offset, end)) > 0) return false;
    if (compareBytes(b.first.subarray(offset, end), a.last.subarray(offset, end)) > 0) return false;
    offset += padded(lengthOf(type));
  }
  return true;
}
