/**
 * Tells the cluster what this host gave out of its blocks: soon, many changes in one commit, and never in anybody's way.
 * Others read it, nobody decides by it: the truth is the owner's local state.
 */

import { addressAt } from "../../core/ipam/block.ts";
import { publishedKey } from "../../core/ipam/claim.ts";
import { formatAddress } from "../../core/net/address.ts";
import type { Store } from "../../drivers/store/store.ts";
import type { BlockTable, OwnBlock } from "./table.ts";

const DELAY_MS = 500;
const RETRY_MS = 5000;
const BLOCKS_AT_ONCE = 32;

export interface PublisherOptions {
  readonly store: Store;
  readonly host: string;
  readonly blocks: BlockTable;
  readonly onTrouble: (message: string | undefined) => void;
}

export class Publisher implements AsyncDisposable {
  readonly #options: PublisherOptions;
  readonly #published = new Map<string, OwnBlock>();
  readonly #closed = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #troubled = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** How many blocks the store does not know as they are. */
  get unpublished(): number {
    return this.#dirty().length;
  }

  /** Something may have changed. */
  look(): void {
    if (this.#timer === undefined && !this.#closed.signal.aborted && this.#dirty().length > 0) this.#in(DELAY_MS);
  }

  #in(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#publish();
    }, ms).unref();
  }

  #dirty(): [string, OwnBlock][] {
    const { all } = this.#options.blocks;
    for (const key of this.#published.keys()) if (!all.has(key)) this.#published.delete(key);
    return [...all].filter(([key, own]) => this.#published.get(key) !== own);
  }

  async #publish(): Promise<void> {
    const { store, host, onTrouble } = this.#options;
    try {
      const dirty = this.#dirty().slice(0, BLOCKS_AT_ONCE);
      const ops = dirty.map(([, own]) => {
        return { kind: "put" as const, key: publishedKey(host, own.block.cidr), value: publication(own) };
      });
      if (ops.length > 0) await store.commit({ ops }, this.#closed.signal);
      for (const [key, own] of dirty) this.#published.set(key, own);
      if (this.#troubled) onTrouble(undefined);
      this.#troubled = false;
      this.look();
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#troubled = true;
      onTrouble(`Cannot publish the addresses in use: ${error instanceof Error ? error.message : String(error)}`);
      this.#in(RETRY_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }
}

/** By address: who holds it. */
function publication({ pool, block }: OwnBlock): string {
  const entries = [...block.allocations].map(([ordinal, { handle }]) => [
    formatAddress(addressAt(block, ordinal)),
    handle,
  ]);
  return JSON.stringify({ pool, allocations: Object.fromEntries(entries) });
}
