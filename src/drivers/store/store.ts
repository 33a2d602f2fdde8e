/**
 * The cluster store: a small ordered key-value space with revisions, the part of etcd v3 that Manx needs (etcd's
 * rpc.proto, KV, Watch and Lease). SQLite serves it on a single host, etcd on several; one contract suite judges both.
 *
 * Keys are text with `/` between their parts; values are text (JSON of the resources). Revisions grow by one with every
 * commit that changed something.
 */
export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Revision of the commit that made the key. */
  readonly createRevision: number;
  /** Revision of the commit that last changed it: what a compare-and-swap names. */
  readonly modRevision: number;
}

/** The key was last changed at this revision; 0: it does not exist. */
export interface KeyCompare {
  readonly key: string;
  readonly modRevision: number;
}

export type Compare =
  | KeyCompare
  /** No key that begins with the prefix was put after this revision. What was deleted since does not count. */
  | { readonly prefix: string; readonly until: number };

export type Op =
  | { readonly kind: "put"; readonly key: string; readonly value: string; readonly lease?: string }
  | { readonly kind: "delete"; readonly key: string };

export type WatchEvent =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "delete"; readonly key: string; readonly modRevision: number };

/** Events of one or more whole commits; `revision` is where to resume from. `compacted`: the past is gone, list again. */
export type WatchBatch =
  | { readonly kind: "events"; readonly revision: number; readonly events: readonly WatchEvent[] }
  | { readonly kind: "compacted"; readonly revision: number };

export interface Listing {
  readonly revision: number;
  /** In key order. */
  readonly entries: readonly Entry[];
}

export interface Store extends AsyncDisposable {
  get(key: string, signal?: AbortSignal): Promise<Entry | undefined>;
  /** All keys that begin with the prefix, as of one revision. */
  list(prefix: string, signal?: AbortSignal): Promise<Listing>;
  /** All operations or none. Refused (`ok: false`) if a compare does not hold; `revision` is then the store's present one. */
  commit(
    txn: { readonly compares?: readonly Compare[]; readonly ops: readonly Op[] },
    signal?: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly revision: number }>;
  /** Everything after `revision` below the prefix, in order, without gaps, until the signal aborts (then it ends silently). */
  watch(prefix: string, revision: number, signal: AbortSignal): AsyncIterable<WatchBatch>;
  /** A lease: keys put with it go when it is not kept alive for `ttl` seconds. Kept alive until the signal aborts or the process dies. */
  lease(ttl: number, signal: AbortSignal): Promise<string>;
  /** Why the store cannot be used at the moment; undefined while it can. */
  trouble(): string | undefined;
}
