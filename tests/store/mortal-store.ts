import type { Compare, Entry, Listing, Op, Store, WatchBatch } from "../../src/drivers/store/store.ts";

/** The store as a host sees it that dies at its n-th commit: before or after that came through. */
export class MortalStore implements Store {
  readonly #store: Store;
  /** Done before each commit: what others do in between. */
  before: (ops: readonly Op[]) => Promise<void> = () => Promise.resolve();
  #left = Infinity;
  #through = false;
  #dead = false;

  constructor(store: Store) {
    this.#store = store;
  }

  dieAt(commits: number, through: boolean): void {
    this.#left = commits;
    this.#through = through;
  }

  revive(): void {
    this.#dead = false;
    this.#left = Infinity;
  }

  #check(): void {
    if (this.#dead) throw new Error("dead");
  }

  async get(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
    this.#check();
    return this.#store.get(key, signal);
  }

  async list(prefix: string, signal?: AbortSignal): Promise<Listing> {
    this.#check();
    return this.#store.list(prefix, signal);
  }

  async commit(txn: { readonly compares?: readonly Compare[]; readonly ops: readonly Op[] }, signal?: AbortSignal) {
    this.#check();
    await this.before(txn.ops);
    if (this.#left-- > 0) return this.#store.commit(txn, signal);
    this.#dead = true;
    if (this.#through) await this.#store.commit(txn, signal);
    throw new Error("dead");
  }

  watch(prefix: string, revision: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return this.#store.watch(prefix, revision, signal);
  }

  lease(ttl: number, signal: AbortSignal): Promise<string> {
    return this.#store.lease(ttl, signal);
  }

  trouble(): string | undefined {
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
