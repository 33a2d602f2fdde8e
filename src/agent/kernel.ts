/** The kernel's side of this host: everything that the dataplane writes to, and the news of what others did to it. */
import { DriverError } from "../drivers/error.ts";
import { GatewayAddressTarget } from "../drivers/netlink/gateway-address-target.ts";
import { KernelRtnetlink } from "../drivers/netlink/kernel-rtnetlink.ts";
import type { LinkCounters } from "../drivers/netlink/link-counters.ts";
import { LinkTarget } from "../drivers/netlink/link-target.ts";
import { NeighbourTarget } from "../drivers/netlink/neighbour-target.ts";
import { ROUTE_PROTOCOL } from "../drivers/netlink/ownership.ts";
import { ProxyTarget } from "../drivers/netlink/proxy-target.ts";
import { RouteTarget } from "../drivers/netlink/route-target.ts";
import type { Change, Rtnetlink } from "../drivers/netlink/rtnetlink.ts";
import { ServiceTarget } from "../drivers/netlink/service-target.ts";
import { routeBySource } from "../drivers/netlink/source-routing.ts";
import { type NetworkEvent, watchNetwork } from "../drivers/netlink/watch.ts";
import { filterChanges } from "../drivers/nftables/filter-watch.ts";
import { Nftables } from "../drivers/nftables/nftables.ts";
import { type Originals, Sysctls } from "../drivers/system/sysctls.ts";
import type { InsideWork } from "../plugin/docker/inside.ts";
import { gateways } from "../plugin/docker/names.ts";
import type { DataplaneTargets, Stage } from "./dataplane.ts";
import type { EndpointRecord } from "./records.ts";

/** linux/rtnetlink.h: made by an administrator. The route lies in the container's namespace, where nothing is ours. */
const RTPROT_STATIC = 4;

/** Milliseconds between the first piece of news and looking: many in a row are one. */
const QUIET = 250;
const HOST_QUIET = 1000;

export interface KernelHooks {
  /** Somebody else changed what is ours. */
  readonly resync: (stage: Stage) => void;
  /** Addresses or routes of the host may have changed. */
  readonly onNetwork: () => void;
  /** Another firewall has changed. */
  readonly onFilter: () => void;
}

export class Kernel implements AsyncDisposable {
  readonly rtnetlink: Rtnetlink;
  readonly nftables: Nftables;
  readonly targets: DataplaneTargets;
  readonly #kernel: KernelRtnetlink;
  readonly #links: LinkTarget;
  readonly #open: AsyncDisposableStack;

  private constructor(originals: Originals, stack: AsyncDisposableStack) {
    const rtnetlink = stack.use(new KernelRtnetlink());
    const nftables = stack.use(Nftables.open());
    const links = stack.use(new LinkTarget(rtnetlink, { spareUnknown: true }));
    this.#links = links;
    this.rtnetlink = rtnetlink;
    this.#kernel = rtnetlink;
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
      proxies: new ProxyTarget(rtnetlink),
      routes: new RouteTarget(rtnetlink),
      services: new ServiceTarget(rtnetlink),
    };
  }

  static open(originals: Originals): Kernel {
    return new Kernel(originals, new AsyncDisposableStack());
  }

  /** What has passed the veth pairs of this namespace. */
  linkCounters(): LinkCounters[] {
    return this.#kernel.linkCounters("veth");
  }

  /** All containers are known now: at the next resync, links of none are left-overs. Deleting one takes a container off its network. */
  deleteUnknownLinks(): void {
    this.#links.deleteUnknown();
  }

  /** Puts the link into the namespace at the path, under another name there. */
  moveLink(index: number, path: string, name: string): void {
    this.#kernel.moveLink(index, path, name);
  }

  /** Listens until the signal aborts. */
  async follow(hooks: KernelHooks, signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#followFirewall(hooks, signal),
      this.#followNetwork(hooks, signal),
      followHost(hooks, signal),
      followFilter(hooks, signal),
    ]);
  }

  async #followFirewall({ resync }: KernelHooks, signal: AbortSignal): Promise<void> {
    for await (const _ of this.nftables.foreignChanges(signal)) resync("firewall");
  }

  /** What we do ourselves, and an engine that takes a link's other end, are no reason to look. */
  async #followNetwork({ resync }: KernelHooks, signal: AbortSignal): Promise<void> {
    const disturbed = new Set<Stage>();
    let soon: NodeJS.Timeout | undefined;
    const tell = (): void => {
      soon = undefined;
      for (const stage of disturbed) resync(stage);
      disturbed.clear();
    };
    for await (const parts of this.#kernel.foreignChanges(signal)) {
      for (const part of parts) disturbed.add(part);
      soon ??= setTimeout(tell, QUIET).unref();
    }
    clearTimeout(soon);
  }

  /** Sets on the container's own side of the endpoint what Docker does not. May be repeated. */
  async addInside(endpoint: EndpointRecord, work: InsideWork): Promise<void> {
    const { addresses, defaultRoute, sourceRoutes } = work;
    if (endpoint.sandbox === undefined) return;
    using inside = new KernelRtnetlink(endpoint.sandbox);
    const index = indexInside(inside, endpoint);
    const changes: Change[] = addresses.map((address) => {
      return { kind: "add-address", index, address: whole(address), scope: "universe" };
    });
    if (defaultRoute !== undefined) {
      const route = { destination: "::/0", type: "unicast", protocol: RTPROT_STATIC, index, ...defaultRoute } as const;
      changes.push({ kind: "add-route", route });
    }
    const [real] = inside.apply(changes).filter(({ error }) => error.errno !== "EEXIST");
    if (real !== undefined) throw real.error;
    if (sourceRoutes !== undefined) {
      const { table, routes } = sourceRoutes;
      routeBySource(
        endpoint.sandbox,
        routes.map((route) => ({ ...route, index, table })),
      );
    }
    await Promise.resolve();
  }

  /** Makes the container's interface have these service addresses of ours and no others. Throws as long as it cannot. */
  serveInside(endpoint: EndpointRecord, addresses: readonly string[], table: number | undefined): void {
    if (endpoint.sandbox === undefined) return;
    using inside = new KernelRtnetlink(endpoint.sandbox);
    const index = indexInside(inside, endpoint);
    const wanted = new Set(addresses.map(whole));
    const there = inside.addresses(index);
    const changes: Change[] = [
      ...[...wanted]
        .filter((address) => !there.some((one) => one.address === address))
        .map((address) => ({
          kind: "add-address" as const,
          index,
          address,
          // After the address that Docker gave: the kernel takes the first as a source (inet_select_addr).
          scope: "universe" as const,
          protocol: ROUTE_PROTOCOL,
          deprecated: true as const,
        })),
      ...there
        .filter(({ address, protocol }) => protocol === ROUTE_PROTOCOL && !wanted.has(address))
        .map(({ address }) => ({ kind: "delete-address" as const, index, address })),
    ];
    const [refused] = inside.apply(changes);
    if (refused !== undefined) throw refused.error;
    if (table === undefined || endpoint.gatewayIndex === undefined) return;
    const { ipv4, ipv6 } = gateways(endpoint.gatewayIndex);
    routeBySource(
      endpoint.sandbox,
      addresses.map((source) => ({ source, gateway: source.includes(":") ? ipv6 : ipv4, index, table })),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
  }
}

/** Of the container's own side of the endpoint. @throws DriverError "not-found" until the engine has put it there */
function indexInside(inside: KernelRtnetlink, { mac }: EndpointRecord): number {
  const link = inside.links().find((one) => one.mac === mac.toLowerCase());
  if (link?.up === true) return link.index;
  throw new DriverError("not-found", `Cannot find the interface with MAC ${mac} in the container`);
}

/** With the prefix length of a single address. */
function whole(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** The host's own addresses and its way out. */
async function followHost({ onNetwork, resync }: KernelHooks, signal: AbortSignal): Promise<void> {
  let soon: NodeJS.Timeout | undefined;
  const tell = (): void => {
    soon = undefined;
    onNetwork();
  };
  for await (const events of watchNetwork({}, signal)) {
    // Proxied addresses go with an interface that goes down.
    if (events.some(isHostLink)) resync("proxies");
    if (events.some(concernsHost)) soon ??= setTimeout(tell, HOST_QUIET).unref();
  }
  clearTimeout(soon);
}

async function followFilter({ onFilter }: KernelHooks, signal: AbortSignal): Promise<void> {
  let soon: NodeJS.Timeout | undefined;
  const tell = (): void => {
    soon = undefined;
    onFilter();
  };
  for await (const _ of filterChanges(signal)) soon ??= setTimeout(tell, QUIET).unref();
  clearTimeout(soon);
}

function isHostLink(event: NetworkEvent): boolean {
  return event.kind === "overrun" || (event.kind === "link" && !/^(manx|mxp|veth)/.test(event.link.name));
}

function concernsHost(event: NetworkEvent): boolean {
  switch (event.kind) {
    case "overrun":
      return true;
    case "address":
      return !/^(fe80:|169\.254\.)/.test(event.address.address);
    case "route":
      return event.route.destination.endsWith("/0");
    case "link":
    case "neighbour":
      return false;
  }
}
