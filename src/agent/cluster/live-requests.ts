/**
 * Traces on several hosts at once. Agents speak with each other through the store alone:
 *
 *     /manx/v1/live/ID/request   what to look for; goes with the agent that asks
 *     /manx/v1/live/ID/HOST      "watching", then what that host saw; goes with the request, or with the agent
 *
 * Both have a lease, so nothing outlives those who want it; and who looks, looks no longer than the request says.
 */
import { randomUUID } from "node:crypto";
import * as z from "zod";
import { LiveReport } from "../../api/schema/live.ts";
import type { LiveFlow } from "../../core/flows/live.ts";
import { parseAddress } from "../../core/net/address.ts";
import type { Entry, Store } from "../../drivers/store/store.ts";
import { follow } from "./follow.ts";

const LIVE = "/manx/v1/live/";
const REQUEST = "/request";
/** Seconds after which what a dead agent wrote is gone. */
const TTL = 15;
/** Requests that a host looks after at the same time. */
const MOST = 4;

const address = z.string().refine((text) => parseAddress(text) !== undefined);
const Request = z.object({
  host: z.string(),
  seconds: z.number().min(0).max(700),
  flows: z
    .array(
      z.object({
        family: z.union([z.literal(4), z.literal(6)]),
        protocol: z.int().min(0).max(255),
        source: address.optional(),
        destination: address.optional(),
        port: z.int().min(0).max(65_535).optional(),
      }),
    )
    .min(1)
    .max(4)
    .readonly(),
});
type Request = z.infer<typeof Request>;
const Answer = z.union([z.object({ state: z.literal("watching") }), LiveReport]);
type Answer = z.infer<typeof Answer>;

/** What others have said so far. */
export interface Asked extends AsyncDisposable {
  readonly watching: ReadonlySet<string>;
  readonly reports: ReadonlyMap<string, LiveReport>;
  /** Resolves with the next news, or when the signal aborts. */
  news(signal: AbortSignal): Promise<void>;
}

export interface LiveRequestsOptions {
  readonly store: Store;
  readonly host: string;
  /** Marks from the call on; never rejects. */
  readonly trace: (flows: readonly LiveFlow[], signal: AbortSignal) => Promise<LiveReport>;
}

export class LiveRequests {
  readonly #options: LiveRequestsOptions;
  readonly #jobs = new Map<string, AbortController>();
  #running: Promise<void>[] = [];

  constructor(options: LiveRequestsOptions) {
    this.#options = options;
  }

  /** Answers the others until the signal aborts. */
  async serve(signal: AbortSignal): Promise<void> {
    const take = (entry: Entry): void => this.#take(entry, signal);
    await follow(
      this.#options.store,
      LIVE,
      {
        reset: (entries) => {
          const there = new Set(entries.map(({ key }) => idOf(key)));
          for (const [id, job] of this.#jobs) if (!there.has(id)) job.abort();
          for (const entry of entries) take(entry);
        },
        put: take,
        drop: (key) => {
          if (key.endsWith(REQUEST)) this.#jobs.get(idOf(key))?.abort();
        },
        changed: () => undefined,
        trouble: () => undefined, // others follow the same store and say so
      },
      signal,
    );
    for (const job of this.#jobs.values()) job.abort();
    await Promise.allSettled(this.#running);
  }

  #take({ key, value }: Entry, signal: AbortSignal): void {
    const id = idOf(key);
    if (!key.endsWith(REQUEST) || this.#jobs.has(id)) return;
    const request = parse(Request, value);
    if (request === undefined || request.host === this.#options.host) return;
    const job = new AbortController();
    this.#jobs.set(id, job);
    const end = AbortSignal.any([signal, job.signal]);
    const work = this.#look(id, request, end)
      .catch(() => undefined) // the store is away: whoever asked sees that nobody answers
      .finally(() => {
        this.#jobs.delete(id);
        this.#running = this.#running.filter((one) => one !== work);
      });
    this.#running.push(work);
  }

  async #look(id: string, { flows, seconds }: Request, signal: AbortSignal): Promise<void> {
    const { store, host, trace } = this.#options;
    const key = `${LIVE}${id}/${host}`;
    const lease = await store.lease(TTL, signal);
    const say = async (answer: Answer): Promise<void> => {
      await store.commit({ ops: [{ kind: "put", key, value: JSON.stringify(answer), lease }] }, signal);
    };
    if (this.#jobs.size > MOST) return say({ host, state: "failed", why: "it looks after other traces" });
    const done = trace(flows.map(plain), AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]));
    try {
      await say({ state: "watching" });
      await say(await done);
      await aborted(signal);
    } finally {
      await done;
      await store.commit({ ops: [{ kind: "delete", key }] }, AbortSignal.timeout(1000)).catch(() => undefined);
    }
  }

  /** Asks all other hosts. @throws what the store throws */
  async ask(flows: readonly LiveFlow[], seconds: number): Promise<Asked> {
    const { store, host } = this.#options;
    const id = randomUUID();
    const stop = new AbortController();
    const prefix = `${LIVE}${id}/`;
    const lease = await store.lease(TTL, stop.signal);
    const value = JSON.stringify({ host, flows, seconds } satisfies Request);
    try {
      await store.commit({ ops: [{ kind: "put", key: prefix + REQUEST.slice(1), value, lease }] });
    } catch (error) {
      stop.abort();
      throw error;
    }
    const heard = new Heard();
    const following = follow(
      store,
      prefix,
      {
        reset: (entries) => entries.forEach((entry) => heard.take(entry)),
        put: (entry) => heard.take(entry),
        drop: () => undefined,
        changed: () => heard.ring(),
        trouble: () => undefined,
      },
      stop.signal,
    );
    return Object.assign(heard, {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        const key = prefix + REQUEST.slice(1);
        await store.commit({ ops: [{ kind: "delete", key }] }, AbortSignal.timeout(1000)).catch(() => undefined);
        stop.abort();
        await following;
      },
    });
  }
}

class Heard {
  readonly watching = new Set<string>();
  readonly reports = new Map<string, LiveReport>();
  #bell = Promise.withResolvers<void>();

  take({ key, value }: Entry): void {
    const answer = parse(Answer, value);
    const host = key.slice(key.lastIndexOf("/") + 1);
    if (answer === undefined || key.endsWith(REQUEST)) return;
    this.watching.add(host);
    if (answer.state !== "watching") this.reports.set(host, { ...answer, host });
  }

  ring(): void {
    this.#bell.resolve();
    this.#bell = Promise.withResolvers();
  }

  async news(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#bell.promise, aborted(signal)]);
  }
}

function idOf(key: string): string {
  return key.slice(LIVE.length).split("/")[0] ?? "";
}

function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function plain({ family, protocol, source, destination, port }: Request["flows"][number]): LiveFlow {
  return {
    family,
    protocol,
    ...(source !== undefined && { source }),
    ...(destination !== undefined && { destination }),
    ...(port !== undefined && { port }),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
