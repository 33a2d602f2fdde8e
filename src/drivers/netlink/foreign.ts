/**
 * Which of our targets another process, or the kernel by itself, has just disturbed. Events of routes and neighbours say who
 * made them; those of links and addresses do not, so they are held against what we know to have made.
 */
import { FAMILIES } from "../../core/net/address.ts";
import { DOOMED_GROUP, isOurs, ROUTE_PROTOCOL } from "./ownership.ts";
import type { Change, Link, Rtnetlink } from "./rtnetlink.ts";
import type { NetworkEvent } from "./watch.ts";

export type Part = "links" | "routes" | "neighbours" | "gatewayAddresses";

export const PARTS: readonly Part[] = ["links", "routes", "neighbours", "gatewayAddresses"];

type Reported = Exclude<NetworkEvent, { kind: "overrun" }>;

/**
 * Judges events in their order. Knows what is ours from reading it once, from what we write and from the events, so that an
 * engine at work on its containers, or a routing daemon that brings 100,000 routes, does not count.
 */
export class Foreign {
  readonly #rtnetlink: Rtnetlink;
  readonly #own: ReadonlySet<number>;
  #loopback = 1;
  /** Settings of our links, by index. */
  readonly #links = new Map<number, { readonly name: string; readonly settings: string }>();
  readonly #addresses = new Set<string>();
  readonly #destinations = new Set<string>();
  readonly #neighbours = new Set<string>();

  /** `own`: port ids of the sockets that we write with. */
  constructor(rtnetlink: Rtnetlink, own: Iterable<number>) {
    this.#rtnetlink = rtnetlink;
    this.#own = new Set(own);
    this.#readBack();
  }

  /** Parts that these events have disturbed; all of them after an overrun. */
  disturbed(events: readonly NetworkEvent[]): ReadonlySet<Part> {
    const out = new Set<Part>();
    for (const event of events) {
      if (event.kind === "overrun") this.#readBack();
      for (const part of event.kind === "overrun" ? PARTS : this.#judge(event)) out.add(part);
    }
    return out;
  }

  /** To be told of each link that we make, before anything else happens. */
  made(name: string): void {
    this.#know(this.#rtnetlink.link(name));
  }

  /** To be told of each link that we delete, before that. */
  deletes(name: string): void {
    for (const [index, link] of this.#links) if (link.name === name) this.#links.delete(index);
  }

  /** To be told of all that we have changed, before anything else happens. */
  changed(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === "add-address") this.#addresses.add(`${change.index} ${change.address}`);
      else if (change.kind === "delete-address") this.#addresses.delete(`${change.index} ${change.address}`);
      else if (change.kind === "set-link") this.#readAgain(change.index);
    }
  }

  #judge(event: Reported): readonly Part[] {
    switch (event.kind) {
      case "link":
        return this.#byLink(event.link, event.deleted);
      case "address":
        return this.#byAddress(event);
      case "route": {
        const disturbed = this.#byRoute(event);
        return disturbed && !this.#own.has(event.by) ? ["routes"] : [];
      }
      case "neighbour": {
        const disturbed = this.#byNeighbour(event);
        return disturbed && !this.#own.has(event.by) ? ["neighbours"] : [];
      }
    }
  }

  /** An engine that takes or starts the peer makes an event too, in which nothing of ours has changed. */
  #byLink(link: Link, deleted: boolean): readonly Part[] {
    const known = this.#links.get(link.index);
    if (known === undefined) {
      if (deleted || !isStanding(link)) return [];
      // Perhaps the event is old, and we have deleted the link since.
      const found = this.#rtnetlink.link(link.name);
      if (found?.index !== link.index || !isStanding(found)) return [];
      this.#know(found);
      return ["links"];
    }
    if (!deleted && settings(link) === known.settings) return [];
    // What the event says may be a step on the way to where we have brought the link since.
    const found = this.#rtnetlink.link(known.name);
    const now = found?.index === link.index && isStanding(found) ? found : undefined;
    if (now !== undefined && settings(now) === known.settings) return [];
    this.#links.delete(link.index);
    this.#know(now);
    // What stood on it went with it; the kernel does not tell for IPv4.
    return now?.up === true ? ["links"] : ["links", "routes", "neighbours"];
  }

  #byAddress({ address: { index, address }, deleted }: Reported & { kind: "address" }): readonly Part[] {
    const onLink = this.#links.has(index) && address.includes(":");
    const onLoopback = index === this.#loopback && address.startsWith("169.254.1.");
    if (!onLink && !onLoopback) return [];
    const key = `${index} ${address}`;
    if (this.#addresses.has(key) !== deleted) return [];
    if (deleted) this.#addresses.delete(key);
    else this.#addresses.add(key);
    return onLink ? ["links"] : ["gatewayAddresses"];
  }

  #byRoute({ route, deleted, replaced }: Reported & { kind: "route" }): boolean {
    const { destination, protocol } = route;
    if (protocol !== ROUTE_PROTOCOL) return replaced && this.#destinations.has(destination);
    if (deleted) this.#destinations.delete(destination);
    else this.#destinations.add(destination);
    return true;
  }

  #byNeighbour({ neighbour, deleted }: Reported & { kind: "neighbour" }): boolean {
    const { index, address, permanent } = neighbour;
    const key = `${index} ${address}`;
    // One that is deleted is reported as failed first, not as permanent.
    if (deleted || !permanent) return this.#neighbours.delete(key);
    if (!this.#links.has(index)) return false;
    this.#neighbours.add(key);
    return true;
  }

  #readAgain(index: number): void {
    const known = this.#links.get(index);
    if (known === undefined) return;
    const found = this.#rtnetlink.link(known.name);
    this.#links.delete(index);
    if (found?.index === index) this.#know(found);
  }

  #know(link: Link | undefined): void {
    if (link !== undefined && isStanding(link))
      this.#links.set(link.index, { name: link.name, settings: settings(link) });
  }

  #readBack(): void {
    for (const known of [this.#links, this.#addresses, this.#destinations, this.#neighbours]) known.clear();
    this.#loopback = this.#rtnetlink.link("lo")?.index ?? 1;
    for (const link of this.#rtnetlink.links("veth")) this.#know(link);
    for (const { index, address } of this.#rtnetlink.addresses()) this.#addresses.add(`${index} ${address}`);
    for (const family of FAMILIES)
      for (const { destination } of this.#rtnetlink.routes({ family, protocol: ROUTE_PROTOCOL }))
        this.#destinations.add(destination);
    for (const { index, address, permanent } of this.#rtnetlink.neighbours())
      if (permanent && this.#links.has(index)) this.#neighbours.add(`${index} ${address}`);
  }
}

/** Ours, and not about to be deleted. */
function isStanding(link: Link): boolean {
  return isOurs(link) && link.group !== DOOMED_GROUP;
}

function settings({ name, up, mtu, mac, group, generatesAddress }: Link): string {
  return [name, up, mtu, mac, group, generatesAddress].join(" ");
}
