/** Where packets go by the routes that we want: what the kernel answers where nobody else has put routes in between. */
import { address, parseAddress } from "../net/address.ts";
import { type Cidr, cidr, contains } from "../net/cidr.ts";
import type { Route, Routing } from "../rules/evaluate.ts";
import type { HostState, RouteState } from "./host-state.ts";

export interface Surroundings {
  /** Canonical addresses of the host itself besides the gateways. */
  readonly hostAddresses: readonly string[];
  /** Interface of the default route; absent: what no route of ours covers cannot be reached. */
  readonly uplink?: string;
  /** What the host's other routes say; where it says nothing the uplink counts. */
  readonly interfaceTo?: (destination: string) => string | undefined;
}

export function stateRouting(state: HostState, { hostAddresses, uplink, interfaceTo }: Surroundings): Routing {
  let own: ReadonlySet<string> | undefined; // thousands: made when the first one asks
  const ownAddresses = (): ReadonlySet<string> =>
    new Set([
      ...hostAddresses,
      ...[...state.gatewayAddresses].map((net) => net.slice(0, net.indexOf("/"))),
      ...[...state.links.values()].flatMap(({ gateway6 }) => gateway6 ?? []),
      "::1",
    ]);
  const isLocal = (text: string): boolean => (own ??= ownAddresses()).has(text) || text.startsWith("127.");
  return {
    isLocal,
    route({ destination }): Route {
      if (isLocal(destination) || isGroup(destination)) return { kind: "local" };
      const [hop] = state.services.get(hostRoute(destination))?.hops ?? [];
      if (hop !== undefined) return { kind: "forward", interface: hop.interface };
      const found = state.routes.get(hostRoute(destination)) ?? longest(state, destination);
      if (found?.kind === "link") return { kind: "forward", interface: found.interface };
      if (found?.kind === "blackhole") return { kind: "none", why: `nobody has ${destination} in this host's block` };
      const way = interfaceTo?.(destination) ?? uplink;
      if (way === undefined) return { kind: "none", why: `no route to ${destination}` };
      return { kind: "forward", interface: way };
    },
  };
}

/** Multicast and broadcast are heard by the host on the link; nobody routes them. */
function isGroup(text: string): boolean {
  const parsed = parseAddress(text);
  if (parsed === undefined) return false;
  return parsed.family === 4 ? parsed.value >= 0xe0000000n : parsed.value >> 120n === 0xffn;
}

function hostRoute(destination: string): string {
  return destination.includes(":") ? `6 ${destination}/128` : `4 ${destination}/32`;
}

function longest(state: HostState, destination: string): RouteState | undefined {
  const to = address(destination);
  let best: { net: Cidr; route: RouteState } | undefined;
  for (const [key, route] of state.routes) {
    if (route.kind !== "blackhole") continue; // host routes have been looked at
    const net = cidr(key.slice(2));
    if (contains(net, to) && (best === undefined || net.length > best.net.length)) best = { net, route };
  }
  return best?.route;
}
