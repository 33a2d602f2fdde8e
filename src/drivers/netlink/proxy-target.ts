/**
 * Addresses of local containers that the kernel answers ARP and NDP for on the host's own interfaces: proxy neighbours, one an
 * address, so that proxy_arp, which answers for everything that is routed, stays off. Ours bear our rtproto (NDA_PROTOCOL).
 * They go when their interface goes down.
 */
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { DriverError } from "../error.ts";
import { indexesOf } from "./link-index.ts";
import { Failures, pause, ROUTE_PROTOCOL } from "./ownership.ts";
import type { Change, Rtnetlink } from "./rtnetlink.ts";

const CHUNK = 128;

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
    const failures = new Failures();
    const indexes = indexesOf(this.#rtnetlink, [...delta.upserts.keys(), ...delta.deletes].map(nameOf));
    const items: { key: string; change: Change }[] = [];
    for (const key of delta.upserts.keys()) {
      const index = indexes.get(nameOf(key));
      if (index === undefined)
        failures.add(
          "",
          new DriverError("not-found", `Cannot answer for "${key}": there is no interface "${nameOf(key)}"`),
        );
      else items.push({ key, change: { kind: "set-proxy", index, address: addressOf(key), protocol: ROUTE_PROTOCOL } });
    }
    for (const key of delta.deletes) {
      const index = indexes.get(nameOf(key));
      if (index !== undefined) items.push({ key, change: { kind: "delete-proxy", index, address: addressOf(key) } });
    }
    await this.#write(items, failures, signal);
    failures.throwAny();
  }

  async #write(
    items: readonly { readonly key: string; readonly change: Change }[],
    failures: Failures,
    signal: AbortSignal,
  ): Promise<void> {
    for (let at = 0; at < items.length; at += CHUNK) {
      if (at > 0) await pause(signal);
      const chunk = items.slice(at, at + CHUNK);
      for (const { index, error } of this.#rtnetlink.apply(chunk.map(({ change }) => change))) {
        const item = chunk[index];
        const gone = item?.change.kind === "delete-proxy" && (error.errno === "ENOENT" || error.errno === "ENODEV");
        if (item !== undefined && !gone) failures.add(`answer for "${item.key}"`, error);
      }
    }
  }
}

function nameOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf(" ")));
}

function addressOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}
