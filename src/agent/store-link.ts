/**
 * Whether this host has its store, since when not, and what waits for it: for `manx status`, for those who must not wait, and for
 * what is to be done as soon as it is back. A store in a file of this host is always there.
 */
import { DriverError } from "../drivers/error.ts";
import type { Store } from "../drivers/store/store.ts";

export interface StoreLinkOptions {
  readonly store: Store & { onTrouble?(listener: (why: string | undefined) => void): () => void };
  readonly onChange: (away: Away | undefined) => void;
  /** RFC 3339: since when an earlier process of this host missed it. */
  readonly since?: string | undefined;
  readonly now?: () => Date;
}

export interface Away {
  /** RFC 3339. */
  readonly since: string;
  readonly why: string;
}

/** What is not yet in the store: `3 address blocks`. Undefined while nothing waits. */
export type Waiting = () => string | undefined;

export class StoreLink implements Disposable {
  readonly #options: StoreLinkOptions;
  readonly #waiting = new Set<Waiting>();
  readonly #returns = new Set<() => void>();
  readonly #stop: (() => void) | undefined;
  #away: Away | undefined;
  #before: string | undefined;

  constructor(options: StoreLinkOptions) {
    this.#options = options;
    this.#before = options.since;
    this.#stop = options.store.onTrouble?.((why) => this.tell(why));
  }

  get away(): Away | undefined {
    return this.#away;
  }

  /** What somebody found out about the store: why it cannot be used, or (undefined) that it can. */
  tell(why: string | undefined): void {
    const before = this.#away;
    if (why === before?.why) return;
    const now = this.#options.now?.() ?? new Date();
    this.#away = why === undefined ? undefined : { since: before?.since ?? this.#before ?? now.toISOString(), why };
    this.#before = undefined;
    this.#options.onChange(this.#away);
    if (before !== undefined && why === undefined) for (const back of this.#returns) back();
  }

  /** Says what of the caller's is not yet stored. */
  waits(what: Waiting): void {
    this.#waiting.add(what);
  }

  /** Everything that waits, in words. */
  waiting(): readonly string[] {
    return [...this.#waiting].map((what) => what()).filter((text) => text !== undefined);
  }

  /** Called each time that the store is there again. */
  onReturn(work: () => void): void {
    this.#returns.add(work);
  }

  /** For changes of the cluster's resources: nothing of them is kept for later. @throws DriverError `unavailable` */
  assertThere(what: string): void {
    if (this.#away === undefined) return;
    const { since, why } = this.#away;
    throw new DriverError(
      "unavailable",
      `Cannot ${what}: the cluster store is away since ${since} (${why}). Nothing was changed; try again when manx status says that it is back`,
    );
  }

  [Symbol.dispose](): void {
    this.#stop?.();
  }
}
