/** News of rtnetlink(7): what anybody changes about links, addresses, routes and neighbours of a namespace, as it happens. */
import type { NetlinkMessage } from "../syscall/netlink-message.ts";
import { NETLINK_ROUTE } from "../syscall/netlink-socket.ts";
import { subscribe } from "../syscall/subscribe.ts";
import {
  parseAddressMessage,
  parseNeighbour,
  RTM_DELADDR,
  RTM_DELNEIGH,
  RTM_NEWADDR,
  RTM_NEWNEIGH,
} from "./address-messages.ts";
import { parseLink, RTM_DELLINK, RTM_NEWLINK } from "./link-messages.ts";
import { parseRoute, RTM_DELROUTE, RTM_NEWROUTE } from "./route-messages.ts";
import type { InterfaceAddress, Link, Neighbour, Route } from "./rtnetlink.ts";

const NLM_F_REPLACE = 0x100;
/** RTNLGRP_*: link, neighbour, IPv4 address and route, IPv6 address and route. */
const GROUPS: readonly number[] = [1, 3, 5, 7, 9, 11];
/** 10,000 routes at once were not lost with it. */
const RECEIVE_BUFFER = 8_388_608;

interface Change {
  readonly deleted: boolean;
  /** Port id of the socket that asked for it; 0: the kernel's own doing. */
  readonly by: number;
}

export type NetworkEvent =
  | ({ readonly kind: "link"; readonly link: Link } & Change)
  | ({ readonly kind: "address"; readonly address: InterfaceAddress } & Change)
  /** `replaced`: it took the place of another, for which there is no event. */
  | ({ readonly kind: "route"; readonly route: Route; readonly replaced: boolean } & Change)
  | ({ readonly kind: "neighbour"; readonly neighbour: Neighbour } & Change)
  /** Some events are lost: read everything back. */
  | { readonly kind: "overrun" };

export interface WatchOptions {
  /** Path of the namespace; absent: that of this process. */
  readonly netns?: string;
  readonly receiveBuffer?: number;
}

/**
 * Events in the order of the kernel, those at hand together. Listens from the call on, not from the first `next`; until the
 * signal aborts, then it ends silently. The kernel reports no IPv4 routes that go with their link: that event stands for them.
 */
export function watchNetwork(
  options: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly NetworkEvent[], void, undefined> {
  const { netns, receiveBuffer = RECEIVE_BUFFER } = options;
  const socketOptions = { groups: GROUPS, receiveBuffer, ...(netns === undefined ? {} : { netns }) };
  return subscribe(NETLINK_ROUTE, socketOptions, parseEvent, signal);
}

/** Undefined for what is none of the four, or of another family or table. */
export function parseEvent({ type, flags, portId, body }: NetlinkMessage): NetworkEvent | undefined {
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      // Bridges tell about their ports in messages of the same type.
      if (body[0] !== 0) return undefined;
      return { kind: "link", link: parseLink(body), deleted: type === RTM_DELLINK, by: portId };
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const address = parseAddressMessage(body);
      return address && { kind: "address", address, deleted: type === RTM_DELADDR, by: portId };
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = parseRoute(body);
      const deleted = type === RTM_DELROUTE;
      const replaced = !deleted && (flags & NLM_F_REPLACE) !== 0;
      return route && { kind: "route", route, replaced, deleted, by: portId };
    }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const neighbour = parseNeighbour(body);
      return neighbour && { kind: "neighbour", neighbour, deleted: type === RTM_DELNEIGH, by: portId };
    }
    default:
      return undefined;
  }
}
