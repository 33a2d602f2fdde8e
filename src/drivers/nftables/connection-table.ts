/**
 * The table in which the kernel counts new connections: a map for each address family, from who, to whom, protocol and service to what
 * tells an element from a later one of the same key. Pure: messages out, elements in.
 *
 * Chains of type nat see the first packet of each connection and no other, so what is established passes by for nothing; they come behind
 * all filters, and in front of others' NAT of the source. The table belongs to the socket that made it: the kernel takes both away together.
 */
import type { FlowTuple } from "../../core/calc/flow-judge.ts";
import { type Family, formatBytes } from "../../core/net/address.ts";
import {
  Attributes,
  forEachAttribute,
  type MessageWriter,
  type NetlinkMessage,
  NLM_F_APPEND,
  NLM_F_CREATE,
} from "../syscall/netlink-message.ts";
import { beginBatch, endBatch, newChain } from "./encode.ts";
import { writeCounter, writeVerdict } from "./expressions.ts";
import * as nft from "./uapi.ts";

/**
 * Connections that are alike but for the sender's port, while there are such: one element of a map. The port is that of the first one,
 * the destination the one behind translation.
 */
export interface CountedConnections extends FlowTuple {
  readonly family: Family;
}

/** An element as it was read. */
export interface ConnectionElement {
  /** Of this element, and of no later one with the same key. */
  readonly id: string;
  /** Connections since it was made. */
  readonly count: number;
  /** Milliseconds since the last of them. */
  readonly age: number;
  /** Who they were: asked for only where something is new. */
  readonly read: () => CountedConnections;
}

export const CONNECTION_TABLE = "manx-connections";
/** Elements of one map. */
export const MAX_ELEMENTS = 16_384;
/** Milliseconds for which an element is kept after its last connection. */
export const KEPT = 5_000;

const TABLE = { family: "inet", name: CONNECTION_TABLE } as const;
const TOTAL = "total";
/** In front of others' translations, the first of which would end the way through chains of this type. */
const PRIORITY = -150;
const ICMP = { 4: 1, 6: 58 } as const;
/** Protocols whose header begins with source and destination port. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);
const NFGEN = 4;
const ADDRESS = { 4: 4, 6: 16 } as const;
/** nft(8)'s numbers of types, for who lists the table: addresses, inet_proto, inet_service, mark. */
const TYPE = { 4: 7, 6: 8, protocol: 12, service: 13, mark: 19 } as const;

const mapOf = (family: 4 | 6): string => `connections${family}`;

export function writeConnectionTable(writer: MessageWriter): MessageWriter {
  beginBatch(writer, undefined);
  writer.begin(nft.NFT_MSG.NEWTABLE, NLM_F_CREATE).nfgen(nft.FAMILY.inet);
  writer.string(nft.NFTA_TABLE.NAME, TABLE.name).u32Be(nft.NFTA_TABLE.FLAGS, nft.NFT_TABLE_F_OWNER).end();
  writer.begin(nft.NFT_MSG.NEWOBJ, NLM_F_CREATE).nfgen(nft.FAMILY.inet);
  writer.string(nft.NFTA_OBJ.TABLE, TABLE.name).string(nft.NFTA_OBJ.NAME, TOTAL);
  writer.u32Be(nft.NFTA_OBJ.TYPE, nft.NFT_OBJECT_COUNTER).nest(nft.NFTA_OBJ.DATA, () => {});
  writer.end();
  writeMap(writer, 4, 1);
  writeMap(writer, 6, 2);
  for (const hook of ["input", "postrouting"] as const) {
    newChain(writer, TABLE, hook, { type: "nat", hook, priority: PRIORITY, policy: "accept" });
    writeRules(writer, hook);
  }
  endBatch(writer);
  return writer;
}

function writeMap(writer: MessageWriter, family: 4 | 6, id: number): void {
  const key = [TYPE[family], TYPE[family], TYPE.protocol, TYPE.service];
  const flags = nft.NFT_SET.MAP | nft.NFT_SET.TIMEOUT | nft.NFT_SET.EVAL;
  const typeOf = (types: readonly number[]): number => types.reduce((all, type) => (all << 6) | type);
  writer.begin(nft.NFT_MSG.NEWSET, NLM_F_CREATE).nfgen(nft.FAMILY.inet);
  writer.string(nft.NFTA_SET.TABLE, TABLE.name).string(nft.NFTA_SET.NAME, mapOf(family)).u32Be(nft.NFTA_SET.ID, id);
  writer.u32Be(nft.NFTA_SET.FLAGS, flags).u64Be(nft.NFTA_SET.TIMEOUT, BigInt(KEPT));
  writer.u32Be(nft.NFTA_SET.KEY_TYPE, typeOf(key)).u32Be(nft.NFTA_SET.KEY_LEN, keyLength(family));
  writer.u32Be(nft.NFTA_SET.DATA_TYPE, typeOf([TYPE.mark, TYPE.service])).u32Be(nft.NFTA_SET.DATA_LEN, 8);
  writer.nest(nft.NFTA_SET.DESC, () => writer.u32Be(nft.NFTA_SET_DESC_SIZE, MAX_ELEMENTS)).end();
}

function keyLength(family: 4 | 6): number {
  return 2 * ADDRESS[family] + 8;
}

function writeRules(writer: MessageWriter, chain: string): void {
  const loopback = new TextEncoder().encode("lo\0");
  const rule = (fill: (rule: RuleWriter) => void): void => {
    writer.begin(nft.NFT_MSG.NEWRULE, NLM_F_CREATE | NLM_F_APPEND).nfgen(nft.FAMILY.inet);
    writer.string(nft.NFTA_RULE.TABLE, TABLE.name).string(nft.NFTA_RULE.CHAIN, chain);
    writer.nest(nft.NFTA_RULE.EXPRESSIONS, () => fill(new RuleWriter(writer)));
    writer.end();
  };
  // What the host says to itself is nobody's flow.
  const name = chain === "input" ? nft.NFT_META.IIFNAME : nft.NFT_META.OIFNAME;
  rule((one) => one.meta(name).compare(nft.NFT_CMP.EQ, loopback).accept());
  // True for all that comes here; without a rule that asks for it the kernel would track no connections.
  rule((one) => one.original().countAll());
  for (const family of [4, 6] as const) {
    const number = Uint8Array.of(family === 4 ? nft.FAMILY.ip : nft.FAMILY.ip6);
    for (const [op, service] of [
      [nft.NFT_CMP.NEQ, 2], // the destination port
      [nft.NFT_CMP.EQ, 0], // type and code
    ] as const)
      rule((one) =>
        one
          .meta(nft.NFT_META.NFPROTO)
          .compare(nft.NFT_CMP.EQ, number)
          .meta(nft.NFT_META.L4PROTO)
          .compare(op, Uint8Array.of(ICMP[family]))
          .count(family, service)
          .accept(),
      );
  }
}

/** Expressions of one rule, in order. */
class RuleWriter {
  readonly #writer: MessageWriter;

  constructor(writer: MessageWriter) {
    this.#writer = writer;
  }

  meta(key: number, register: number = nft.NFT_REG32_00): this {
    return this.#add("meta", (w) => w.u32Be(nft.NFTA_META.KEY, key).u32Be(nft.NFTA_META.DREG, register));
  }

  original(): this {
    this.#add("ct", (w) => w.u32Be(nft.NFTA_CT.KEY, nft.NFT_CT.DIRECTION).u32Be(nft.NFTA_CT.DREG, nft.NFT_REG32_00));
    return this.compare(nft.NFT_CMP.EQ, Uint8Array.of(nft.CT_DIRECTION.original));
  }

  compare(op: number, value: Uint8Array): this {
    return this.#add("cmp", (w) => {
      w.u32Be(nft.NFTA_CMP.SREG, nft.NFT_REG32_00).u32Be(nft.NFTA_CMP.OP, op);
      w.nest(nft.NFTA_CMP.DATA, () => w.bytes(nft.NFTA_DATA.VALUE, value));
    });
  }

  countAll(): this {
    return this.#add("objref", (w) => {
      w.u32Be(nft.NFTA_OBJREF.IMM_TYPE, nft.NFT_OBJECT_COUNTER).string(nft.NFTA_OBJREF.IMM_NAME, TOTAL);
    });
  }

  /** `service`: offset of what names it in the transport header. Ends the rule where there is no room for a new element. */
  count(family: 4 | 6, service: number): this {
    const length = ADDRESS[family];
    const address = family === 4 ? 12 : 8;
    const behind = nft.NFT_REG32_00 + (2 * length) / 4;
    this.#payload(nft.NFT_PAYLOAD.NETWORK, address, length, nft.NFT_REG32_00);
    this.#payload(nft.NFT_PAYLOAD.NETWORK, address + length, length, nft.NFT_REG32_00 + length / 4);
    this.meta(nft.NFT_META.L4PROTO, behind).#payload(nft.NFT_PAYLOAD.TRANSPORT, service, 2, behind + 1);
    this.meta(nft.NFT_META.PRANDOM, behind + 2).#payload(nft.NFT_PAYLOAD.TRANSPORT, 0, 2, behind + 3);
    return this.#add("dynset", (w) => {
      w.string(nft.NFTA_DYNSET.SET_NAME, mapOf(family)).u32Be(nft.NFTA_DYNSET.OP, nft.NFT_DYNSET_OP_UPDATE);
      w.u32Be(nft.NFTA_DYNSET.SREG_KEY, nft.NFT_REG32_00).u32Be(nft.NFTA_DYNSET.SREG_DATA, behind + 2);
      w.u64Be(nft.NFTA_DYNSET.TIMEOUT, BigInt(KEPT));
      writeCounter(w, nft.NFTA_DYNSET.EXPR);
    });
  }

  accept(): this {
    return this.#add("immediate", (w) => {
      w.u32Be(nft.NFTA_IMMEDIATE.DREG, nft.NFT_REG_VERDICT);
      writeVerdict(w, nft.NFTA_IMMEDIATE.DATA, { kind: "accept" });
    });
  }

  #payload(base: number, offset: number, length: number, register: number): this {
    return this.#add("payload", (w) => {
      w.u32Be(nft.NFTA_PAYLOAD.DREG, register).u32Be(nft.NFTA_PAYLOAD.BASE, base);
      w.u32Be(nft.NFTA_PAYLOAD.OFFSET, offset).u32Be(nft.NFTA_PAYLOAD.LEN, length);
    });
  }

  #add(name: string, fill: (writer: MessageWriter) => void): this {
    this.#writer.nest(nft.NFTA_LIST_ELEM, () => {
      this.#writer.string(nft.NFTA_EXPR.NAME, name);
      this.#writer.nest(nft.NFTA_EXPR.DATA, () => fill(this.#writer));
    });
    return this;
  }
}

export function askTotal(writer: MessageWriter): MessageWriter {
  writer.begin(nft.NFT_MSG.GETOBJ, 0).nfgen(nft.FAMILY.inet).string(nft.NFTA_OBJ.TABLE, TABLE.name);
  return writer.string(nft.NFTA_OBJ.NAME, TOTAL).u32Be(nft.NFTA_OBJ.TYPE, nft.NFT_OBJECT_COUNTER).end();
}

export function askElements(writer: MessageWriter, family: 4 | 6): MessageWriter {
  writer.begin(nft.NFT_MSG.GETSETELEM, 0).nfgen(nft.FAMILY.inet);
  writer.string(nft.NFTA_SET_ELEM_LIST.TABLE, TABLE.name);
  return writer.string(nft.NFTA_SET_ELEM_LIST.SET, mapOf(family)).end();
}

const top = new Attributes(4);
const element = new Attributes(7);
const nest = new Attributes(2);
const counter = new Attributes(2);

/** Connections that came by, whether there was room for them or not. */
export function readTotal({ body }: NetlinkMessage): number {
  top.read(body, NFGEN);
  return counter.readNest(top, nft.NFTA_OBJ.DATA) ? number64(counter.bytes(nft.NFTA_COUNTER.PACKETS)) : 0;
}

/** Calls `visit` for each element that the message has. */
export function readElements(
  { type, body }: NetlinkMessage,
  family: 4 | 6,
  visit: (element: ConnectionElement) => void,
): void {
  if (type !== nft.NFT_MSG.NEWSETELEM) return;
  const list = top.read(body, NFGEN).bytes(nft.NFTA_SET_ELEM_LIST.ELEMENTS);
  if (list === undefined) return;
  forEachAttribute(list, (_, bytes) => {
    element.read(bytes);
    const [key, data] = [valueOf(nft.NFTA_SET_ELEM.KEY), valueOf(nft.NFTA_SET_ELEM.DATA)];
    if (key?.length !== keyLength(family) || data?.length !== 8) return;
    if (!nest.readNest(element, nft.NFTA_SET_ELEM.EXPR) || !counter.readNest(nest, nft.NFTA_EXPR.DATA)) return;
    visit({
      id: latin1(key) + latin1(data),
      count: number64(counter.bytes(nft.NFTA_COUNTER.PACKETS)),
      age: Math.max(0, KEPT - number64(element.bytes(nft.NFTA_SET_ELEM.EXPIRATION))),
      read: () => connectionsOf(family, key, data),
    });
  });
}

function valueOf(attribute: number): Uint8Array | undefined {
  return nest.readNest(element, attribute) ? nest.bytes(nft.NFTA_DATA.VALUE) : undefined;
}

function connectionsOf(family: 4 | 6, key: Uint8Array, data: Uint8Array): CountedConnections {
  const length = ADDRESS[family];
  const ends = {
    family,
    source: formatBytes(key.subarray(0, length)) ?? "",
    destination: formatBytes(key.subarray(length, 2 * length)) ?? "",
  };
  const [protocol = 0, , , , high = 0, low = 0] = key.subarray(2 * length);
  if (protocol === ICMP[family]) return { ...ends, protocol, icmp: { type: high, code: low } };
  if (!WITH_PORTS.has(protocol)) return { ...ends, protocol };
  const sourcePort = ((data[4] ?? 0) << 8) | (data[5] ?? 0);
  return { ...ends, protocol, sourcePort, destinationPort: (high << 8) | low };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Big endian; below 2^53, as counts and times are. */
function number64(bytes: Uint8Array | undefined): number {
  if (bytes === undefined || bytes.length < 8) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return view.getUint32(0, false) * 4_294_967_296 + view.getUint32(4, false);
}
