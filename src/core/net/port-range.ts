/** A range of TCP, UDP or SCTP ports, both ends included. `80`, `"80"` and `"8000:8100"` are Calico's ways to write one. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Reads a port (1-65535 or 0) or `FIRST:LAST`; undefined if it is neither, or ends before it begins. */
export function parsePortRange(text: string | number): PortRange | undefined {
  const match = /^([0-9]{1,5})(?::([0-9]{1,5}))?$/.exec(String(text));
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return last > 65535 || first > last ? undefined : { first, last };
}

export function formatPortRange(range: PortRange): string {
  return range.first === range.last ? String(range.first) : `${range.first}:${range.last}`;
}

/** Disjoint, non-adjacent ranges in ascending order that cover the same ports. */
export function mergePortRanges(ranges: readonly PortRange[]): PortRange[] {
  const out: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const previous = out.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      out[out.length - 1] = { first: previous.first, last: Math.max(previous.last, range.last) };
    } else {
      out.push(range);
    }
  }
  return out;
}
