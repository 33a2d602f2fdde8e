import { type Delta, diff, isEmpty } from "./delta.ts";

/** Something outside this process whose contents we own: an nftables table, our routes, the BGP daemon. */
export interface Target<K, V> {
  /**
   * Reads back all that is ours, including what an earlier run or an older version left. `desired` is for things that bear
   * no mark of ownership, as kernel settings: it says what to look at.
   */
  list(signal: AbortSignal, desired: ReadonlyMap<K, V>): Promise<ReadonlyMap<K, V>>;
  /** Applies a delta: upserts first, then deletes, so that a replacement leaves no gap. */
  apply(delta: Delta<K, V>, signal: AbortSignal): Promise<void>;
  readonly equal: (a: V, b: V) => boolean;
}

/** Keeps a target equal to a desired state, touching only what differs. One step at a time. */
export class Reconciler<K, V> {
  readonly #target: Target<K, V>;
  /** What we last saw or wrote; worth nothing while stale. */
  #actual: ReadonlyMap<K, V> = new Map();
  #stale = true;

  constructor(target: Target<K, V>) {
    this.#target = target;
  }

  /** Distrusts what we believe: the next step reads the target back. Cheap, and safe in mid-step. */
  resync(): void {
    this.#stale = true;
  }

  /** Makes the target equal to `desired`. A step that throws may be repeated as it is. */
  async step(desired: ReadonlyMap<K, V>, signal: AbortSignal): Promise<Delta<K, V>> {
    const readBack = this.#stale;
    this.#stale = false; // cleared before the first await: a resync() during this step must survive it
    try {
      if (readBack) this.#actual = await this.#target.list(signal, desired);
      const delta = diff(desired, this.#actual, this.#target.equal);
      if (!isEmpty(delta)) await this.#target.apply(delta, signal);
      this.#actual = desired;
      return delta;
    } catch (error) {
      this.#stale = true; // a write that fails half way leaves a state that we cannot predict
      throw error;
    }
  }
}
