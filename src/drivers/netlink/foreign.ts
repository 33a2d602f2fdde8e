/** Which of our targets another process, or the kernel by itself, has just disturbed. */
import { FAMILIES } from "../../core/net/address.ts";
import { DOOMED_GROUP, isOurs, ROUTE_PROTOCOL } from "./ownership.ts";
import type { Link, Rtnetlink } from "./rtnetlink.ts";
import type { NetworkEvent } from "./watch.ts";

export type Part = "links" | "routes" | "neighbours" | "gatewayAddresses";

export const PARTS: readonly Part[] = ["links", "routes", "neighbours", "gatewayAddresses"];

/**
 * Judges events one after another. Knows what is ours from reading it once and from the events since, so that an engine at
 * work on its containers, or a routing daemon that brings 100,000 routes, does not count.
 */
export class Foreign {
  readonly #rtnetlink: Rtnetlink;
  readonly #own: ReadonlySet<number>;
  #loopback = 1;
  readonly #links = new Map<number, string>();
  readonly #destinations = new Set<string>();

  /** `own`: port ids of the sockets that we write with. */
  constructor(rtnetlink: Rtnetlink, own: Iterable<number>) {
    this.#rtnetlink = rtnetlink;
    this.#own = new Set(own);
    this.#readBack();
  }

  /** Parts that these events have disturbed; all of them after an overrun. */
  disturbed(events: readonly NetworkEvent[]): ReadonlySet<Part> {
    const out = new Set<Part>();
    for (const event of events) for (const part of this.#judge(event)) out.add(part);
    return out;
  }

  #judge(event: NetworkEvent): readonly Part[] {
    if (event.kind === "overrun") {
      this.#readBack();
      return PARTS;
    }
    const parts = this.#disturbs(event);
    return this.#own.has(event.by) ? [] : parts;
  }

  #disturbs(event: Exclude<NetworkEvent, { kind: "overrun" }>): readonly Part[] {
    switch (event.kind) {
      case "link":
        return this.#byLink(event.link, event.deleted);
      case "address":
        if (this.#links.has(event.address.index)) return event.address.address.includes(":") ? ["links"] : [];
        return event.address.index === this.#loopback && event.address.address.startsWith("169.254.1.")
          ? ["gatewayAddresses"]
          : [];
      case "route": {
        const { destination, protocol } = event.route;
        const ours = protocol === ROUTE_PROTOCOL;
        const displaced = event.replaced && !ours && this.#destinations.has(destination);
        if (ours && event.deleted) this.#destinations.delete(destination);
        else if (ours) this.#destinations.add(destination);
        return ours || displaced ? ["routes"] : [];
      }
      case "neighbour": {
        const ours = event.neighbour.permanent && this.#links.has(event.neighbour.index);
        return ours ? ["neighbours"] : [];
      }
    }
  }

  /** An engine that takes or starts the peer makes an event too, in which nothing of ours has changed. */
  #byLink(link: Link, deleted: boolean): readonly Part[] {
    const before = this.#links.get(link.index);
    if (before === undefined && !isOurs(link)) return [];
    const now = deleted || !isOurs(link) ? undefined : settings(link);
    if (now === undefined) this.#links.delete(link.index);
    else this.#links.set(link.index, now);
    if (link.group === DOOMED_GROUP || before === now) return [];
    // What stood on it went with it; the kernel does not tell for IPv4.
    return now === undefined || !link.up ? ["links", "routes", "neighbours"] : ["links"];
  }

  #readBack(): void {
    this.#loopback = this.#rtnetlink.link("lo")?.index ?? 1;
    this.#links.clear();
    for (const link of this.#rtnetlink.links("veth")) if (isOurs(link)) this.#links.set(link.index, settings(link));
    this.#destinations.clear();
    for (const family of FAMILIES)
      for (const { destination } of this.#rtnetlink.routes({ family, protocol: ROUTE_PROTOCOL }))
        this.#destinations.add(destination);
  }
}

function settings({ name, up, mtu, mac, group, generatesAddress }: Link): string {
  return [name, up, mtu, mac, group, generatesAddress].join(" ");
}
