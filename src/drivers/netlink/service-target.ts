/**
 * Our routes to service addresses: each stands on a resilient group of next hops, one a container, so that a flow stays with its
 * container when another comes or goes (Documentation/networking/nexthop-group-resilient.rst). Next hops, groups and routes carry
 * our protocol. A container's next hop goes with its veth pair, by the kernel's own doing, and the route with the last of them.
 *
 * BIRD announces a route by its metric: the one that is announced has the metric of a route made without one.
 */
import type { ServiceHop, ServiceRoute } from "../../core/calc/host-state.ts";
import { FAMILIES, type Family } from "../../core/net/address.ts";
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { DriverError } from "../error.ts";
import { Failures, pause, ROUTE_PROTOCOL } from "./ownership.ts";
import type { Change, Nexthop, Route, Rtnetlink } from "./rtnetlink.ts";

/** IDs of next hop objects are the host's, not a program's: ours begin at "MX". */
const FIRST_ID = 0x4d58_0000;
/** Also how finely flows are spread; a hop's share may be as small as one of them. */
const BUCKETS = 256;
const IDLE_SECONDS = 60;
const ANNOUNCED: Readonly<Record<Family, number>> = { 4: 0, 6: 1024 };
/** Wins over what BIRD learns from others (1025), so that who still comes finds the container that is about to end. */
const SILENT = 512;

/** What nobody wants: other than everything that is. */
const NOTHING: ServiceRoute = { announced: false, hops: [] };

interface Found {
  readonly hops: ReadonlyMap<number, Nexthop>;
  readonly groups: ReadonlyMap<number, Nexthop>;
  readonly routes: readonly { readonly family: Family; readonly route: Route }[];
  readonly ids: ReadonlySet<number>;
}

export class ServiceTarget implements Target<string, ServiceRoute> {
  readonly #rtnetlink: Rtnetlink;

  constructor(rtnetlink: Rtnetlink) {
    this.#rtnetlink = rtnetlink;
  }

  readonly equal = (a: ServiceRoute, b: ServiceRoute): boolean =>
    a.announced === b.announced && a.source === b.source && hopsText(a.hops) === hopsText(b.hops);

  /**
   * Keys are `4 203.0.113.10/32`. What Manx would not make so has more after it (` metric N`), and what no route uses is
   * `nexthop ID`: nobody wants either.
   */
  async list(): Promise<ReadonlyMap<string, ServiceRoute>> {
    const names = new Map(this.#rtnetlink.links().map(({ index, name }) => [index, name]));
    const found = this.#found();
    const out = new Map<string, ServiceRoute>();
    const used = new Set<number>();
    for (const { family, route } of found.routes) {
      const group = found.groups.get(route.nexthop ?? 0);
      const key = `${family} ${route.destination}`;
      const strange = ![ANNOUNCED[family], SILENT].includes(route.metric) || out.has(key);
      out.set(strange ? `${key} metric ${route.metric}` : key, routeState(family, route, group, found, names));
      if (group === undefined) continue;
      used.add(group.id);
      for (const { id } of group.members ?? []) used.add(id);
    }
    for (const id of [...found.groups.keys(), ...found.hops.keys()])
      if (!used.has(id)) out.set(`nexthop ${id}`, NOTHING);
    return out;
  }

  async apply(delta: Delta<string, ServiceRoute>, signal: AbortSignal): Promise<void> {
    const failures = new Failures();
    for (const [key, state] of delta.upserts) {
      failures.try(`set the route of the service address "${key}"`, () => this.#set(key, state));
      await pause(signal);
    }
    for (const key of delta.deletes) failures.try(`delete the route of "${key}"`, () => this.#delete(key));
    failures.try("delete next hops", () => this.#sweep());
    failures.throwAny();
  }

  #found(): Found {
    const all = this.#rtnetlink.nexthops();
    const ours = all.filter(({ protocol }) => protocol === ROUTE_PROTOCOL);
    const byId = (wanted: boolean): Map<number, Nexthop> =>
      new Map(ours.filter(({ members }) => (members !== undefined) === wanted).map((one) => [one.id, one]));
    const routes = FAMILIES.flatMap((family) =>
      this.#rtnetlink
        .routes({ family, protocol: ROUTE_PROTOCOL })
        .filter(({ nexthop }) => nexthop !== undefined)
        .map((route) => ({ family, route })),
    );
    return { hops: byId(false), groups: byId(true), routes, ids: new Set(all.map(({ id }) => id)) };
  }

  #set(key: string, state: ServiceRoute): void {
    const { family, destination } = parsed(key);
    const found = this.#found();
    const taken = new Set(found.ids);
    const changes: Change[] = [];
    const members = state.hops.map((hop) => {
      const index = this.#rtnetlink.link(hop.interface)?.index;
      if (index === undefined)
        throw new DriverError("not-found", `Cannot lead ${key} to "${hop.interface}": there is no such interface`);
      const there = [...found.hops.values()].find(
        (one) => one.index === index && one.family === family && one.gateway === undefined,
      );
      const id = there?.id ?? freeId(taken);
      if (there === undefined) changes.push({ kind: "set-nexthop", id, family, index, protocol: ROUTE_PROTOCOL });
      return { id, weight: hop.weight };
    });
    const own = found.routes.filter((one) => one.family === family && one.route.destination === destination);
    // A group that somebody made otherwise cannot be turned into one of ours.
    const group = own
      .flatMap(({ route }) => found.groups.get(route.nexthop ?? 0) ?? [])
      .find(({ resilient }) => resilient === true);
    const id = group?.id ?? freeId(taken);
    changes.push({
      kind: "set-group",
      id,
      protocol: ROUTE_PROTOCOL,
      members,
      buckets: BUCKETS,
      idleSeconds: IDLE_SECONDS,
    });
    const metric = state.announced ? ANNOUNCED[family] : SILENT;
    const isThere = own.some(({ route }) => route.metric === metric);
    changes.push({
      kind: isThere ? "replace-route" : "add-route",
      route: {
        destination,
        type: "unicast",
        protocol: ROUTE_PROTOCOL,
        metric,
        nexthop: id,
        ...(state.source !== undefined && { source: state.source }),
      },
    });
    // The other one goes last: there is always one that leads there.
    for (const { route } of own)
      if (route.metric !== metric)
        changes.push({ kind: "delete-route", destination, protocol: ROUTE_PROTOCOL, metric: route.metric });
    for (const { error } of this.#rtnetlink.apply(changes)) if (error.errno !== "ESRCH") throw error;
  }

  /** Routes by themselves: the kernel does not tell BIRD of IPv4 routes that go with their next hops. */
  #delete(key: string): void {
    if (key.startsWith("nexthop ")) return;
    const { family, destination, metric } = parsed(key);
    const changes = this.#found().routes.flatMap(({ family: of, route }): Change[] =>
      of === family && route.destination === destination && (metric === undefined || route.metric === metric)
        ? [{ kind: "delete-route", destination, protocol: ROUTE_PROTOCOL, metric: route.metric }]
        : [],
    );
    for (const { error } of this.#rtnetlink.apply(changes)) if (error.errno !== "ESRCH") throw error;
  }

  /** Groups that no route uses, then next hops that no group uses. */
  #sweep(): void {
    for (const kind of ["groups", "hops"] as const) {
      const found = this.#found();
      const used = new Set(found.routes.map(({ route }) => route.nexthop));
      for (const { members = [] } of found.groups.values()) for (const { id } of members) used.add(id);
      const changes = [...found[kind].keys()].flatMap((id): Change[] =>
        used.has(id) ? [] : [{ kind: "delete-nexthop", id }],
      );
      for (const { error } of this.#rtnetlink.apply(changes)) if (error.errno !== "ENOENT") throw error;
    }
  }
}

function routeState(
  family: Family,
  route: Route,
  group: Nexthop | undefined,
  found: Found,
  names: ReadonlyMap<number, string>,
): ServiceRoute {
  if (group?.resilient !== true) return NOTHING;
  const hops = (group.members ?? []).map(({ id, weight }): ServiceHop => {
    const hop = found.hops.get(id);
    // No interface has an empty name, so a hop that is not ours is never what is wanted.
    const isOurs = hop?.family === family && hop.gateway === undefined;
    return { interface: (isOurs ? names.get(hop.index ?? 0) : undefined) ?? "", weight };
  });
  const { source } = route;
  return {
    announced: route.metric === ANNOUNCED[family],
    hops,
    ...(source !== undefined && { source }),
  };
}

function hopsText(hops: readonly ServiceHop[]): string {
  return hops
    .map((hop) => `${hop.interface} ${hop.weight}`)
    .sort()
    .join();
}

function parsed(key: string): { family: Family; destination: string; metric?: number } {
  const [family, destination = "", word, metric] = key.split(" ");
  return { family: family === "6" ? 6 : 4, destination, ...(word === "metric" && { metric: Number(metric) }) };
}

function freeId(taken: Set<number>): number {
  let id = FIRST_ID;
  while (taken.has(id)) id++;
  taken.add(id);
  return id;
}
