/**
 * The agent's side towards the cluster store: the store itself or a copy of it on this host's own disk, whether it is away, what it
 * holds, and changes of it.
 */
import { ENDPOINTS } from "../core/calc/published.ts";
import { messageOf } from "../drivers/error.ts";
import { openSqliteStore } from "../drivers/store/sqlite.ts";
import type { Store } from "../drivers/store/store.ts";
import { Changes, type ChangesOptions } from "./changes.ts";
import { ClusterCache, RESOURCES } from "./cluster-cache.ts";
import { ClusterCopy, CopiedStore } from "./cluster-copy.ts";
import type { Health } from "./health.ts";
import type { LocalState } from "./local-state.ts";
import type { Logger } from "./log.ts";
import { StoreLink } from "./store-link.ts";

/** Since when the store is away, for an agent that is started meanwhile. */
const AWAY_SINCE = "store-away-since";

export interface StoreSideParts {
  readonly stateFile: string;
  readonly state: LocalState;
  /** The store that this host shares with others; absent: it is alone, with a store in its own file. */
  readonly shared: Store | undefined;
  readonly health: Health;
  readonly log: Logger;
  /** Takes over work that goes on in the background until the signal aborts. */
  readonly run: (work: Promise<void>) => void;
  /** Something in the store is other than before. */
  readonly onChange: () => void;
  readonly judge: ChangesOptions["judge"];
  readonly cuts: NonNullable<ChangesOptions["cuts"]>;
  readonly unstored: NonNullable<ChangesOptions["unstored"]>;
}

export async function openStoreSide(parts: StoreSideParts, signal: AbortSignal) {
  const { stateFile, state, shared, health, log, run, onChange, judge, cuts, unstored } = parts;
  await using undo = new AsyncDisposableStack();
  /** What policy needs is on this host's disk too, so a start waits for no store. */
  const copied = (real: Store): Store =>
    new CopiedStore(real, undo.use(new ClusterCopy(stateFile)), [RESOURCES, ENDPOINTS]);
  const store = undo.use(shared === undefined ? openSqliteStore({ path: stateFile }) : copied(shared));
  const link = undo.use(
    new StoreLink({
      store,
      since: state.meta(AWAY_SINCE),
      onChange: (away) => {
        // A store in the state file itself is away when that file is: nothing can be noted in it then.
        if (shared !== undefined) state.setMeta(AWAY_SINCE, away?.since);
        health.set("store-unavailable", away?.why, "away");
      },
    }),
  );
  const cluster = await ClusterCache.open(
    {
      store,
      onChange,
      onBadValue: (key, why) => health.set("bad-resource", why === undefined ? undefined : `${key}: ${why}`, key),
      onTrouble: (error) => link.tell(error === undefined ? store.trouble() : (store.trouble() ?? messageOf(error))),
    },
    signal,
  );
  const changes = undo.use(new Changes({ store, cluster, judge, cuts, unstored }));
  /** Does now what needs the store, or as soon as it is back; and again after each absence. */
  const withStore = async (what: string, work: () => Promise<void>): Promise<void> => {
    const attempt = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (link.away === undefined) throw error;
        log.warn({ err: error }, `${what} waits for the store`);
      }
    };
    link.onReturn(() => run(attempt()));
    await attempt();
  };
  await withStore("a change that waits for its confirmation", () => changes.resume(signal));
  const stack = undo.move();
  return { store, link, cluster, changes, withStore, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}
