/**
 * New connections that were let through, counted by the kernel and read a few times a second: one that repeats costs a counter, not a
 * message and a wake-up. Bounded on both sides: so many elements a map, and one reading of them a second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../error.ts";
import { errnoOf } from "../syscall/errno.ts";
import { MessageWriter } from "../syscall/netlink-message.ts";
import { NetlinkSocket } from "../syscall/netlink-socket.ts";
import { untilAborted } from "../syscall/subscribe.ts";
import {
  askElements,
  askTotal,
  CONNECTION_TABLE,
  type ConnectionElement,
  type CountedConnections,
  KEPT,
  readElements,
  readTotal,
  writeConnectionTable,
} from "./connection-table.ts";
import { NETLINK_NETFILTER } from "./uapi.ts";

/** Connections that are alike but for the sender's port. */
export interface NewConnections extends CountedConnections {
  readonly kind: "new";
  /** Since they were told before. */
  readonly count: number;
  /** When the last of them began: unix time in milliseconds. */
  readonly time: number;
}

export type ConnectionNews =
  | NewConnections
  /** So many that the kernel had no room to count by who they were, or kept too short a time to be read. */
  | { readonly kind: "lost"; readonly count: number };

/** Milliseconds between readings; where there is much to read, or nothing for long, still far below what the kernel keeps. */
const PAUSE = { quiet: 500, least: 250, most: 1_000 } as const;
/** Readings without news after which the pause is the longest. */
const LONG_QUIET = 20;
/** A pause is so many times as long as the reading before it. */
const REST = 19;
const WHAT = "count new connections";

/**
 * From the call on until the signal aborts, then it ends silently and nothing is left in the kernel. Throws DriverError `busy` where
 * another process counts in this namespace, `denied` without CAP_NET_ADMIN.
 */
export function newConnections(
  signal: AbortSignal,
  netns?: string,
): AsyncGenerator<readonly ConnectionNews[], void, undefined> {
  const socket = NetlinkSocket.open(NETLINK_NETFILTER, netns === undefined ? {} : { netns });
  try {
    const [failure] = socket.transaction(writeConnectionTable(new MessageWriter(4_096)).finish(), WHAT).failures;
    if (failure !== undefined) throw refusal(failure.error);
  } catch (error) {
    socket.close();
    throw error;
  }
  return untilAborted(socket, signal, () => follow(socket, signal));
}

/** A table that has an owner is nobody else's to write to. */
function refusal(error: Error): Error {
  if (errnoOf(error) !== "EPERM") return error;
  return new DriverError("busy", `Cannot ${WHAT}: another process owns the table "inet ${CONNECTION_TABLE}"`, error);
}

async function* follow(
  socket: NetlinkSocket,
  signal: AbortSignal,
): AsyncGenerator<readonly ConnectionNews[], void, undefined> {
  const counts = new ConnectionCounts();
  let quiet = 0;
  for (let pause: number = PAUSE.least; ; ) {
    await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return;
    const began = performance.now();
    const news = await read(socket, counts, signal);
    pause = Math.min(PAUSE.most, Math.max(PAUSE.least, (performance.now() - began) * REST));
    quiet = news === undefined ? quiet + 1 : 0;
    if (news === undefined) pause = quiet < LONG_QUIET ? PAUSE.quiet : PAUSE.most;
    else if (news.length > 0) yield news;
  }
}

/** Undefined where no connection has begun since. */
async function read(
  socket: NetlinkSocket,
  counts: ConnectionCounts,
  signal: AbortSignal,
): Promise<ConnectionNews[] | undefined> {
  const writer = new MessageWriter(128);
  // Before the elements, so that whatever it counts is in them.
  const [reply] = socket.request(askTotal(writer).finish(), WHAT);
  const total = reply === undefined ? 0 : readTotal(reply);
  if (counts.isQuiet(total)) return undefined;
  const reading = counts.begin(Date.now());
  for (const family of [4, 6] as const) {
    const ask = askElements(writer.reset(), family).finish();
    await socket.scan(ask, WHAT, (message) => readElements(message, family, reading.take), signal);
  }
  return reading.end(total);
}

/** What is new in each reading. */
export class ConnectionCounts {
  /** Counts by element; those that were not seen for a whole period, longer than any is kept unused, are forgotten. */
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #period: number | undefined;
  #total = 0;
  #told = 0;
  #missing = 0;
  #lost = 0;

  /** True where so many are all that have been told of, so that there is nothing to read. */
  isQuiet(total: number): boolean {
    return total === this.#total && this.#missing <= this.#lost;
  }

  begin(now: number): {
    readonly take: (element: ConnectionElement) => void;
    /** `total`: connections up to the reading's begin, those without an element too. */
    readonly end: (total: number) => ConnectionNews[];
  } {
    this.#age(now);
    const news: ConnectionNews[] = [];
    const take = ({ id, count, age, read }: ConnectionElement): void => {
      const before = this.#young.get(id) ?? this.#old.get(id) ?? 0;
      this.#young.set(id, count);
      if (count <= before) return;
      this.#told += count - before;
      news.push({ kind: "new", ...read(), count: count - before, time: now - age });
    };
    const end = (total: number): ConnectionNews[] => {
      const lost = this.#findLost(total);
      return lost === 0 ? news : [...news, { kind: "lost", count: lost }];
    };
    return { take, end };
  }

  #age(now: number): void {
    this.#period ??= now;
    if (now - this.#period < 2 * KEPT) return;
    this.#period = now;
    [this.#old, this.#young] = [this.#young, new Map()];
  }

  /** Only what is missing a second time: the kernel may leave an element out of a reading while it makes its table larger. */
  #findLost(total: number): number {
    const before = this.#missing;
    this.#total = total;
    this.#missing = total - this.#told;
    const lost = Math.max(0, Math.min(before, this.#missing) - this.#lost);
    this.#lost += lost;
    return lost;
  }
}
