/**
 * Packets that rules of ours log (`log group N` in nftables): what was denied, and by which rule. Bounded: who is flooded
 * reads so many a second and leaves the rest to the kernel to drop, which costs nothing, and is told how many those were.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../error.ts";
import { errnoOf } from "../syscall/errno.ts";
import { MessageWriter } from "../syscall/netlink-message.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "../syscall/netlink-socket.ts";
import { untilAborted } from "../syscall/subscribe.ts";
import { type LogOptions, parsePacket, writeBind, writeNothing } from "./messages.ts";

/** A packet's head as the kernel saw it at the rule. */
export interface LoggedPacket {
  readonly kind: "packet";
  /** The rule's text. */
  readonly prefix: string;
  /** Index of the interface it came in by; absent for the host's own. */
  readonly inIndex?: number;
  /** Index of the interface it was to leave by. */
  readonly outIndex?: number;
  /** Ethertype: 0x0800 IPv4, 0x86dd IPv6, 0x0806 ARP. */
  readonly etherType: number;
  /** Of the Ethernet frame; absent for the host's own. */
  readonly sourceMac?: string;
  readonly mark: number;
  /** Unix time in milliseconds; absent: now. */
  readonly time?: number;
  /** From the network header on, cut off. */
  readonly payload: Uint8Array;
}

export type LogEvent =
  | LoggedPacket
  /** So many packets before the next one are not here. */
  | { readonly kind: "lost"; readonly count: number };

export interface NflogOptions extends Partial<LogOptions> {
  readonly group: number;
  /** Path of the namespace; absent: that of this process. */
  readonly netns?: string;
  /** Packets that are read at the most; default 20,000. */
  readonly maxPerSecond?: number;
  /** Bytes of packets that wait to be read. */
  readonly receiveBuffer?: number;
}

/** Enough of a packet for addresses and ports behind IPv6 extension headers. */
const COPY_BYTES = 128;
const MAX_PER_SECOND = 20_000;
const RECEIVE_BUFFER = 4_194_304;
/** The budget is dealt out in slices of so many milliseconds. */
const SLICE = 50;

/**
 * Packets of the group, those at hand together, from the call on until the signal aborts; then it ends silently. Throws
 * DriverError `busy` where another process has the group, `denied` without CAP_NET_ADMIN.
 */
export function listen(
  options: NflogOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly LogEvent[], void, undefined> {
  const { group, copyBytes = COPY_BYTES, maxPerSecond = MAX_PER_SECOND, netns } = options;
  const { bundle = 64, bundleMs = 20, receiveBuffer = RECEIVE_BUFFER } = options;
  const socket = NetlinkSocket.open(NETLINK_NETFILTER, { receiveBuffer, ...(netns === undefined ? {} : { netns }) });
  try {
    bind(socket, group, { copyBytes, bundle, bundleMs });
  } catch (error) {
    socket.close();
    throw error;
  }
  return untilAborted(socket, signal, () => follow(socket, maxPerSecond, signal));
}

function bind(socket: NetlinkSocket, group: number, options: LogOptions): void {
  if (!Number.isInteger(group) || group < 0 || group > 65_535)
    throw new DriverError("invalid", `Cannot listen to NFLOG group ${group}: it is a number from 0 to 65535`);
  const what = `listen to NFLOG group ${group}`;
  // The kernel says EPERM both to who may not and where the group is taken; of a command that does nothing only the former.
  socket.request(writeNothing(new MessageWriter(64)).finish(), what);
  try {
    socket.request(writeBind(new MessageWriter(128), group, options).finish(), what);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "EPERM" && errno !== "EBUSY") throw error;
    const why = "another process listens to it; stop that one, or configure another group";
    throw new DriverError("busy", `Cannot ${what}: ${why}`, error);
  }
}

async function* follow(
  socket: NetlinkSocket,
  maxPerSecond: number,
  signal: AbortSignal,
): AsyncGenerator<readonly LogEvent[], void, undefined> {
  const budget = new Budget(maxPerSecond);
  let next: number | undefined;
  for await (const event of socket.events(signal)) {
    // Packets are numbered: a gap says more than that there was one.
    if (event.kind === "overrun") continue;
    const events: LogEvent[] = [];
    for (const message of event.messages) {
      const parsed = parsePacket(message);
      if (parsed === undefined) continue;
      const { packet, sequence } = parsed;
      if (next !== undefined && sequence !== next) events.push({ kind: "lost", count: (sequence - next) >>> 0 });
      next = (sequence + 1) >>> 0;
      events.push(packet);
    }
    if (events.length > 0) yield events;
    await budget.spend(events.length, signal);
  }
}

/** Sleeps off what is more than the budget of a slice. */
class Budget {
  readonly #perSlice: number;
  #left: number;
  #since = performance.now();

  constructor(maxPerSecond: number) {
    this.#perSlice = Math.max(1, (maxPerSecond * SLICE) / 1000);
    this.#left = this.#perSlice;
  }

  async spend(count: number, signal: AbortSignal): Promise<void> {
    const slices = (performance.now() - this.#since) / SLICE;
    if (slices >= 1) {
      this.#since = performance.now();
      this.#left = Math.min(this.#perSlice, this.#left + slices * this.#perSlice);
    }
    this.#left -= count;
    if (this.#left >= 0) return;
    const debt = (-this.#left / this.#perSlice) * SLICE;
    await sleep(Math.ceil(debt), undefined, { signal }).catch(() => undefined);
  }
}
