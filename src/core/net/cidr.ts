/** A block of addresses, `10.65.0.0/16`. Host bits are always zero here; `parseCidr` says whether the text had any. */
import { type Address, type Family, formatAddress, parseAddress, width } from "./address.ts";

export interface Cidr {
  readonly family: Family;
  /** First address; host bits are zero. */
  readonly value: bigint;
  /** Prefix length, 0 to 32 or 128. */
  readonly length: number;
}

/** First and last address, both included. */
export interface Range {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** Go, and so Docker and Calico, reads `/08` as 8. */
const LENGTH = /^[0-9]{1,6}$/;

/** Reads `ADDRESS/LENGTH` and masks the host bits away; undefined if the text is not a CIDR. A bare address is not one. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const a = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (a === undefined || !LENGTH.test(lengthText)) return undefined;
  const length = Number(lengthText);
  return length > width(a.family) ? undefined : cidrOf(a, length);
}

/** As `parseCidr`, where a bare address stands for its /32 or /128 (Calico's `nets` allow that). */
export function parseNet(text: string): Cidr | undefined {
  const a = parseAddress(text);
  return a === undefined ? parseCidr(text) : cidrOf(a, width(a.family));
}

/** As `parseNet`, for text that is known to be good; throws RangeError otherwise. */
export function cidr(text: string): Cidr {
  const parsed = parseNet(text);
  if (parsed === undefined) throw new RangeError(`"${text}" is not a CIDR`);
  return parsed;
}

/** The block of the given length that holds the address. */
export function cidrOf(a: Address, length: number): Cidr {
  const shift = BigInt(width(a.family) - length);
  return { family: a.family, value: (a.value >> shift) << shift, length };
}

export function formatCidr(c: Cidr): string {
  return `${formatAddress(c)}/${c.length}`;
}

/** Number of addresses in the block. */
export function size(c: Cidr): bigint {
  return 1n << BigInt(width(c.family) - c.length);
}

export function lastAddress(c: Cidr): Address {
  return { family: c.family, value: c.value + size(c) - 1n };
}

export function contains(c: Cidr, a: Address): boolean {
  const shift = BigInt(width(c.family) - c.length);
  return c.family === a.family && a.value >> shift === c.value >> shift;
}

/** True if `inner` lies wholly inside `outer` (or equals it). */
export function covers(outer: Cidr, inner: Cidr): boolean {
  return outer.length <= inner.length && contains(outer, inner);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return covers(a, b) || covers(b, a);
}

export function equalCidrs(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.value === b.value && a.length === b.length;
}

export function toRange(c: Cidr): Range {
  return { family: c.family, first: c.value, last: c.value + size(c) - 1n };
}

/** The smallest list of disjoint, non-adjacent ranges of one family that covers the blocks, in ascending order. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => (a.family !== b.family ? a.family - b.family : a.first < b.first ? -1 : 1));
  const out: Range[] = [];
  for (const range of sorted) {
    const previous = out.at(-1);
    if (previous !== undefined && previous.family === range.family && range.first <= previous.last + 1n) {
      if (range.last > previous.last) out[out.length - 1] = { ...previous, last: range.last };
    } else {
      out.push(range);
    }
  }
  return out;
}

/** The smallest list of CIDRs that covers exactly the range. */
export function rangeToCidrs(range: Range): Cidr[] {
  const out: Cidr[] = [];
  const bits = width(range.family);
  let first = range.first;
  while (first <= range.last) {
    let host = 0;
    while (host < bits && (first >> BigInt(host)) % 2n === 0n && first + (1n << BigInt(host + 1)) - 1n <= range.last)
      host++;
    out.push({ family: range.family, value: first, length: bits - host });
    first += 1n << BigInt(host);
  }
  return out;
}
