/** One watch over all that may happen to it: its member dies or freezes, the leader goes, the token expires, the history is compacted. */
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { Store, WatchBatch, WatchEvent } from "../store.ts";
import type { Channel } from "./channel.ts";
import { entryOf, keyRange, numberOf, textOf } from "./keys.ts";
import type { Members } from "./members.ts";
import { asDriverError, failureOf } from "./status.ts";
import {
  type Event,
  Event_EventType,
  KV,
  Watch,
  WatchCreateRequestSchema,
  WatchRequestSchema,
  type WatchResponse,
} from "./wire/etcd_pb.js";

const RETRY_MS = 100;
const WHAT = "watch the store";

/** See `Store.watch`. @throws DriverError once the store is away; what was yielded stays true, so it may be resumed from there */
export async function* watch(
  members: Members,
  prefix: string,
  revision: number,
  signal: AbortSignal,
): ReturnType<Store["watch"]> {
  let after = revision;
  let renewed = false;
  while (!signal.aborted) {
    const run = new Run(members, prefix, after, signal);
    try {
      for await (const batch of run.batches()) {
        renewed = false;
        after = batch.revision;
        yield batch;
        if (batch.kind === "compacted") return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (run.channel === undefined) throw error; // away: it could not even begin
      const failure = error instanceof Refused ? error.failure : failureOf(error);
      const mayRenew = failure.kind === "token" || (failure.kind === "refused" && failure.code === "denied");
      // etcd refuses a watch with an expired token as "permission denied".
      if (mayRenew && !renewed && (await members.renewToken(run.channel, WHAT).catch(() => false))) {
        renewed = true;
        continue;
      }
      if (failure.kind !== "unreachable") throw asDriverError(WHAT, failure, run.channel.endpoint.authority);
      members.leave(run.channel, failure.why);
    } finally {
      run.end();
    }
    await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}

/** etcd ended the watch, though the connection is well. */
class Refused extends Error {
  readonly failure: ReturnType<typeof failureOf>;
  constructor(reason: string) {
    super(reason);
    // "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    this.failure = /permission ?denied/i.test(reason)
      ? { kind: "refused", code: "denied", why: "the user may not watch this: it needs readwrite on the prefix /manx/" }
      : failureOf(new Error(reason));
  }
}

/** One stream on one member. */
class Run {
  channel: Channel | undefined;
  readonly #members: Members;
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  #after: number;

  constructor(members: Members, prefix: string, after: number, signal: AbortSignal) {
    this.#members = members;
    this.#prefix = prefix;
    this.#after = after;
    this.#signal = signal;
  }

  async *batches(): AsyncGenerator<WatchBatch> {
    const { channel, stream } = this.#members.stream(
      WHAT,
      Watch.method.watch,
      AbortSignal.any([this.#signal, this.#stop.signal]),
    );
    this.channel = channel;
    const range = keyRange(this.#prefix);
    const startRevision = BigInt(this.#after) + 1n;
    const request = { ...range, startRevision, progressNotify: true, fragment: true };
    stream.write(createRequest(request));
    let parts: Event[] = [];
    for await (const response of stream as AsyncIterable<WatchResponse>) {
      const compacted = numberOf(response.compactRevision);
      if (compacted > 0) return yield { kind: "compacted", revision: compacted };
      if (response.canceled) throw new Refused(response.cancelReason);
      const at = numberOf(response.header?.revision);
      if (response.created && at < this.#after && (await this.#isRolledBack()))
        return yield { kind: "compacted", revision: at };
      parts = [...parts, ...response.events];
      if (response.fragment || (parts.length === 0 && at <= this.#after) || response.created) continue;
      // A batch that catches up bears the store's revision, which may be far ahead of its events.
      this.#after = parts.length === 0 ? at : numberOf(parts.at(-1)?.kv?.modRevision);
      yield { kind: "events", revision: this.#after, events: parts.map(eventOf) };
      parts = [];
    }
    throw new Error("the stream ended");
  }

  /** The member may only be behind the others; a store that was restored from a backup is behind for good. */
  async #isRolledBack(): Promise<boolean> {
    const answer = await this.#members.call(
      WHAT,
      KV.method.range,
      { key: Buffer.from("/"), countOnly: true },
      { signal: this.#signal },
    );
    return numberOf(answer.header?.revision) < this.#after;
  }

  end(): void {
    this.#stop.abort();
  }
}

function createRequest(value: object) {
  return create(WatchRequestSchema, {
    requestUnion: { case: "createRequest", value: create(WatchCreateRequestSchema, value) },
  });
}

function eventOf({ type, kv }: Event): WatchEvent {
  if (kv === undefined) throw new Error("an event without a key");
  return type === Event_EventType.DELETE
    ? { kind: "delete", key: textOf(kv.key), modRevision: numberOf(kv.modRevision) }
    : { kind: "put", entry: entryOf(kv) };
}
