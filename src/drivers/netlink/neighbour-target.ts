/** Permanent neighbours on our links: nothing that a container says in ARP or NDP changes where its packets go. */
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { applyByAddress } from "./interface-address.ts";
import { isOurs } from "./ownership.ts";
import type { Rtnetlink } from "./rtnetlink.ts";

export interface NeighbourState {
  readonly mac: string;
}

export class NeighbourTarget implements Target<string, NeighbourState> {
  readonly #rtnetlink: Rtnetlink;

  constructor(rtnetlink: Rtnetlink) {
    this.#rtnetlink = rtnetlink;
  }

  readonly equal = (a: NeighbourState, b: NeighbourState): boolean => a.mac.toLowerCase() === b.mac.toLowerCase();

  /** Keys are `manx0123456789a 10.65.0.7`. */
  async list(): Promise<ReadonlyMap<string, NeighbourState>> {
    const names = new Map(
      this.#rtnetlink
        .links("veth")
        .filter(isOurs)
        .map(({ index, name }) => [index, name]),
    );
    const out = new Map<string, NeighbourState>();
    if (names.size === 0) return out;
    for (const { index, address, mac, permanent } of this.#rtnetlink.neighbours()) {
      const name = names.get(index);
      if (permanent && name !== undefined) out.set(`${name} ${address}`, { mac });
    }
    return out;
  }

  async apply(delta: Delta<string, NeighbourState>, signal: AbortSignal): Promise<void> {
    await applyByAddress(
      this.#rtnetlink,
      delta,
      {
        what: "set the neighbour",
        set: (place, { mac }) => ({ kind: "set-neighbour", ...place, mac }),
        remove: (place) => ({ kind: "delete-neighbour", ...place }),
      },
      signal,
    );
  }
}
