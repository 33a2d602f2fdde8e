/** Connections as ctnetlink messages: CTA_* of linux/netfilter/nfnetlink_conntrack.h. Pure. Numbers are in network order. */
import { address, type Family, formatBytes, toBytes } from "../../core/net/address.ts";
import { Attributes, type MessageWriter, type NetlinkMessage } from "../syscall/netlink-message.ts";
import type { Connection, Counter, Tuple } from "./conntrack.ts";

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_NEW = (NFNL_SUBSYS_CTNETLINK << 8) | 0;
const IPCTNL_MSG_CT_GET = (NFNL_SUBSYS_CTNETLINK << 8) | 1;
const IPCTNL_MSG_CT_DELETE = (NFNL_SUBSYS_CTNETLINK << 8) | 2;

const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;
/** `struct nfgenmsg` */
const HEADER = 4;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_MARK = 8;
const CTA_COUNTERS_ORIG = 9;
const CTA_COUNTERS_REPLY = 10;
const CTA_ID = 12;
const CTA_TUPLE_MASTER = 14;
const CTA_ZONE = 18;

const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_TUPLE_ZONE = 3;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_PROTO_ICMP_ID = 4;
const CTA_PROTO_ICMPV6_ID = 7;
const CTA_COUNTERS_PACKETS = 1;
const CTA_COUNTERS_BYTES = 2;

/** enum ip_conntrack_status of linux/netfilter/nf_conntrack_common.h */
const IPS_EXPECTED = 1 << 0;
const IPS_SEEN_REPLY = 1 << 1;
const IPS_ASSURED = 1 << 2;
const IPS_SRC_NAT = 1 << 4;
const IPS_DST_NAT = 1 << 5;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const NONE = new Uint8Array();

const entry = new Attributes(32);
const tuple = new Attributes(4);
const ip = new Attributes(8);
const proto = new Attributes(16);
const counters = new Attributes(8);

export function writeList(w: MessageWriter): MessageWriter {
  return w.begin(IPCTNL_MSG_CT_GET, 0).nfgen(AF_UNSPEC).end();
}

/** The id makes sure that it is this one; without a tuple the kernel would empty the table. */
export function writeDelete(w: MessageWriter, { family, original, zone, id }: Connection): MessageWriter {
  return writeDeleteOf(w, family, original, zone).u32Be(CTA_ID, id).end();
}

/** Whichever connection has the answers' tuple for its own. */
export function writeDeleteTurned(w: MessageWriter, { family, reply, zone }: Connection): MessageWriter {
  return writeDeleteOf(w, family, reply, zone).end();
}

function writeDeleteOf(w: MessageWriter, family: Family, tuple: Tuple, zone: number): MessageWriter {
  w.begin(IPCTNL_MSG_CT_DELETE, 0).nfgen(family === 4 ? AF_INET : AF_INET6);
  w.nest(CTA_TUPLE_ORIG, () => writeTuple(w, family, tuple));
  if (zone !== 0) w.u16Be(CTA_ZONE, zone);
  return w;
}

export function writeTuple(w: MessageWriter, family: Family, t: Tuple): void {
  const [source, destination] = family === 4 ? [CTA_IP_V4_SRC, CTA_IP_V4_DST] : [CTA_IP_V6_SRC, CTA_IP_V6_DST];
  w.nest(CTA_TUPLE_IP, () => {
    w.bytes(source, toBytes(address(t.source))).bytes(destination, toBytes(address(t.destination)));
  });
  w.nest(CTA_TUPLE_PROTO, () => {
    w.u8(CTA_PROTO_NUM, t.protocol);
    if (t.sourcePort !== undefined) w.u16Be(CTA_PROTO_SRC_PORT, t.sourcePort);
    if (t.destinationPort !== undefined) w.u16Be(CTA_PROTO_DST_PORT, t.destinationPort);
    if (t.icmp === undefined) return;
    const id = family === 4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID;
    w.u16Be(id, t.icmp.id)
      .u8(id + 1, t.icmp.type)
      .u8(id + 2, t.icmp.code);
  });
}

/** Undefined for what is no entry of IPv4 or IPv6. */
export function parseConnection({ type, body }: NetlinkMessage): Connection | undefined {
  if (type !== IPCTNL_MSG_CT_NEW && type !== IPCTNL_MSG_CT_DELETE) return undefined;
  const family = body[0] === AF_INET ? 4 : body[0] === AF_INET6 ? 6 : undefined;
  if (family === undefined) return undefined;
  entry.read(body, HEADER);
  const original = parseTuple(CTA_TUPLE_ORIG, family);
  const directionZone = tuple.u16Be(CTA_TUPLE_ZONE);
  const reply = parseTuple(CTA_TUPLE_REPLY, family);
  if (original === undefined || reply === undefined) return undefined;
  const status = entry.u32Be(CTA_STATUS) ?? 0;
  const master = (status & IPS_EXPECTED) === 0 ? undefined : parseTuple(CTA_TUPLE_MASTER, family);
  const sent = parseCounter(CTA_COUNTERS_ORIG);
  const received = parseCounter(CTA_COUNTERS_REPLY);
  // Assigned rather than spread: tables of 50,000 entries come through here.
  const connection: Writable<Connection> = {
    family,
    id: entry.u32Be(CTA_ID) ?? 0,
    original,
    reply,
    zone: entry.u16Be(CTA_ZONE) ?? directionZone ?? 0,
    mark: entry.u32Be(CTA_MARK) ?? 0,
    answered: (status & IPS_SEEN_REPLY) !== 0,
    assured: (status & IPS_ASSURED) !== 0,
    sourceNat: (status & IPS_SRC_NAT) !== 0,
    destinationNat: (status & IPS_DST_NAT) !== 0,
  };
  if (master !== undefined) connection.master = master;
  if (sent !== undefined) connection.sent = sent;
  if (received !== undefined) connection.received = received;
  return connection;
}

function parseTuple(type: number, family: Family): Tuple | undefined {
  if (!tuple.readNest(entry, type)) return undefined;
  if (!ip.readNest(tuple, CTA_TUPLE_IP) || !proto.readNest(tuple, CTA_TUPLE_PROTO)) return undefined;
  const source = formatBytes(ip.bytes(family === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC) ?? NONE);
  const destination = formatBytes(ip.bytes(family === 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST) ?? NONE);
  const number = proto.u8(CTA_PROTO_NUM);
  if (source === undefined || destination === undefined || number === undefined) return undefined;
  const sourcePort = proto.u16Be(CTA_PROTO_SRC_PORT);
  const destinationPort = proto.u16Be(CTA_PROTO_DST_PORT);
  if (sourcePort !== undefined && destinationPort !== undefined)
    return { source, destination, protocol: number, sourcePort, destinationPort };
  const icmp = parseIcmp(family === 4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID);
  return icmp === undefined
    ? { source, destination, protocol: number }
    : { source, destination, protocol: number, icmp };
}

function parseIcmp(first: number): Tuple["icmp"] {
  const id = proto.u16Be(first);
  const type = proto.u8(first + 1);
  const code = proto.u8(first + 2);
  return id === undefined || type === undefined || code === undefined ? undefined : { id, type, code };
}

function parseCounter(type: number): Counter | undefined {
  if (!counters.readNest(entry, type)) return undefined;
  const packets = counters.u64Be(CTA_COUNTERS_PACKETS);
  const octets = counters.u64Be(CTA_COUNTERS_BYTES);
  return packets === undefined || octets === undefined ? undefined : { packets, bytes: octets };
}
