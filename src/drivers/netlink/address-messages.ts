/** Addresses and neighbours as rtnetlink messages: `struct ifaddrmsg`, IFA_* (linux/if_addr.h), `struct ndmsg`, NDA_* (linux/neighbour.h). Pure. */
import { address, formatBytes, toBytes } from "../../core/net/address.ts";
import { Attributes, type MessageWriter } from "../syscall/netlink-message.ts";
import { AF_INET, afOf, splitPrefix } from "./address-bytes.ts";
import { formatMac, macBytes } from "./link-messages.ts";
import type { Change, InterfaceAddress, Neighbour, ProxyEntry, Scope } from "./rtnetlink.ts";

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;

const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_CACHEINFO = 6;
const IFA_PROTO = 11;
const IFA_F_NODAD = 2;
const IFA_F_DEPRECATED = 0x20;
const SCOPES: Readonly<Record<number, Scope>> = { 0: "universe", 253: "link", 254: "host" };
const RT_SCOPE_LINK = 253;

const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_PROTOCOL = 12;
const NUD_PERMANENT = 0x80;
const NTF_PROXY = 8;

const ADDRESS_HEADER = 8;
const NEIGHBOUR_HEADER = 12;

const attributes = new Attributes(16);

function addressHeader(family: number, length: number, flags: number, scope: number, index: number): Uint8Array {
  const bytes = new Uint8Array([family, length, flags, scope, 0, 0, 0, 0]);
  new DataView(bytes.buffer).setUint32(4, index, true);
  return bytes;
}

/** `index`: only of this link. */
export function writeGetAddresses(w: MessageWriter, index = 0): MessageWriter {
  return w
    .begin(RTM_GETADDR, 0)
    .raw(addressHeader(0, 0, 0, 0, index))
    .end();
}

export function writeAddAddress(w: MessageWriter, change: Change & { readonly kind: "add-address" }): MessageWriter {
  const { index, address: prefix, scope, protocol, deprecated } = change;
  const { bytes, length, family } = splitPrefix(prefix);
  w.begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  w.raw(
    addressHeader(family, length, family === AF_INET ? 0 : IFA_F_NODAD, scope === "link" ? RT_SCOPE_LINK : 0, index),
  );
  w.bytes(IFA_LOCAL, bytes).bytes(IFA_ADDRESS, bytes);
  if (protocol !== undefined) w.bytes(IFA_PROTO, new Uint8Array([protocol]));
  // `struct ifa_cacheinfo`: preferred for no time, valid for ever.
  if (deprecated === true)
    w.bytes(IFA_CACHEINFO, new Uint8Array([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]));
  return w.end();
}

export function writeDeleteAddress(w: MessageWriter, index: number, prefix: string): MessageWriter {
  const { bytes, length, family } = splitPrefix(prefix);
  w.begin(RTM_DELADDR, 0).raw(addressHeader(family, length, 0, 0, index));
  return w.bytes(IFA_LOCAL, bytes).bytes(IFA_ADDRESS, bytes).end();
}

/** Body of RTM_NEWADDR or RTM_DELADDR; undefined for a family that is not IP. */
export function parseAddressMessage(body: Uint8Array): InterfaceAddress | undefined {
  attributes.read(body, ADDRESS_HEADER);
  // IFA_ADDRESS is the other end's on a point-to-point link; IFA_LOCAL is absent for IPv6.
  const bytes = attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS);
  const text = bytes === undefined ? undefined : formatBytes(bytes);
  if (text === undefined) return undefined;
  const protocol = attributes.bytes(IFA_PROTO)?.[0] ?? 0;
  return {
    ...(protocol !== 0 && { protocol }),
    index: new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(4, true),
    address: `${text}/${body[1] ?? 0}`,
    scope: SCOPES[body[3] ?? 0] ?? "other",
    ...(((body[2] ?? 0) & IFA_F_DEPRECATED) !== 0 && { deprecated: true as const }),
  };
}

function neighbourHeader(family: number, index: number, state: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(NEIGHBOUR_HEADER);
  bytes[0] = family;
  bytes[10] = flags;
  const view = new DataView(bytes.buffer);
  view.setInt32(4, index, true);
  view.setUint16(8, state, true);
  return bytes;
}

export function writeGetNeighbours(w: MessageWriter): MessageWriter {
  return w
    .begin(RTM_GETNEIGH, 0)
    .raw(neighbourHeader(0, 0, 0))
    .end();
}

export function writeSetNeighbour(w: MessageWriter, index: number, ip: string, mac: string): MessageWriter {
  const to = address(ip);
  w.begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE).raw(neighbourHeader(afOf(to.family), index, NUD_PERMANENT));
  return w.bytes(NDA_DST, toBytes(to)).bytes(NDA_LLADDR, macBytes(mac)).end();
}

export function writeDeleteNeighbour(w: MessageWriter, index: number, ip: string): MessageWriter {
  const to = address(ip);
  w.begin(RTM_DELNEIGH, 0).raw(neighbourHeader(afOf(to.family), index, 0));
  return w.bytes(NDA_DST, toBytes(to)).end();
}

/** Body of RTM_NEWNEIGH or RTM_DELNEIGH; undefined where there is no IP address (bridge tables). */
export function parseNeighbour(body: Uint8Array): Neighbour | undefined {
  attributes.read(body, NEIGHBOUR_HEADER);
  const bytes = attributes.bytes(NDA_DST);
  const text = bytes === undefined ? undefined : formatBytes(bytes);
  if (text === undefined) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  return {
    index: view.getInt32(4, true),
    address: text,
    mac: formatMac(attributes.bytes(NDA_LLADDR) ?? new Uint8Array()),
    permanent: (view.getUint16(8, true) & NUD_PERMANENT) !== 0,
  };
}

export function writeGetProxies(w: MessageWriter): MessageWriter {
  return w
    .begin(RTM_GETNEIGH, 0)
    .raw(neighbourHeader(0, 0, 0, NTF_PROXY))
    .end();
}

export function writeSetProxy(w: MessageWriter, index: number, ip: string, protocol: number): MessageWriter {
  const to = address(ip);
  w.begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE).raw(neighbourHeader(afOf(to.family), index, 0, NTF_PROXY));
  return w
    .bytes(NDA_DST, toBytes(to))
    .bytes(NDA_PROTOCOL, new Uint8Array([protocol]))
    .end();
}

export function writeDeleteProxy(w: MessageWriter, index: number, ip: string): MessageWriter {
  const to = address(ip);
  w.begin(RTM_DELNEIGH, 0).raw(neighbourHeader(afOf(to.family), index, 0, NTF_PROXY));
  return w.bytes(NDA_DST, toBytes(to)).end();
}

/** Body of RTM_NEWNEIGH or RTM_DELNEIGH; undefined where it is not about a proxy. */
export function parseProxy(body: Uint8Array): ProxyEntry | undefined {
  if (((body[10] ?? 0) & NTF_PROXY) === 0) return undefined;
  const found = parseNeighbour(body); // reads the attributes
  if (found === undefined) return undefined;
  return { index: found.index, address: found.address, protocol: attributes.bytes(NDA_PROTOCOL)?.[0] ?? 0 };
}
