/**
 * Elements of sets and maps: canonical text <-> what the kernel keeps. The kernel has three shapes of a set:
 *
 *   hash    exact keys, one or more fields                            one element a key
 *   rbtree  intervals of one field: a start, and an end that is exclusive and marked; the end of the last may be missing
 *   pipapo  intervals of several fields: one element with its first and its last key, both inclusive
 *
 * In a key of several fields each field starts at a multiple of four bytes, in order, as in the registers that are compared.
 */
import type { ElementData, FieldType, NftSet, Verdict } from "../../core/rules/ir.ts";
import { compareBytes, equalBytes, formatValue, isRange, lengthOf, parseValue, type Span } from "./value.ts";

export type Shape = "hash" | "rbtree" | "pipapo";

export function shapeOf(set: Pick<NftSet, "key" | "interval">): Shape {
  if (!set.interval) return "hash";
  return set.key.length === 1 ? "rbtree" : "pipapo";
}

/** One element as netlink carries it. */
export interface WireElement {
  readonly key: Uint8Array;
  /** Last key, inclusive: pipapo only. */
  readonly keyEnd?: Uint8Array;
  /** Marks the exclusive end of an interval: rbtree only. */
  readonly isEnd?: boolean;
  /** An interval without an end, up to the largest key. nft(8) wants to be told. */
  readonly isOpen?: boolean;
  readonly data?: Verdict | Uint8Array;
  /** What it has matched, where the set counts. */
  readonly count?: Count;
}

export interface Count {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Bytes of a key or of map data with these fields. */
export function keyLength(types: readonly FieldType[]): number {
  const [only] = types;
  if (types.length === 1 && only !== undefined) return lengthOf(only);
  return types.reduce((sum, type) => sum + padded(lengthOf(type)), 0);
}

/** Length of a field in registers of 32 bits. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

/** One element, as one or (an interval of one field) two of the kernel's. Throws RangeError that says what is wrong with it. */
export function encodeElement(set: NftSet, text: string, data: ElementData): readonly WireElement[] {
  const span = encodeKey(set.key, text);
  const value = encodeData(set, data);
  const withData = value === undefined ? {} : { data: value };
  switch (shapeOf(set)) {
    case "hash":
      if (isRange(span)) throw new RangeError("is a range, and the set holds exact keys only");
      return [{ key: span.first, ...withData }];
    case "pipapo":
      return [{ key: span.first, keyEnd: span.last, ...withData }];
    case "rbtree": {
      if (set.key[0] === "mark")
        throw new RangeError("is a mark: the kernel orders them by bytes, so they have no intervals");
      const end = successor(span.last);
      if (end === undefined) return [{ key: span.first, isOpen: true, ...withData }];
      return [
        { key: span.first, ...withData },
        { key: end, isEnd: true },
      ];
    }
  }
}

/** First and last key of an element's text. Throws RangeError. */
export function encodeKey(types: readonly FieldType[], text: string): Span {
  const [only] = types;
  if (types.length === 1 && only !== undefined) return parseValue(only, text);
  const parts = text.split(" . ");
  if (parts.length !== types.length) throw new RangeError(`has ${parts.length} fields; the key has ${types.length}`);
  const first = new Uint8Array(keyLength(types));
  let last = first;
  let offset = 0;
  for (const [i, type] of types.entries()) {
    const span = parseValue(type, parts[i] ?? "");
    if (last === first && span.first !== span.last) last = first.slice();
    first.set(span.first, offset);
    if (last !== first) last.set(span.last, offset);
    offset += padded(lengthOf(type));
  }
  return { first, last };
}

function encodeData(set: NftSet, data: ElementData): Verdict | Uint8Array | undefined {
  if (set.data === undefined) {
    if (data !== null) throw new RangeError("has data, and a set holds none");
    return undefined;
  }
  if (set.data === "verdict") {
    if (data === null || typeof data === "string") throw new RangeError("has no verdict, and the map holds verdicts");
    return data;
  }
  if (typeof data !== "string") throw new RangeError("has no data of the map's type");
  const span = encodeKey(set.data, data);
  if (isRange(span)) throw new RangeError("has a range as its data");
  return span.first;
}

/** The key after it; undefined after the largest. */
function successor(key: Uint8Array): Uint8Array | undefined {
  const next = key.slice();
  for (let i = next.length - 1; i >= 0; i--) {
    const byte = next[i] ?? 0;
    next[i] = byte === 255 ? 0 : byte + 1;
    if (byte !== 255) return next;
  }
  return undefined;
}

function predecessor(key: Uint8Array): Uint8Array {
  const next = key.slice();
  for (let i = next.length - 1; i >= 0; i--) {
    const byte = next[i] ?? 0;
    next[i] = byte === 0 ? 255 : byte - 1;
    if (byte !== 0) break;
  }
  return next;
}

export interface DecodedElement {
  readonly key: string;
  readonly data: ElementData;
  readonly count?: Count;
}

/**
 * The canonical text of all elements of a set. Undefined if somebody put something into it that the canonical text cannot
 * say (a range of interface names): such a set has to be made again.
 */
export function decodeElements(
  set: Pick<NftSet, "key" | "interval" | "data">,
  wire: readonly WireElement[],
): DecodedElement[] | undefined {
  const out: DecodedElement[] = [];
  for (const element of shapeOf(set) === "rbtree" ? joinIntervals(wire) : wire) {
    const key = decodeKey(set.key, { first: element.key, last: element.keyEnd ?? element.key });
    const data = decodeData(set, element.data);
    if (key === undefined || data === undefined) return undefined;
    out.push({ key, data, ...(element.count === undefined ? {} : { count: element.count }) });
  }
  return out;
}

/** Intervals with an inclusive last key, out of starts and exclusive ends in any order. */
function joinIntervals(wire: readonly WireElement[]): WireElement[] {
  const sorted = [...wire].sort(
    (a, b) => compareBytes(a.key, b.key) || Number(b.isEnd ?? false) - Number(a.isEnd ?? false),
  );
  const out: WireElement[] = [];
  let open: WireElement | undefined;
  const close = (last: Uint8Array): void => {
    if (open !== undefined) out.push({ ...open, keyEnd: last });
    open = undefined;
  };
  for (const element of sorted) {
    close(predecessor(element.key));
    if (element.isEnd !== true) open = element;
  }
  const [any] = wire;
  if (any !== undefined) close(new Uint8Array(any.key.length).fill(255));
  return out;
}

function decodeKey(types: readonly FieldType[], span: Span): string | undefined {
  const parts: string[] = [];
  let offset = 0;
  for (const type of types) {
    const end = offset + lengthOf(type);
    const part = { first: span.first.subarray(offset, end), last: span.last.subarray(offset, end) };
    const text = formatValue(type, part);
    if (!means(type, text, part)) return undefined;
    parts.push(text);
    offset += padded(lengthOf(type));
  }
  return parts.join(" . ");
}

/** True if the text says the same bytes. */
function means(type: FieldType, text: string, span: Span): boolean {
  try {
    const back = parseValue(type, text);
    return equalBytes(back.first, span.first) && equalBytes(back.last, span.last);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function decodeData(set: Pick<NftSet, "data">, data: WireElement["data"]): ElementData | undefined {
  if (set.data === undefined) return data === undefined ? null : undefined;
  if (set.data === "verdict") return data === undefined || data instanceof Uint8Array ? undefined : data;
  return data instanceof Uint8Array ? decodeKey(set.data, { first: data, last: data }) : undefined;
}
