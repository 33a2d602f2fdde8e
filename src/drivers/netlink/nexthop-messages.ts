/** Next hop objects as rtnetlink messages: `struct nhmsg` and NHA_* of linux/nexthop.h (Linux 5.3; resilient groups 5.13). Pure. */
import { formatBytes } from "../../core/net/address.ts";
import { Attributes, type MessageWriter } from "../syscall/netlink-message.ts";
import { AF_INET6, afOf } from "./address-bytes.ts";
import type { Change, Nexthop } from "./rtnetlink.ts";

const RTM_NEWNEXTHOP = 104;
const RTM_DELNEXTHOP = 105;
const RTM_GETNEXTHOP = 106;

const NLM_F_REPLACE = 0x100;
const NLM_F_CREATE = 0x400;

const NHA_ID = 1;
const NHA_GROUP = 2;
const NHA_GROUP_TYPE = 3;
const NHA_OIF = 5;
const NHA_GATEWAY = 6;
const NHA_RES_GROUP = 12;
const NHA_RES_GROUP_BUCKETS = 1;
const NHA_RES_GROUP_IDLE_TIMER = 2;
const NHA_RES_GROUP_UNBALANCED_TIMER = 3;
const NEXTHOP_GRP_TYPE_RES = 1;

const HEADER = 8;
/** `struct nexthop_grp`: id, weight less one, two reserved fields. */
const MEMBER = 8;
/** USER_HZ: the kernel counts in hundredths of a second here. */
const TICKS = 100;

const attributes = new Attributes(16);

/** `struct nhmsg`: family, scope, protocol, reserved, flags. */
function header(family: number, protocol = 0): Uint8Array {
  return new Uint8Array([family, 0, protocol, 0, 0, 0, 0, 0]);
}

export function writeGetNexthops(w: MessageWriter): MessageWriter {
  return w.begin(RTM_GETNEXTHOP, 0).raw(header(0)).end();
}

export function writeSetNexthop(w: MessageWriter, change: Change & { readonly kind: "set-nexthop" }): MessageWriter {
  w.begin(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE);
  w.raw(header(afOf(change.family), change.protocol));
  return w.u32(NHA_ID, change.id).u32(NHA_OIF, change.index).end();
}

/** The buckets of a group that is there stay: one moves only once nothing has used it for `idleSeconds`. */
export function writeSetGroup(w: MessageWriter, change: Change & { readonly kind: "set-group" }): MessageWriter {
  const { id, protocol, members, buckets, idleSeconds } = change;
  const list = new Uint8Array(members.length * MEMBER);
  const view = new DataView(list.buffer);
  for (const [at, member] of members.entries()) {
    view.setUint32(at * MEMBER, member.id, true);
    list[at * MEMBER + 4] = member.weight - 1;
  }
  w.begin(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE).raw(header(0, protocol));
  w.u32(NHA_ID, id).bytes(NHA_GROUP, list).u16(NHA_GROUP_TYPE, NEXTHOP_GRP_TYPE_RES);
  w.nest(NHA_RES_GROUP, () => {
    w.u16(NHA_RES_GROUP_BUCKETS, buckets);
    w.u32(NHA_RES_GROUP_IDLE_TIMER, idleSeconds * TICKS);
    w.u32(NHA_RES_GROUP_UNBALANCED_TIMER, 0);
  });
  return w.end();
}

export function writeDeleteNexthop(w: MessageWriter, id: number): MessageWriter {
  return w.begin(RTM_DELNEXTHOP, 0).raw(header(0)).u32(NHA_ID, id).end();
}

/** Body of RTM_NEWNEXTHOP. */
export function parseNexthop(body: Uint8Array): Nexthop | undefined {
  attributes.read(body, HEADER);
  const id = attributes.u32(NHA_ID);
  if (id === undefined) return undefined;
  const protocol = body[2] ?? 0;
  const list = attributes.bytes(NHA_GROUP);
  if (list !== undefined) {
    const type = attributes.bytes(NHA_GROUP_TYPE);
    return { id, protocol, resilient: type?.[0] === NEXTHOP_GRP_TYPE_RES, members: parseMembers(list) };
  }
  const gateway = attributes.bytes(NHA_GATEWAY);
  const text = gateway === undefined ? undefined : formatBytes(gateway);
  const index = attributes.u32(NHA_OIF);
  return {
    id,
    protocol,
    family: body[0] === AF_INET6 ? 6 : 4,
    ...(index !== undefined && { index }),
    ...(text !== undefined && { gateway: text }),
  };
}

function parseMembers(list: Uint8Array): { id: number; weight: number }[] {
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
  const out: { id: number; weight: number }[] = [];
  for (let at = 0; at + MEMBER <= list.length; at += MEMBER)
    out.push({ id: view.getUint32(at, true), weight: (list[at + 4] ?? 0) + 1 });
  return out;
}
