/** IP pools in the cluster store: adding and removing them, by hand or by a network's `--subnet`, without two that overlap. */
import { type Pool, poolOf } from "../../core/ipam/choice.ts";
import { POOLS_GUARD } from "../../core/ipam/claim.ts";
import { isSubnetPool, poolConflict, routesBeside, subnetPool } from "../../core/ipam/pools.ts";
import type { IPPool } from "../../core/model/resources.ts";
import { type Cidr, formatCidr } from "../../core/net/cidr.ts";
import type { Store } from "../../drivers/store/store.ts";
import { AddressError } from "../addresses.ts";
import { RESOURCES, resourceKey } from "../cluster-cache.ts";
import type { BlockClaims } from "./claims.ts";
import type { PoolList } from "./pool-list.ts";

const TRIES = 10;

export interface PoolStoreOptions {
  readonly store: Store;
  readonly list: PoolList;
  readonly claims: BlockClaims;
  /** CIDRs of the host's routes. */
  readonly routes: () => readonly string[];
  /** Gives this host's empty blocks of the pool back. @returns the addresses that are still in use */
  readonly vacate: (pool: string, signal: AbortSignal) => Promise<string[]>;
}

/** Who typed `--subnet` knows nothing of the pool that it makes. */
function refusal(pool: IPPool, range: Cidr, why: string): string {
  const text = formatCidr(range);
  if (isSubnetPool(pool)) return `Cannot use the subnet "${text}": it ${why}`;
  return `Cannot add the pool "${pool.metadata.name}": ${text} ${why}`;
}

export class PoolStore {
  readonly #options: PoolStoreOptions;

  constructor(options: PoolStoreOptions) {
    this.#options = options;
  }

  /** Adds a pool that overlaps neither another one nor a route of this host. @throws AddressError `conflict` */
  async add(pool: IPPool, signal: AbortSignal): Promise<Pool> {
    const { store, routes, list } = this.#options;
    const { name } = pool.metadata;
    const parsed = poolOf(pool);
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const guard = await store.get(POOLS_GUARD, signal);
      const others = await this.#stored(signal);
      const isThere = others.some(({ metadata }) => metadata.name === name);
      if (isThere && isSubnetPool(pool)) return this.forSubnet(parsed.cidr, signal); // another host made it meanwhile
      if (isThere) throw new AddressError("conflict", `Cannot add the pool "${name}": there is one of that name`);
      const why = poolConflict(parsed.cidr, others, routesBeside(pool, routes()));
      if (why !== undefined) throw new AddressError("conflict", refusal(pool, parsed.cidr, why));
      const key = resourceKey(pool);
      const compares = [
        { key: POOLS_GUARD, modRevision: guard?.modRevision ?? 0 },
        { key, modRevision: 0 },
      ];
      const ops = [POOLS_GUARD, key].map((k) => ({
        kind: "put" as const,
        key: k,
        value: k === key ? JSON.stringify(pool) : "",
      }));
      if (!(await store.commit({ compares, ops }, signal)).ok) continue;
      list.stored(pool);
      return parsed;
    }
    throw new AddressError("conflict", `Cannot add the pool "${name}": the pools change all the time. Try again`);
  }

  /** @returns false where the cluster has or had pools: whoever removed the default ones does not want them */
  async installDefaults(pools: readonly IPPool[], signal: AbortSignal): Promise<boolean> {
    const { store, list } = this.#options;
    const guard = await store.get(POOLS_GUARD, signal);
    if (guard !== undefined || (await this.#stored(signal)).length > 0) return false;
    const ops = pools.map((pool) => ({ kind: "put" as const, key: resourceKey(pool), value: JSON.stringify(pool) }));
    const compares = [{ key: POOLS_GUARD, modRevision: 0 }];
    const { ok } = await store.commit(
      { compares, ops: [{ kind: "put", key: POOLS_GUARD, value: "" }, ...ops] },
      signal,
    );
    if (ok) for (const pool of pools) list.stored(pool);
    return ok;
  }

  async #stored(signal: AbortSignal): Promise<IPPool[]> {
    const { entries } = await this.#options.store.list(`${RESOURCES}IPPool/`, signal);
    return entries.map(({ value }) => JSON.parse(value) as IPPool);
  }

  /** The pool of a network's subnet that lies in no other pool: found or made. */
  async forSubnet(subnet: Cidr, signal: AbortSignal): Promise<Pool> {
    const pool = subnetPool(subnet);
    const found = await this.#options.store.get(resourceKey(pool), signal);
    if (found === undefined) return this.add(pool, signal);
    const stored = JSON.parse(found.value) as IPPool;
    // A removal that did not get to its end leaves the pool disabled.
    if (stored.spec.disabled === true)
      await this.#write({ ...stored, spec: { ...stored.spec, disabled: false } }, found.modRevision, signal);
    this.#options.list.stored(pool);
    return poolOf(pool);
  }

  /** Puts a pool in the place of another one, which is disabled. May be repeated, and by several hosts. */
  async succeed(before: string, after: IPPool, signal: AbortSignal): Promise<void> {
    const found = await this.#options.store.get(resourceKey(after), signal);
    if (found === undefined) await this.add(after, signal);
    else await this.#setDisabled(after.metadata.name, false, signal);
    await this.#setDisabled(before, true, signal);
  }

  async #setDisabled(name: string, disabled: boolean, signal: AbortSignal): Promise<void> {
    const found = await this.#options.store.get(resourceKey({ kind: "IPPool", metadata: { name } }), signal);
    if (found === undefined) return;
    const stored = JSON.parse(found.value) as IPPool;
    if ((stored.spec.disabled === true) === disabled) return;
    const pool = { ...stored, spec: { ...stored.spec, disabled } };
    await this.#write(pool, found.modRevision, signal); // one who changes it meanwhile is followed by another look
    this.#options.list.stored(pool);
  }

  async #write(pool: IPPool, modRevision: number, signal: AbortSignal): Promise<number | undefined> {
    const key = resourceKey(pool);
    const ops = [{ kind: "put" as const, key, value: JSON.stringify(pool) }];
    const { ok, revision } = await this.#options.store.commit({ compares: [{ key, modRevision }], ops }, signal);
    return ok ? revision : undefined;
  }

  /**
   * Removes a pool that nobody has addresses of. It is disabled first, which stops claims in flight, then looked at.
   * @throws AddressError `not-found`, or `conflict` with the addresses in use; the pool is then as it was
   */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    const { store, claims, list, vacate } = this.#options;
    const key = resourceKey({ kind: "IPPool", metadata: { name } });
    const found = await store.get(key, signal);
    if (found === undefined)
      throw new AddressError("not-found", `Cannot remove the pool "${name}": there is none of that name`);
    const pool = JSON.parse(found.value) as IPPool;
    const disabled = await this.#write({ ...pool, spec: { ...pool.spec, disabled: true } }, found.modRevision, signal);
    if (disabled === undefined) throw changing(name);
    const used = await vacate(name, signal);
    const owners = await claims.ownersIn(poolOf(pool).cidr, signal);
    if (used.length > 0 || owners.length > 0) {
      await this.#write(pool, disabled, signal);
      throw new AddressError(
        "conflict",
        `Cannot remove the pool "${name}": ${inUse(
          used,
          owners.map(({ host }) => host),
        )}`,
      );
    }
    const ops = [{ kind: "delete" as const, key }];
    if (!(await store.commit({ compares: [{ key, modRevision: disabled }], ops }, signal)).ok) throw changing(name);
    list.removed(name);
  }

  /** Removes a subnet's pool if nobody uses it any more; otherwise leaves it to the last one who does. */
  async drop(name: string, signal: AbortSignal): Promise<void> {
    const pool = this.#options.list.named(name);
    if (pool === undefined || !isSubnetPool(pool.resource)) return;
    try {
      await this.remove(name, signal);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
    }
  }
}

function changing(name: string): AddressError {
  return new AddressError(
    "conflict",
    `Cannot remove the pool "${name}": somebody changes it at the same time. Try again`,
  );
}

function inUse(used: readonly string[], hosts: readonly string[]): string {
  if (used.length > 0) {
    const shown = used.slice(0, 5).join(", ");
    return `${used.length} ${used.length === 1 ? "address is" : "addresses are"} in use (${shown}${used.length > 5 ? ", ..." : ""}). Remove their containers and networks first, or disable the pool`;
  }
  return `hosts have blocks of it (${[...new Set(hosts)].join(", ")})`;
}
