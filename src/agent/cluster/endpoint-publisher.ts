/**
 * Keeps what the cluster knows of this host's endpoints equal to what there is: in batches, again and again until it is so,
 * and never in anybody's way. After a write that failed it reads back what is there.
 */
import { endpointKey, endpointsOf, publishEndpoint } from "../../core/calc/published.ts";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import type { Op, Store } from "../../drivers/store/store.ts";

/** What one transaction of etcd takes (128 operations, 1.5 MiB), with room to spare. */
const MOST_OPS = 100;
const MOST_BYTES = 500_000;
/** Characters of one value: more labels than that are left out, so that selectors by them do not match: fail closed. */
const MOST_VALUE = 150_000;
const MIN_DELAY = 200;
const MAX_DELAY = 5000;

export interface EndpointPublisherOptions {
  readonly store: Store;
  readonly host: string;
  /** All of this host; the same objects as long as they say the same. */
  readonly endpoints: () => Iterable<Endpoint>;
  /** Told why nothing can be published and how much waits, and (undefined) when all is. */
  readonly onTrouble: (why: string | undefined, waiting: number) => void;
}

export class EndpointPublisher implements AsyncDisposable {
  readonly #options: EndpointPublisherOptions;
  readonly #closed = new AbortController();
  readonly #values = new WeakMap<Endpoint, string>();
  /** By key, as of the last look at the store. */
  #actual = new Map<string, string>();
  #stale = true;
  #wanted = false;
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #delay = MIN_DELAY;

  constructor(options: EndpointPublisherOptions) {
    this.#options = options;
  }

  /** Something may have changed. Returns at once. */
  look(): void {
    if (this.#closed.signal.aborted) return;
    this.#wanted = true;
    if (this.#retry === undefined) this.#running ??= this.#run();
  }

  /** Distrusts what we believe the store has. */
  resync(): void {
    this.#stale = true;
    this.look();
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // changes of the same turn share the transaction
    try {
      while (this.#wanted && !this.#closed.signal.aborted) {
        this.#wanted = false;
        await this.#step();
      }
      this.#delay = MIN_DELAY;
      this.#options.onTrouble(undefined, 0);
    } catch (error) {
      if (!this.#closed.signal.aborted) this.#fail(error);
    } finally {
      this.#running = undefined;
    }
  }

  #fail(error: unknown): void {
    this.#stale = true;
    const waiting = opsBetween(this.#actual, this.#desired()).length;
    this.#options.onTrouble(error instanceof Error ? error.message : String(error), waiting);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.look();
    }, this.#delay);
    this.#retry.unref();
    this.#delay = Math.min(this.#delay * 2, MAX_DELAY);
  }

  async #step(): Promise<void> {
    const { store, host } = this.#options;
    const { signal } = this.#closed;
    if (this.#stale) {
      this.#stale = false;
      const { entries } = await store.list(endpointsOf(host), signal);
      this.#actual = new Map(entries.map(({ key, value }) => [key, value]));
    }
    for (const ops of batches(opsBetween(this.#actual, this.#desired()))) {
      await store.commit({ ops }, signal);
      for (const op of ops)
        if (op.kind === "put") this.#actual.set(op.key, op.value);
        else this.#actual.delete(op.key);
    }
  }

  #desired(): Map<string, string> {
    const { host, endpoints } = this.#options;
    const desired = new Map<string, string>();
    for (const endpoint of endpoints()) {
      if (endpoint.local?.joined === false) continue;
      let value = this.#values.get(endpoint);
      if (value === undefined) this.#values.set(endpoint, (value = publication(endpoint)));
      desired.set(endpointKey(host, endpoint.id), value);
    }
    return desired;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the agent is stopping"));
    clearTimeout(this.#retry);
    await this.#running;
  }
}

function publication(endpoint: Endpoint): string {
  const value = publishEndpoint(endpoint);
  return value.length <= MOST_VALUE ? value : publishEndpoint({ ...endpoint, labels: new Map() });
}

function opsBetween(actual: ReadonlyMap<string, string>, desired: ReadonlyMap<string, string>): Op[] {
  const ops: Op[] = [];
  for (const [key, value] of desired) if (actual.get(key) !== value) ops.push({ kind: "put", key, value });
  for (const key of actual.keys()) if (!desired.has(key)) ops.push({ kind: "delete", key });
  return ops;
}

function* batches(ops: readonly Op[]): Iterable<readonly Op[]> {
  let batch: Op[] = [];
  let bytes = 0;
  for (const op of ops) {
    const size = op.kind === "put" ? op.key.length + 3 * op.value.length : op.key.length;
    if (batch.length === MOST_OPS || (batch.length > 0 && bytes + size > MOST_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(op);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
