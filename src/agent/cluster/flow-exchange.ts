/**
 * Flows of the other hosts, for whoever looks at the whole cluster. Agents speak with each other through the store alone:
 *
 *     /manx/v1/flows/ask/HOST    somebody looks there; goes when nobody does, or with the agent
 *     /manx/v1/flows/seen/HOST   what that host saw last; goes when nobody asks, or with the agent
 *
 * The store keeps every version for a while, so little is written: nothing while nobody looks, at most `MOST_BYTES` at a time, not
 * more often than `pause` says, and only what differs from the last time. All hosts together write about once a second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import * as z from "zod";
import type { Flow } from "../../core/flows/flow.ts";
import { Elsewhere } from "../../core/flows/seen.ts";
import type { Store } from "../../drivers/store/store.ts";
import { FlowRecord } from "../observe/flow-record.ts";
import { follow } from "./follow.ts";

const ASK = "/manx/v1/flows/ask/";
const SEEN = "/manx/v1/flows/seen/";
/** Seconds after which what a dead agent wrote is gone. */
const TTL = 15;
/** Flows of a host that are told, and bytes that they may take. */
const MOST = 300;
const MOST_BYTES = 16 * 1024;
/** Of what is read, unpacked. */
const MOST_TEXT = 1024 * 1024;
const RETRY = 1_000;

const Flows: z.ZodType<readonly Flow[]> = z.array(FlowRecord).max(MOST);

export interface FlowExchangeOptions {
  readonly store: Store;
  readonly host: string;
  /** Hosts whose agents live. */
  readonly alive: () => Iterable<string>;
  /** What this host saw, seen last first, so many at the most. */
  readonly recent: (most: number) => readonly Flow[];
  /** Milliseconds from one summary to the next, with so many hosts. */
  readonly pause?: (hosts: number) => number;
}

/** What the others have told so far. Valid until it is disposed of. */
export interface Look extends Disposable {
  readonly elsewhere: Elsewhere;
  /** Hosts that live and have not told anything. */
  silent(): string[];
  /** Calls with what a host has newly told. @returns what ends it */
  follow(listener: (flows: readonly Flow[]) => void): () => void;
  /** Resolves when all that live have told, or the signal aborts. */
  complete(signal: AbortSignal): Promise<void>;
}

export class FlowExchange {
  readonly #options: FlowExchangeOptions;
  readonly #listeners = new Set<(flows: readonly Flow[]) => void>();
  #elsewhere = new Elsewhere();
  #looks = 0;
  #asking: AbortController | undefined;
  #lost = Promise.withResolvers<void>();
  #telling: AbortController | undefined;
  /** One after the other: the last has taken its key away before the next writes it. */
  readonly #work = { ask: Promise.resolve(), tell: Promise.resolve() };

  constructor(options: FlowExchangeOptions) {
    this.#options = options;
  }

  /** Tells the others what they ask for until the signal aborts. */
  async serve(signal: AbortSignal): Promise<void> {
    const own = ASK + this.#options.host;
    const askers = new Set<string>();
    await follow(
      this.#options.store,
      ASK,
      {
        reset: (entries) => {
          askers.clear();
          for (const { key } of entries) askers.add(key);
          if (!askers.has(own)) this.#lost.resolve();
        },
        put: ({ key }) => void askers.add(key),
        drop: (key) => {
          askers.delete(key);
          if (key === own) this.#lost.resolve();
        },
        changed: () => this.#tell(askers.size > (askers.has(own) ? 1 : 0), signal),
        trouble: () => undefined, // others follow the same store and say so
      },
      signal,
    );
    this.#tell(false, signal);
    this.#asking?.abort();
    await Promise.all([this.#work.ask, this.#work.tell]);
  }

  #tell(wanted: boolean, signal: AbortSignal): void {
    if (!wanted) {
      this.#telling?.abort();
      this.#telling = undefined;
    } else if (this.#telling === undefined) {
      const stop = new AbortController();
      this.#telling = stop;
      this.#work.tell = this.#work.tell.then(() => this.#publish(AbortSignal.any([signal, stop.signal])));
    }
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { store, host, alive, recent, pause = pauseOf } = this.#options;
    const write = keeper(store, SEEN + host);
    let said = "";
    while (!signal.aborted) {
      const now = await encode(recent(MOST));
      if (now !== said) said = (await write(now, signal)) ? now : "";
      await sleep(said === "" ? RETRY : pause([...alive()].length), undefined, { signal, ref: false }).catch(() => {});
    }
    await write(undefined, signal);
  }

  /** Asks the others, as long as anybody looks. */
  look(): Look {
    if (this.#looks++ === 0) this.#ask();
    const mine = new Set<(flows: readonly Flow[]) => void>();
    let isOver = false;
    const { host, alive } = this.#options;
    const elsewhere = this.#elsewhere;
    const silent = (): string[] => {
      const told = elsewhere.hosts();
      return [...alive()].filter((one) => one !== host && !told.has(one)).sort();
    };
    const add = (listener: (flows: readonly Flow[]) => void): (() => void) => {
      mine.add(listener);
      this.#listeners.add(listener);
      return () => void this.#listeners.delete(listener);
    };
    return {
      elsewhere,
      silent,
      follow: add,
      complete: (signal) => completion(() => silent().length === 0, add, signal),
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        for (const listener of mine) this.#listeners.delete(listener);
        if (--this.#looks === 0) this.#asking?.abort();
      },
    };
  }

  #ask(): void {
    const stop = new AbortController();
    const elsewhere = new Elsewhere();
    this.#asking = stop;
    this.#elsewhere = elsewhere;
    const { store, host } = this.#options;
    const take = async (key: string, value: string): Promise<void> => {
      const from = key.slice(SEEN.length);
      const flows = from === host ? undefined : await decode(value);
      if (flows === undefined || stop.signal.aborted) return;
      const news = elsewhere.take(from, flows);
      for (const tell of this.#listeners) tell(news);
    };
    const following = follow(
      store,
      SEEN,
      {
        reset: (entries) => {
          const there = new Set(entries.map(({ key }) => key));
          for (const one of elsewhere.hosts()) if (!there.has(SEEN + one)) elsewhere.drop(one);
          for (const { key, value } of entries) void take(key, value);
        },
        put: ({ key, value }) => void take(key, value),
        drop: (key) => elsewhere.drop(key.slice(SEEN.length)),
        changed: () => undefined,
        trouble: () => undefined,
      },
      stop.signal,
    );
    this.#work.ask = this.#work.ask.then(() => this.#keepAsking(stop.signal)).then(() => following);
  }

  /** The key goes while the store is away for long: then it is put again. */
  async #keepAsking(signal: AbortSignal): Promise<void> {
    const write = keeper(this.#options.store, ASK + this.#options.host);
    while (!signal.aborted) {
      this.#lost = Promise.withResolvers();
      const isThere = await write("{}", signal);
      if (isThere) await Promise.race([this.#lost.promise, aborted(signal)]);
      await sleep(RETRY, undefined, { signal, ref: false }).catch(() => {});
    }
    await write(undefined, signal);
  }
}

/** Writes a key with a lease, another where the last has run out; undefined takes it away. @returns whether it could */
function keeper(store: Store, key: string): (value: string | undefined, signal: AbortSignal) => Promise<boolean> {
  let kept: AbortController | undefined;
  let lease: string | undefined;
  const letGo = (): void => {
    kept?.abort();
    lease = undefined;
  };
  return async (value, signal) => {
    try {
      if (value === undefined) {
        if (lease !== undefined) await store.commit({ ops: [{ kind: "delete", key }] }, AbortSignal.timeout(1_000));
        letGo();
        return true;
      }
      if (lease === undefined) {
        kept = new AbortController();
        lease = await store.lease(TTL, kept.signal);
      }
      return (await store.commit({ ops: [{ kind: "put", key, value, lease }] }, signal)).ok;
    } catch {
      letGo(); // the store is away, or the lease has gone: the next time takes another
      return false;
    }
  };
}

/** Five seconds, or as many as there are hosts. */
function pauseOf(hosts: number): number {
  return 1_000 * Math.max(5, hosts);
}

/** As many of them as there is room for. */
async function encode(flows: readonly Flow[]): Promise<string> {
  const packed = await promisify(deflateRaw)(JSON.stringify(flows.map(short)));
  const value = packed.toString("base64");
  return value.length <= MOST_BYTES || flows.length < 2 ? value : encode(flows.slice(0, Math.ceil(flows.length / 2)));
}

/** Undefined for what does not read: of another version, or of nobody. */
async function decode(value: string): Promise<readonly Flow[] | undefined> {
  try {
    const unpacked = await promisify(inflateRaw)(Buffer.from(value, "base64"), { maxOutputLength: MOST_TEXT });
    return Flows.safeParse(JSON.parse(unpacked.toString())).data;
  } catch {
    return undefined;
  }
}

/** Reasons are texts of any length: a rule of somebody else's firewall, as it stands. */
function short(flow: Flow): Flow {
  const cut = (text: string): string => (text.length <= 200 ? text : `${text.slice(0, 199)}…`);
  return { ...flow, reasons: flow.reasons.slice(0, 16).map((reason) => ({ ...reason, text: cut(reason.text) })) };
}

async function completion(
  isDone: () => boolean,
  add: (listener: () => void) => () => void,
  signal: AbortSignal,
): Promise<void> {
  while (!isDone() && !signal.aborted) {
    const bell = Promise.withResolvers<void>();
    const stop = add(() => bell.resolve());
    await Promise.race([bell.promise, aborted(signal)]);
    stop();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
