/**
 * Routes by source address, in a container with several interfaces: an answer leaves by the interface that has its address. Else all
 * leave by the one with the default route, where the host's reverse path filter (RFC 3704) takes them for spoofed, and where the
 * first IPv6 packet waits for the duplicate address detection of a link-local address.
 */
import { type Address, address, formatAddress, toBytes } from "../../core/net/address.ts";
import { DriverError } from "../error.ts";
import { errnoOf } from "../syscall/errno.ts";
import { MessageWriter } from "../syscall/netlink-message.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "../syscall/netlink-socket.ts";
import { afOf } from "./address-bytes.ts";
import { ROUTE_PROTOCOL } from "./ownership.ts";

export interface SourceRoute {
  readonly source: string;
  readonly index: number;
  readonly gateway: string;
  readonly table: number;
}

/** linux/rtnetlink.h, linux/fib_rules.h. */
const RTM_NEWROUTE = 24;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_TABLE = 15;
const RTN_UNICAST = 1;
const RTNH_F_ONLINK = 4;
const FRA_SRC = 2;
const FRA_PRIORITY = 6;
const FRA_TABLE = 15;
const FRA_PROTOCOL = 21;
const FR_ACT_TO_TBL = 1;

/** Before the main table (32766), and with room in front for rules of the container's own. */
const PRIORITY = 28_024;
/** Refusals of a kernel without policy routing (CONFIG_IP_MULTIPLE_TABLES). */
const UNKNOWN = new Set(["EOPNOTSUPP", "EAFNOSUPPORT"]);

/** Repeatable; what an earlier run said of the same address is replaced. @throws DriverError */
export function routeBySource(netns: string, routes: readonly SourceRoute[]): void {
  using socket = NetlinkSocket.open(NETLINK_ROUTE, { netns });
  const writer = new MessageWriter(256);
  for (const route of routes) {
    const source = address(route.source);
    const what = `route by the source address ${formatAddress(source)}`;
    try {
      socket.request(writeDefault(writer.reset(), route, source), what);
      forget(socket, writer, source, what);
      socket.request(writeRule(writer.reset(), RTM_NEWRULE, source, route.table), what);
    } catch (error) {
      if (UNKNOWN.has(errnoOf(error) ?? "")) return;
      throw error;
    }
  }
}

/** All rules of ours for the address, whichever table they name. */
function forget(socket: NetlinkSocket, writer: MessageWriter, source: Address, what: string): void {
  for (let found = 0; found < 16; found++) {
    try {
      socket.request(writeRule(writer.reset(), RTM_DELRULE, source), what);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return;
      throw error;
    }
  }
  throw new DriverError("failed", `Cannot ${what}: there is no end of rules for it`);
}

/** `struct rtmsg` */
function writeDefault(w: MessageWriter, { index, gateway, table }: SourceRoute, source: Address): Uint8Array {
  const header = [afOf(source.family), 0, 0, 0, 0, ROUTE_PROTOCOL, 0, RTN_UNICAST, RTNH_F_ONLINK, 0, 0, 0];
  w.begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE).raw(new Uint8Array(header));
  w.u32(RTA_TABLE, table)
    .u32(RTA_OIF, index)
    .bytes(RTA_GATEWAY, toBytes(address(gateway)));
  return w.end().finish();
}

/** `struct fib_rule_hdr` */
function writeRule(w: MessageWriter, type: number, source: Address, table?: number): Uint8Array {
  const bytes = toBytes(source);
  const header = [afOf(source.family), 0, bytes.length * 8, 0, 0, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0];
  w.begin(type, type === RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0).raw(new Uint8Array(header));
  w.bytes(FRA_SRC, bytes)
    .u32(FRA_PRIORITY, PRIORITY)
    .bytes(FRA_PROTOCOL, new Uint8Array([ROUTE_PROTOCOL]));
  if (table !== undefined) w.u32(FRA_TABLE, table);
  return w.end().finish();
}
