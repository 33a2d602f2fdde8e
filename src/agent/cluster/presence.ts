/**
 * Which hosts have an agent that lives, and that this host's name is its own. A key with a lease says it: it goes when the agent
 * does. One name, one machine: whoever finds the name held by a living agent of another machine keeps away from it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../../drivers/error.ts";
import type { Entry, Store } from "../../drivers/store/store.ts";
import type { Identity } from "../local-state.ts";
import { follow } from "./follow.ts";

export const HOSTS = "/manx/v1/hosts/";
/** Seconds after which a host counts as silent. */
const TTL = 15;
const LOOK_MS = 250;

export interface HostPresence extends Identity {
  readonly host: string;
  readonly address: string;
  /** RFC 3339. */
  readonly since: string;
}

export interface PresenceOptions {
  readonly store: Store;
  readonly host: string;
  readonly identity: Identity;
  /** The node's own address, for whoever looks for the machine. */
  readonly address: () => string;
  readonly onChange: () => void;
  /** Told that another machine has the name, and (undefined) that it is ours. */
  readonly onConflict: (why: string | undefined) => void;
  readonly ttl?: number;
}

export class Presence implements AsyncDisposable {
  readonly #options: PresenceOptions;
  readonly #alive = new Map<string, HostPresence>();
  readonly #closed = new AbortController();
  readonly #since = new Date().toISOString();
  #lease: AbortController | undefined;
  #ours = false;
  #claiming: Promise<void> | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** By host name: whose agent lives. */
  get alive(): ReadonlyMap<string, HostPresence> {
    return this.#alive;
  }

  /** The name is not known to be another machine's. */
  get ours(): boolean {
    return this.#ours;
  }

  /**
   * Takes the name. A machine that has just been started again waits for the lease of its earlier life to run out.
   * @throws DriverError "exists" if another machine has it; what the store throws
   */
  async claim(signal: AbortSignal): Promise<void> {
    const { store, host, ttl = TTL } = this.#options;
    const end = performance.now() + (ttl + 2) * 1000;
    for (;;) {
      const found = await store.get(HOSTS + host, signal);
      const holder = found === undefined ? undefined : read(found);
      if (holder === undefined || this.#isUs(holder)) {
        if (await this.#put(found?.modRevision ?? 0, signal)) return;
      } else if (performance.now() > end) throw this.#taken(holder);
      else await sleep(LOOK_MS, undefined, { signal });
    }
  }

  #isUs({ machine, boot }: Identity): boolean {
    const { identity } = this.#options;
    return machine === identity.machine && boot === identity.boot;
  }

  async #put(modRevision: number, signal: AbortSignal): Promise<boolean> {
    const { store, host, identity, address, ttl = TTL } = this.#options;
    const mine = new AbortController();
    const lease = await store.lease(ttl, AbortSignal.any([mine.signal, this.#closed.signal]));
    const value = JSON.stringify({ ...identity, address: address(), since: this.#since });
    const key = HOSTS + host;
    const put = { kind: "put", key, value, lease } as const;
    const { ok } = await store.commit({ compares: [{ key, modRevision }], ops: [put] }, signal).catch((error) => {
      mine.abort();
      throw error;
    });
    if (!ok) {
      mine.abort();
      return false;
    }
    this.#lease?.abort();
    this.#lease = mine;
    this.#setOurs(undefined);
    return true;
  }

  #setOurs(why: string | undefined): void {
    this.#ours = why === undefined;
    this.#options.onConflict(why);
    this.#options.onChange();
  }

  #taken({ address, since }: HostPresence): DriverError {
    const { host } = this.#options;
    return new DriverError(
      "exists",
      `Cannot be host "${host}": another machine (${address}, since ${since}) runs an agent of that name. ` +
        "Give this one another name: hostnamectl set-hostname NAME, or MANX_HOST=NAME",
    );
  }

  /** Follows who is there, and keeps our own key, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const { store, host, onChange } = this.#options;
    const both = AbortSignal.any([signal, this.#closed.signal]);
    await follow(
      store,
      HOSTS,
      {
        reset: (entries) => {
          this.#alive.clear();
          for (const entry of entries) this.#take(entry);
          if (!this.#alive.has(host)) this.#again(both);
        },
        put: (entry) => this.#take(entry),
        drop: (key) => {
          this.#alive.delete(key.slice(HOSTS.length));
          if (key === HOSTS + host) this.#again(both);
        },
        changed: onChange,
        trouble: () => undefined, // others follow the same store and say so
      },
      both,
    );
    await this.#claiming;
  }

  #take(entry: Entry): void {
    const found = read(entry);
    if (found === undefined) return;
    this.#alive.set(found.host, found);
    if (found.host !== this.#options.host) return;
    if (this.#isUs(found)) {
      if (!this.#ours) this.#setOurs(undefined);
    } else this.#setOurs(this.#taken(found).message);
  }

  /** The lease ran out while the store was away, or somebody removed the host. */
  #again(signal: AbortSignal): void {
    this.#claiming ??= this.#reclaim(signal).finally(() => (this.#claiming = undefined));
  }

  async #reclaim(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        return await this.claim(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof DriverError && error.code === "exists") this.#setOurs(error.message);
        await sleep(1000, undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  /** Goes: the key goes with the lease, at once where the store can be reached. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { store, host } = this.#options;
    if (this.#ours && this.#lease !== undefined)
      await store
        .commit({ ops: [{ kind: "delete", key: HOSTS + host }] }, AbortSignal.timeout(1000))
        .catch(() => undefined);
    this.#closed.abort(new Error("the agent is stopping"));
    await this.#claiming;
  }
}

function read({ key, value }: Entry): HostPresence | undefined {
  try {
    const fields = JSON.parse(value) as Readonly<Record<string, unknown>>;
    const text = (name: string): string => (typeof fields[name] === "string" ? fields[name] : "");
    return {
      host: key.slice(HOSTS.length),
      machine: text("machine"),
      boot: text("boot"),
      address: text("address"),
      since: text("since"),
    };
  } catch {
    return undefined;
  }
}
