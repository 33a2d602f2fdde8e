/**
 * The way of real packets of a flow through everybody's rules, as the kernel tells it (`meta nftrace set 1`, NFT_MSG_TRACE). The flow
 * is marked by a table of its own, which the kernel takes away with the socket that made it, however its process ends; where the kernel
 * is too old for that, `sweepTraces` does it at the next start. It changes no verdict, and few packets a second are marked.
 *
 * The table has a chain at each place that a packet may come by, first or last of all chains there, so where a packet was seen last is
 * known whatever tables there are. Input and forward mark too: an answer to a translated address, and what a published port leads
 * to, have the asked addresses only once connection tracking has put them back or in.
 */
import { randomBytes } from "node:crypto";
import { parseAddress, toBytes } from "../../core/net/address.ts";
import { errnoOf } from "../syscall/errno.ts";
import {
  Attributes,
  MessageWriter,
  type NetlinkMessage,
  NLM_F_APPEND,
  NLM_F_CREATE,
} from "../syscall/netlink-message.ts";
import { NetlinkSocket } from "../syscall/netlink-socket.ts";
import { untilAborted } from "../syscall/subscribe.ts";
import { CONNECTION_TABLE } from "./connection-table.ts";
import { beginBatch, deleteTable, endBatch, newChain } from "./encode.ts";
import * as nft from "./uapi.ts";

export interface TracedFlow {
  readonly family: 4 | 6;
  readonly protocol: number;
  /** Absent: anybody. */
  readonly source?: string;
  readonly destination?: string;
  readonly port?: number;
}

/** One thing that happened to one packet. */
export interface TraceEvent {
  /** The same for all of one packet. */
  readonly packet: number;
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** `policy`: the end of a base chain. */
  readonly kind: "rule" | "return" | "policy";
  readonly verdict: "accept" | "drop" | "jump" | "goto" | "return" | "continue" | "queue" | "stolen";
  readonly handle?: bigint;
  /** Not somebody's rule: the packet came by here. */
  readonly place?: Place;
  readonly inIndex?: number;
  readonly outIndex?: number;
  /** From the network header on, and from the transport header on: in a packet's first event of each base chain. */
  readonly network?: Uint8Array;
  readonly transport?: Uint8Array;
}

/** Hooks that are entered; `delivered` and `left` lie behind all rules of input and postrouting. */
export type Place = "prerouting" | "input" | "forward" | "output" | "delivered" | "postrouting" | "left";

/** What all tables of traces begin with. */
export const TRACE_TABLE = "manx-trace";
const NFNLGRP_NFTRACE = 9;
const NFT_MSG_TRACE = (10 << 8) | 17;
const NFT_META_NFTRACE = 12;
const TRACE = {
  TABLE: 1,
  CHAIN: 2,
  RULE_HANDLE: 3,
  TYPE: 4,
  VERDICT: 5,
  ID: 6,
  NETWORK: 8,
  TRANSPORT: 9,
  IIF: 10,
  OIF: 12,
  POLICY: 16,
};
/** In front of all that others hook: connection tracking's own defragmentation is at -400. */
const FIRST = -450;
/** Behind all that others hook. */
const LAST = 1_000_000;
const MARKING = ["prerouting", "input", "forward", "output"] as const;
const PASSED = [
  ["delivered", "input", LAST],
  ["postrouting", "postrouting", FIRST],
  ["left", "postrouting", LAST],
] as const;
const PLACES: ReadonlySet<string> = new Set<Place>([...MARKING, ...PASSED.map(([place]) => place)]);
const PER_SECOND = 20n;
const NFGEN = 4;
const WHAT = "trace packets";

const attributes = new Attributes(20);
const verdicts = new Attributes(3);

/** Takes away what an agent that died has left. Nothing there is fine, and so is what a living one has. */
export function sweepTraces(netns?: string): void {
  using socket = NetlinkSocket.open(12, netns === undefined ? {} : { netns });
  const ask = new MessageWriter(64);
  ask.begin(nft.NFT_MSG.GETTABLE, 0).nfgen(nft.FAMILY.inet).end();
  const names = socket.dump(ask.finish(), WHAT).map((message) => attributes.read(message.body, NFGEN).string(1) ?? "");
  for (const name of names.filter(isTrace)) remove(socket, name);
}

function isTrace(table: string): boolean {
  return table.startsWith(TRACE_TABLE);
}

/** Packets of the flows, and the answers to them, from now on until the signal aborts; then nothing of it is left. */
export function trace(
  flows: readonly TracedFlow[],
  signal: AbortSignal,
  netns?: string,
): AsyncGenerator<readonly TraceEvent[], void, undefined> {
  const where = netns === undefined ? {} : { netns };
  const open = new DisposableStack();
  try {
    const owner = open.use(NetlinkSocket.open(12, where));
    const listener = open.use(NetlinkSocket.open(12, { ...where, groups: [NFNLGRP_NFTRACE] }));
    const name = `${TRACE_TABLE}-${randomBytes(6).toString("hex")}`;
    mark(owner, name, flows);
    open.defer(() => remove(owner, name));
    return untilAborted({ close: () => open.dispose() }, signal, () => events(listener, signal));
  } catch (error) {
    open.dispose();
    throw error;
  }
}

async function* events(
  listener: NetlinkSocket,
  signal: AbortSignal,
): AsyncGenerator<readonly TraceEvent[], void, undefined> {
  for await (const event of listener.events(signal)) {
    if (event.kind === "overrun") continue;
    const parsed = event.messages.flatMap((message) => parseTrace(message) ?? []);
    if (parsed.length > 0) yield parsed;
  }
}

/** Gone already, or another's that lives, is fine. */
function remove(socket: NetlinkSocket, name: string): void {
  const writer = new MessageWriter(256);
  beginBatch(writer, undefined);
  deleteTable(writer, { family: "inet", name });
  endBatch(writer);
  const { failures } = socket.transaction(writer.finish(), WHAT);
  const [bad] = failures.filter(({ error }) => !["ENOENT", "EPERM"].includes(errnoOf(error) ?? ""));
  if (bad !== undefined) throw bad.error;
}

function mark(socket: NetlinkSocket, name: string, flows: readonly TracedFlow[]): void {
  for (const flags of [nft.NFT_TABLE_F_OWNER, 0]) {
    const { failures } = socket.transaction(batch(name, flows, flags), WHAT);
    const [first] = failures;
    if (first === undefined) return;
    // Kernels before 5.12 know no owners.
    if (flags === 0 || !["EINVAL", "EOPNOTSUPP"].includes(errnoOf(first.error) ?? "")) throw first.error;
  }
}

function batch(name: string, flows: readonly TracedFlow[], flags: number): Uint8Array {
  const table = { family: "inet", name } as const;
  const writer = new MessageWriter(8_192);
  beginBatch(writer, undefined);
  writer.begin(nft.NFT_MSG.NEWTABLE, NLM_F_CREATE).nfgen(nft.FAMILY.inet);
  writer.string(nft.NFTA_TABLE.NAME, name).u32Be(nft.NFTA_TABLE.FLAGS, flags).end();
  for (const hook of MARKING) {
    newChain(writer, table, hook, { type: "filter", hook, priority: FIRST, policy: "accept" });
    for (const flow of flows) {
      const { source: to, destination: from, port, family, protocol } = flow;
      const icmp = family === 4 ? 1 : 58;
      const ends = { ...(from !== undefined && { source: from }), ...(to !== undefined && { destination: to }) };
      rule(writer, name, hook, flow);
      rule(writer, name, hook, { family, protocol, ...ends }, port);
      // "Port unreachable", and what routers say: to the sender, from whoever.
      if (protocol !== icmp)
        rule(writer, name, hook, { family, protocol: icmp, ...(to === undefined ? ends : { destination: to }) });
    }
  }
  for (const [place, hook, priority] of PASSED)
    newChain(writer, table, place, { type: "filter", hook, priority, policy: "accept" });
  endBatch(writer);
  return writer.finish();
}

function rule(writer: MessageWriter, table: string, chain: string, flow: TracedFlow, sourcePort?: number): void {
  const { family, protocol, source, destination, port } = flow;
  const expression = (name: string, fill: () => void): void => {
    writer.nest(nft.NFTA_LIST_ELEM, () => {
      writer.string(nft.NFTA_EXPR.NAME, name);
      writer.nest(nft.NFTA_EXPR.DATA, fill);
    });
  };
  const equals = (bytes: Uint8Array): void =>
    expression("cmp", () => {
      writer.u32Be(nft.NFTA_CMP.SREG, nft.NFT_REG32_00).u32Be(nft.NFTA_CMP.OP, nft.NFT_CMP.EQ);
      writer.nest(nft.NFTA_CMP.DATA, () => writer.bytes(nft.NFTA_DATA.VALUE, bytes));
    });
  const meta = (key: number, value: number): void => {
    expression("meta", () => writer.u32Be(nft.NFTA_META.KEY, key).u32Be(nft.NFTA_META.DREG, nft.NFT_REG32_00));
    equals(Uint8Array.of(value));
  };
  const payload = (base: number, offset: number, bytes: Uint8Array): void => {
    expression("payload", () => {
      writer.u32Be(nft.NFTA_PAYLOAD.DREG, nft.NFT_REG32_00).u32Be(nft.NFTA_PAYLOAD.BASE, base);
      writer.u32Be(nft.NFTA_PAYLOAD.OFFSET, offset).u32Be(nft.NFTA_PAYLOAD.LEN, bytes.length);
    });
    equals(bytes);
  };
  const [from, to] = family === 4 ? [12, 16] : [8, 24];
  writer.begin(nft.NFT_MSG.NEWRULE, NLM_F_CREATE | NLM_F_APPEND).nfgen(nft.FAMILY.inet);
  writer.string(nft.NFTA_RULE.TABLE, table).string(nft.NFTA_RULE.CHAIN, chain);
  writer.nest(nft.NFTA_RULE.EXPRESSIONS, () => {
    meta(nft.NFT_META.NFPROTO, family === 4 ? nft.FAMILY.ip : nft.FAMILY.ip6);
    meta(nft.NFT_META.L4PROTO, protocol);
    if (source !== undefined) payload(nft.NFT_PAYLOAD.NETWORK, from, addressBytes(source));
    if (destination !== undefined) payload(nft.NFT_PAYLOAD.NETWORK, to, addressBytes(destination));
    if (sourcePort !== undefined) payload(nft.NFT_PAYLOAD.TRANSPORT, 0, portBytes(sourcePort));
    if (port !== undefined) payload(nft.NFT_PAYLOAD.TRANSPORT, 2, portBytes(port));
    expression("limit", () => {
      writer.u64Be(nft.NFTA_LIMIT.RATE, PER_SECOND).u64Be(nft.NFTA_LIMIT.UNIT, 1n).u32Be(nft.NFTA_LIMIT.BURST, 20);
      writer.u32Be(nft.NFTA_LIMIT.TYPE, 0);
    });
    expression("immediate", () => {
      writer.u32Be(nft.NFTA_IMMEDIATE.DREG, nft.NFT_REG32_00);
      writer.nest(nft.NFTA_IMMEDIATE.DATA, () => writer.bytes(nft.NFTA_DATA.VALUE, Uint8Array.of(1)));
    });
    expression("meta", () =>
      writer.u32Be(nft.NFTA_META.KEY, NFT_META_NFTRACE).u32Be(nft.NFTA_META.SREG, nft.NFT_REG32_00),
    );
  });
  writer.end();
}

function addressBytes(text: string): Uint8Array {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new RangeError(`"${text}" is no address`);
  return toBytes(parsed);
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

const FAMILIES: Readonly<Record<number, string>> = {
  1: "inet",
  2: "ip",
  3: "arp",
  5: "netdev",
  7: "bridge",
  10: "ip6",
};
const KINDS: Readonly<Record<number, TraceEvent["kind"]>> = { 1: "policy", 2: "return", 3: "rule" };
/** enum nft_verdicts and NF_*, as 32 bits. */
const VERDICTS: Readonly<Record<number, TraceEvent["verdict"]>> = {
  0: "drop",
  1: "accept",
  2: "stolen",
  3: "queue",
  0xffffffff: "continue",
  0xfffffffd: "jump",
  0xfffffffc: "goto",
  0xfffffffb: "return",
};

/** Undefined for other messages, and for what is of no interest. */
export function parseTrace(message: NetlinkMessage): TraceEvent | undefined {
  if (message.type !== NFT_MSG_TRACE) return undefined;
  attributes.read(message.body, NFGEN);
  const kind = KINDS[attributes.u32Be(TRACE.TYPE) ?? 0];
  const table = attributes.string(TRACE.TABLE);
  // The table that counts connections has no say.
  if (kind === undefined || table === undefined || table === CONNECTION_TABLE) return undefined;
  const handle = attributes.u64Be(TRACE.RULE_HANDLE);
  const [inIndex, outIndex] = [attributes.u32Be(TRACE.IIF), attributes.u32Be(TRACE.OIF)];
  const [network, transport] = [attributes.bytes(TRACE.NETWORK), attributes.bytes(TRACE.TRANSPORT)];
  const nested = attributes.bytes(TRACE.VERDICT);
  const chain = attributes.string(TRACE.CHAIN) ?? "";
  const packet = attributes.u32Be(TRACE.ID) ?? 0;
  const policy = attributes.u32Be(TRACE.POLICY);
  const code = nested === undefined ? policy : verdicts.read(nested).u32Be(nft.NFTA_VERDICT.CODE);
  return {
    packet,
    family: FAMILIES[message.body[0] ?? 0] ?? "unknown",
    table,
    chain,
    kind,
    verdict: VERDICTS[code ?? 0xffffffff] ?? "continue",
    ...(isTrace(table) && PLACES.has(chain) && { place: chain as Place }),
    ...(handle === undefined ? {} : { handle }),
    ...(inIndex === undefined ? {} : { inIndex }),
    ...(outIndex === undefined ? {} : { outIndex }),
    // The message's buffer is used again.
    ...(network === undefined ? {} : { network: Uint8Array.from(network) }),
    ...(transport === undefined ? {} : { transport: Uint8Array.from(transport) }),
  };
}
