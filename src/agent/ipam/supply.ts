/**
 * Addresses for containers: out of this host's own blocks at once; where those have none, after claiming a block. Claims run
 * one after the other, so that of many containers that wait the first one claims and the others find its block.
 */
import { explain, type Pool } from "../../core/ipam/choice.ts";
import { lentTo } from "../../core/ipam/loan.ts";
import { type Address, formatAddress } from "../../core/net/address.ts";
import { type Cidr, cidrOf, contains, formatCidr, size } from "../../core/net/cidr.ts";
import { DriverError } from "../../drivers/error.ts";
import { AddressError } from "../addresses.ts";
import type { LocalState } from "../local-state.ts";
import type { BlockClaims, ClaimResult } from "./claims.ts";
import type { Giver } from "./giver.ts";
import type { Allowance, Grants } from "./grants.ts";
import type { BorrowResult, Loans } from "./loans.ts";
import type { GrantRecord } from "./records.ts";
import type { BlockTable } from "./table.ts";

/** How long a pool that had no block left is not asked again in the background. */
const FULL_MS = 30_000;
/** How many addresses of a block its owner is asked for. */
const QUESTIONS = 8;

/** What an IPAMConfiguration says. Calico's meanings: an address that is asked for by value is worth a block whatever they say. */
export interface BlockRules {
  /** Automatic addresses come from this host's own blocks only. */
  readonly strictAffinity?: boolean;
  /** Whether blocks are claimed where they are needed; yes unless it says no. */
  readonly autoAllocateBlocks?: boolean;
  /** Most blocks of a family for this host; 0 or absent: no limit. */
  readonly maxBlocksPerHost?: number;
}

export interface SupplyOptions {
  readonly state: LocalState;
  readonly blocks: BlockTable;
  readonly claims: BlockClaims;
  readonly grants: Grants;
  readonly giver: Giver;
  readonly loans: Loans;
  /** The IPAMConfiguration's, as they are at the moment. */
  readonly rules: () => BlockRules;
  /** Whether it is worth while to ask that host. */
  readonly isAlive: (host: string) => boolean;
  readonly onTrouble: (message: string | undefined) => void;
  readonly now: () => number;
  /** Ends claims in the background. */
  readonly closed: AbortSignal;
}

export class Supply {
  readonly #options: SupplyOptions;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #toppingUp = new Set<string>();
  readonly #full = new Map<string, number>();

  constructor(options: SupplyOptions) {
    this.#options = options;
  }

  /** This very address. @throws AddressError */
  async exactly(grant: GrantRecord, wanted: Address, signal: AbortSignal): Promise<Address> {
    const text = formatAddress(wanted);
    const refuse = (why: string): AddressError =>
      new AddressError("conflict", `Cannot give out the address ${text}: ${why}`);
    const allowance = this.#options.grants.allowance(grant);
    if (allowance.subnet !== undefined && !contains(allowance.subnet, wanted))
      throw new AddressError(
        "invalid",
        `Cannot give out the address ${text}: it lies outside of the subnet ${grant.subnet}`,
      );
    const pool = allowance.usable.find((candidate) => contains(candidate.cidr, wanted));
    if (pool === undefined)
      throw new AddressError(
        "invalid",
        `Cannot give out the address ${text}: it lies in no IP pool that this network may use (${describePools(allowance)})`,
      );
    if (this.#options.grants.isReserved(wanted)) throw refuse("it is a gateway or auxiliary address of a network");
    if (this.#options.giver.find(wanted) !== undefined) throw refuse(`${this.holderOf(wanted)} has it`);
    if (this.#options.blocks.holding(wanted) === undefined) {
      const exact = cidrOf(wanted, pool.blockSize);
      const result = await this.alone(() => this.#claim(pool, { exact }, signal));
      const lent = result.ok ? result : await this.#borrow(pool, wanted, result, signal);
      if (!lent.ok) throw refuse(lent.why);
    }
    const taken = this.#options.giver.take(grant.id, wanted);
    if (taken === undefined) throw refuse(`${this.holderOf(wanted)} has it`);
    return taken;
  }

  /** An address of our choice; of those preferred if one of them can be had. @throws AddressError */
  async any(grant: GrantRecord, prefer: readonly string[], signal: AbortSignal): Promise<Address> {
    const allowance = this.#options.grants.allowance(grant);
    await this.#claimBack(allowance, prefer, signal);
    const given = this.#options.giver.give(grant, allowance, prefer);
    if (given !== undefined) {
      this.#topUp(allowance);
      return given;
    }
    return this.alone(() => this.#afterClaim(grant, prefer, signal));
  }

  /**
   * The block of a remembered address may have gone back to its pool meanwhile; if nobody has it, it comes back. If it is another
   * host's, that one address is borrowed: so it follows a container from host to host.
   */
  async #claimBack(allowance: Allowance, prefer: readonly string[], signal: AbortSignal): Promise<void> {
    const wanted = this.#options.giver.elsewhere(allowance, prefer);
    if (wanted === undefined) return;
    const exact = cidrOf(wanted.address, wanted.pool.blockSize);
    try {
      const result = await this.alone(() => this.#claimWithin(wanted.pool, { exact }, signal));
      if (!result.ok && result.owner !== undefined && this.#options.isAlive(result.owner))
        await this.#borrow(wanted.pool, wanted.address, result, signal);
    } catch (error) {
      if (!(error instanceof DriverError)) throw error; // without the store it is another address, not none
    }
  }

  async #afterClaim(grant: GrantRecord, prefer: readonly string[], signal: AbortSignal): Promise<Address> {
    const allowance = this.#options.grants.allowance(grant);
    const found = this.#options.giver.give(grant, allowance, prefer);
    if (found !== undefined) return found;
    const tried = [...allowance.refused];
    for (const pool of allowance.usable) {
      const within = allowance.range ?? allowance.subnet;
      const result = await this.#claimWithin(pool, within === undefined ? {} : { within }, signal);
      const given = result.ok
        ? this.#options.giver.give(grant, allowance, prefer)
        : await this.#borrowAny(grant, pool, allowance, result, signal);
      if (given !== undefined) return given;
      tried.push({
        pool: pool.name,
        why: `(${formatCidr(pool.cidr)}) ${result.ok ? "has only reserved addresses" : result.why}`,
      });
    }
    throw new AddressError(
      "exhausted",
      `Cannot give out an IPv${grant.family} address${rangeText(allowance)}: ${explain(tried)}`,
    );
  }

  async #borrow(pool: Pool, wanted: Address, { why, owner }: Refused, signal: AbortSignal): Promise<BorrowResult> {
    const { loans, rules } = this.#options;
    if (owner === undefined || rules().strictAffinity === true) return { ok: false, why: `pool "${pool.name}" ${why}` };
    return loans.borrow(wanted, owner, pool.name, signal);
  }

  /** One address of another host's block, where no block is left to claim. */
  async #borrowAny(
    grant: GrantRecord,
    pool: Pool,
    allowance: Allowance,
    refused: Refused,
    signal: AbortSignal,
  ): Promise<Address | undefined> {
    const { claims, giver, loans, rules } = this.#options;
    if (rules().strictAffinity === true || refused.limited === true) return undefined;
    for (const owner of await claims.foreignIn(pool.cidr, signal)) {
      const free = await claims.freeAt(owner, signal);
      // What an owner has published may be old, so a refusal is no reason to give up; silence is.
      for (const wanted of giver.candidates(owner.block, allowance, free).slice(0, QUESTIONS)) {
        const lent = await loans.borrow(wanted, owner.host, pool.name, signal);
        if (lent.ok) return giver.take(grant.id, wanted);
        if (lent.silent === true) break;
      }
    }
    return undefined;
  }

  /** As far as the rules let hosts claim by themselves. */
  async #claimWithin(pool: Pool, want: Want, signal: AbortSignal): Promise<ClaimResult | Refused> {
    const why = this.#limit(pool);
    return why === undefined ? this.#claim(pool, want, signal) : { ok: false, why, limited: true };
  }

  #limit({ cidr: { family } }: Pool): string | undefined {
    const { autoAllocateBlocks, maxBlocksPerHost = 0 } = this.#options.rules();
    if (autoAllocateBlocks === false) return "may give no further block (autoAllocateBlocks of the IPAMConfiguration)";
    if (maxBlocksPerHost === 0) return undefined;
    const owned = [...this.#options.blocks.all.values()].filter(
      ({ block, owner }) => owner === undefined && block.cidr.family === family,
    );
    return owned.length < maxBlocksPerHost
      ? undefined
      : `may give this host no further block (limit ${maxBlocksPerHost}, maxBlocksPerHost of the IPAMConfiguration)`;
  }

  async #claim(pool: Pool, want: Want, signal: AbortSignal): Promise<ClaimResult> {
    const { claims, giver, grants } = this.#options;
    return claims.claim({ pool, ...want, reserved: [...giver.reserved(), ...grants.reserved()] }, signal);
  }

  /** Runs when all that was asked for before has ended. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** Claims the next block in the background when few addresses are left, so that no container waits for the store. */
  #topUp(allowance: Allowance): void {
    const pool = allowance.usable[0];
    const within = allowance.range ?? allowance.subnet;
    if (pool === undefined || (within !== undefined && within.length >= pool.blockSize)) return;
    const own = this.#options.giver.ownBlocks({ ...allowance, usable: [pool] });
    const free = own.reduce((sum, { block }) => sum + block.free.length, 0);
    const low = Math.max(1, Number(size({ ...pool.cidr, length: pool.blockSize })) / 4);
    const key = `${pool.name} ${within === undefined ? "" : formatCidr(within)}`;
    if (free >= low || this.#toppingUp.has(key) || (this.#full.get(key) ?? -Infinity) > this.#options.now() - FULL_MS)
      return;
    this.#toppingUp.add(key);
    void this.alone(() => this.#claimWithin(pool, within === undefined ? {} : { within }, this.#options.closed))
      .then(
        ({ ok }) => ok || this.#full.set(key, this.#options.now()),
        (error: unknown) => {
          this.#full.set(key, this.#options.now());
          if (!this.#options.closed.aborted)
            this.#options.onTrouble(`Cannot claim an address block ahead of need: ${text(error)}`);
        },
      )
      .finally(() => this.#toppingUp.delete(key));
  }

  /** For error texts: who has the address. */
  holderOf(a: Address): string {
    const { state } = this.#options;
    const endpoint = this.#options.giver.endpointWith(formatAddress(a));
    const record = endpoint === undefined ? undefined : state.endpoints.get(endpoint.id);
    const handle = this.#options.giver.find(a)?.handle;
    const borrower = handle === undefined ? undefined : lentTo(handle);
    if (borrower !== undefined) return `host "${borrower}", to which it is lent until it needs it no more,`;
    const networkId =
      endpoint?.networkId ?? (handle === undefined ? undefined : this.#options.grants.all.get(handle)?.networkId);
    const network =
      networkId === undefined ? undefined : (state.networks.get(networkId)?.name ?? networkId.slice(0, 12));
    const who = record?.container === undefined ? "another container" : `the container "${record.container.name}"`;
    return network === undefined ? who : `${who} on the network "${network}"`;
  }

  /** When nothing asked for so far is still running. */
  async idle(): Promise<void> {
    await this.#turn;
  }
}

/** A block of these, or any with an address in here. */
interface Want {
  readonly exact?: Cidr;
  readonly within?: Cidr;
}

/** `limited`: it is this host that may not have more, so it does not borrow either (as in Calico). */
type Refused = Extract<ClaimResult, { ok: false }> & { readonly limited?: boolean };

function rangeText({ range, subnet }: Allowance): string {
  const within = range ?? subnet;
  return within === undefined ? "" : ` from ${formatCidr(within)}`;
}

function describePools({ usable, refused }: Allowance): string {
  if (usable.length === 0) return explain(refused);
  return usable.map(({ name, cidr }) => `${name} ${formatCidr(cidr)}`).join(", ");
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
