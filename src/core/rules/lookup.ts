/** Looking keys up in sets as the kernel does: exactly, or in intervals of each field. */
import { address } from "../net/address.ts";
import { lastAddress, parseCidr } from "../net/cidr.ts";
import type { ElementData, FieldType, NftSet } from "./ir.ts";

interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

interface Interval {
  readonly spans: readonly Span[];
  readonly data: ElementData;
}

/** Undefined where the set has no such element; an element of a set holds null. */
export function lookUp(set: NftSet, fields: readonly string[]): ElementData | undefined {
  if (!set.interval) return set.elements.get(fields.join(" . "));
  const values = fields.map((text, i) => valueOf(set.key[i] ?? "mark", text));
  const intervals = intervalsOf(set);
  if (set.key.length > 1) return intervals.find((one) => one.spans.every((span, i) => holds(span, values[i])))?.data;
  return bisect(intervals, values[0] ?? 0n)?.data;
}

/** Whether a canonical value, range, prefix, or name with a trailing `*` holds the field's text. */
export function valueHolds(type: FieldType | "text", value: string, text: string): boolean {
  if (value === text) return true;
  if (type === "text" || type === "ether_addr" || type === "mark") return false;
  if (type === "ifname") return value.endsWith("*") && text.startsWith(value.slice(0, -1));
  if (!value.includes("-") && !value.includes("/")) return false;
  return holds(spanOf(type, value), valueOf(type, text));
}

const cache = new WeakMap<ReadonlyMap<string, ElementData>, readonly Interval[]>();

function intervalsOf({ key, elements }: NftSet): readonly Interval[] {
  const known = cache.get(elements);
  if (known !== undefined) return known;
  const intervals = Array.from(elements, ([text, data]) => {
    const fields = text.split(" . ");
    return { spans: key.map((type, i) => spanOf(type, fields[i] ?? "")), data };
  });
  if (key.length === 1) intervals.sort((a, b) => (firstOf(a) < firstOf(b) ? -1 : 1));
  cache.set(elements, intervals);
  return intervals;
}

function firstOf({ spans }: Interval): bigint {
  return spans[0]?.first ?? 0n;
}

function bisect(intervals: readonly Interval[], value: bigint): Interval | undefined {
  let low = 0;
  let high = intervals.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const interval = intervals[middle];
    const span = interval?.spans[0];
    if (span === undefined) return undefined;
    if (value < span.first) high = middle - 1;
    else if (value > span.last) low = middle + 1;
    else return interval;
  }
  return undefined;
}

function holds(span: Span | undefined, value: bigint | undefined): boolean {
  return span !== undefined && value !== undefined && span.first <= value && value <= span.last;
}

function spanOf(type: FieldType, text: string): Span {
  const net = type === "ipv4_addr" || type === "ipv6_addr" ? parseCidr(text) : undefined;
  if (net !== undefined) return { first: net.value, last: lastAddress(net).value };
  const dash = text.indexOf("-");
  if (dash > 0 && type !== "ifname")
    return { first: valueOf(type, text.slice(0, dash)), last: valueOf(type, text.slice(dash + 1)) };
  const value = valueOf(type, text);
  return { first: value, last: value };
}

function valueOf(type: FieldType, text: string): bigint {
  switch (type) {
    case "ipv4_addr":
    case "ipv6_addr":
      return address(text).value;
    case "ether_addr":
      return BigInt(`0x${text.replaceAll(":", "")}`);
    case "ifname":
      throw new RangeError("interface names have no order: intervals of them are not supported");
    case "inet_proto":
    case "inet_service":
    case "icmp_type":
    case "icmp_code":
    case "icmpv6_type":
    case "icmpv6_code":
    case "mark":
      return BigInt(text);
  }
}
