/**
 * The cluster store of several hosts: the contract of `store.ts` on etcd 3.4 and 3.5 (rpc.proto: KV, Watch, Lease).
 * `members.ts` decides whom to ask and how often; here is what is asked.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { DriverError } from "../../error.ts";
import { assertPrefix, assertTransaction } from "../contract.ts";
import type { Compare, Entry, Listing, Op, Store, WatchBatch } from "../store.ts";
import type { Tls } from "./channel.ts";
import { type Endpoint, parseEndpoints } from "./endpoint.ts";
import { bytesOf, entryOf, keyRange, numberOf } from "./keys.ts";
import { Members, type Timing } from "./members.ts";
import { watch } from "./watch.ts";
import {
  Cluster,
  Compare_CompareResult,
  Compare_CompareTarget,
  type CompareSchema,
  KV,
  Lease,
  LeaseKeepAliveRequestSchema,
  type LeaseKeepAliveResponse,
  Maintenance,
  type RequestOpSchema,
  type ResponseOp,
  type TxnRequestSchema,
  type TxnResponse,
} from "./wire/etcd_pb.js";

export interface EtcdStoreOptions {
  readonly endpoints: readonly Endpoint[];
  readonly tls?: Tls | undefined;
  readonly user?: { readonly name: string; readonly password: string } | undefined;
  /** For tests. */
  readonly timing?: Partial<Timing> | undefined;
  readonly pageSize?: number | undefined;
}

export interface EtcdMember {
  /** Hexadecimal, as etcdctl prints it. */
  readonly id: string;
  /** Empty until the member has started for the first time. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** Has no vote yet. */
  readonly learner: boolean;
}

type RequestOp = MessageInitShape<typeof RequestOpSchema>;

const PAGE_SIZE = 500;
const TRIES = 5;

export class EtcdStore implements Store {
  readonly #members: Members;
  readonly #pageSize: number;
  readonly #closed = new AbortController();

  constructor({ endpoints, tls = {}, user, timing, pageSize = PAGE_SIZE }: EtcdStoreOptions) {
    this.#members = new Members({ endpoints, tls, user, timing });
    this.#pageSize = pageSize;
  }

  async get(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
    const request = { key: bytesOf(key) };
    const { kvs } = await this.#members.call(`read "${key}"`, KV.method.range, request, { signal });
    return kvs[0] === undefined ? undefined : entryOf(kvs[0]);
  }

  async list(prefix: string, signal?: AbortSignal): Promise<Listing> {
    assertPrefix(prefix);
    for (let attempt = 1; ; attempt++) {
      const listing = await this.#listOnce(prefix, signal);
      if (listing !== undefined) return listing;
      if (attempt === TRIES)
        throw new DriverError("busy", `Cannot list "${prefix}": etcd compacts its history faster than it can be read`);
    }
  }

  /** In pages, all as of the revision of the first; undefined where that was compacted meanwhile. */
  async #listOnce(prefix: string, signal: AbortSignal | undefined): Promise<Listing | undefined> {
    const { key, rangeEnd } = keyRange(prefix);
    const entries: Entry[] = [];
    let from: Uint8Array = key;
    let revision = 0n;
    for (;;) {
      const request = { key: from, rangeEnd, limit: BigInt(this.#pageSize), revision };
      const page = await this.#members
        .call(`list "${prefix}"`, KV.method.range, request, { signal })
        .catch((error: unknown) => {
          if (revision > 0n && error instanceof DriverError && error.message.includes("compacted")) return undefined;
          throw error;
        });
      if (page === undefined) return undefined;
      if (revision === 0n) revision = page.header?.revision ?? 0n;
      for (const kv of page.kvs) entries.push(entryOf(kv));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { revision: numberOf(revision), entries };
      from = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  async commit(
    txn: { readonly compares?: readonly Compare[]; readonly ops: readonly Op[] },
    signal?: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly revision: number }> {
    signal?.throwIfAborted();
    assertTransaction(txn);
    const { compares = [], ops } = txn;
    const request: MessageInitShape<typeof TxnRequestSchema> = {
      compare: compares.map(compareOf),
      success: nested(ops.map(requestOf)),
    };
    let doubt = false;
    const onDoubt = (): void => {
      // From now on, a refusal must tell whether it was we who came first.
      if (!doubt && compares.length > 0) request.failure = nested(ops.map(({ key }) => readOf(key)));
      doubt = true;
    };
    const answer = await this.#commit(request, { signal, onDoubt }, () => doubt);
    const revision = numberOf(answer.header?.revision);
    if (answer.succeeded || !doubt) return { ok: answer.succeeded, revision };
    const ours = revisionOfOurs(ops, compares, answer);
    return ours === undefined ? { ok: false, revision } : { ok: true, revision: ours };
  }

  async #commit(
    request: MessageInitShape<typeof TxnRequestSchema>,
    hooks: { readonly signal: AbortSignal | undefined; readonly onDoubt: () => void },
    doubt: () => boolean,
  ): Promise<TxnResponse> {
    try {
      return await this.#members.call("commit", KV.method.txn, request, hooks);
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      if (/lease not found/.test(error.message))
        throw new DriverError("not-found", "Cannot commit: the lease has expired", error);
      if (error.code !== "unavailable" || !doubt()) throw error;
      throw new DriverError("unavailable", `${error.message}. It may have been carried out all the same`, error);
    }
  }

  watch(prefix: string, revision: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    assertPrefix(prefix);
    return watch(this.#members, prefix, revision, AbortSignal.any([signal, this.#closed.signal]));
  }

  async lease(ttl: number, signal: AbortSignal): Promise<string> {
    const { ID } = await this.#members.call("get a lease", Lease.method.leaseGrant, { TTL: BigInt(ttl) }, { signal });
    void this.#keepAlive(ID, ttl, AbortSignal.any([signal, this.#closed.signal]));
    return ID.toString(16);
  }

  /** Ends with the signal, or when the lease has expired: it stays so. */
  async #keepAlive(id: bigint, ttl: number, signal: AbortSignal): Promise<void> {
    let pause = (ttl * 1000) / 3;
    while (!signal.aborted) {
      await sleep(pause, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      try {
        if (!(await this.#keepAliveOnce(id, signal))) return;
        pause = (ttl * 1000) / 3;
      } catch {
        pause = 250; // the heartbeat finds out what is wrong, and moves on to another member
      }
    }
  }

  /** A stream for each: it goes wherever the heartbeat has moved to meanwhile. */
  async #keepAliveOnce(id: bigint, signal: AbortSignal): Promise<boolean> {
    const ends = AbortSignal.any([signal, AbortSignal.timeout(2000)]);
    const { stream } = this.#members.stream("keep a lease alive", Lease.method.leaseKeepAlive, ends);
    stream.end(create(LeaseKeepAliveRequestSchema, { ID: id }));
    for await (const response of stream as AsyncIterable<LeaseKeepAliveResponse>) return response.TTL > 0n;
    throw new DriverError("unavailable", "Cannot keep a lease alive: the stream ended");
  }

  trouble(): string | undefined {
    return this.#members.trouble();
  }

  /** Told of each change of `trouble`. @returns what ends that */
  onTrouble(listener: (why: string | undefined) => void): () => void {
    return this.#members.onTrouble(listener);
  }

  /** Further members to turn to, as etcd tells them. What cannot be read is left out. */
  learn(urls: readonly string[]): void {
    this.#members.learn(
      urls.flatMap((url) => {
        try {
          return parseEndpoints(url, true);
        } catch {
          return [];
        }
      }),
    );
  }

  /** Of the member in use: `3.5.16`. */
  async version(signal?: AbortSignal): Promise<string> {
    return (await this.#members.call("ask for the version", Maintenance.method.status, {}, { signal })).version;
  }

  /** All members that are known, as URLs. */
  get endpoints(): readonly string[] {
    return this.#members.endpoints.map(({ tls, authority }) => `${tls ? "https" : "http"}://${authority}`);
  }

  /** The member in use. */
  get endpoint(): string {
    return this.#members.endpoint.authority;
  }

  async memberList(signal?: AbortSignal): Promise<EtcdMember[]> {
    const { members } = await this.#members.call("list the members", Cluster.method.memberList, {}, { signal });
    return members.map(memberOf);
  }

  /** Adds a member that is about to start, without a vote at first: until it has caught up it cannot cost a quorum. */
  async memberAdd(peerUrl: string, signal?: AbortSignal): Promise<EtcdMember> {
    const request = { peerURLs: [peerUrl], isLearner: true };
    const { member } = await this.#members.call("add a member", Cluster.method.memberAdd, request, { signal });
    if (member === undefined) throw new DriverError("failed", "Cannot add a member: etcd does not say what it added");
    return memberOf(member);
  }

  async memberPromote(id: string, signal?: AbortSignal): Promise<void> {
    await this.#members.call("promote a member", Cluster.method.memberPromote, { ID: BigInt(`0x${id}`) }, { signal });
  }

  async memberRemove(id: string, signal?: AbortSignal): Promise<void> {
    await this.#members.call("remove a member", Cluster.method.memberRemove, { ID: BigInt(`0x${id}`) }, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#members.close();
  }
}

function memberOf(member: {
  readonly ID: bigint;
  readonly name: string;
  readonly peerURLs: string[];
  readonly clientURLs: string[];
  readonly isLearner: boolean;
}): EtcdMember {
  return {
    id: member.ID.toString(16),
    name: member.name,
    peerUrls: member.peerURLs,
    clientUrls: member.clientURLs,
    learner: member.isLearner,
  };
}

function requestOf(op: Op): RequestOp {
  if (op.kind === "delete") return { request: { case: "requestDeleteRange", value: { key: bytesOf(op.key) } } };
  const lease = op.lease === undefined ? 0n : BigInt(`0x${op.lease}`);
  return { request: { case: "requestPut", value: { key: bytesOf(op.key), value: bytesOf(op.value), lease } } };
}

/** etcd's `--max-txn-ops`, unless set: what is beside each other in a transaction and in those within it, together. */
const TXN_OPS = 128;
const HALF = TXN_OPS / 2;

/** More than one transaction takes, as transactions within one: all or none, and one revision for all. */
function nested(requests: readonly RequestOp[]): RequestOp[] {
  if (requests.length <= TXN_OPS) return [...requests];
  const count = Math.ceil(requests.length / HALF);
  const parts = Array.from({ length: count }, (_, i) => requests.slice(i * HALF, (i + 1) * HALF));
  return parts.map((success) => ({ request: { case: "requestTxn", value: { success } } }));
}

function flat(responses: readonly ResponseOp[]): ResponseOp[] {
  return responses.flatMap((one) => (one.response.case === "responseTxn" ? flat(one.response.value.responses) : [one]));
}

function compareOf(compare: Compare): MessageInitShape<typeof CompareSchema> {
  const target = Compare_CompareTarget.MOD;
  if ("key" in compare) {
    const value = BigInt(compare.modRevision);
    const targetUnion = { case: "modRevision", value } as const;
    return { result: Compare_CompareResult.EQUAL, target, key: bytesOf(compare.key), targetUnion };
  }
  const targetUnion = { case: "modRevision", value: BigInt(compare.until) + 1n } as const;
  return { result: Compare_CompareResult.LESS, target, ...keyRange(compare.prefix), targetUnion };
}

function readOf(key: string): RequestOp {
  return { request: { case: "requestRange", value: { key: bytesOf(key) } } };
}

/**
 * After an attempt whose outcome we do not know, the compares do not hold any more: was that us? If all that we wanted to put is
 * there as one commit, later than what was compared, then it was, or somebody did the very same.
 */
function revisionOfOurs(ops: readonly Op[], compares: readonly Compare[], answer: TxnResponse): number | undefined {
  const found = flat(answer.responses).map(({ response }) => {
    const kv = response.case === "responseRange" ? response.value.kvs[0] : undefined;
    return kv === undefined ? undefined : entryOf(kv);
  });
  const [first] = found.filter((entry) => entry !== undefined);
  if (first === undefined) return undefined;
  const isOurs = ops.every((op, i) =>
    op.kind === "delete"
      ? found[i] === undefined
      : found[i]?.value === op.value && found[i].modRevision === first.modRevision,
  );
  const isLater = compares.every((one) => ("key" in one ? one.modRevision : one.until) < first.modRevision);
  return isOurs && isLater ? first.modRevision : undefined;
}
