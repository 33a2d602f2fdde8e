/**
 * A block: the slice of an IP pool that one host owns and gives addresses out of. As Calico's allocation block: each ordinal
 * is either allocated or in the free queue, the longest released comes first, and what was never used comes before that.
 *
 * Every address of a block may be given out, the first and the last too: they are routed as /32 or /128, so there is no
 * network or broadcast address (Calico does the same).
 *
 * Values, never changed in place. Who owns the block in the cluster, and how it got it, is `claim.ts`.
 */
import { type Address, type Family, width } from "../net/address.ts";
import { type Cidr, contains, formatCidr, size } from "../net/cidr.ts";

export interface Allocation {
  /** Who holds the address. */
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** The block's sequence number at the time: the same address given out again has another one. */
  readonly sequence: number;
}

export interface Block {
  readonly cidr: Cidr;
  /** Host that owns it. */
  readonly affinity: string;
  /** By ordinal: distance from the block's first address. */
  readonly allocations: ReadonlyMap<number, Allocation>;
  /** All other ordinals, next to be given out first. */
  readonly free: readonly number[];
  /** Grows by one with each allocation. */
  readonly sequence: number;
}

/** Largest block: Calico's limit, a /20 or /116. */
const MAX_BLOCK_ADDRESSES = 4096;
export const BLOCK_SIZES: Readonly<
  Record<Family, { readonly min: number; readonly max: number; readonly usual: number }>
> = { 4: { min: 20, max: 32, usual: 26 }, 6: { min: 116, max: 128, usual: 122 } };

/** @throws RangeError for a block of more than 4096 addresses */
export function newBlock(cidr: Cidr, affinity: string): Block {
  const count = size(cidr);
  if (count > BigInt(MAX_BLOCK_ADDRESSES)) throw new RangeError(`${formatCidr(cidr)} is too large for a block`);
  return {
    cidr,
    affinity,
    allocations: new Map(),
    free: Array.from({ length: Number(count) }, (_, i) => i),
    sequence: 0,
  };
}

function ordinalOf(block: Block, a: Address): number {
  if (!contains(block.cidr, a)) throw new RangeError(`address outside block ${formatCidr(block.cidr)}`);
  return Number(a.value - block.cidr.value);
}

export function addressAt(block: Block, ordinal: number): Address {
  return { family: block.cidr.family, value: block.cidr.value + BigInt(ordinal) };
}

export interface Holder {
  readonly handle: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface Allocated {
  readonly block: Block;
  readonly address: Address;
  readonly ordinal: number;
}

/** Gives out the first free address that is allowed; undefined if there is none. */
export function allocate(block: Block, holder: Holder, allowed: (a: Address) => boolean): Allocated | undefined {
  const at = block.free.findIndex((ordinal) => allowed(addressAt(block, ordinal)));
  return at < 0 ? undefined : take(block, at, holder);
}

/** Gives out this address, whatever reservations say; undefined if it is allocated. @throws RangeError if it is outside */
export function assign(block: Block, a: Address, holder: Holder): Allocated | undefined {
  const at = block.free.indexOf(ordinalOf(block, a));
  return at < 0 ? undefined : take(block, at, holder);
}

function take(block: Block, at: number, holder: Holder): Allocated {
  const ordinal = block.free[at] as number;
  const sequence = block.sequence + 1;
  const allocation = { handle: holder.handle, attributes: holder.attributes ?? {}, sequence };
  return {
    block: {
      ...block,
      allocations: new Map(block.allocations).set(ordinal, allocation),
      free: block.free.toSpliced(at, 1),
      sequence,
    },
    address: addressAt(block, ordinal),
    ordinal,
  };
}

/** The allocation of the address, if it is allocated. @throws RangeError if it is outside */
export function allocationOf(block: Block, a: Address): Allocation | undefined {
  return block.allocations.get(ordinalOf(block, a));
}

/**
 * Puts the address at the end of the free queue. Undefined if it is not allocated, or not to whom the caller thinks:
 * `expect` guards against releasing an address that was given out again meanwhile.
 */
export function release(
  block: Block,
  a: Address,
  expect: { readonly handle?: string; readonly sequence?: number } = {},
): Block | undefined {
  const ordinal = ordinalOf(block, a);
  const found = block.allocations.get(ordinal);
  if (found === undefined) return undefined;
  if (expect.handle !== undefined && expect.handle !== found.handle) return undefined;
  if (expect.sequence !== undefined && expect.sequence !== found.sequence) return undefined;
  const allocations = new Map(block.allocations);
  allocations.delete(ordinal);
  return { ...block, allocations, free: [...block.free, ordinal] };
}

/** The same allocation with other attributes. @throws RangeError if the address is outside or not allocated */
export function annotate(block: Block, a: Address, attributes: Readonly<Record<string, string>>): Allocated {
  const ordinal = ordinalOf(block, a);
  const found = block.allocations.get(ordinal);
  if (found === undefined) throw new RangeError(`ordinal ${ordinal} of ${formatCidr(block.cidr)} is not allocated`);
  const allocations = new Map(block.allocations).set(ordinal, { ...found, attributes });
  return { block: { ...block, allocations }, address: a, ordinal };
}

/** What is wrong with a block that was read back: every ordinal must be there exactly once. Empty: nothing. */
export function blockProblems(block: Block): string[] {
  const count = Number(size(block.cidr));
  const seen = new Set<number>();
  const problems: string[] = [];
  for (const ordinal of [...block.allocations.keys(), ...block.free]) {
    if (!Number.isInteger(ordinal) || ordinal < 0 || ordinal >= count) problems.push(`ordinal ${ordinal} is outside`);
    else if (seen.has(ordinal)) problems.push(`ordinal ${ordinal} is there twice`);
    seen.add(ordinal);
  }
  for (let ordinal = 0; ordinal < count; ordinal++) if (!seen.has(ordinal)) problems.push(`ordinal ${ordinal} is lost`);
  for (const [ordinal, { sequence }] of block.allocations)
    if (sequence > block.sequence) problems.push(`ordinal ${ordinal} is newer than its block`);
  return problems;
}

/** The block rebuilt from its allocations and what is left of its free queue: nothing lost, nothing twice. */
export function repairBlock(block: Block): Block {
  const count = Number(size(block.cidr));
  const valid = (ordinal: number): boolean => Number.isInteger(ordinal) && ordinal >= 0 && ordinal < count;
  const allocations = new Map([...block.allocations].filter(([ordinal]) => valid(ordinal)));
  const queue = new Set(block.free.filter((ordinal) => valid(ordinal) && !allocations.has(ordinal)));
  for (let ordinal = 0; ordinal < count; ordinal++) if (!allocations.has(ordinal)) queue.add(ordinal);
  const newest = Math.max(block.sequence, ...[...allocations.values()].map(({ sequence }) => sequence));
  return { ...block, allocations, free: [...queue], sequence: newest };
}

/** Length of a block in a pool of this CIDR: the usual one, or the whole pool where that is smaller. */
export function usualBlockSize(pool: Cidr): number {
  return Math.min(width(pool.family), Math.max(BLOCK_SIZES[pool.family].usual, pool.length));
}
