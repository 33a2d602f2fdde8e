/**
 * One value of a key: its canonical text and its bytes. Text that is not canonical is refused, because elements are
 * compared by their text: two texts for one key would be two elements here and one in the kernel.
 */
import {
  type Address,
  canonicalBytes,
  formatAddress,
  fromBytes,
  parseAddress,
  toBytes,
  width,
} from "../../core/net/address.ts";
import { type Cidr, lastAddress, parseCidr } from "../../core/net/cidr.ts";
import type { FieldType } from "../../core/rules/ir.ts";

/** Types of fields that rules match but sets do not hold. */
export type ValueType = FieldType | "nf_proto" | "arp_op";

/** First and last value of a range, in the bytes that the kernel compares; the same bytes for a single value. */
export interface Span {
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

interface Codec {
  /** Bytes of a value. */
  readonly length: number;
  /** nft(8)'s number of the type (its enum datatypes), which it reads back from a set's definition. */
  readonly id: number;
  readonly hostOrder: boolean;
  /** Throws RangeError that says what is allowed. */
  parse(text: string): Span;
  format(span: Span): string;
}

/** As `Codec.parse` of the type; throws RangeError with the value and what is allowed. */
export function parseValue(type: ValueType, text: string): Span {
  return CODECS[type].parse(text);
}

export function formatValue(type: ValueType, span: Span): string {
  return CODECS[type].format(span);
}

export function lengthOf(type: ValueType): number {
  return CODECS[type].length;
}

export function datatypeOf(type: ValueType): number {
  return CODECS[type].id;
}

export function isHostOrder(type: ValueType): boolean {
  return CODECS[type].hostOrder;
}

/** True for a span that holds more than one value. */
export function isRange(span: Span): boolean {
  return span.first !== span.last && !equalBytes(span.first, span.last);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** As memcmp(3) of two keys of one length: the order of an interval set. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function refuse(text: string, want: string): never {
  const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  throw new RangeError(`${JSON.stringify(shown)} is not ${want}`);
}

function number(id: number, length: 1 | 2, want: string): Codec {
  const max = length === 1 ? 255 : 65535;
  const single = (text: string): number | undefined => {
    const value = /^(0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : max + 1;
    return value > max ? undefined : value;
  };
  const bytes = (value: number): Uint8Array =>
    length === 1 ? Uint8Array.of(value) : Uint8Array.of(value >> 8, value & 255);
  const value = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return {
    length,
    id,
    hostOrder: false,
    parse(text) {
      const one = single(text);
      if (one !== undefined) return same(bytes(one));
      const dash = text.indexOf("-");
      const [first, last] = [single(text.slice(0, dash)), single(text.slice(dash + 1))];
      if (dash < 0 || first === undefined || last === undefined || first >= last)
        return refuse(text, `${want} (0-${max}) or FIRST-LAST`);
      return { first: bytes(first), last: bytes(last) };
    },
    format({ first, last }) {
      const [a, b] = [value(first), value(last)];
      return a === b ? String(a) : `${a}-${b}`;
    },
  };
}

function same(bytes: Uint8Array): Span {
  return { first: bytes, last: bytes };
}

function addressCodec(family: 4 | 6, id: number): Codec {
  const want = `an IPv${family} address, CIDR or FIRST-LAST in its shortest form`;
  const single = (text: string): Address | undefined => {
    const parsed = parseAddress(text);
    if (parsed === undefined || parsed.family !== family) return undefined;
    return family === 4 || formatAddress(parsed) === text ? parsed : undefined;
  };
  const net = (text: string): Cidr | undefined => {
    const parsed = parseCidr(text);
    const canonical = parsed?.family === family && parsed.length < width(family);
    return canonical && `${formatAddress(parsed)}/${parsed.length}` === text ? parsed : undefined;
  };
  return {
    length: family === 4 ? 4 : 16,
    id,
    hostOrder: false,
    parse(text) {
      const dash = text.indexOf("-");
      if (dash >= 0) return addressRange(text, single(text.slice(0, dash)), single(text.slice(dash + 1)), want);
      if (!text.includes("/")) {
        const bytes = canonicalBytes(text);
        return bytes?.length !== (family === 4 ? 4 : 16) ? refuse(text, want) : same(bytes);
      }
      const block = net(text);
      return block === undefined ? refuse(text, want) : { first: toBytes(block), last: toBytes(lastAddress(block)) };
    },
    format({ first, last }) {
      const [a, b] = [fromBytes(first), fromBytes(last)];
      const length = prefixLength(a, b);
      if (length === width(family)) return formatAddress(a);
      return length === undefined ? `${formatAddress(a)}-${formatAddress(b)}` : `${formatAddress(a)}/${length}`;
    },
  };
}

function addressRange(text: string, first: Address | undefined, last: Address | undefined, want: string): Span {
  if (first === undefined || last === undefined || first.value >= last.value) return refuse(text, want);
  const length = prefixLength(first, last);
  if (length !== undefined) return refuse(text, `${want}: write ${formatAddress(first)}/${length}`);
  return { first: toBytes(first), last: toBytes(last) };
}

/** Length of the CIDR that is exactly the range; undefined where there is none. */
function prefixLength(first: Address, last: Address): number | undefined {
  const difference = first.value ^ last.value;
  if ((difference & (difference + 1n)) !== 0n || (first.value & difference) !== 0n) return undefined;
  return width(first.family) - (difference === 0n ? 0 : difference.toString(2).length);
}

const ETHER: Codec = {
  length: 6,
  id: 9,
  hostOrder: false,
  parse(text) {
    if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text)) return refuse(text, "a MAC address as 02:00:0a:0b:0c:0d");
    return same(Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16)));
  },
  format: ({ first }) => [...first].map((byte) => byte.toString(16).padStart(2, "0")).join(":"),
};

/** IFNAMSIZ of linux/if.h: a name and its final zero. */
const NAME_SIZE = 16;
/** As dev_valid_name() of the kernel, and without what nft(8) cannot write; `*` only as the last one. */
const NAME = /^(?!\.{1,2}$)[!#-)+\-.0-9;-~]{1,15}$/;

const IFNAME: Codec = {
  length: NAME_SIZE,
  id: 41,
  hostOrder: true,
  parse(text) {
    const wildcard = text.endsWith("*");
    const name = wildcard ? text.slice(0, -1) : text;
    if (!NAME.test(name)) return refuse(text, "an interface name (1-15 characters), or the first of them with *");
    const first = new Uint8Array(NAME_SIZE);
    for (let i = 0; i < name.length; i++) first[i] = name.charCodeAt(i);
    if (!wildcard) return same(first);
    return { first, last: new Uint8Array(first).fill(255, name.length) };
  },
  format({ first, last }) {
    const end = first.indexOf(0);
    const name = String.fromCharCode(...first.subarray(0, end < 0 ? first.length : end));
    return equalBytes(first, last) ? name : `${name}*`;
  },
};

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

const MARK: Codec = {
  length: 4,
  id: 19,
  hostOrder: true,
  parse(text) {
    if (!/^0x(0|[1-9a-f][0-9a-f]{0,7})$/.test(text)) return refuse(text, "a mark as 0x1f (no ranges)");
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, Number.parseInt(text, 16), littleEndian);
    return same(bytes);
  },
  format: ({ first }) => `0x${new DataView(first.buffer, first.byteOffset, 4).getUint32(0, littleEndian).toString(16)}`,
};

const NFPROTO: Codec = {
  length: 1,
  id: 2,
  hostOrder: true,
  parse(text) {
    if (text !== "ipv4" && text !== "ipv6") return refuse(text, "ipv4 or ipv6");
    return same(Uint8Array.of(text === "ipv4" ? 2 : 10));
  },
  format: ({ first }) => (first[0] === 2 ? "ipv4" : "ipv6"),
};

const CODECS: Readonly<Record<ValueType, Codec>> = {
  ipv4_addr: addressCodec(4, 7),
  ipv6_addr: addressCodec(6, 8),
  ether_addr: ETHER,
  ifname: IFNAME,
  inet_proto: number(12, 1, "a protocol number"),
  inet_service: number(13, 2, "a port"),
  icmp_type: number(14, 1, "an ICMP type"),
  icmp_code: number(32, 1, "an ICMP code"),
  icmpv6_type: number(29, 1, "an ICMPv6 type"),
  icmpv6_code: number(33, 1, "an ICMPv6 code"),
  mark: MARK,
  nf_proto: NFPROTO,
  arp_op: number(11, 2, "an ARP operation"),
};
