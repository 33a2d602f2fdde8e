/**
 * One IPv4 or IPv6 address as a plain value. Text enters through `parseAddress` (strict: RFC 6943 section 3.1.1's "strict"
 * dotted quad, RFC 4291 section 2.2 for IPv6) and leaves through `formatAddress` (RFC 5952).
 */
export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  /** Unsigned, network order: 32 bits for IPv4, 128 for IPv6. */
  readonly value: bigint;
}

export const FAMILIES: readonly Family[] = [4, 6];

/** Number of bits of an address of the family. */
export function width(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Reads an address; undefined if the text is not one. No zone, no prefix length, no leading zeros, no short IPv4 forms. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > 45) return undefined;
  if (text.includes(":")) return parseV6(text);
  const value = parseV4(text);
  return value === undefined ? undefined : { family: 4, value: BigInt(value) };
}

/** As `parseAddress`, for text that is known to be an address; throws RangeError otherwise. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new RangeError(`"${text}" is not an IP address`);
  return parsed;
}

function parseV4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

function parseV6(text: string): Address | undefined {
  const all = parseGroups(text);
  if (all === undefined) return undefined;
  return { family: 6, value: BigInt(`0x${all.map((group) => group.toString(16).padStart(4, "0")).join("")}`) };
}

function parseGroups(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...Array<number>(missing).fill(0), ...tail];
}

/** Groups of one side of `::`. A dotted quad may stand at the very end (RFC 4291 section 2.2, form 3). */
function groups(text: string, atEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const out: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (atEnd && index === parts.length - 1 && part.includes(".")) {
      const quad = parseV4(part);
      if (quad === undefined) return undefined;
      out.push(Math.floor(quad / 65536), quad % 65536);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      out.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return out;
}

/** The canonical text: dotted quad, or RFC 5952 (with the mixed notation of its section 5 for IPv4-mapped addresses). */
export function formatAddress(a: Address): string {
  return a.family === 4 ? formatV4(a.value) : formatV6(a.value);
}

function formatV4(value: bigint): string {
  const n = Number(value);
  return `${Math.floor(n / 16777216)}.${Math.floor(n / 65536) % 256}.${Math.floor(n / 256) % 256}.${n % 256}`;
}

function formatV6(value: bigint): string {
  if (value >> 32n === 0xffffn) return `::ffff:${formatV4(value & 0xffffffffn)}`;
  // One conversion to text and small numbers from there: shifting big numbers is an order of magnitude slower.
  const digits = value.toString(16).padStart(32, "0");
  return formatGroups(Array.from({ length: 8 }, (_, i) => Number.parseInt(digits.slice(4 * i, 4 * i + 4), 16)));
}

/** As `formatAddress(fromBytes(bytes))` without big numbers, for tables of many thousands. Undefined for another length. */
export function formatBytes(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (bytes.length !== 16) return undefined;
  const all: number[] = [];
  for (let i = 0; i < 16; i += 2) all.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  const isMapped = all[5] === 0xffff && all.every((group, i) => i >= 5 || group === 0);
  return isMapped ? `::ffff:${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}` : formatGroups(all);
}

/** Eight groups in the canonical form. */
function formatGroups(all: readonly number[]): string {
  const run = longestZeroRun(all);
  const hex = all.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(all: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < all.length; start++) {
    let length = 0;
    while (all[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** 4 or 16 bytes in network order. */
export function toBytes(a: Address): Uint8Array {
  const bytes = new Uint8Array(width(a.family) / 8);
  let rest = a.value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The address in 4 or 16 bytes of network order; throws RangeError for another length. */
export function fromBytes(bytes: Uint8Array): Address {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/**
 * As `toBytes(address(text))` for canonical text, without big numbers, for tables of many thousands. Undefined for text that is
 * no address or not in its canonical form.
 */
export function canonicalBytes(text: string): Uint8Array | undefined {
  if (!text.includes(":")) {
    const value = parseV4(text);
    return value === undefined ? undefined : Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  }
  const all = text.length > 45 ? undefined : parseGroups(text);
  if (all === undefined) return undefined;
  const bytes = new Uint8Array(16);
  for (const [i, group] of all.entries()) {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group;
  }
  return formatBytes(bytes) === text ? bytes : undefined;
}

/** Orders IPv4 before IPv6, then by value. */
export function compareAddresses(a: Address, b: Address): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}
