/** The kernel's side of this host: everything that the dataplane writes to, and the news of what others did to it. */

import { writeFileSync } from "node:fs";
import { DriverError } from "../drivers/error.ts";
import { GatewayAddressTarget } from "../drivers/netlink/gateway-address-target.ts";
import { KernelRtnetlink } from "../drivers/netlink/kernel-rtnetlink.ts";
import { LinkTarget } from "../drivers/netlink/link-target.ts";
import { NeighbourTarget } from "../drivers/netlink/neighbour-target.ts";
import { RouteTarget } from "../drivers/netlink/route-target.ts";
import type { Change, Rtnetlink } from "../drivers/netlink/rtnetlink.ts";
import { Nftables } from "../drivers/nftables/nftables.ts";
import { NetlinkSocket } from "../drivers/syscall/netlink-socket.ts";
import { inNetworkNamespace } from "../drivers/syscall/netns.ts";
import { type Originals, Sysctls } from "../drivers/system/sysctls.ts";
import type { InsideWork } from "../plugin/docker/inside.ts";
import type { DataplaneTargets, Stage } from "./dataplane.ts";
import type { EndpointRecord } from "./records.ts";

/** linux/rtnetlink.h: made by an administrator. The route lies in the container's namespace, where nothing is ours. */
const RTPROT_STATIC = 4;

const NETLINK_ROUTE = 0;
/** linux/rtnetlink.h: RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE. */
const NEWS = [1, 5, 7, 9, 11];
const NEWS_BUFFER = 4_194_304;
/** RTM_DELLINK, RTM_DELADDR, RTM_DELROUTE. */
const LOSSES = new Set([17, 21, 25]);
/** RTM_NEWADDR: the host may have another address now. */
const HOST_NEWS = new Set([20]);
/** Milliseconds between the first piece of news and looking. */
const QUIET = 250;

export interface KernelHooks {
  /** Somebody else changed what is ours. */
  readonly resync: (stage: Stage) => void;
  /** Addresses or routes of the host may have changed. */
  readonly onNetwork: () => void;
}

export class Kernel implements AsyncDisposable {
  readonly rtnetlink: Rtnetlink;
  readonly nftables: Nftables;
  readonly targets: DataplaneTargets;
  readonly #open: AsyncDisposableStack;

  private constructor(originals: Originals, stack: AsyncDisposableStack) {
    const rtnetlink = stack.use(new KernelRtnetlink());
    const nftables = stack.use(Nftables.open());
    const links = stack.use(new LinkTarget(rtnetlink));
    this.rtnetlink = rtnetlink;
    this.nftables = nftables;
    this.#open = stack;
    this.targets = {
      firewall: {
        apply: async (desired, signal) => (await nftables.apply(desired, signal)).writes,
        resync: () => nftables.resync(),
      },
      links,
      sysctls: new Sysctls(originals),
      gatewayAddresses: new GatewayAddressTarget(rtnetlink),
      neighbours: new NeighbourTarget(rtnetlink),
      routes: new RouteTarget(rtnetlink),
    };
  }

  static open(originals: Originals): Kernel {
    return new Kernel(originals, new AsyncDisposableStack());
  }

  /** Listens until the signal aborts. */
  async follow(hooks: KernelHooks, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#followFirewall(hooks, signal), this.#followNetwork(hooks, signal)]);
  }

  async #followFirewall({ resync }: KernelHooks, signal: AbortSignal): Promise<void> {
    for await (const _ of this.nftables.foreignChanges(signal)) resync("firewall");
  }

  /** Our own changes are news too; many in a row are one. */
  async #followNetwork({ resync, onNetwork }: KernelHooks, signal: AbortSignal): Promise<void> {
    using socket = NetlinkSocket.open(NETLINK_ROUTE, { groups: NEWS, receiveBuffer: NEWS_BUFFER });
    let soon: NodeJS.Timeout | undefined;
    const tell = (): void => {
      soon = undefined;
      onNetwork();
      for (const stage of ["links", "sysctls", "gatewayAddresses", "neighbours", "routes"] as const) resync(stage);
    };
    for await (const event of socket.events(signal)) {
      const lost = event.kind === "overrun" || event.messages.some(({ type }) => LOSSES.has(type));
      const news = lost || event.messages.some(({ type }) => HOST_NEWS.has(type));
      if (news) soon ??= setTimeout(tell, lost ? QUIET : 4 * QUIET).unref();
    }
    clearTimeout(soon);
  }

  /** Sets on the container's own side of the endpoint what Docker does not. May be repeated. */
  async addInside(endpoint: EndpointRecord, work: InsideWork): Promise<void> {
    const { addresses, defaultRoute, looseReversePath } = work;
    if (endpoint.sandbox === undefined) return;
    using inside = new KernelRtnetlink(endpoint.sandbox);
    const link = inside.links().find(({ mac }) => mac === endpoint.mac.toLowerCase());
    if (link?.up !== true)
      throw new DriverError("not-found", `Cannot find the interface with MAC ${endpoint.mac} in the container`);
    const { index } = link;
    const changes: Change[] = addresses.map((address) => {
      const whole = `${address}/${address.includes(":") ? 128 : 32}`;
      return { kind: "add-address", index, address: whole, scope: "universe" };
    });
    if (defaultRoute !== undefined) {
      const route = { destination: "::/0", type: "unicast", protocol: RTPROT_STATIC, index, ...defaultRoute } as const;
      changes.push({ kind: "add-route", route });
    }
    const [real] = inside.apply(changes).filter(({ error }) => error.errno !== "EEXIST");
    if (real !== undefined) throw real.error;
    if (looseReversePath === true)
      inNetworkNamespace(endpoint.sandbox, () => writeFileSync("/proc/sys/net/ipv4/conf/all/rp_filter", "0"));
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
  }
}
