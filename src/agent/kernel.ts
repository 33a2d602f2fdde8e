/** The kernel's side of this host: everything that the dataplane writes to, and the news of what others did to it. */

import { DriverError } from "../drivers/error.ts";
import { GatewayAddressTarget } from "../drivers/netlink/gateway-address-target.ts";
import { KernelRtnetlink } from "../drivers/netlink/kernel-rtnetlink.ts";
import { LinkTarget } from "../drivers/netlink/link-target.ts";
import { NeighbourTarget } from "../drivers/netlink/neighbour-target.ts";
import { RouteTarget } from "../drivers/netlink/route-target.ts";
import type { Change, Rtnetlink } from "../drivers/netlink/rtnetlink.ts";
import { Nftables } from "../drivers/nftables/nftables.ts";
import { type Originals, Sysctls } from "../drivers/system/sysctls.ts";
import type { InsideWork } from "../plugin/docker/inside.ts";
import type { DataplaneTargets, Stage } from "./dataplane.ts";
import type { EndpointRecord } from "./records.ts";

/** linux/rtnetlink.h: made by an administrator. The route lies in the container's namespace, where nothing is ours. */
const RTPROT_STATIC = 4;

export interface KernelHooks {
  /** Somebody else changed what is ours. */
  readonly resync: (stage: Stage) => void;
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
  async follow({ resync }: KernelHooks, signal: AbortSignal): Promise<void> {
    for await (const _ of this.nftables.foreignChanges(signal)) resync("firewall");
  }

  /** Sets on the container's own side of the endpoint what Docker does not. May be repeated. */
  async addInside(endpoint: EndpointRecord, { addresses, defaultRoute }: InsideWork): Promise<void> {
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
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
  }
}
