/** What every store demands of its callers, and what in-process stores share. */
import { DriverError } from "../error.ts";
import type { Compare, Op } from "./store.ts";

const MAX_KEY = 1024;
/** An etcd that Manx started takes that; one of others may refuse what is above 1.5 MiB (`--max-request-bytes`). */
const MAX_BYTES = 8_000_000;
/** etcd takes 128 operations or compares beside each other (`--max-txn-ops`), but also transactions within a transaction. */
const MAX_OPS = 4096;
/** Compares cannot be taken apart like that: of more keys, compare what they begin with. */
export const MAX_COMPARES = 64;

/** @throws DriverError `invalid` */
export function assertPrefix(prefix: string): void {
  if (prefix !== "") assertKey(prefix);
}

function assertKey(key: string): void {
  const bad =
    key === "" || key.length > MAX_KEY || !key.isWellFormed() || key.includes("\0") || key.includes("\u{10ffff}");
  if (bad)
    throw new DriverError(
      "invalid",
      `Cannot use the key ${JSON.stringify(key.slice(0, 80))}: a key has 1 to ${MAX_KEY} characters of Unicode text`,
    );
}

/** @throws DriverError `invalid` */
export function assertTransaction(txn: { readonly compares?: readonly Compare[]; readonly ops: readonly Op[] }): void {
  for (const compare of txn.compares ?? [])
    if ("key" in compare) assertKey(compare.key);
    else assertPrefix(compare.prefix);
  const seen = new Set<string>();
  let bytes = 0;
  for (const op of txn.ops) {
    assertKey(op.key);
    if (seen.has(op.key)) throw new DriverError("invalid", `Cannot commit: the key "${op.key}" is there twice`);
    seen.add(op.key);
    bytes += Buffer.byteLength(op.key) + (op.kind === "put" ? Buffer.byteLength(op.value) : 0);
    if (op.kind === "put" && !op.value.isWellFormed())
      throw new DriverError("invalid", `Cannot put "${op.key}": the value is not Unicode text`);
  }
  if (txn.ops.length > MAX_OPS)
    throw new DriverError("invalid", `Cannot commit ${txn.ops.length} operations at once: ${MAX_OPS} is the most`);
  const compares = txn.compares?.length ?? 0;
  if (compares > MAX_COMPARES)
    throw new DriverError("invalid", `Cannot compare ${compares} keys at once: ${MAX_COMPARES} is the most`);
  if (bytes > MAX_BYTES)
    throw new DriverError("invalid", `Cannot commit ${bytes} bytes at once: ${MAX_BYTES} is the most`);
}

/** Wakes those who wait for news. A ring between `heard` and `wait` is not lost. */
export class Bell {
  listeners = 0;
  #rings = 0;
  #waiting = new Set<() => void>();

  heard(): number {
    return this.#rings;
  }

  ring(): void {
    this.#rings++;
    for (const wake of this.#waiting) wake();
  }

  async wait(heard: number, signal: AbortSignal): Promise<void> {
    if (this.#rings !== heard || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#waiting.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    try {
      await promise;
    } finally {
      this.#waiting.delete(wake);
      signal.removeEventListener("abort", wake);
    }
  }
}
