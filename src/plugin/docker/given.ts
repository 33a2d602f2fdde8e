/**
 * Which pool did an address come from? CreateEndpoint names network and address, RequestAddress pool and address: together they
 * tell whose pool it is. Mostly known from CreateNetwork; not where two networks of one subnet were made at the same moment
 * (nothing tells their pools apart then), nor after our records were lost.
 */
import type { NetworkRecord } from "../../agent/records.ts";
import type { Family } from "../../core/net/address.ts";
import { networkOfPool, type PluginContext, poolsOf } from "./context.ts";

/** As many addresses can be between their RequestAddress and their CreateEndpoint. */
const MOST = 4096;

export class Given {
  readonly #poolOf = new Map<string, string>();

  /** `address` without prefix length. */
  note(address: string, poolId: string): void {
    this.#poolOf.delete(address);
    this.#poolOf.set(address, poolId);
    const [oldest] = this.#poolOf.keys();
    if (this.#poolOf.size > MOST && oldest !== undefined) this.#poolOf.delete(oldest);
  }

  /** The network has an address of the pool, so the pool is its own: puts the records right. */
  learn(context: PluginContext, network: NetworkRecord, address: string): void {
    const poolId = this.#poolOf.get(address);
    this.#poolOf.delete(address);
    const family: Family = address.includes(":") ? 6 : 4;
    if (poolId === undefined || poolsOf(network, family).includes(poolId)) return;
    const other = networkOfPool(context, poolId);
    const [displaced] = poolsOf(network, family);
    context.state.change(() => {
      if (other === undefined || displaced === undefined) {
        context.state.putNetwork(withPools(network, family, [poolId, ...poolsOf(network, family)]));
      } else {
        context.state.putNetwork(withPools(network, family, swap(poolsOf(network, family), displaced, poolId)));
        context.state.putNetwork(withPools(other, family, swap(poolsOf(other, family), poolId, displaced)));
      }
    });
  }
}

function swap(pools: readonly string[], from: string, to: string): readonly string[] {
  return pools.map((poolId) => (poolId === from ? to : poolId));
}

function withPools(network: NetworkRecord, family: Family, pools: readonly string[]): NetworkRecord {
  return family === 4 ? { ...network, ipv4Pools: pools } : { ...network, ipv6Pools: pools };
}
