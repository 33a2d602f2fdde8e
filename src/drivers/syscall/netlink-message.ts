/**
 * Netlink messages as bytes (netlink(7), linux/netlink.h): a header of 16 bytes, the family's own fixed header, attributes.
 * Pure. Numbers are in host order, which is little endian on all that Manx runs on; `Be` names those in network order, as
 * nfnetlink wants them. Reading trusts no length: what does not fit throws, what is unknown is skipped.
 */
import { DriverError } from "../error.ts";

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
/** Modifiers of a GET. */
export const NLM_F_DUMP = 0x300;
/** Modifiers of a NEW. */
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** Of an acknowledgement: the request is not repeated in it; attributes (extended ACK) follow. */
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

export const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
export const NLMSG_HEADER = 16;
const ATTRIBUTE_HEADER = 4;

const align = (length: number): number => (length + 3) & ~3;
const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Writes messages one after another into one growing buffer. The socket fills in the sequence numbers. */
export class MessageWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;
  #length = 0;
  #start = -1;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Opens a message; NLM_F_REQUEST is added to the flags. */
  begin(type: number, flags: number): this {
    if (this.#start >= 0) throw new Error("the message before is not ended");
    this.#pad();
    this.#start = this.#room(NLMSG_HEADER);
    this.#view.setUint16(this.#start + 4, type, true);
    this.#view.setUint16(this.#start + 6, flags | NLM_F_REQUEST, true);
    this.#view.setBigUint64(this.#start + 8, 0n, true);
    return this;
  }

  /** Closes the message. */
  end(): this {
    if (this.#start < 0) throw new Error("there is no message to end");
    this.#view.setUint32(this.#start, this.#length - this.#start, true);
    this.#start = -1;
    return this;
  }

  /** Takes back the message that was begun. */
  cancel(): this {
    if (this.#start >= 0) this.#length = this.#start;
    this.#start = -1;
    return this;
  }

  /** The family's fixed header, or a part of it. Padded to 4 bytes with the next attribute. */
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** `struct nfgenmsg` (linux/netfilter/nfnetlink.h); the resource id is in network order. */
  nfgen(family: number, resource = 0): this {
    const at = this.#room(4);
    this.#bytes[at] = family;
    this.#bytes[at + 1] = 0;
    this.#view.setUint16(at + 2, resource, false);
    return this;
  }

  flag(type: number): this {
    this.#attribute(type, 0);
    return this;
  }

  u8(type: number, value: number): this {
    const at = this.#attribute(type, 1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u16Be(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, false);
    return this;
  }

  u32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u32Be(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, false);
    return this;
  }

  u64(type: number, value: bigint): this {
    const at = this.#attribute(type, 8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  u64Be(type: number, value: bigint): this {
    const at = this.#attribute(type, 8);
    this.#view.setBigUint64(at, value, false);
    return this;
  }

  bytes(type: number, value: Uint8Array): this {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** UTF-8 with the closing zero that the kernel expects. */
  string(type: number, value: string): this {
    // Names are short and ASCII, and a ruleset has a hundred thousand of them: an encoder costs more than their bytes.
    const start = this.#length;
    const at = this.#attribute(type, value.length + 1);
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 127) {
        this.#length = start;
        return this.#utf8(type, value);
      }
      this.#bytes[at + i] = unit;
    }
    this.#bytes[at + value.length] = 0;
    return this;
  }

  #utf8(type: number, value: string): this {
    const encoded = utf8.encode(value);
    const at = this.#attribute(type, encoded.length + 1);
    this.#bytes.set(encoded, at);
    this.#bytes[at + encoded.length] = 0;
    return this;
  }

  /** An attribute of attributes, which `write` adds. */
  nest(type: number, write: () => void): this {
    const at = this.#attribute(type | NLA_F_NESTED, 0) - ATTRIBUTE_HEADER;
    write();
    this.#pad();
    const length = this.#length - at;
    if (length > 0xffff) throw new RangeError(`a nested attribute may have 65535 bytes, not ${length}`);
    this.#view.setUint16(at, length, true);
    return this;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** All messages; a view that the next write may invalidate. */
  finish(): Uint8Array<ArrayBuffer> {
    if (this.#start >= 0) throw new Error("the message is not ended");
    return this.#bytes.subarray(0, this.#length);
  }

  /** Empties the writer and keeps its buffer. */
  reset(): this {
    this.#length = 0;
    this.#start = -1;
    return this;
  }

  /** The payload's offset; the caller writes all of it. */
  #attribute(type: number, length: number): number {
    this.#pad();
    if (length + ATTRIBUTE_HEADER > 0xffff) throw new RangeError(`an attribute may have 65531 bytes, not ${length}`);
    const at = this.#room(ATTRIBUTE_HEADER + align(length));
    if ((length & 3) !== 0) this.#view.setUint32(this.#length - 4, 0, true);
    this.#view.setUint16(at, ATTRIBUTE_HEADER + length, true);
    this.#view.setUint16(at + 2, type, true);
    return at + ATTRIBUTE_HEADER;
  }

  #pad(): void {
    const length = align(this.#length) - this.#length;
    if (length > 0) this.#bytes.fill(0, this.#room(length), this.#length);
  }

  /** Room at the end, with whatever was there; its offset. */
  #room(length: number): number {
    const at = this.#length;
    const end = at + length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = end;
    return at;
  }
}

/** One message as it was received. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Port of the socket that asked; 0 for multicast and the kernel's own. */
  readonly portId: number;
  /** What follows the header: the family's fixed header, then attributes. */
  readonly body: Uint8Array;
}

/** The messages of one datagram; their bodies are views into it. Throws `invalid` where a length does not fit. */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = viewOf(datagram);
  const out: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length; ) {
    if (datagram.length - at < NLMSG_HEADER) throw malformed("a message", at);
    const length = view.getUint32(at, true);
    if (length < NLMSG_HEADER || length > datagram.length - at) throw malformed("a message", at);
    out.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      portId: view.getUint32(at + 12, true),
      body: datagram.subarray(at + NLMSG_HEADER, at + length),
    });
    at += align(length);
  }
  return out;
}

/** Calls `visit` for each attribute in order, with its type (flags taken off) and payload. */
export function forEachAttribute(bytes: Uint8Array, visit: (type: number, payload: Uint8Array) => void): void {
  for (let at = 0; bytes.length - at >= ATTRIBUTE_HEADER; ) {
    const length = le16(bytes, at);
    if (length < ATTRIBUTE_HEADER || length > bytes.length - at) throw malformed("an attribute", at);
    visit(le16(bytes, at + 2) & NLA_TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER, at + length));
    at += align(length);
  }
}

/**
 * Finds attributes of one nest by their type, without making objects for those that nobody asks for. Reusable: `read`
 * forgets what was there before. Of two attributes with one type the last counts; types above `max` are skipped.
 */
export class Attributes {
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  #bytes: Uint8Array = new Uint8Array();

  constructor(max: number) {
    this.#starts = new Uint32Array(max + 1);
    this.#ends = new Uint32Array(max + 1);
  }

  /** Takes the attributes that begin at `offset` (after the family's fixed header). */
  read(bytes: Uint8Array, offset = 0): this {
    if (offset > bytes.length) throw malformed("a fixed header", 0);
    return this.#read(bytes, offset, bytes.length);
  }

  /** Takes the attributes inside an attribute of another message part; false, and empty, where it has none of the type. */
  readNest(from: Attributes, type: number): boolean {
    const end = from.#ends[type] ?? 0;
    this.#read(from.#bytes, end === 0 ? 0 : (from.#starts[type] ?? end), end);
    return end !== 0;
  }

  has(type: number): boolean {
    return (this.#ends[type] ?? 0) !== 0;
  }

  u8(type: number): number | undefined {
    const at = this.#find(type, 1);
    return at < 0 ? undefined : this.#bytes[at];
  }

  u16(type: number): number | undefined {
    const at = this.#find(type, 2);
    return at < 0 ? undefined : le16(this.#bytes, at);
  }

  u16Be(type: number): number | undefined {
    const at = this.#find(type, 2);
    return at < 0 ? undefined : be16(this.#bytes, at);
  }

  u32(type: number): number | undefined {
    const at = this.#find(type, 4);
    return at < 0 ? undefined : le16(this.#bytes, at) + le16(this.#bytes, at + 2) * 65_536;
  }

  u32Be(type: number): number | undefined {
    const at = this.#find(type, 4);
    return at < 0 ? undefined : be16(this.#bytes, at) * 65_536 + be16(this.#bytes, at + 2);
  }

  u64(type: number): bigint | undefined {
    const at = this.#find(type, 8);
    return at < 0 ? undefined : viewOf(this.#bytes).getBigUint64(at, true);
  }

  u64Be(type: number): bigint | undefined {
    const at = this.#find(type, 8);
    return at < 0 ? undefined : viewOf(this.#bytes).getBigUint64(at, false);
  }

  /** A view into the message. */
  bytes(type: number): Uint8Array | undefined {
    const end = this.#ends[type] ?? 0;
    return end === 0 ? undefined : this.#bytes.subarray(this.#starts[type] ?? end, end);
  }

  /** Up to the closing zero, if there is one. */
  string(type: number): string | undefined {
    const payload = this.bytes(type);
    return payload === undefined ? undefined : decodeString(payload);
  }

  /** Without a view or a closure: tables of many thousands, four nests an entry, come through here. */
  #read(bytes: Uint8Array, from: number, to: number): this {
    this.#ends.fill(0);
    this.#bytes = bytes;
    for (let at = from; to - at >= ATTRIBUTE_HEADER; ) {
      const length = le16(bytes, at);
      if (length < ATTRIBUTE_HEADER || length > to - at) throw malformed("an attribute", at);
      const type = le16(bytes, at + 2) & NLA_TYPE_MASK;
      if (type < this.#ends.length) {
        this.#starts[type] = at + ATTRIBUTE_HEADER;
        this.#ends[type] = at + length;
      }
      at += align(length);
    }
    return this;
  }

  /** Where the payload is; -1: there is none. */
  #find(type: number, length: number): number {
    const end = this.#ends[type] ?? 0;
    if (end === 0) return -1;
    const start = this.#starts[type] ?? end;
    if (end - start < length) throw malformed(`attribute ${type}`, start);
    return start;
  }
}

/** Text of a payload, up to the closing zero. */
export function decodeString(payload: Uint8Array): string {
  const zero = payload.indexOf(0);
  return text.decode(zero < 0 ? payload : payload.subarray(0, zero));
}

/** The caller has seen to the bounds. */
function le16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function be16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function malformed(what: string, at: number): DriverError {
  return new DriverError("invalid", `Cannot read the kernel's answer: ${what} at byte ${at} has an impossible length`);
}
