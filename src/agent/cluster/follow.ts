/** Keeps somebody told of all keys below a prefix: first all of them, then each change; survives the store's absence. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Entry, Store } from "../../drivers/store/store.ts";

export interface Follower {
  /** All that there is, as of one revision; what was known before and is not in it is gone. */
  readonly reset: (entries: readonly Entry[]) => void;
  readonly put: (entry: Entry) => void;
  readonly drop: (key: string) => void;
  /** After each batch of the above. */
  readonly changed: () => void;
  /** The store cannot be watched, and (undefined) when it can again. */
  readonly trouble: (error: unknown) => void;
}

const MIN_DELAY = 100;
const MAX_DELAY = 5000;

/** Follows until the signal aborts. */
export async function follow(store: Store, prefix: string, follower: Follower, signal: AbortSignal): Promise<void> {
  let delay = MIN_DELAY;
  let revision: number | undefined;
  while (!signal.aborted) {
    try {
      if (revision === undefined) {
        const listing = await store.list(prefix, signal);
        follower.reset(listing.entries);
        follower.changed();
        revision = listing.revision;
      }
      follower.trouble(undefined);
      for await (const batch of store.watch(prefix, revision, signal)) {
        delay = MIN_DELAY;
        if (batch.kind === "compacted") {
          revision = undefined;
          break;
        }
        for (const event of batch.events)
          if (event.kind === "put") follower.put(event.entry);
          else follower.drop(event.key);
        revision = batch.revision;
        follower.trouble(undefined);
        follower.changed();
      }
      if (revision === undefined) continue;
    } catch (error) {
      if (signal.aborted) return;
      follower.trouble(error);
    }
    await sleep(delay, undefined, { signal, ref: false }).catch(() => {});
    delay = Math.min(delay * 2, MAX_DELAY);
  }
}
