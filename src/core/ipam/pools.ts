/** Pools as a whole: the default ones, what may become a pool, and whether CIDRs get in each other's way. */
import { lanInterfaceOf } from "../model/lan-annotations.ts";
import type { IPPool } from "../model/resources.ts";
import { type Cidr, cidr, covers, formatCidr, overlaps, parseCidr } from "../net/cidr.ts";
import { usualBlockSize } from "./block.ts";

/**
 * Candidates for the default pools, the first that overlaps no route of the host is taken: 10.65.0.0/16 to 10.95.0.0/16, then
 * 172.28.0.0/16 to 172.31.0.0/16, then 192.168.128.0/17; fd65:6d61:6e78::/64 to fd65:6d61:6e78:f::/64 ("e man x").
 */
const DEFAULT_CANDIDATES: Readonly<Record<4 | 6, readonly string[]>> = {
  4: [
    ...Array.from({ length: 31 }, (_, i) => `10.${65 + i}.0.0/16`),
    ...Array.from({ length: 4 }, (_, i) => `172.${28 + i}.0.0/16`),
    "192.168.128.0/17",
  ],
  6: ["fd65:6d61:6e78::/64", ...Array.from({ length: 15 }, (_, i) => `fd65:6d61:6e78:${(i + 1).toString(16)}::/64`)],
};

/** Annotation of a pool that a network's `--subnet` made, and that goes with the last network that uses it. */
const SUBNET_POOL = "manx/subnet";

export interface DefaultPools {
  readonly pools: readonly IPPool[];
  /** What is worth saying: a candidate that was passed over, a family without a pool. */
  readonly notes: readonly string[];
}

/** The pools of a cluster that has none yet, checked against the CIDRs of the host's routes. */
export function defaultPools(routes: readonly string[]): DefaultPools {
  const notes: string[] = [];
  const pools = ([4, 6] as const).flatMap((family) => {
    const [first, ...others] = DEFAULT_CANDIDATES[family];
    const found = [first, ...others].find((text) => text !== undefined && overlapping(cidr(text), routes).length === 0);
    if (found === undefined) {
      notes.push(
        `No default IPv${family} pool: every candidate overlaps a route of this host. Add one: manx pool add CIDR`,
      );
      return [];
    }
    if (found !== first) {
      const [route] = overlapping(cidr(first as string), routes);
      notes.push(`The default IPv${family} pool is ${found}, because ${first} overlaps this host's route ${route}`);
    }
    return [makePool(`default-ipv${family}`, cidr(found))];
  });
  return { pools, notes };
}

/** A pool with our defaults: NAT towards what is outside of all pools, since nothing there knows a route back. */
export function makePool(name: string, range: Cidr, more: Partial<IPPool["spec"]> = {}): IPPool {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name },
    spec: {
      cidr: formatCidr(range),
      blockSize: usualBlockSize(range),
      natOutgoing: true,
      nodeSelector: "all()",
      allowedUses: ["Workload"],
      assignmentMode: "Automatic",
      ...more,
    },
  };
}

/** The pool that a network's `--subnet` makes: only networks with that subnet use it. */
export function subnetPool(range: Cidr): IPPool {
  const name = `subnet-${formatCidr(range).replaceAll(/[.:/]/g, "-")}`;
  const pool = makePool(name, range, { assignmentMode: "Manual" });
  return { ...pool, metadata: { name, annotations: { [SUBNET_POOL]: "true" } } };
}

export function isSubnetPool(pool: IPPool): boolean {
  return pool.metadata.annotations?.[SUBNET_POOL] === "true";
}

/** Addresses that no container can have (RFC 6890, RFC 4291, RFC 7600). */
const SPECIAL = [
  ["0.0.0.0/8", "this network"],
  ["127.0.0.0/8", "loopback"],
  ["169.254.0.0/16", "link-local"],
  ["192.0.0.8/32", "IPv4 dummy"], // RFC 7600 section 4.8: what an IPv6-only network has in its place
  ["224.0.0.0/4", "multicast"],
  ["240.0.0.0/4", "reserved"],
  ["::/96", "unspecified, loopback and IPv4-compatible"],
  ["::ffff:0:0/96", "IPv4-mapped"],
  ["fe80::/10", "link-local"],
  ["ff00::/8", "multicast"],
] as const;

/** Why the CIDR cannot be used for containers at all; undefined if it can. Completes "X ...". */
export function unusable(range: Cidr): string | undefined {
  const found = SPECIAL.find(([special]) => overlaps(cidr(special), range));
  return found === undefined ? undefined : `overlaps ${found[0]} (${found[1]} addresses)`;
}

/** Why there cannot be a pool of this CIDR beside these pools and routes; undefined if there can. Completes "X ...". */
export function poolConflict(range: Cidr, others: readonly IPPool[], routes: readonly string[]): string | undefined {
  const bad = unusable(range);
  if (bad !== undefined) return bad;
  for (const { metadata, spec } of others) {
    const other = parseCidr(spec.cidr);
    if (other !== undefined && overlaps(other, range))
      return `${covers(other, range) ? "lies in" : "overlaps"} the pool "${metadata.name}" (${spec.cidr})`;
  }
  const [route] = overlapping(range, routes);
  return route === undefined ? undefined : `overlaps this host's route ${route}`;
}

/** Those of the host's routes that a pool must stay clear of: a LAN pool lies in the network that it is a part of. */
export function routesBeside(pool: IPPool, routes: readonly string[]): readonly string[] {
  const range = parseCidr(pool.spec.cidr);
  if (range === undefined || lanInterfaceOf(pool) === undefined) return routes;
  return routes.filter((text) => {
    const route = parseCidr(text);
    return route === undefined || route.length >= range.length || !covers(route, range);
  });
}

/** Routes of the host's own that overlap with the pool: one of the two would hide the other. */
export function overlappingRoutes(pool: IPPool, routes: readonly string[]): string[] {
  const range = parseCidr(pool.spec.cidr);
  return range === undefined ? [] : overlapping(range, routesBeside(pool, routes));
}

/** Default routes do not count. */
function overlapping(range: Cidr, routes: readonly string[]): string[] {
  return routes.filter((text) => {
    const route = parseCidr(text);
    return route !== undefined && route.length > 0 && overlaps(route, range);
  });
}
