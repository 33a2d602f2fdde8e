/** Permanent neighbours on our links: nothing that a container says in ARP or NDP changes where its packets go. */
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { DriverError } from "../error.ts";
import { indexesOf } from "./link-index.ts";
import { Failures, isOurs, pause } from "./ownership.ts";
import type { Change, Rtnetlink } from "./rtnetlink.ts";

const CHUNK = 128;

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
    const failures = new Failures();
    const keys = [...delta.upserts.keys(), ...delta.deletes];
    const indexes = indexesOf(this.#rtnetlink, keys.map(nameOf));
    const items: { key: string; change: Change }[] = [];
    for (const [key, { mac }] of delta.upserts) {
      const index = indexes.get(nameOf(key));
      if (index === undefined) failures.add(`set the neighbour "${key}"`, missing(key));
      else items.push({ key, change: { kind: "set-neighbour", index, address: addressOf(key), mac } });
    }
    for (const key of delta.deletes) {
      const index = indexes.get(nameOf(key));
      if (index !== undefined)
        items.push({ key, change: { kind: "delete-neighbour", index, address: addressOf(key) } });
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
        const gone = item?.change.kind === "delete-neighbour" && (error.errno === "ENOENT" || error.errno === "ENODEV");
        if (item !== undefined && !gone) failures.add(`set the neighbour "${item.key}"`, error);
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

function missing(key: string): DriverError {
  return new DriverError("not-found", `Cannot set the neighbour "${key}": there is no interface "${nameOf(key)}"`);
}
