/** Which pools have nothing left for this host: no free address in its own blocks, and no block that nobody has claimed. */
import { type Cidr, contains, covers, size } from "../net/cidr.ts";
import { addressAt, type Block } from "./block.ts";
import type { Pool } from "./choice.ts";

export interface PoolUse {
  readonly pools: readonly Pool[];
  /** This host's own, of all pools. */
  readonly own: readonly Block[];
  /** Blocks of the whole cluster that some host owns. */
  readonly claimed: readonly Cidr[];
  /** Kept out of automatic assignment. */
  readonly reserved: readonly Cidr[];
}

/** Names of the pools that are full; disabled pools give nothing out anyway, and are none of them. */
export function exhaustedPools({ pools, own, claimed, reserved }: PoolUse): string[] {
  const isFree = (block: Block, ordinal: number): boolean => {
    const address = addressAt(block, ordinal);
    return !reserved.some((range) => contains(range, address));
  };
  return pools
    .filter((pool) => pool.resource.spec.disabled !== true)
    .filter((pool) => {
      const within = (block: Cidr): boolean => covers(pool.cidr, block);
      const blocks = size(pool.cidr) / size({ ...pool.cidr, length: pool.blockSize });
      if (blocks > BigInt(claimed.filter(within).length)) return false;
      return !own.some((block) => within(block.cidr) && block.free.some((ordinal) => isFree(block, ordinal)));
    })
    .map(({ name }) => name);
}
