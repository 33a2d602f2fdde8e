/** Routes as rtnetlink messages: `struct rtmsg` and RTA_* of linux/rtnetlink.h, main table only. Pure. */
import { address, formatBytes, toBytes } from "../../core/net/address.ts";
import { Attributes, type MessageWriter } from "../syscall/netlink-message.ts";
import { AF_INET, AF_INET6, afOf, splitPrefix } from "./address-bytes.ts";
import type { Change, NewRoute, NextHop, Route, RouteFilter, RouteType } from "./rtnetlink.ts";

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;

const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_NH_ID = 30;

const RT_TABLE_MAIN = 254;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTM_F_CLONED = 0x200;
const RTN_UNICAST = 1;
const RTN_BLACKHOLE = 6;
const TYPES: Readonly<Record<number, RouteType>> = {
  1: "unicast",
  2: "local",
  6: "blackhole",
  7: "unreachable",
  8: "prohibit",
};

const HEADER = 12;
const NEXT_HOP_HEADER = 8;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const attributes = new Attributes(32);
const nextHop = new Attributes(32);

interface Header {
  readonly family: number;
  readonly length?: number;
  readonly protocol?: number;
  readonly scope?: number;
  readonly type?: number;
}

/** `struct rtmsg` */
function header({ family, length = 0, protocol = 0, scope = 0, type = 0 }: Header): Uint8Array {
  return new Uint8Array([family, length, 0, 0, RT_TABLE_MAIN, protocol, scope, type, 0, 0, 0, 0]);
}

export function writeGetRoutes(w: MessageWriter, { family, protocol, index }: RouteFilter): MessageWriter {
  w.begin(RTM_GETROUTE, 0).raw(header({ family: afOf(family), ...(protocol === undefined ? {} : { protocol }) }));
  if (index !== undefined) w.u32(RTA_OIF, index);
  return w.end();
}

export function writeNewRoute(w: MessageWriter, route: NewRoute, mode: "add" | "replace"): MessageWriter {
  const { bytes, length, family } = splitPrefix(route.destination);
  const type = route.type === "blackhole" ? RTN_BLACKHOLE : RTN_UNICAST;
  const onLink =
    route.type === "unicast" && route.gateway === undefined && route.nexthop === undefined && family === AF_INET;
  const scope = onLink ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  w.begin(RTM_NEWROUTE, NLM_F_CREATE | (mode === "add" ? NLM_F_EXCL : NLM_F_REPLACE));
  w.raw(header({ family, length, protocol: route.protocol, scope, type }));
  w.bytes(RTA_DST, bytes);
  if (route.index !== undefined) w.u32(RTA_OIF, route.index);
  if (route.gateway !== undefined) w.bytes(RTA_GATEWAY, toBytes(address(route.gateway)));
  if (route.source !== undefined) w.bytes(RTA_PREFSRC, toBytes(address(route.source)));
  if (route.metric !== undefined) w.u32(RTA_PRIORITY, route.metric);
  if (route.nexthop !== undefined) w.u32(RTA_NH_ID, route.nexthop);
  return w.end();
}

export function writeDeleteRoute(w: MessageWriter, change: Change & { readonly kind: "delete-route" }): MessageWriter {
  const { bytes, length, family } = splitPrefix(change.destination);
  w.begin(RTM_DELROUTE, 0).raw(header({ family, length, protocol: change.protocol, scope: RT_SCOPE_NOWHERE }));
  w.bytes(RTA_DST, bytes);
  if (change.metric !== undefined) w.u32(RTA_PRIORITY, change.metric);
  return w.end();
}

/** Body of RTM_NEWROUTE or RTM_DELROUTE; undefined for what is not a unicast-like IP route of the main table. */
export function parseRoute(body: Uint8Array): Route | undefined {
  const family = body[0];
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  attributes.read(body, HEADER);
  const flags = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(8, true);
  if ((flags & RTM_F_CLONED) !== 0 || (attributes.u32(RTA_TABLE) ?? body[4]) !== RT_TABLE_MAIN) return undefined;
  const destination = attributes.bytes(RTA_DST) ?? new Uint8Array(family === AF_INET ? 4 : 16);
  const several = attributes.bytes(RTA_MULTIPATH);
  const source = attributes.bytes(RTA_PREFSRC);
  // Assigned rather than spread: tables of many thousands come through here.
  const route: Writable<Route> = {
    destination: `${formatBytes(destination) ?? ""}/${body[1] ?? 0}`,
    type: TYPES[body[7] ?? 0] ?? "other",
    protocol: body[5] ?? 0,
    metric: attributes.u32(RTA_PRIORITY) ?? 0,
  };
  if (several !== undefined) {
    route.nextHops = parseNextHops(several);
  } else {
    const index = attributes.u32(RTA_OIF);
    const gateway = gatewayOf(attributes);
    if (index !== undefined) route.index = index;
    if (gateway !== undefined) route.gateway = gateway;
  }
  if (source !== undefined) route.source = formatBytes(source) ?? "";
  const nexthop = attributes.u32(RTA_NH_ID);
  if (nexthop !== undefined) route.nexthop = nexthop;
  return route;
}

/** RTA_VIA is an address of the other family (RFC 8950), after two bytes that say which. */
function gatewayOf(from: Attributes): string | undefined {
  const bytes = from.bytes(RTA_GATEWAY) ?? from.bytes(RTA_VIA)?.subarray(2);
  return bytes === undefined ? undefined : formatBytes(bytes);
}

/** `struct rtnexthop`: length, flags, weight, index, attributes. */
function parseNextHops(bytes: Uint8Array): NextHop[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out: NextHop[] = [];
  for (let at = 0; bytes.length - at >= NEXT_HOP_HEADER; ) {
    const length = view.getUint16(at, true);
    if (length < NEXT_HOP_HEADER || length > bytes.length - at) break;
    const gateway = gatewayOf(nextHop.read(bytes.subarray(at, at + length), NEXT_HOP_HEADER));
    out.push({ index: view.getInt32(at + 4, true), ...(gateway === undefined ? {} : { gateway }) });
    at += (length + 3) & ~3;
  }
  return out;
}
