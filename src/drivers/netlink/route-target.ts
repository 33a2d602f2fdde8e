/** Our routes (rtproto 109) in the main table: to local endpoints, and blackholes for our address blocks. */

import type { RouteState } from "../../core/calc/host-state.ts";
import type { Family } from "../../core/net/address.ts";
import { FAMILIES } from "../../core/net/address.ts";
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { DriverError } from "../error.ts";
import { SystemError } from "../syscall/errno.ts";
import { indexesOf } from "./link-index.ts";
import { Failures, pause, ROUTE_PROTOCOL } from "./ownership.ts";
import type { Change, NewRoute, Refusal, Route, Rtnetlink } from "./rtnetlink.ts";

/** Routes that one turn of the event loop writes: about 3 ms. */
const CHUNK = 128;
/** The metric of a route that was made without one. */
const DEFAULT_METRIC: Readonly<Record<Family, number>> = { 4: 0, 6: 1024 };

interface Item {
  readonly key: string;
  readonly route: NewRoute;
}

export class RouteTarget implements Target<string, RouteState> {
  readonly #rtnetlink: Rtnetlink;

  constructor(rtnetlink: Rtnetlink) {
    this.#rtnetlink = rtnetlink;
  }

  readonly equal = (a: RouteState, b: RouteState): boolean => {
    if (a.kind === "blackhole" || b.kind === "blackhole") return a.kind === b.kind;
    return a.interface === b.interface && a.source === b.source;
  };

  /** Keys are `4 10.65.0.7/32`; one of ours that Manx would not make so has ` metric N` after it, and so is deleted. */
  async list(): Promise<ReadonlyMap<string, RouteState>> {
    const names = new Map(this.#rtnetlink.links().map(({ index, name }) => [index, name]));
    const out = new Map<string, RouteState>();
    for (const family of FAMILIES) {
      for (const route of this.#rtnetlink.routes({ family, protocol: ROUTE_PROTOCOL })) {
        if (route.nexthop !== undefined) continue; // a service address: service-target.ts
        const suffix = route.metric === DEFAULT_METRIC[family] ? "" : ` metric ${route.metric}`;
        out.set(`${family} ${route.destination}${suffix}`, routeState(route, names));
      }
    }
    return out;
  }

  async apply(delta: Delta<string, RouteState>, signal: AbortSignal): Promise<void> {
    const failures = new Failures();
    await this.#upsert(this.#items(delta.upserts, failures), failures, signal);
    await this.#delete([...delta.deletes], failures, signal);
    failures.throwAny();
  }

  #items(upserts: ReadonlyMap<string, RouteState>, failures: Failures): Item[] {
    const states = [...upserts.values()];
    const indexes = indexesOf(
      this.#rtnetlink,
      states.flatMap((state) => (state.kind === "link" ? [state.interface] : [])),
    );
    const items: Item[] = [];
    for (const [key, state] of upserts)
      failures.try(`set the route "${key}"`, () => void items.push({ key, route: newRoute(key, state, indexes) }));
    return items;
  }

  /** Adding refuses to take the place of another route, and so finds out whether that one is alien. */
  async #upsert(items: readonly Item[], failures: Failures, signal: AbortSignal): Promise<void> {
    const taken: Item[] = [];
    for (let at = 0; at < items.length; at += CHUNK) {
      if (at > 0) await pause(signal);
      const chunk = items.slice(at, at + CHUNK);
      const refusals = this.#rtnetlink.apply(chunk.map(({ route }): Change => ({ kind: "add-route", route })));
      for (const { item, error } of withItems(refusals, chunk)) {
        if (error.errno === "EEXIST") taken.push(item);
        else failures.add(`set the route "${item.key}"`, error);
      }
    }
    await this.#replace(this.#notAlien(taken, failures), failures, signal);
  }

  #notAlien(items: readonly Item[], failures: Failures): Item[] {
    if (items.length === 0) return [];
    const alien = new Map<string, Route>();
    for (const family of FAMILIES)
      for (const route of this.#rtnetlink.routes({ family }))
        if (route.protocol !== ROUTE_PROTOCOL && route.metric === DEFAULT_METRIC[family])
          alien.set(`${family} ${route.destination}`, route);
    return items.filter(({ key }) => {
      const other = alien.get(key);
      if (other === undefined) return true;
      failures.add(`set the route "${key}"`, alienRoute(key, other));
      return false;
    });
  }

  async #replace(items: readonly Item[], failures: Failures, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < items.length; at += CHUNK) {
      await pause(signal);
      const chunk = items.slice(at, at + CHUNK);
      const refusals = this.#rtnetlink.apply(chunk.map(({ route }): Change => ({ kind: "replace-route", route })));
      for (const { item, error } of withItems(refusals, chunk)) failures.add(`set the route "${item.key}"`, error);
    }
  }

  async #delete(keys: readonly string[], failures: Failures, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < keys.length; at += CHUNK) {
      if (at > 0) await pause(signal);
      const chunk = keys.slice(at, at + CHUNK);
      const refusals = this.#rtnetlink.apply(chunk.map(deleteRoute));
      // Went with its link, or by another hand.
      for (const { item, error } of withItems(refusals, chunk))
        if (error.errno !== "ESRCH") failures.add(`delete the route "${item}"`, error);
    }
  }
}

function withItems<T>(refusals: readonly Refusal[], items: readonly T[]): { item: T; error: SystemError }[] {
  return refusals.flatMap(({ index, error }) => {
    const item = items[index];
    return item === undefined ? [] : [{ item, error }];
  });
}

function routeState(route: Route, names: ReadonlyMap<number, string>): RouteState {
  const { type, index, source, gateway, nextHops } = route;
  if (type === "blackhole") return { kind: "blackhole" };
  // No interface has an empty name, so what we would never make is never equal to what is wanted.
  const strange = type !== "unicast" || gateway !== undefined || nextHops !== undefined;
  const name = strange ? "" : (names.get(index ?? 0) ?? "");
  return { kind: "link", interface: name, ...(source === undefined ? {} : { source }) };
}

function newRoute(key: string, state: RouteState, indexes: ReadonlyMap<string, number>): NewRoute {
  const destination = key.slice(2);
  if (state.kind === "blackhole") return { destination, type: "blackhole", protocol: ROUTE_PROTOCOL };
  const index = indexes.get(state.interface);
  if (index === undefined)
    throw new DriverError("not-found", `Cannot set the route "${key}": there is no interface "${state.interface}"`);
  const { source } = state;
  return { destination, type: "unicast", protocol: ROUTE_PROTOCOL, index, ...(source === undefined ? {} : { source }) };
}

function deleteRoute(key: string): Change {
  const [family, destination = "", word, metricText] = key.split(" ");
  const metric = word === "metric" ? Number(metricText) : DEFAULT_METRIC[family === "6" ? 6 : 4];
  return { kind: "delete-route", destination, protocol: ROUTE_PROTOCOL, metric };
}

function alienRoute(key: string, { protocol, index, gateway }: Route): DriverError {
  const via = gateway === undefined ? `over interface ${index ?? 0}` : `via ${gateway}`;
  const why = `there is a route ${via} (proto ${protocol}) that Manx did not make; delete it or give it another metric`;
  return new DriverError("exists", `Cannot set the route "${key}": ${why}`);
}
