/** Which pools an ask may use, and which block of a pool a host should claim next. */
import { lanName } from "../model/lan-annotations.ts";
import type { IPPool } from "../model/resources.ts";
import type { Family } from "../net/address.ts";
import { type Cidr, cidr, covers, mergeRanges, overlaps, parseCidr, type Range, size, toRange } from "../net/cidr.ts";
import { BLOCK_SIZES } from "./block.ts";
import { isSubnetPool } from "./pools.ts";

/** An IP pool with its CIDR parsed. */
export interface Pool {
  readonly name: string;
  readonly cidr: Cidr;
  readonly blockSize: number;
  readonly resource: IPPool;
}

/** @throws RangeError if the CIDR is none: pools are validated before they get here */
export function poolOf(resource: IPPool): Pool {
  const range = cidr(resource.spec.cidr);
  const { min, max } = BLOCK_SIZES[range.family];
  // A size that was stored in spite of its being impossible must not make blocks that are larger than the pool.
  const blockSize = Math.min(max, Math.max(min, range.length, resource.spec.blockSize));
  return { name: resource.metadata.name, cidr: range, blockSize, resource };
}

export interface Refusal {
  readonly pool: string;
  /** Completes "pool X ...": `is disabled`. */
  readonly why: string;
}

/** For an error text: why none of the pools serves. */
export function explain(refused: readonly Refusal[]): string {
  if (refused.length === 0) return "there is no IP pool. Add one: manx pool add CIDR";
  return refused.map(({ pool, why }) => `pool "${pool}" ${why}`).join("; ");
}

export interface PoolChoice {
  readonly usable: readonly Pool[];
  readonly refused: readonly Refusal[];
}

/**
 * The pools that may serve a workload, in the order they are to be tried. Pools that the user named are used whatever their
 * selector and assignment mode say (as in Calico), but never while disabled.
 */
export function usablePools(
  pools: readonly Pool[],
  ask: { readonly family: Family; readonly names?: readonly string[]; readonly within?: Cidr },
  selects: (nodeSelector: string) => boolean,
): PoolChoice {
  const usable: Pool[] = [];
  const refused: Refusal[] = [];
  const wanted = ask.names === undefined ? forAll(pools, ask.family) : named(pools, ask.names, refused);
  for (const pool of wanted) {
    const why = reasonAgainst(pool, ask, selects);
    if (why === undefined) usable.push(pool);
    else refused.push({ pool: pool.name, why });
  }
  return { usable, refused };
}

/** Pools from which nobody who names none can get anything, and knows that, are not worth a word. */
function forAll(pools: readonly Pool[], family: Family): Pool[] {
  const isOneNetworks = ({ resource }: Pool): boolean =>
    isSubnetPool(resource) && resource.spec.assignmentMode === "Manual";
  return pools.filter((pool) => pool.cidr.family === family && !isOneNetworks(pool));
}

function named(pools: readonly Pool[], names: readonly string[], refused: Refusal[]): Pool[] {
  const found: Pool[] = [];
  for (const name of new Set(names)) {
    const all = pools.filter((candidate) => candidate.name === name || lanName(candidate.resource) === name);
    if (all.length === 0) refused.push({ pool: name, why: "does not exist" });
    // One that follows the LAN's prefix and the disabled ones that it has left behind bear one name.
    const able = all.filter(({ resource }) => resource.spec.disabled !== true);
    found.push(...(able.length > 0 ? able : all));
  }
  return found;
}

function reasonAgainst(
  pool: Pool,
  ask: { readonly family: Family; readonly names?: readonly string[]; readonly within?: Cidr },
  selects: (nodeSelector: string) => boolean,
): string | undefined {
  const { spec } = pool.resource;
  if (pool.cidr.family !== ask.family) return `is not an IPv${ask.family} pool`;
  if (spec.disabled === true) return "is disabled";
  if (!spec.allowedUses.includes("Workload")) return `is for ${spec.allowedUses.join(" and ")} only`;
  if (ask.within !== undefined && !overlaps(pool.cidr, ask.within)) return "lies outside of the subnet";
  if (ask.names !== undefined) return undefined;
  if (spec.assignmentMode === "Manual") return "gives addresses only to networks that name it";
  const namespaces = spec.namespaceSelector ?? "";
  if (namespaces !== "" && namespaces !== "all()")
    return `is for some namespaces (namespaceSelector ${namespaces}), and Docker does not say whose address it wants: name the pool`;
  if (!selects(spec.nodeSelector)) return `is not for this host (nodeSelector ${spec.nodeSelector})`;
  return undefined;
}

export interface BlockSearch {
  readonly pool: Cidr;
  readonly blockSize: number;
  /** Only blocks with at least one address in here. */
  readonly within?: Cidr;
  /** Blocks that somebody owns. */
  readonly taken: readonly Cidr[];
  /** Addresses that are never given out by themselves: a block of nothing else, or of nothing else in `within`, is useless. */
  readonly reserved: readonly Cidr[];
  /** Hosts start at different places, so that they seldom want the same block. */
  readonly host: string;
}

/** The next block to claim: from the host's own starting point onwards, then round. Undefined: all are taken. */
export function nextBlock(search: BlockSearch): Cidr | undefined {
  const area = search.within === undefined ? search.pool : intersection(search.pool, search.within);
  if (area === undefined) return undefined;
  const shift = BigInt((area.family === 4 ? 32 : 128) - search.blockSize);
  const first = area.value >> shift;
  const last = (area.value + size(area) - 1n) >> shift;
  const walls = wallsOf(search, shift);
  const start = first + (hash(`${search.host} ${search.pool.value}`) % (last - first + 1n));
  const index = gapFrom(start, last, walls) ?? gapFrom(first, start - 1n, walls);
  return index === undefined ? undefined : { family: area.family, value: index << shift, length: search.blockSize };
}

/** Block indexes that cannot be claimed, as ranges in ascending order. */
function wallsOf(search: BlockSearch, shift: bigint): Range[] {
  const family = search.pool.family;
  const taken = search.taken.filter((block) => overlaps(block, search.pool)).map(toRange);
  const walls = taken.map(({ first, last }) => ({ family, first: first >> shift, last: last >> shift }));
  const reserved = search.reserved.filter((r) => r.family === family).map(toRange);
  for (const { first, last } of mergeRanges([...reserved, ...outside(search)])) {
    const whole = { family, first: (first + (1n << shift) - 1n) >> shift, last: ((last + 1n) >> shift) - 1n };
    if (whole.first <= whole.last) walls.push(whole);
  }
  return mergeRanges(walls);
}

/** What of the pool may not be used, below and above: reserved addresses inside may leave nothing of a block at an edge. */
function outside({ pool, within }: BlockSearch): Range[] {
  if (within === undefined) return [];
  const [whole, part] = [toRange(pool), toRange(within)];
  const below = { ...whole, last: part.first - 1n };
  const above = { ...whole, first: part.last + 1n };
  return [below, above].filter(({ first, last }) => first <= last);
}

function gapFrom(from: bigint, to: bigint, walls: readonly Range[]): bigint | undefined {
  let index = from;
  for (const wall of walls) {
    if (index < wall.first) break;
    if (index <= wall.last) index = wall.last + 1n;
  }
  return index <= to ? index : undefined;
}

function intersection(a: Cidr, b: Cidr): Cidr | undefined {
  return covers(a, b) ? b : covers(b, a) ? a : undefined;
}

/** FNV-1a, 64 bits (RFC 9923): spreads host names over a pool. Not for secrets. */
function hash(text: string): bigint {
  let value = 0xcbf29ce484222325n;
  for (const char of text) value = ((value ^ BigInt(char.codePointAt(0) ?? 0)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return value;
}

/** CIDRs out of reservations; bad text is left out (it was refused when it was stored). */
export function reservedCidrs(
  reservations: readonly { readonly spec: { readonly reservedCIDRs: readonly string[] } }[],
): Cidr[] {
  return reservations.flatMap(({ spec }) => spec.reservedCIDRs.map(parseCidr)).filter((c) => c !== undefined);
}
