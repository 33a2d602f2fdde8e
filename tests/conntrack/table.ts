/** Entries put into the kernel's table by hand, as many as a test wants. */
import type { Tuple } from "../../src/drivers/conntrack/conntrack.ts";
import { writeTuple } from "../../src/drivers/conntrack/messages.ts";
import { MessageWriter } from "../../src/drivers/syscall/netlink-message.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "../../src/drivers/syscall/netlink-socket.ts";

const IPCTNL_MSG_CT_NEW = 0x100;
const NLM_F_CREATE = 0x400;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_PROTOINFO = 4;
const CTA_TIMEOUT = 7;
const CTA_MARK = 8;
const CTA_ZONE = 18;
/** SEEN_REPLY, ASSURED, CONFIRMED */
const STATUS = 14;
const ESTABLISHED = 3;

export interface Entry {
  readonly tuple: Tuple;
  readonly mark?: number;
  readonly zone?: number;
}

/** Makes the entries; throws where the kernel refuses one. */
export function fill(netns: string, entries: Iterable<Entry>): void {
  using socket = NetlinkSocket.open(NETLINK_NETFILTER, { netns });
  const w = new MessageWriter(1 << 16);
  for (const { tuple, mark, zone } of entries) {
    const family = tuple.source.includes(":") ? 6 : 4;
    w.begin(IPCTNL_MSG_CT_NEW, NLM_F_CREATE).nfgen(family === 4 ? 2 : 10);
    w.nest(CTA_TUPLE_ORIG, () => writeTuple(w, family, tuple));
    w.nest(CTA_TUPLE_REPLY, () => writeTuple(w, family, turned(tuple)));
    w.u32Be(CTA_STATUS, STATUS).u32Be(CTA_TIMEOUT, 600);
    if (tuple.protocol === 6) w.nest(CTA_PROTOINFO, () => w.nest(1, () => w.u8(1, ESTABLISHED)));
    if (mark !== undefined) w.u32Be(CTA_MARK, mark);
    if (zone !== undefined) w.u16Be(CTA_ZONE, zone);
    w.end();
  }
  const { failures } = socket.batch(w.finish(), "fill the table");
  if (failures[0] !== undefined) throw failures[0].error;
}

/** The answers' tuple; an echo request becomes a reply. */
export function turned(tuple: Tuple): Tuple {
  const { source, destination, protocol, sourcePort, destinationPort, icmp } = tuple;
  const reply = { source: destination, destination: source, protocol };
  if (sourcePort !== undefined && destinationPort !== undefined)
    return { ...reply, sourcePort: destinationPort, destinationPort: sourcePort };
  return icmp === undefined ? reply : { ...reply, icmp: { ...icmp, type: icmp.type === 8 ? 0 : 129 } };
}
