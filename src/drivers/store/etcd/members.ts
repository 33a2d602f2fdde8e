/**
 * The members of one etcd cluster as this process uses them: one at a time, left for the next as soon as it does not answer.
 *
 * A heartbeat (a linearizable read, so it also proves a quorum) finds a frozen member within 3 s, whoever waits on it. etcd
 * refuses HTTP/2 pings more often than every 5 s (--grpc-keepalive-min-time), so those would be too slow.
 * While no member answers, calls fail at once: nobody waits for a store that is known to be away.
 */
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { DriverError } from "../../error.ts";
import { Channel, type Tls } from "./channel.ts";
import type { Endpoint } from "./endpoint.ts";
import { asDriverError, type Failure, failureOf } from "./status.ts";
import { Auth, KV } from "./wire/etcd_pb.js";

export interface Timing {
  /** Most that one attempt on one member may take. */
  readonly attemptMs: number;
  /** Most that all attempts of a call together may take; after as long without an answer the store counts as away. */
  readonly patienceMs: number;
  readonly heartbeatMs: number;
}

const TIMING: Timing = { attemptMs: 2000, patienceMs: 6000, heartbeatMs: 1000 };

export interface MembersOptions {
  readonly endpoints: readonly Endpoint[];
  readonly tls: Tls;
  readonly user?: { readonly name: string; readonly password: string } | undefined;
  readonly timing?: Partial<Timing> | undefined;
}

/** What every answer of etcd begins with. */
interface Answer {
  readonly header?: { readonly clusterId: bigint } | undefined;
}

type Unary<I extends DescMessage, O extends DescMessage> = DescMethod & {
  readonly methodKind: "unary";
  readonly input: I;
  readonly output: O;
};

export interface CallHooks {
  readonly signal?: AbortSignal | undefined;
  /** Told before an attempt is repeated that the one before may have been carried out. */
  readonly onDoubt?: () => void;
  readonly leaderless?: boolean;
}

/** Reading it needs no more right than our own prefix. */
const HEARTBEAT = Buffer.from("/manx/v1/heartbeat");
const PAUSE_MS = 50;
const AWAY_PAUSE_MS = 1000;

export class Members {
  readonly #options: MembersOptions;
  readonly #timing: Timing;
  readonly #closed = new AbortController();
  readonly #listeners = new Set<(why: string | undefined) => void>();
  #endpoints: readonly Endpoint[];
  #at: number;
  #channel: Channel | undefined;
  #token: string | undefined;
  #authenticating: Promise<void> | undefined;
  #clusterId: bigint | undefined;
  /** Undefined until a member has answered for the first time. */
  #lastWell: number | undefined;
  /** Why each member was left last. */
  readonly #whys = new Map<string, string>();
  #away: string | undefined;
  #heart: Promise<void> | undefined;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#endpoints = options.endpoints;
    this.#timing = { ...TIMING, ...options.timing };
    // Many hosts with the same list must not all hang on its first member; a member on this host is the best there is.
    const local = options.endpoints.findIndex(
      ({ host }) => host === "127.0.0.1" || host === "::1" || host === "localhost",
    );
    this.#at = local < 0 ? Math.floor(Math.random() * options.endpoints.length) : local;
  }

  /** Further members of the same cluster. */
  learn(endpoints: readonly Endpoint[]): void {
    const known = new Set(this.#endpoints.map(({ authority }) => authority));
    this.#endpoints = [...this.#endpoints, ...endpoints.filter(({ authority }) => !known.has(authority))];
  }

  /** Why no member can be used; undefined while one can. */
  trouble(): string | undefined {
    return this.#away;
  }

  /** Told of each change of `trouble`. @returns what ends that */
  onTrouble(listener: (why: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** The member in use. */
  get endpoint(): Endpoint {
    return this.#endpoints[this.#at] as Endpoint;
  }

  /** @throws DriverError, or the signal's reason */
  async call<I extends DescMessage, O extends DescMessage>(
    what: string,
    method: Unary<I, O>,
    message: MessageInitShape<I>,
    hooks: CallHooks = {},
  ): Promise<MessageShape<O>> {
    hooks.signal?.throwIfAborted();
    this.#assertUsable(what);
    this.#heart ??= this.#beat();
    const end = performance.now() + this.#timing.patienceMs;
    for (let renewed = 0; ; ) {
      const channel = this.#open();
      const timeoutMs = Math.max(1, Math.min(this.#timing.attemptMs, end - performance.now()));
      try {
        return await this.#attempt(channel, method, message, timeoutMs, hooks);
      } catch (error) {
        hooks.signal?.throwIfAborted();
        this.#assertOpen(what);
        if (error instanceof DriverError) throw error;
        const failure = failureOf(error);
        if (this.#wantsToken(failure) && renewed++ < 3) {
          await this.#authenticate(channel, what);
          continue;
        }
        if (failure.kind !== "unreachable") {
          this.#well(channel);
          throw asDriverError(what, failure, channel.endpoint.authority);
        }
        this.leave(channel, failure.why);
        if (failure.sent) hooks.onDoubt?.();
        this.#assertUsable(what);
        if (performance.now() >= end) throw asDriverError(what, failure, channel.endpoint.authority);
        await sleep(PAUSE_MS, undefined, { signal: hooks.signal }).catch(() => hooks.signal?.throwIfAborted());
      }
    }
  }

  /** Who has shown a certificate and no token is, to etcd, the user of the certificate's name, and may be refused as that. */
  #wantsToken(failure: Failure): boolean {
    if (this.#options.user === undefined) return false;
    return failure.kind === "token" || (failure.kind === "refused" && failure.code === "denied" && !this.#token);
  }

  async #attempt<I extends DescMessage, O extends DescMessage>(
    channel: Channel,
    method: Unary<I, O>,
    message: MessageInitShape<I>,
    timeoutMs: number,
    { signal, leaderless = false }: CallHooks,
  ): Promise<MessageShape<O>> {
    const ends = signal === undefined ? channel.closed : AbortSignal.any([signal, channel.closed]);
    const answer = await channel.call(method, message, { token: this.#token, timeoutMs, signal: ends, leaderless });
    this.#assertSameCluster(answer as Answer, channel);
    this.#well(channel);
    return answer;
  }

  /** Two clusters behind one list of endpoints would be two truths. */
  #assertSameCluster({ header }: Answer, { endpoint }: Channel): void {
    if (header === undefined || header.clusterId === 0n) return;
    this.#clusterId ??= header.clusterId;
    if (this.#clusterId === header.clusterId) return;
    throw new Error(
      `it is a member of another cluster than before (${header.clusterId.toString(16)}, not ${this.#clusterId.toString(16)}). If the store was made anew or restored, restart manx; else remove ${endpoint.authority} from the configuration`,
    );
  }

  /** A stream on the member in use. @throws DriverError */
  stream<I extends DescMessage, O extends DescMessage>(
    what: string,
    method: DescMethod & { readonly methodKind: "bidi_streaming"; readonly input: I; readonly output: O },
    signal: AbortSignal,
  ): { readonly channel: Channel; readonly stream: ClientDuplexStream<MessageShape<I>, MessageShape<O>> } {
    this.#assertUsable(what);
    this.#heart ??= this.#beat();
    const channel = this.#open();
    return { channel, stream: channel.stream(method, this.#token, signal) };
  }

  /** Forgets the token, where a stream was refused for it. @returns whether there is another try to be had */
  async renewToken(channel: Channel, what: string): Promise<boolean> {
    if (this.#options.user === undefined) return false;
    await this.#authenticate(channel, what);
    return true;
  }

  /** Goes on with the next member, if it is still this one that is in use. */
  leave(channel: Channel, why: string): void {
    this.#whys.set(channel.endpoint.authority, why);
    if (this.#channel === channel) {
      this.#channel = undefined;
      this.#at = (this.#at + 1) % this.#endpoints.length;
    }
    channel.close();
    if (this.#away === undefined && !this.#isLost()) return;
    this.#setAway([...this.#whys].map(([authority, reason]) => `${authority}: ${reason}`).join("; "));
  }

  /** Who has just begun asks each member once; who had a member gives an election its time. */
  #isLost(): boolean {
    if (this.#lastWell === undefined) return this.#whys.size === this.#endpoints.length;
    return performance.now() - this.#lastWell >= this.#timing.patienceMs;
  }

  #open(): Channel {
    this.#channel ??= new Channel(this.endpoint, this.#options.tls);
    return this.#channel;
  }

  #well(channel: Channel): void {
    this.#lastWell = performance.now();
    this.#whys.delete(channel.endpoint.authority);
    this.#setAway(undefined);
  }

  #setAway(why: string | undefined): void {
    if (this.#closed.signal.aborted || why === this.#away) return;
    this.#away = why;
    for (const listener of this.#listeners) listener(why);
  }

  /** One after the other for all who need it: a password check costs etcd a whole core for a while (bcrypt). */
  #authenticate(channel: Channel, what: string): Promise<void> {
    this.#authenticating ??= this.#newToken(channel, what).finally(() => (this.#authenticating = undefined));
    return this.#authenticating;
  }

  async #newToken(channel: Channel, what: string): Promise<void> {
    const { user } = this.#options;
    if (user === undefined) return;
    const { attemptMs, patienceMs } = this.#timing;
    const options = { token: undefined, timeoutMs: Math.max(attemptMs, patienceMs / 2), signal: channel.closed };
    try {
      this.#token = (await channel.call(Auth.method.authenticate, user, options)).token;
    } catch (error) {
      this.#assertOpen(what);
      const failure: Failure = failureOf(error);
      if (failure.kind === "unreachable") throw error; // as any other call that did not come through
      throw asDriverError(what, failure, channel.endpoint.authority);
    }
  }

  /** Asks the member in use for a sign of life, as long as we live; while the store is away, one member after the other. */
  async #beat(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      const pause = this.#away === undefined ? this.#timing.heartbeatMs : AWAY_PAUSE_MS / this.#endpoints.length;
      await sleep(pause, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      await this.#askOnce(this.#open());
    }
  }

  async #askOnce(channel: Channel): Promise<void> {
    const { heartbeatMs, attemptMs } = this.#timing;
    const patience = Math.min(attemptMs, heartbeatMs * 1.5);
    try {
      await this.#sign(channel, patience);
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      const failure = failureOf(error);
      if (failure.kind === "unreachable") this.leave(channel, failure.why);
      else if (this.#wantsToken(failure))
        await this.#authenticate(channel, "authenticate").catch((cause: unknown) =>
          this.leave(channel, wordsOf(cause)),
        );
      else this.#well(channel); // it has an opinion of us, so it lives
    }
  }

  async #sign(channel: Channel, patience: number): Promise<void> {
    const late = performance.now() + patience;
    const asked = this.#attempt(channel, KV.method.range, { key: HEARTBEAT }, patience + this.#timing.attemptMs, {});
    asked.catch(() => {});
    const answered = await Promise.race([asked.then(() => true), sleep(patience, false, { ref: false })]);
    if (answered) return;
    // If it was us who slept (a busy loop, a suspended machine), the answer may be waiting to be read.
    if (performance.now() - late > 200) await sleep(patience, undefined, { ref: false });
    await turn();
    const settled = await Promise.race([asked.then(() => true), turn(false)]);
    if (!settled) throw new Error("no answer in time");
  }

  #assertOpen(what: string): void {
    if (this.#closed.signal.aborted) throw new DriverError("unavailable", `Cannot ${what}: the store is closed`);
  }

  #assertUsable(what: string): void {
    this.#assertOpen(what);
    if (this.#away !== undefined)
      throw new DriverError("unavailable", `Cannot ${what}: etcd cannot be reached (${this.#away})`);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#channel?.close();
    await this.#heart;
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
