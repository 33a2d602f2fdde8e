/** By which interface the host's routes lead to an address: the longest prefix wins, then the smaller metric. */
import { address, type Family } from "../core/net/address.ts";
import { cidr, cidrOf } from "../core/net/cidr.ts";

export interface RouteTo {
  readonly destination: string;
  readonly interface: string;
  readonly metric: number;
}

export class RouteInterfaces {
  readonly #routes: readonly RouteTo[];
  /** By family and length, the longest first; made when first asked, because nobody may ask. */
  #tables: Record<Family, readonly (readonly [number, ReadonlyMap<bigint, RouteTo>])[]> | undefined;

  constructor(routes: readonly RouteTo[]) {
    this.#routes = routes;
  }

  to(destination: string): string | undefined {
    this.#tables ??= { 4: tableOf(this.#routes, 4), 6: tableOf(this.#routes, 6) };
    const wanted = address(destination);
    for (const [length, routes] of this.#tables[wanted.family]) {
      const found = routes.get(cidrOf(wanted, length).value);
      if (found !== undefined) return found.interface;
    }
    return undefined;
  }
}

function tableOf(routes: readonly RouteTo[], family: Family): [number, Map<bigint, RouteTo>][] {
  const byLength = new Map<number, Map<bigint, RouteTo>>();
  for (const route of routes) {
    const net = cidr(route.destination);
    if (net.family !== family) continue;
    const nets = byLength.get(net.length) ?? new Map<bigint, RouteTo>();
    byLength.set(net.length, nets);
    const other = nets.get(net.value);
    if (other === undefined || route.metric < other.metric) nets.set(net.value, route);
  }
  return [...byLength].sort(([a], [b]) => b - a);
}
