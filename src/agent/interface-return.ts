/**
 * Gives containers back the interface that somebody deleted. With the host's side of a veth pair the container's goes as well; the
 * link target makes the pair anew, and its other end then waits in the host's namespace. Docker, which took the first one from
 * there, does not look again.
 *
 * In the moments of a start the other end waits for Docker in the same place: that one is left alone.
 */
import { DriverError } from "../drivers/error.ts";
import { KernelRtnetlink } from "../drivers/netlink/kernel-rtnetlink.ts";
import type { Change } from "../drivers/netlink/rtnetlink.ts";
import { inNetworkNamespace } from "../drivers/syscall/netns.ts";
import { writeSysctl } from "../drivers/system/sysctls.ts";
import { gateways, interfaceNames } from "../plugin/docker/names.ts";
import { readInterfacePrefix } from "../plugin/docker/network-options.ts";
import type { Kernel } from "./kernel.ts";
import type { LocalState } from "./local-state.ts";
import type { Logger } from "./log.ts";
import type { EndpointRecord } from "./records.ts";

/** Milliseconds from CreateEndpoint on in which Docker may still be about to take the interface. */
const GRACE = 30_000;
/** linux/rtnetlink.h */
const RTPROT_BOOT = 3;

export interface InterfaceReturnOptions {
  readonly state: Pick<LocalState, "endpoints" | "networks">;
  readonly kernel: Pick<Kernel, "rtnetlink" | "moveLink">;
  readonly log: Pick<Logger, "info" | "warn">;
  /** The container has its interface again: what else belongs inside is to be set. */
  readonly onReturned: (endpointId: string) => void;
}

export class InterfaceReturn {
  readonly #options: InterfaceReturnOptions;
  /** An interface waits whose container may be starting. */
  #open = false;

  constructor(options: InterfaceReturnOptions) {
    this.#options = options;
  }

  /** Links were made, or may have been. */
  look(): void {
    const { state, kernel, log, onReturned } = this.#options;
    const waiting = new Set(kernel.rtnetlink.links("veth").map(({ name }) => name));
    this.#open = false;
    for (const endpoint of state.endpoints.values()) {
      if (!endpoint.joined || !waiting.has(interfaceNames(endpoint.id).peer)) continue;
      if (Date.now() - Date.parse(endpoint.createdAt) < GRACE) {
        this.#open = true;
        continue;
      }
      const container = endpoint.container?.name ?? endpoint.id;
      try {
        this.#giveBack(endpoint);
        log.info({ container }, "the container's interface was deleted; it has it again");
        onReturned(endpoint.id);
      } catch (error) {
        log.warn({ container, err: error }, "the container's interface was deleted and cannot be given back");
      }
    }
  }

  /** Now and then: what was left alone, if anything was. */
  glance(): void {
    if (this.#open) this.look();
  }

  /** As Docker sets it up (libnetwork/osl): name, addresses, a connected route to each next hop, the default route where there is none. */
  #giveBack(endpoint: EndpointRecord): void {
    const { state, kernel } = this.#options;
    const { id, sandbox = "", gatewayIndex = 1, addresses, networkId } = endpoint;
    const end = kernel.rtnetlink.link(interfaceNames(id).peer);
    const options = new Map(Object.entries(state.networks.get(networkId)?.options ?? {}));
    using inside = new KernelRtnetlink(sandbox);
    const name = freeName(inside, readInterfacePrefix(options));
    if (end === undefined) return;
    kernel.moveLink(end.index, sandbox, name);
    const index = inside.link(name)?.index;
    if (index === undefined) throw new DriverError("not-found", `Cannot find "${name}" in the container`);
    if (addresses.some((address) => address.includes(":")))
      inNetworkNamespace(sandbox, () => writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, "0"));
    const changes: Change[] = [
      ...addresses.map((address) => ({
        kind: "add-address" as const,
        index,
        address: `${address}/${address.includes(":") ? 128 : 32}`,
        scope: "universe" as const,
      })),
      { kind: "set-link", index, up: true },
      ...ways(inside, addresses, gatewayIndex).map(
        (way): Change => ({ kind: "add-route", route: { type: "unicast", protocol: RTPROT_BOOT, index, ...way } }),
      ),
    ];
    const [refused] = inside.apply(changes).filter(({ error }) => error.errno !== "EEXIST");
    if (refused !== undefined) throw refused.error;
  }
}

function freeName(inside: KernelRtnetlink, prefix: string): string {
  const taken = new Set(inside.links().map(({ name }) => name));
  for (let number = 0; ; number++) if (!taken.has(`${prefix}${number}`)) return `${prefix}${number}`;
}

function ways(
  inside: KernelRtnetlink,
  addresses: readonly string[],
  gatewayIndex: number,
): { readonly destination: string; readonly gateway?: string }[] {
  const { ipv4, ipv6 } = gateways(gatewayIndex);
  return ([4, 6] as const).flatMap((family) => {
    if (!addresses.some((address) => address.includes(":") === (family === 6))) return [];
    const [gateway, length, all] = family === 4 ? [ipv4, 32, "0.0.0.0/0"] : [ipv6, 128, "::/0"];
    const leads = inside.routes({ family }).some(({ destination }) => destination === all);
    return [{ destination: `${gateway}/${length}` }, ...(leads ? [] : [{ destination: all, gateway }])];
  });
}
