/**
 * Gives addresses out of this host's own blocks and takes them back: local transactions only, nothing here waits.
 *
 * Order of choice for an automatic address: what the container had before; then, pool by pool, what was never used or is
 * free the longest and is kept for nobody; then what is kept for a container that is gone, what is free the longest first. Keeping
 * an address never costs a new block.
 */
import {
  type Allocation,
  addressAt,
  allocate,
  allocationOf,
  annotate,
  assign,
  type Holder,
  newBlock,
  release,
} from "../../core/ipam/block.ts";
import { type Pool, reservedCidrs } from "../../core/ipam/choice.ts";
import { lentTo } from "../../core/ipam/loan.ts";
import type { IPReservation } from "../../core/model/resources.ts";
import { type Address, address, formatAddress } from "../../core/net/address.ts";
import { type Cidr, contains, overlaps } from "../../core/net/cidr.ts";
import type { LocalStateFile } from "../local-state.ts";
import type { EndpointRecord } from "../records.ts";
import type { Allowance, Grants } from "./grants.ts";
import { addressIn, type Holds } from "./holds.ts";
import type { GrantRecord } from "./records.ts";
import type { BlockTable, OwnBlock } from "./table.ts";

/** Attribute of an address that Docker gave back while one of our endpoints still had it. */
const RELEASING = "releasing";

export interface GiverOptions {
  readonly state: LocalStateFile;
  readonly blocks: BlockTable;
  readonly grants: Grants;
  readonly holds: Holds;
  readonly reservations: () => readonly IPReservation[];
  /** Whether somebody else is known to use the address. */
  readonly isTaken: (a: Address) => boolean;
  /** Milliseconds of a clock that nobody turns back. */
  readonly now: () => number;
}

export interface InUse {
  readonly address: Address;
  readonly pool: string;
  readonly block: Cidr;
  readonly handle: string;
  readonly sequence: number;
  readonly since: string;
  readonly releasing: boolean;
}

export class Giver {
  readonly #options: GiverOptions;
  #reservations: readonly IPReservation[] | undefined;
  #reserved: readonly Cidr[] = [];
  /** Addresses that are only marked. */
  readonly #releasing = new Set<string>();
  /** When this process gave the address out. */
  readonly #givenAt = new Map<bigint, number>();
  readonly #start: number;
  readonly #lent = new WeakMap<OwnBlock, readonly string[]>();

  constructor(options: GiverOptions) {
    this.#options = options;
    this.#start = options.now();
    for (const use of this.inUse()) if (use.releasing) this.#releasing.add(formatAddress(use.address));
  }

  /** CIDRs that IPReservations keep out of automatic assignment. */
  reserved(): readonly Cidr[] {
    const now = this.#options.reservations();
    if (now !== this.#reservations) {
      this.#reservations = now;
      this.#reserved = reservedCidrs(now);
    }
    return this.#reserved;
  }

  /** An automatic address out of the blocks that this host owns; undefined if none of them has one. */
  give(grant: GrantRecord, allowance: Allowance, prefer: readonly string[]): Address | undefined {
    return this.#again(grant, allowance, prefer) ?? this.#fresh(grant, allowance) ?? this.#kept(grant, allowance);
  }

  /** The first of the preferred addresses, if it is in a block that this host does not own (any more), and its pool. */
  elsewhere(allowance: Allowance, prefer: readonly string[]): { address: Address; pool: Pool } | undefined {
    const a = addressIn(prefer[0] ?? "");
    const pool = a === undefined ? undefined : allowance.usable.find(({ cidr }) => contains(cidr, a));
    if (a === undefined || pool === undefined || this.#options.blocks.holding(a) !== undefined) return undefined;
    return this.#mayGive(a, allowance) ? { address: a, pool } : undefined;
  }

  #again(grant: GrantRecord, allowance: Allowance, prefer: readonly string[]): Address | undefined {
    for (const text of prefer) {
      const a = addressIn(text);
      if (a === undefined || a.family !== grant.family || !this.#mayGive(a, allowance)) continue;
      const own = this.#options.blocks.holding(a);
      if (own === undefined || !allowance.usable.some(({ name }) => name === own.pool)) continue;
      if (this.take(grant.id, a) !== undefined) return a;
    }
    return undefined;
  }

  #fresh(grant: GrantRecord, allowance: Allowance): Address | undefined {
    const { holds, blocks } = this.#options;
    const free = (a: Address): boolean => this.#mayGive(a, allowance) && holds.of(a) === undefined;
    for (const own of this.ownBlocks(allowance)) {
      const given = allocate(own.block, holder(grant.id), free);
      if (given === undefined) continue;
      blocks.keep(own, given);
      this.#note(given.address);
      return given.address;
    }
    return undefined;
  }

  #kept(grant: GrantRecord, allowance: Allowance): Address | undefined {
    const first = this.ownBlocks(allowance).flatMap(({ block }) => {
      return block.free.map((ordinal) => addressAt(block, ordinal)).find((a) => this.#mayGive(a, allowance)) ?? [];
    });
    const oldest = this.#options.holds.oldest(first);
    return oldest === undefined ? undefined : this.take(grant.id, oldest);
  }

  /** This host's blocks in pools that may be used, in the order of the pools. */
  ownBlocks({ usable, subnet, range }: Allowance): OwnBlock[] {
    const within = range ?? subnet;
    const all = usable.flatMap(({ name }) => this.#options.blocks.of(name)).filter(({ disputed }) => !disputed);
    return within === undefined ? all : all.filter(({ block }) => overlaps(block.cidr, within));
  }

  #mayGive(a: Address, { subnet, range }: Allowance): boolean {
    const within = range ?? subnet;
    if (within !== undefined && !contains(within, a)) return false;
    const { grants, isTaken } = this.#options;
    return !this.reserved().some((c) => contains(c, a)) && !grants.isReserved(a) && !isTaken(a);
  }

  /** Addresses of a block of another host that might be given out here. */
  candidates(block: Cidr, allowance: Allowance, free: (a: Address) => boolean): Address[] {
    const all = newBlock(block, "");
    const possible = (a: Address): boolean =>
      this.#mayGive(a, allowance) && free(a) && this.#options.blocks.holding(a) === undefined;
    return all.free.map((ordinal) => addressAt(all, ordinal)).filter(possible);
  }

  /** This very address, if one of our blocks has it free; whoever it was kept for loses it. */
  take(handle: string, a: Address): Address | undefined {
    const { blocks, holds, state } = this.#options;
    const own = blocks.holding(a);
    const taken = own === undefined || own.disputed ? undefined : assign(own.block, a, holder(handle));
    if (own === undefined || taken === undefined) return undefined;
    state.change(() => {
      blocks.keep(own, taken);
      holds.drop(a);
    });
    this.#note(a);
    return a;
  }

  #note(a: Address): void {
    this.#givenAt.set(a.value, this.#options.now());
  }

  /** When the address was given out; what an earlier process gave counts from the start of this one. */
  givenAt(a: Address): number {
    return this.#givenAt.get(a.value) ?? this.#start;
  }

  /** Gives it back, if it is out under this handle. While an endpoint record has the address, it is only marked. */
  release(handle: string, a: Address, sequence?: number): boolean {
    const { blocks } = this.#options;
    const own = blocks.holding(a);
    const found = own === undefined ? undefined : allocationOf(own.block, a);
    if (own === undefined || found === undefined || found.handle !== handle) return false;
    if (this.endpointWith(formatAddress(a)) !== undefined) {
      this.#releasing.add(formatAddress(a));
      blocks.keep(own, annotate(own.block, a, { ...found.attributes, [RELEASING]: "true" }));
      return true;
    }
    const released = release(own.block, a, { handle, ...(sequence !== undefined && { sequence }) });
    if (released === undefined) return false;
    blocks.drop(own, released, a);
    this.#givenAt.delete(a.value);
    return true;
  }

  /** Gives back what Docker gave back before its endpoint went. */
  sweep(): void {
    for (const text of this.#releasing) {
      if (this.endpointWith(text) !== undefined) continue;
      this.#releasing.delete(text);
      const use = this.find(address(text));
      if (use?.releasing === true) this.release(use.handle, use.address, use.sequence);
    }
  }

  endpointWith(text: string): EndpointRecord | undefined {
    return this.#options.state.endpointsWith(text)[0];
  }

  find(a: Address): InUse | undefined {
    const own = this.#options.blocks.holding(a);
    const found = own === undefined ? undefined : allocationOf(own.block, a);
    return own === undefined || found === undefined ? undefined : toUse(a, own, found);
  }

  /** Addresses of this host's blocks that other hosts have. */
  lent(): string[] {
    return [...this.#options.blocks.all.values()].flatMap((own) => {
      // A block is the same object while nothing about it changes.
      const lent = this.#lent.get(own) ?? lentOf(own);
      this.#lent.set(own, lent);
      return lent;
    });
  }

  inUse(): InUse[] {
    return [...this.#options.blocks.all.values()].flatMap((own) =>
      [...own.block.allocations].map(([ordinal, found]) => toUse(addressAt(own.block, ordinal), own, found)),
    );
  }
}

function lentOf({ block }: OwnBlock): readonly string[] {
  return [...block.allocations].flatMap(([ordinal, { handle }]) =>
    lentTo(handle) === undefined ? [] : [formatAddress(addressAt(block, ordinal))],
  );
}

function toUse(a: Address, { pool, block }: OwnBlock, { handle, sequence, attributes }: Allocation): InUse {
  const since = attributes["since"] ?? "";
  const releasing = attributes[RELEASING] !== undefined;
  return { address: a, pool, block: block.cidr, handle, sequence, since, releasing };
}

function holder(handle: string): Holder {
  return { handle, attributes: { since: new Date().toISOString() } };
}
