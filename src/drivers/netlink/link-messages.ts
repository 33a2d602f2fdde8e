/** Links as rtnetlink messages: `struct ifinfomsg` and IFLA_* of linux/if_link.h. Pure. */
import { Attributes, type MessageWriter } from "../syscall/netlink-message.ts";
import type { Change, Link, NewPair } from "./rtnetlink.ts";

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
const RTM_GETLINK = 18;

const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const AF_INET6 = 10;
const IFF_UP = 1;
const IFF_LOWER_UP = 0x10000;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_GROUP = 27;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_EUI64 = 0;
const IN6_ADDR_GEN_MODE_NONE = 1;
/** Statistics are most of a link's message, and nobody here wants them. */
const RTEXT_FILTER_SKIP_STATS = 8;

const HEADER = 16;

const attributes = new Attributes(64);
const info = new Attributes(8);
const families = new Attributes(32);
const inet6 = new Attributes(16);

/** `struct ifinfomsg` */
function header(index: number, flags = 0, change = 0): Uint8Array {
  const bytes = new Uint8Array(HEADER);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, change, true);
  return bytes;
}

export function writeGetLinks(w: MessageWriter, kind?: string): MessageWriter {
  w.begin(RTM_GETLINK, 0).raw(header(0)).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  if (kind !== undefined) w.nest(IFLA_LINKINFO, () => w.string(IFLA_INFO_KIND, kind));
  return w.end();
}

export function writeGetLink(w: MessageWriter, name: string): MessageWriter {
  w.begin(RTM_GETLINK, 0).raw(header(0));
  return w.string(IFLA_IFNAME, name).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS).end();
}

/** `peerNetns`: descriptor of a namespace. */
export function writeAddPair(w: MessageWriter, pair: NewPair, peerNetns?: number): MessageWriter {
  w.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL).raw(header(0));
  w.string(IFLA_IFNAME, pair.name).bytes(IFLA_ADDRESS, macBytes(pair.mac)).u32(IFLA_MTU, pair.mtu);
  w.u32(IFLA_GROUP, pair.group);
  w.nest(IFLA_LINKINFO, () => {
    w.string(IFLA_INFO_KIND, "veth");
    w.nest(IFLA_INFO_DATA, () => {
      w.nest(VETH_INFO_PEER, () => {
        w.raw(header(0));
        w.string(IFLA_IFNAME, pair.peer).bytes(IFLA_ADDRESS, macBytes(pair.peerMac)).u32(IFLA_MTU, pair.mtu);
        if (peerNetns !== undefined) w.u32(IFLA_NET_NS_FD, peerNetns);
      });
    });
  });
  return w.end();
}

export function writeSetLink(w: MessageWriter, change: Change & { readonly kind: "set-link" }): MessageWriter {
  const { index, up, name, mtu, mac, group, generatesAddress } = change;
  w.begin(RTM_NEWLINK, 0).raw(header(index, up === true ? IFF_UP : 0, up === undefined ? 0 : IFF_UP));
  if (name !== undefined) w.string(IFLA_IFNAME, name);
  if (mtu !== undefined) w.u32(IFLA_MTU, mtu);
  if (mac !== undefined) w.bytes(IFLA_ADDRESS, macBytes(mac));
  if (group !== undefined) w.u32(IFLA_GROUP, group);
  if (generatesAddress !== undefined) {
    const mode = generatesAddress ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE;
    w.nest(IFLA_AF_SPEC, () => w.nest(AF_INET6, () => w.u8(IFLA_INET6_ADDR_GEN_MODE, mode)));
  }
  return w.end();
}

/** `netns`: descriptor of a namespace. */
export function writeMoveLink(w: MessageWriter, index: number, netns: number, name: string): MessageWriter {
  return w.begin(RTM_NEWLINK, 0).raw(header(index)).u32(IFLA_NET_NS_FD, netns).string(IFLA_IFNAME, name).end();
}

export function writeDeleteLink(w: MessageWriter, name: string): MessageWriter {
  return w.begin(RTM_DELLINK, 0).raw(header(0)).string(IFLA_IFNAME, name).end();
}

export function writeDeleteGroup(w: MessageWriter, group: number): MessageWriter {
  return w.begin(RTM_DELLINK, 0).raw(header(0)).u32(IFLA_GROUP, group).end();
}

/** Body of RTM_NEWLINK or RTM_DELLINK. */
export function parseLink(body: Uint8Array): Link {
  attributes.read(body, HEADER);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const flags = view.getUint32(8, true);
  const kind = linkKind(attributes.bytes(IFLA_LINKINFO));
  const master = attributes.u32(IFLA_MASTER);
  const peerIndex = attributes.u32(IFLA_LINK);
  return {
    name: attributes.string(IFLA_IFNAME) ?? "",
    index: view.getInt32(4, true),
    ...(kind === undefined ? {} : { kind }),
    group: attributes.u32(IFLA_GROUP) ?? 0,
    mtu: attributes.u32(IFLA_MTU) ?? 0,
    mac: formatMac(attributes.bytes(IFLA_ADDRESS) ?? new Uint8Array()),
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    ...(master === undefined ? {} : { master }),
    ...(peerIndex === undefined ? {} : { peerIndex }),
    peerAway: attributes.has(IFLA_LINK_NETNSID),
    generatesAddress: generatesAddress(attributes.bytes(IFLA_AF_SPEC)),
  };
}

function linkKind(linkInfo: Uint8Array | undefined): string | undefined {
  return linkInfo === undefined ? undefined : info.read(linkInfo).string(IFLA_INFO_KIND);
}

/** A kernel without IPv6 has no such attribute, and makes no addresses. */
function generatesAddress(specification: Uint8Array | undefined): boolean {
  const own = specification === undefined ? undefined : families.read(specification).bytes(AF_INET6);
  const mode = own === undefined ? undefined : inet6.read(own).u8(IFLA_INET6_ADDR_GEN_MODE);
  return mode !== undefined && mode !== IN6_ADDR_GEN_MODE_NONE;
}

/** Six bytes of `aa:bb:cc:dd:ee:ff`; throws RangeError for anything else. */
export function macBytes(mac: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) throw new RangeError(`"${mac}" is not a MAC address`);
  return Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
