/** The IP pools as this host knows them: the copy of the cluster store, and what we changed before the copy has heard of it. */
import { type Pool, poolOf } from "../../core/ipam/choice.ts";
import type { IPPool } from "../../core/model/resources.ts";
import { parseCidr } from "../../core/net/cidr.ts";

export class PoolList {
  readonly #source: () => readonly IPPool[];
  readonly #ahead = new Map<string, IPPool | undefined>();
  #seen: readonly IPPool[] | undefined;
  #pools: readonly Pool[] = [];

  constructor(source: () => readonly IPPool[]) {
    this.#source = source;
  }

  /** In the order in which they are to be tried. The same array until something changes. */
  all(): readonly Pool[] {
    const source = this.#source();
    if (source !== this.#seen) {
      for (const [name, pool] of this.#ahead) if (this.#caughtUp(source, name, pool)) this.#ahead.delete(name);
      this.#seen = source;
      this.#derive(source);
    }
    return this.#pools;
  }

  #caughtUp(source: readonly IPPool[], name: string, pool: IPPool | undefined): boolean {
    return source.some(({ metadata }) => metadata.name === name) === (pool !== undefined);
  }

  #derive(source: readonly IPPool[]): void {
    const known = source.filter(({ metadata }) => !this.#ahead.has(metadata.name));
    const ahead = [...this.#ahead.values()].filter((pool) => pool !== undefined);
    // A CIDR that does not parse was refused when it was stored; here it must not take the other pools with it.
    this.#pools = [...known, ...ahead].filter(({ spec }) => parseCidr(spec.cidr) !== undefined).map(poolOf);
  }

  named(name: string): Pool | undefined {
    return this.all().find((pool) => pool.name === name);
  }

  stored(pool: IPPool): void {
    this.#set(pool.metadata.name, pool);
  }

  removed(name: string): void {
    this.#set(name, undefined);
  }

  #set(name: string, pool: IPPool | undefined): void {
    this.all();
    this.#ahead.set(name, pool);
    this.#derive(this.#seen ?? []);
  }
}
