/** Address pools that a route of the host's own covers or lies in: one of the two would hide the other. */

import { overlappingRoutes } from "../core/ipam/pools.ts";
import type { IPPool } from "../core/model/resources.ts";
import type { Health } from "./health.ts";

export interface PoolOverlap {
  readonly pool: string;
  readonly cidr: string;
  /** The route's destination. */
  readonly with: string;
}

export function poolOverlaps(pools: readonly IPPool[], routes: readonly string[]): PoolOverlap[] {
  return pools.flatMap((pool) =>
    overlappingRoutes(pool, routes).map((route) => ({
      pool: pool.metadata.name,
      cidr: pool.spec.cidr,
      with: route,
    })),
  );
}

/** Keeps the condition of each pool as it is now. */
export class OverlapWatch {
  readonly #health: Pick<Health, "raise" | "clear">;
  #raised = new Set<string>();
  #seen: readonly unknown[] = [];

  constructor(health: Pick<Health, "raise" | "clear">) {
    this.#health = health;
  }

  look(pools: readonly IPPool[], routes: readonly string[]): void {
    if (this.#seen[0] === pools && this.#seen[1] === routes) return;
    this.#seen = [pools, routes];
    const byPool = Map.groupBy(poolOverlaps(pools, routes), ({ pool }) => pool);
    for (const pool of this.#raised) if (!byPool.has(pool)) this.#health.clear("pool-overlap", pool);
    for (const [pool, found] of byPool) {
      const others = found.map((one) => one.with).join(", ");
      this.#health.raise(
        "pool-overlap",
        `the pool "${pool}" (${found[0]?.cidr}) overlaps with the route to ${others}`,
        pool,
      );
    }
    this.#raised = new Set(byPool.keys());
  }
}
