/** The cluster's side of blocks: claims them for this host and gives them back, step by step as `core/ipam/claim` says. */
import { nextBlock, type Pool } from "../../core/ipam/choice.ts";
import {
  type Affinity,
  affinitiesOf,
  affinityKey,
  BLOCKS,
  type BlockOwner,
  blockKey,
  claimAbandon,
  claimConfirm,
  claimPending,
  parseAffinity,
  parseBlockOwner,
  parseObject,
  publishedKey,
  releaseBegin,
  releaseFinish,
} from "../../core/ipam/claim.ts";
import { LOANS, type Loan, parseLoan } from "../../core/ipam/loan.ts";
import { type Address, formatAddress } from "../../core/net/address.ts";
import { type Cidr, covers, formatCidr, overlaps } from "../../core/net/cidr.ts";
import type { Entry, Store } from "../../drivers/store/store.ts";
import { resourceKey } from "../cluster-cache.ts";
import type { BlockTable } from "./table.ts";

/** How often a claim is tried again after another host was faster. */
const TRIES = 20;

export interface ClaimWish {
  readonly pool: Pool;
  /** This block, or */
  readonly exact?: Cidr;
  /** any with an address in here. */
  readonly within?: Cidr;
  readonly reserved: readonly Cidr[];
}

export type ClaimResult =
  | { readonly ok: true; readonly block: Cidr }
  /** `why` completes "pool X ...". */
  | { readonly ok: false; readonly why: string; readonly owner?: string };

export class BlockClaims {
  readonly #store: Store;
  readonly #host: string;
  readonly #table: BlockTable;

  constructor(store: Store, host: string, table: BlockTable) {
    this.#store = store;
    this.#host = host;
    this.#table = table;
  }

  /** Claims a block for this host and adds it to the table. @throws DriverError where the store cannot be used */
  async claim(wish: ClaimWish, signal: AbortSignal): Promise<ClaimResult> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const key = resourceKey(wish.pool.resource);
      const stored = await this.#store.get(key, signal);
      if (stored === undefined) return { ok: false, why: "is gone" };
      if (isDisabled(stored)) return { ok: false, why: "is disabled" };
      const owners = await this.#owners(signal);
      const block = wish.exact ?? nextBlock({ ...search(wish), taken: owners.map((o) => o.block), host: this.#host });
      if (block === undefined)
        return { ok: false, why: `has no free block left${wish.within === undefined ? "" : " there"}` };
      const owner = owners.find((o) => overlaps(o.block, block));
      if (owner !== undefined && owner.host !== this.#host)
        return {
          ok: false,
          why: `gave the block ${formatCidr(owner.block)} to host "${owner.host}"`,
          owner: owner.host,
        };
      if (owner !== undefined) return this.#own(wish.pool.name, owner.block);
      if (await this.#take({ host: this.#host, block, pool: wish.pool.name }, key, stored.modRevision, signal))
        return this.#own(wish.pool.name, block);
    }
    return { ok: false, why: "is claimed by other hosts faster than by this one" };
  }

  #own(pool: string, block: Cidr): ClaimResult {
    if (!this.#table.all.has(formatCidr(block))) this.#table.add(pool, block);
    return { ok: true, block };
  }

  async #take(a: Omit<Affinity, "state">, pool: string, modRevision: number, signal: AbortSignal): Promise<boolean> {
    const poolAt = { key: pool, modRevision };
    const pending = await this.#store.commit(claimPending(a, poolAt), signal);
    if (!pending.ok) {
      await this.#clear(a, signal);
      return false;
    }
    const confirmed = await this.#store.commit(claimConfirm(a, pending.revision, poolAt), signal);
    if (!confirmed.ok) await this.#store.commit(claimAbandon(a.host, a.block, pending.revision), signal);
    return confirmed.ok;
  }

  /** A claim of our own that we did not finish, from before a crash, would be in the way for ever. */
  async #clear({ host, block }: Omit<Affinity, "state">, signal: AbortSignal): Promise<void> {
    const left = await this.#store.get(affinityKey(host, block), signal);
    const state = left === undefined ? undefined : parseAffinity(left.key, left.value)?.state;
    if (left === undefined || state === "confirmed") return;
    if (state === "releasing") await this.#finishRelease(block, left.modRevision, signal);
    else await this.#store.commit(claimAbandon(host, block, left.modRevision), signal);
  }

  async #owners(signal: AbortSignal): Promise<BlockOwner[]> {
    const { entries } = await this.#store.list(BLOCKS, signal);
    return entries.map(({ key, value }) => parseBlockOwner(key, value)).filter((owner) => owner !== undefined);
  }

  /** Blocks of the pool that other hosts own. */
  async foreignIn(pool: Cidr, signal: AbortSignal): Promise<BlockOwner[]> {
    return (await this.ownersIn(pool, signal)).filter(({ host }) => host !== this.#host);
  }

  /** Addresses in a block of another host that it says are free; it may have given them out since. */
  async freeAt({ host, block }: BlockOwner, signal: AbortSignal): Promise<(a: Address) => boolean> {
    const entry = await this.#store.get(publishedKey(host, block), signal);
    const taken = entry === undefined ? {} : (parseObject(entry.value)?.["allocations"] ?? {});
    return (a) => !Object.hasOwn(taken, formatAddress(a));
  }

  /** Blocks of the pool's CIDR that some host owns. */
  async ownersIn(pool: Cidr, signal: AbortSignal): Promise<BlockOwner[]> {
    return (await this.#owners(signal)).filter(({ block }) => covers(pool, block));
  }

  /** Who owns which block, and what this host has claimed, as the cluster store says. */
  async facts(signal: AbortSignal): Promise<{ owners: BlockOwner[]; affinities: Affinity[]; loans: Loan[] }> {
    const { entries } = await this.#store.list(affinitiesOf(this.#host), signal);
    const affinities = entries.map(({ key, value }) => parseAffinity(key, value)).filter((a) => a !== undefined);
    const stored = (await this.#store.list(LOANS, signal)).entries;
    const loans = stored.map(({ key, value }) => parseLoan(key, value)).filter((loan) => loan !== undefined);
    return { owners: await this.#owners(signal), affinities, loans };
  }

  /** Gives an empty block back to its pool: forgets it here first, so that a crash leaves it merely unused. */
  async giveBack(block: Cidr, signal: AbortSignal): Promise<void> {
    const own = this.#table.all.get(formatCidr(block));
    if (own !== undefined) this.#table.remove(block);
    const affinity = await this.#store.get(affinityKey(this.#host, block), signal);
    const parsed = affinity === undefined ? undefined : parseAffinity(affinity.key, affinity.value);
    if (affinity === undefined || parsed === undefined) return;
    const begun = await this.#store.commit(releaseBegin(parsed, affinity.modRevision), signal);
    if (begun.ok) await this.#finishRelease(block, begun.revision, signal);
  }

  async #finishRelease(block: Cidr, affinityAt: number, signal: AbortSignal): Promise<void> {
    const owned = await this.#store.get(blockKey(block), signal);
    const ours = owned !== undefined && parseBlockOwner(owned.key, owned.value)?.host === this.#host;
    if (ours) await this.#store.commit(releaseFinish(this.#host, block, affinityAt, owned.modRevision), signal);
    else await this.#store.commit(claimAbandon(this.#host, block, affinityAt), signal);
  }

  /**
   * Brings the store and the table together after a start: half-done claims are dropped, half-done releases finished, what
   * the store says is ours is taken up, and what only we know is claimed again.
   * @returns what could not be put right, one sentence each
   */
  async recover(pools: readonly Pool[], signal: AbortSignal): Promise<string[]> {
    const { entries } = await this.#store.list(affinitiesOf(this.#host), signal);
    for (const entry of entries) await this.#resume(entry, signal);
    const problems: string[] = [];
    for (const { pool, block, owner } of this.#table.all.values()) {
      if (owner !== undefined) continue;
      const owned = await this.#store.get(blockKey(block.cidr), signal);
      const ours = owned !== undefined && parseBlockOwner(owned.key, owned.value)?.host === this.#host;
      const problem = ours ? undefined : await this.#reclaim(pool, block.cidr, pools, signal);
      if (problem !== undefined) problems.push(problem);
      this.#table.dispute(block.cidr, problem !== undefined);
    }
    return problems;
  }

  async #resume(entry: Entry, signal: AbortSignal): Promise<void> {
    const affinity = parseAffinity(entry.key, entry.value);
    if (affinity === undefined) return;
    if (affinity.state === "pending")
      await this.#store.commit(claimAbandon(this.#host, affinity.block, entry.modRevision), signal);
    if (affinity.state === "releasing") await this.#finishRelease(affinity.block, entry.modRevision, signal);
    if (affinity.state === "confirmed") this.#own(affinity.pool, affinity.block);
  }

  async #reclaim(
    poolName: string,
    block: Cidr,
    pools: readonly Pool[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const pool = pools.find(({ name }) => name === poolName);
    const result: ClaimResult =
      pool === undefined
        ? { ok: false, why: "is gone" }
        : await this.claim({ pool, exact: block, reserved: [] }, signal);
    if (result.ok) return undefined;
    return `Cannot claim the block ${formatCidr(block)} again, which has addresses in use here: pool "${poolName}" ${result.why}`;
  }
}

function search({ pool, within, reserved }: ClaimWish) {
  return { pool: pool.cidr, blockSize: pool.blockSize, reserved, ...(within !== undefined && { within }) };
}

function isDisabled({ value }: Entry): boolean {
  const resource = JSON.parse(value) as { readonly spec?: { readonly disabled?: unknown } };
  return resource.spec?.disabled === true;
}
