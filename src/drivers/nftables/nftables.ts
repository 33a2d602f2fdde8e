/**
 * Makes the kernel's nftables hold what a Ruleset says, and nothing else under our name. No nft(8), no library: raw nfnetlink.
 *
 *   desired Ruleset -> plan (what differs from what we know) -> one batch -> the kernel takes all of it or nothing
 *
 * One batch is one transaction: packets see the ruleset before or the ruleset after. What we know is what we wrote last, or,
 * after `resync` and at the start, what we read back. A set, chain or rule object that is the same as last time costs nothing.
 * Rules that stay keep their counters. Only tables named `manx` are ours; all others are alien: not read, not touched.
 *
 * Not done here: deciding anything; sharing the ruleset with other users' hooks (their tables judge for themselves).
 */
import type { Ruleset } from "../../core/rules/ir.ts";
import { DriverError } from "../error.ts";
import { MessageWriter, type NetlinkMessage } from "../syscall/netlink-message.ts";
import { NetlinkSocket } from "../syscall/netlink-socket.ts";
import { type Change, summarize, writeBatch } from "./change.ts";
import { tableOf } from "./decode.ts";
import type { Firewall } from "./firewall.ts";
import { type ListedRule, type Listing, OUR_TABLE, refuseAliens, tableKey } from "./listing.ts";
import { type ChainId, type Operation, plan } from "./plan.ts";
import { type Counters, readCounters, readGenerationNumber, readListing, readRules } from "./read.ts";
import { isOutdated, refusal } from "./refusal.ts";
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES, NFT_MSG } from "./uapi.ts";

/** How often a transaction is planned again because others changed the ruleset meanwhile. */
const ATTEMPTS = 20;
/** From this size on the kernel's work is done on another thread. */
const LARGE = 32_768;
/** A buffer that once held a large batch is given back. */
const KEEP = 1_048_576;
/** Room for the notifications of transactions of ours and of others while the event loop is busy. */
const WATCH_BUFFER = 4_194_304;

interface Known {
  readonly tables: Ruleset | Listing;
  /** Of the moment when it was read; undefined if we wrote it. */
  readonly generation?: number;
}

export class Nftables implements Firewall {
  readonly #socket: NetlinkSocket;
  readonly #netns: string | undefined;
  #writer = new MessageWriter(LARGE);
  /** What we last wrote or read; undefined: not known. */
  #known: Known | undefined;
  #distrusted = false;
  /** Number of the ruleset as we left it, if nobody else changed anything since we read it. */
  #generation: number | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(netns: string | undefined) {
    this.#netns = netns;
    this.#socket = openSocket(netns);
  }

  /** `netns`: path of a network namespace; absent: that of this process. */
  static open(options: { readonly netns?: string } = {}): Nftables {
    return new Nftables(options.netns);
  }

  list(signal?: AbortSignal): Promise<Listing> {
    return this.#inTurn(async () => (await readListing(this.#socket, signal)).listing);
  }

  resync(): void {
    this.#known = undefined;
    this.#distrusted = true;
  }

  apply(desired: Ruleset, signal?: AbortSignal): Promise<Change> {
    return this.#inTurn(async () => {
      refuseAliens(desired);
      let last: DriverError | undefined;
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        signal?.throwIfAborted();
        const wasWritten = this.#known !== undefined && this.#known.generation === undefined;
        const result = await this.#step(desired, signal);
        if (!(result instanceof DriverError)) return result;
        last = result;
        // What we believed may be wrong; what we have just read is not.
        if (!wasWritten && last.code !== "busy") break;
      }
      throw last ?? new Error("unreachable");
    });
  }

  clear(): Promise<void> {
    return this.#inTurn(async () => {
      this.#known = undefined;
      const { listing } = await readListing(this.#socket);
      const operations = [...listing.values()].map((table): Operation => ({ kind: "delete-table", table }));
      const error = await this.#commit(operations, undefined);
      if (error !== undefined) throw error;
    });
  }

  counters(signal?: AbortSignal): Promise<Counters> {
    return this.#inTurn(() => readCounters(this.#socket, signal));
  }

  foreignChanges(signal: AbortSignal): AsyncIterable<void> {
    const socket = openSocket(this.#netns, true);
    return this.#watch(socket, signal);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /** One plan and one transaction. The error if the kernel refused it; nothing is known then. */
  async #step(desired: Ruleset, signal: AbortSignal | undefined): Promise<Change | DriverError> {
    const known = this.#known ?? (await this.#read(signal));
    this.#known = undefined;
    this.#distrusted = false;
    let { generation } = known;
    const operations = plan(desired, known.tables, (id) => {
      if (known.generation !== undefined) return listedRules(known.tables, id);
      // Handles are worth nothing once somebody else changes the chain, so the kernel must refuse us then.
      generation ??= readGenerationNumber(this.#socket);
      return readRules(this.#socket, id);
    });
    const error = await this.#commit(operations, generation);
    if (error !== undefined) return error;
    if (!this.#distrusted) this.#known = { tables: desired };
    return summarize(operations);
  }

  async #read(signal: AbortSignal | undefined): Promise<Known> {
    const { listing, generation } = await readListing(this.#socket, signal);
    this.#generation = generation;
    return { tables: listing, generation };
  }

  async #commit(operations: readonly Operation[], generation: number | undefined): Promise<DriverError | undefined> {
    if (operations.length === 0) return undefined;
    const writer = this.#writer.reset();
    const owners = writeBatch(writer, operations, generation);
    const batch = writer.finish();
    if (batch.length > KEEP) this.#writer = new MessageWriter(LARGE);
    const what = "change nftables";
    const { failures } =
      batch.length > LARGE ? await this.#socket.transactionAsync(batch, what) : this.#socket.transaction(batch, what);
    if (failures.length === 0) {
      if (this.#generation !== undefined) this.#generation = (this.#generation + 1) >>> 0;
      return undefined;
    }
    if (isOutdated(failures))
      return new DriverError("busy", "Cannot change nftables: somebody else changed it meanwhile");
    return refusal(failures, owners);
  }

  async *#watch(socket: NetlinkSocket, signal: AbortSignal): AsyncGenerator<void, void, undefined> {
    using open = socket;
    const ours = this.#socket.portId;
    for await (const event of open.events(signal)) {
      const foreign =
        event.kind === "overrun" ? !(await this.#undisturbed()) : event.messages.some((one) => isForeign(one, ours));
      if (foreign) yield;
    }
  }

  /** True if all changes since we last read were ours: a large one of ours overruns the watching socket by itself. */
  #undisturbed(): Promise<boolean> {
    return this.#inTurn(async () => readGenerationNumber(this.#socket) === this.#generation);
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => {});
    return result;
  }
}

function openSocket(netns: string | undefined, watching = false): NetlinkSocket {
  return NetlinkSocket.open(NETLINK_NETFILTER, {
    ...(netns === undefined ? {} : { netns }),
    ...(watching ? { groups: [NFNLGRP_NFTABLES], receiveBuffer: WATCH_BUFFER } : {}),
  });
}

/** A message about a table of ours that comes from a transaction of somebody else. */
function isForeign(message: NetlinkMessage, ours: number): boolean {
  return message.portId !== ours && message.type !== NFT_MSG.NEWGEN && tableOf(message) === OUR_TABLE;
}

function listedRules(tables: Ruleset | Listing, { table, chain }: ChainId): readonly ListedRule[] | undefined {
  const found = tables.get(tableKey(table))?.chains.get(chain)?.rules ?? [];
  return found.flatMap((rule) => ("handle" in rule ? [rule] : []));
}
