/**
 * DNS messages (RFC 1035 section 4) as far as a small authority needs them: one question in, a few records out. Whoever asks is
 * taken for hostile: nothing is followed (a question has no use for compression pointers, so it may have none), nothing is
 * copied but the question, and whatever does not look like a query is refused or dropped. Bytes in, bytes out; no I/O.
 */
export const TYPE = { A: 1, PTR: 12, HINFO: 13, AAAA: 28, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const;
export const RCODE = { ok: 0, format: 1, failed: 2, noName: 3, notImplemented: 4, refused: 5 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

const IN = 1;
const HEADER = 12;
const MAX_NAME = 255;
/** Octets of a UDP answer without EDNS (RFC 1035 section 4.2.1), and the most that we send: it fits every path (dnsflagday.net/2020). */
const PLAIN_SIZE = 512;
const MOST_SIZE = 1232;
const OPT_RECORD = 11;
/** What the names of containers, aliases and networks are made of, after lower-casing. */
const LABEL = /^[a-z0-9_-]+$/;

export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  /** Lower case, without the last dot; undefined for one that no container can have. */
  readonly name: string | undefined;
  readonly type: number;
  /** The question as it was asked, letter case and all (draft-vixie-dnsext-dns0x20). */
  readonly question: Uint8Array;
  readonly edns: boolean;
  /** Most octets of an answer by UDP. */
  readonly size: number;
}

export interface DnsRecord {
  readonly type: number;
  readonly ttl: number;
  readonly data: Uint8Array;
}

export type Parsed =
  | { readonly kind: "query"; readonly query: Query }
  /** Not one that is answered: this says so. */
  | { readonly kind: "refusal"; readonly reply: Uint8Array }
  /** No query at all. An answer to an answer could go on for ever. */
  | { readonly kind: "nothing" };

export function parseQuery(message: Uint8Array): Parsed {
  if (message.length < HEADER || (octet(message, 2) & 0x80) !== 0) return { kind: "nothing" };
  const opcode = (octet(message, 2) >> 3) & 0xf;
  if (opcode !== 0) return refusal(message, RCODE.notImplemented);
  const counts = [4, 6, 8].map((offset) => word(message, offset));
  if (counts[0] !== 1 || counts[1] !== 0 || counts[2] !== 0) return refusal(message, RCODE.format);
  const name = readName(message);
  if (name === undefined || name.end + 4 > message.length) return refusal(message, RCODE.format);
  const end = name.end + 4;
  const query: Query = {
    id: word(message, 0),
    recursionDesired: (octet(message, 2) & 1) !== 0,
    name: name.labels.length > 0 && name.labels.every((label) => LABEL.test(label)) ? name.labels.join(".") : undefined,
    type: word(message, name.end),
    question: message.slice(HEADER, end),
    ...readEdns(message, end),
  };
  if (word(message, name.end + 2) !== IN) return { kind: "refusal", reply: encodeReply(query, RCODE.refused, []) };
  return { kind: "query", query };
}

function readName(message: Uint8Array): { readonly labels: readonly string[]; readonly end: number } | undefined {
  const labels: string[] = [];
  for (let offset = HEADER; offset < message.length && offset - HEADER < MAX_NAME; ) {
    const length = octet(message, offset++);
    if (length === 0) return { labels, end: offset };
    if (length > 63 || offset + length > message.length) return undefined;
    labels.push(String.fromCharCode(...message.subarray(offset, offset + length)).toLowerCase());
    offset += length;
  }
  return undefined;
}

/** RFC 6891: the OPT record, where it comes first. Behind others (a signature, say) it is not looked for. */
function readEdns(message: Uint8Array, at: number): Pick<Query, "edns" | "size"> {
  const there = word(message, 10) > 0 && at + OPT_RECORD <= message.length && octet(message, at) === 0;
  if (!there || word(message, at + 1) !== TYPE.OPT) return { edns: false, size: PLAIN_SIZE };
  return { edns: true, size: Math.min(MOST_SIZE, Math.max(PLAIN_SIZE, word(message, at + 3))) };
}

export interface ReplyOptions {
  /** Most octets; what does not fit is left out whole, and the answer says that it was (TC). */
  readonly most?: number;
  /** From us and not from another server. */
  readonly authoritative?: boolean;
}

/** All records are about the name that was asked for. */
export function encodeReply(
  query: Query,
  rcode: Rcode,
  records: readonly DnsRecord[],
  { most = 65_535, authoritative = false }: ReplyOptions = {},
): Uint8Array {
  const edns = query.edns ? OPT_RECORD : 0;
  const bare = HEADER + query.question.length + edns;
  const whole = bare + records.reduce((sum, { data }) => sum + 12 + data.length, 0);
  const truncated = whole > most;
  const kept = truncated ? [] : records;
  const out = new Uint8Array(truncated ? bare : whole);
  const view = new DataView(out.buffer);
  view.setUint16(0, query.id);
  const flags =
    0x8000 | (authoritative ? 0x0400 : 0) | (truncated ? 0x0200 : 0) | (query.recursionDesired ? 0x0100 : 0);
  view.setUint16(2, flags | 0x0080 | rcode);
  view.setUint16(4, 1);
  view.setUint16(6, kept.length);
  view.setUint16(10, query.edns ? 1 : 0);
  out.set(query.question, HEADER);
  let offset = HEADER + query.question.length;
  for (const { type, ttl, data } of kept) {
    view.setUint16(offset, 0xc000 | HEADER);
    view.setUint16(offset + 2, type);
    view.setUint16(offset + 4, IN);
    view.setUint32(offset + 6, ttl);
    view.setUint16(offset + 10, data.length);
    out.set(data, offset + 12);
    offset += 12 + data.length;
  }
  if (query.edns) {
    view.setUint16(offset + 1, TYPE.OPT);
    view.setUint16(offset + 3, MOST_SIZE);
  }
  return out;
}

/** A name as it stands in a record; undefined if it is none. */
export function encodeName(name: string): Uint8Array | undefined {
  const labels = name.split(".");
  if (name.length > MAX_NAME - 2 || !labels.every((label) => label.length < 64 && LABEL.test(label))) return undefined;
  return new Uint8Array([
    ...labels.flatMap((label) => [label.length, ...Array.from(label, (letter) => letter.charCodeAt(0))]),
    0,
  ]);
}

/** True for an answer of a server to exactly this question. */
export function answersQuestion(reply: Uint8Array, id: number, question: Uint8Array): boolean {
  if (reply.length < HEADER + question.length || word(reply, 0) !== id || (octet(reply, 2) & 0x80) === 0) return false;
  return word(reply, 4) === 1 && question.every((value, index) => reply[HEADER + index] === value);
}

/** The same message under another ID. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const out = message.slice();
  out[0] = id >> 8;
  out[1] = id & 0xff;
  return out;
}

export function rcodeOf(reply: Uint8Array): number {
  return octet(reply, 3) & 0xf;
}

/** Without a question, as it could not be read. */
function refusal(message: Uint8Array, rcode: Rcode): Parsed {
  const reply = new Uint8Array(HEADER);
  reply.set(message.subarray(0, 2));
  reply[2] = 0x80 | (octet(message, 2) & 0x79);
  reply[3] = rcode;
  return { kind: "refusal", reply };
}

function octet(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}

function word(bytes: Uint8Array, offset: number): number {
  return (octet(bytes, offset) << 8) | octet(bytes, offset + 1);
}
