/**
 * Addresses of local containers that the kernel answers ARP and NDP for on the host's own interfaces: proxy neighbours, one an
 * address, so that proxy_arp, which answers for everything that is routed, stays off. Ours bear our rtproto (NDA_PROTOCOL).
 * They go when their interface goes down.
 */
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { applyByAddress } from "./interface-address.ts";
import { ROUTE_PROTOCOL } from "./ownership.ts";
import type { Rtnetlink } from "./rtnetlink.ts";

export class ProxyTarget implements Target<string, null> {
  readonly #rtnetlink: Rtnetlink;

  constructor(rtnetlink: Rtnetlink) {
    this.#rtnetlink = rtnetlink;
  }

  readonly equal = (): boolean => true;

  /** Keys are `eth0 192.168.7.70`. */
  async list(): Promise<ReadonlyMap<string, null>> {
    const ours = this.#rtnetlink.proxies().filter(({ protocol }) => protocol === ROUTE_PROTOCOL);
    if (ours.length === 0) return new Map();
    const names = new Map(this.#rtnetlink.links().map(({ index, name }) => [index, name]));
    return new Map(
      ours.flatMap(({ index, address }) => (names.has(index) ? [[`${names.get(index)} ${address}`, null]] : [])),
    );
  }

  async apply(delta: Delta<string, null>, signal: AbortSignal): Promise<void> {
    await applyByAddress(
      this.#rtnetlink,
      delta,
      {
        what: "answer for",
        set: (place) => ({ kind: "set-proxy", ...place, protocol: ROUTE_PROTOCOL }),
        remove: (place) => ({ kind: "delete-proxy", ...place }),
      },
      signal,
    );
  }
}
