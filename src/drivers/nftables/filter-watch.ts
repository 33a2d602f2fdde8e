/** Tells when the tables that iptables-nft keeps (Docker's, ufw's) have changed: they may have begun to stop what Manx forwards. */
import type { NetlinkMessage } from "../syscall/netlink-message.ts";
import { NetlinkSocket } from "../syscall/netlink-socket.ts";
import { tableOf } from "./decode.ts";
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES, NFT_MSG } from "./uapi.ts";

const CHANGES: ReadonlySet<number> = new Set([
  NFT_MSG.NEWTABLE,
  NFT_MSG.DELTABLE,
  NFT_MSG.NEWCHAIN,
  NFT_MSG.DELCHAIN,
  NFT_MSG.NEWRULE,
  NFT_MSG.DELRULE,
]);
/** Too little for a flood is enough: what is lost is told as well. */
const BUFFER = 1_048_576;

/** From this call on, until the signal aborts. iptables-legacy cannot be watched: the kernel does not tell. */
export function filterChanges(signal: AbortSignal, netns?: string): AsyncGenerator<void, void, undefined> {
  const socket = NetlinkSocket.open(NETLINK_NETFILTER, {
    ...(netns === undefined ? {} : { netns }),
    groups: [NFNLGRP_NFTABLES],
    receiveBuffer: BUFFER,
  });
  return watch(socket, signal);
}

async function* watch(socket: NetlinkSocket, signal: AbortSignal): AsyncGenerator<void, void, undefined> {
  using open = socket;
  for await (const event of open.events(signal))
    if (event.kind === "overrun" || event.messages.some(concernsFilter)) yield;
}

function concernsFilter(message: NetlinkMessage): boolean {
  return CHANGES.has(message.type) && tableOf(message) === "filter";
}
