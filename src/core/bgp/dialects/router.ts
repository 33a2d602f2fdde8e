/**
 * What to write into the router at the other end, in its own language. Those for BIRD, FRR and GoBGP are run against the real daemons
 * (tests/bgp/routers.test.ts); the others follow their makers' manuals and are untested.
 *
 * All say the same: the hosts are neighbours, from them only what they may announce is taken. What the router tells the hosts is its owner's
 * to decide.
 */
import { parseAddress } from "../../net/address.ts";
import { parseCidr } from "../../net/cidr.ts";

export interface Neighbor {
  readonly name: string;
  readonly address: string;
  readonly asNumber: number;
  readonly port: number;
  readonly passive: boolean;
}

/** What the router has to know (the API's BgpOtherSide). */
export interface Router {
  readonly asNumber: number;
  readonly address: string;
  readonly port: number;
  /** NAME/KEY of the secret. */
  readonly password?: string | undefined;
  readonly multihop: boolean;
  readonly ttlSecurity?: number | undefined;
  readonly bfd?: { readonly intervalMs: number; readonly multiplier: number } | undefined;
  readonly families: readonly (4 | 6)[];
  /** Where what the hosts announce lies: pools, and service addresses outside of these. */
  readonly pools: readonly string[];
  readonly neighbors: readonly Neighbor[];
}

export interface Dialect {
  readonly title: string;
  readonly tested: boolean;
  render(router: Router): string[];
  /** A command for the router's shell that shows what it has taken from the host: BGP tells the host nothing of that. */
  readonly taken?: (neighbor: Neighbor, router: Router) => readonly string[];
}

/** Stands where the password belongs: Manx prints none. */
export function passwordPlaceholder(router: Router): string {
  return `PASSWORD-${(router.password ?? "").replaceAll(/[^A-Za-z0-9-]/g, "-")}`;
}

/** Hosts that have an address to call; one without is a host whose node address is not known. */
export function reachable(router: Router): readonly Neighbor[] {
  return router.neighbors.filter(({ address }) => parseAddress(address) !== undefined);
}

export function poolsOf(router: Router, family: 4 | 6): readonly string[] {
  return router.pools.filter((pool) => parseCidr(pool)?.family === family);
}

export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

export function isExternal(router: Router, neighbor: Neighbor): boolean {
  return router.asNumber !== neighbor.asNumber;
}

/** A host's name where a language wants a word: letters, digits, "_". */
export function word(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]/g, "_");
}
