/** Nets that lie inside one another, taken apart into disjoint ranges, each with all that its nets carry. */
import { formatAddress } from "../net/address.ts";
import { type Cidr, formatCidr, lastAddress, type Range, rangeToCidrs } from "../net/cidr.ts";
import { netText } from "./sets.ts";

export interface Carried<T> {
  /** Canonical key: an address, a CIDR, or `first-last`. */
  readonly range: string;
  readonly items: ReadonlySet<T>;
}

interface Open<T> {
  readonly last: bigint;
  readonly items: ReadonlySet<T>;
}

/** CIDRs of one family never overlap by halves, so a stack of the nets that are open holds all there is to know. */
export function takeApart<T>(nets: readonly (readonly [Cidr, Iterable<T>])[]): Carried<T>[] {
  const sorted = [...nets].sort(([a], [b]) => (a.value === b.value ? a.length - b.length : a.value < b.value ? -1 : 1));
  const out: Carried<T>[] = [];
  const stack: Open<T>[] = [];
  let next = 0n;
  const family = sorted[0]?.[0].family ?? 4;
  const emit = (last: bigint): void => {
    const top = stack.at(-1);
    if (top !== undefined && next <= last)
      out.push({ range: rangeKey({ family, first: next, last }), items: top.items });
    next = last + 1n;
  };
  for (const [net, items] of sorted) {
    for (let top = stack.at(-1); top !== undefined && top.last < net.value; top = stack.at(-1)) {
      emit(top.last);
      stack.pop();
    }
    emit(net.value - 1n);
    next = net.value;
    stack.push({ last: lastAddress(net).value, items: new Set([...(stack.at(-1)?.items ?? []), ...items]) });
  }
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    stack.push(top);
    emit(top.last);
    stack.pop();
  }
  return out;
}

function rangeKey(range: Range): string {
  const [only, ...more] = rangeToCidrs(range);
  if (only !== undefined && more.length === 0) return only.length === 0 ? formatCidr(only) : netText(only);
  const { family } = range;
  return `${formatAddress({ family, value: range.first })}-${formatAddress({ family, value: range.last })}`;
}
