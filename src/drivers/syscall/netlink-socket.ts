/**
 * A netlink socket (netlink(7)), in this network namespace or another one.
 *
 * The kernel does all that a request asks for inside send(2), and its answers lie ready when that returns: so requests are
 * synchronous and never wait. What keeps the kernel busy for long (deleting links, large transactions) has a variant that
 * sends on another thread. One request at a time; a socket that listens to `events` does nothing else.
 */
import { DriverError } from "../error.ts";
import { type SystemError, systemError } from "./errno.ts";
import { parseAcknowledgement } from "./netlink-ack.ts";
import {
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseMessages,
} from "./netlink-message.ts";
import { isOverrun, NetlinkPort, type NetlinkSocketOptions } from "./netlink-port.ts";

export { NETLINK_NETFILTER, NETLINK_ROUTE, type NetlinkSocketOptions } from "./netlink-port.ts";

const DUMP_ATTEMPTS = 10;
/** Answers to a chunk must fit into the receive buffer together. */
const CHUNK_MESSAGES = 100;
const CHUNK_BYTES = 65_536;
/** Datagrams that one turn of the event loop reads at most. */
const BURST = 32;
/** How long reading a large dump may hold the event loop, in milliseconds. */
const SLICE = 3;

/** Which message of a batch failed, counted from 0, and why. */
export interface BatchFailure {
  readonly index: number;
  readonly error: SystemError;
}

export interface BatchResult {
  readonly failures: readonly BatchFailure[];
  /** What the kernel sent besides acknowledgements (NLM_F_ECHO). */
  readonly replies: readonly NetlinkMessage[];
}

export type NetlinkEvent =
  | { readonly kind: "messages"; readonly messages: readonly NetlinkMessage[] }
  /** The kernel had more to say than the buffer holds: some messages are lost, so read everything back. */
  | { readonly kind: "overrun" };

interface DumpPart {
  readonly messages: readonly NetlinkMessage[];
  /** False: the table changed under the reading. */
  readonly consistent: boolean;
}

export class NetlinkSocket implements Disposable {
  readonly #port: NetlinkPort;
  #inUse = false;
  #closed = false;

  private constructor(port: NetlinkPort) {
    this.#port = port;
  }

  /** `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER. */
  static open(protocol: number, options: NetlinkSocketOptions = {}): NetlinkSocket {
    return new NetlinkSocket(new NetlinkPort(protocol, options));
  }

  /** The kernel's name for this socket; notifications carry it as the one who caused them. */
  get portId(): number {
    return this.#port.portId;
  }

  /** Sends one message and gives the replies. `what` completes "Cannot" in the error: `add the route "10.65.0.0/26"`. */
  request(message: Uint8Array, what: string): NetlinkMessage[] {
    return this.#alone(() => {
      const { first } = this.#port.prepare(message, NLM_F_ACK);
      this.#port.send(message);
      return this.#answer(first, what);
    });
  }

  /** As `request`, with the kernel's work done on another thread. Keep the message untouched until then. */
  async requestAsync(message: Uint8Array, what: string): Promise<NetlinkMessage[]> {
    return this.#aloneAsync(async () => {
      const { first } = this.#port.prepare(message, NLM_F_ACK);
      await this.#port.sendAsync(message);
      return this.#answer(first, what);
    });
  }

  /** All entries of a table, as of one moment: asked again while the table changes under the reading. */
  dump(message: Uint8Array, what: string): NetlinkMessage[] {
    return this.#alone(() => {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
        const out: NetlinkMessage[] = [];
        let consistent = true;
        for (const part of this.#dumpParts(message, what)) {
          consistent &&= part.consistent;
          for (const reply of part.messages) out.push(reply);
        }
        if (consistent) return out;
      }
      throw restless(what);
    });
  }

  /**
   * As `dump`, for tables so large that reading them would hold the event loop: gives it a turn every few milliseconds.
   * `parse` makes each message into what is kept, or undefined.
   */
  async dumpSlowly<T>(
    message: Uint8Array,
    what: string,
    parse: (message: NetlinkMessage) => T | undefined,
    signal?: AbortSignal,
  ): Promise<T[]> {
    return this.#aloneAsync(async () => {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
        const out: T[] = [];
        let consistent = true;
        for await (const part of this.#slowParts(message, what, signal)) {
          consistent &&= part.consistent;
          collect(part.messages, parse, out);
        }
        if (consistent) return out;
      }
      throw restless(what);
    });
  }

  /**
   * As `dumpSlowly`, for tables that change all the time: what came or went during the reading may be missing, what the kernel moved may
   * be missing or come twice.
   */
  async scan(
    message: Uint8Array,
    what: string,
    visit: (message: NetlinkMessage) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#aloneAsync(async () => {
      for await (const { messages } of this.#slowParts(message, what, signal)) messages.forEach(visit);
    });
  }

  /** Many independent messages: each is tried. Sent in chunks whose answers fit the receive buffer. */
  batch(messages: Uint8Array, what: string): BatchResult {
    return this.#alone(() => {
      const failures: BatchFailure[] = [];
      const replies: NetlinkMessage[] = [];
      let done = 0;
      for (const chunk of chunks(messages)) {
        const { first, count } = this.#port.prepare(chunk, NLM_F_ACK);
        this.#port.send(chunk);
        const result = this.#outcome(first, count, what);
        for (const { index, error } of result.failures) failures.push({ index: index + done, error });
        for (const reply of result.replies) replies.push(reply);
        done += count;
      }
      return { failures, replies };
    });
  }

  /** One nfnetlink batch (NFNL_MSG_BATCH_BEGIN to _END) in one send: all of it or nothing. Failures count those two too. */
  transaction(messages: Uint8Array, what: string): BatchResult {
    return this.#alone(() => {
      const { first, count } = this.#port.prepare(messages, 0);
      this.#port.send(messages);
      return this.#outcome(first, count, what);
    });
  }

  /** As `transaction`, with the kernel's work done on another thread. Keep the messages untouched until then. */
  async transactionAsync(messages: Uint8Array, what: string): Promise<BatchResult> {
    return this.#aloneAsync(async () => {
      const { first, count } = this.#port.prepare(messages, 0);
      await this.#port.sendAsync(messages);
      return this.#outcome(first, count, what);
    });
  }

  /**
   * Messages of the groups, as they come, until the signal aborts (then it ends silently). Who reads slowly loses messages
   * rather than memory, and is told by an `overrun`.
   */
  async *events(signal: AbortSignal): AsyncGenerator<NetlinkEvent, void, undefined> {
    this.#enter();
    try {
      while (!signal.aborted) {
        const event = this.#nextEvent();
        if (event === undefined) await this.#port.readable(signal);
        else yield event;
      }
    } finally {
      this.#inUse = false;
    }
  }

  /** May be repeated. Not while `events` runs: abort that first and see it end. */
  close(): void {
    if (this.#closed) return;
    if (this.#inUse) throw new Error("the netlink socket is in use");
    this.#closed = true;
    this.#port.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #enter(): void {
    if (this.#closed) throw new Error("the netlink socket is closed");
    if (this.#inUse) throw new Error("the netlink socket is in use");
    this.#inUse = true;
  }

  #alone<T>(action: () => T): T {
    this.#enter();
    try {
      return action();
    } finally {
      this.#inUse = false;
    }
  }

  async #aloneAsync<T>(action: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await action();
    } finally {
      this.#inUse = false;
    }
  }

  /** Replies to one message, up to its acknowledgement. */
  #answer(sequence: number, what: string): NetlinkMessage[] {
    const replies: NetlinkMessage[] = [];
    for (;;) {
      for (const message of this.#receive(what)) {
        if (message.sequence !== sequence) continue;
        if (message.type !== NLMSG_ERROR) {
          replies.push(message);
          continue;
        }
        const error = parseAcknowledgement(message);
        if (error !== undefined) throw systemError(what, error);
        return replies;
      }
    }
  }

  *#dumpParts(message: Uint8Array, what: string): Generator<DumpPart, void, undefined> {
    const { first } = this.#port.prepare(message, NLM_F_DUMP);
    this.#port.send(message);
    try {
      for (let done = false; !done; ) {
        const messages: NetlinkMessage[] = [];
        let consistent = true;
        for (const reply of this.#receive(what)) {
          if (reply.sequence !== first) continue;
          consistent &&= (reply.flags & NLM_F_DUMP_INTR) === 0;
          if (reply.type === NLMSG_DONE || reply.type === NLMSG_ERROR) {
            const error = parseAcknowledgement(reply);
            if (error !== undefined) throw systemError(what, error);
            done = true;
          } else {
            messages.push(reply);
          }
        }
        yield { messages, consistent };
      }
    } finally {
      this.#port.drain();
    }
  }

  async *#slowParts(
    message: Uint8Array,
    what: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<DumpPart, void, undefined> {
    let turn = performance.now();
    for (const part of this.#dumpParts(message, what)) {
      yield part;
      if (performance.now() - turn < SLICE) continue;
      await new Promise((resolve) => void setImmediate(resolve));
      signal?.throwIfAborted();
      turn = performance.now();
    }
  }

  /** What became of the messages from number `first`: an acknowledgement each, or none for those that did not ask. */
  #outcome(first: number, count: number, what: string): BatchResult {
    const failures: BatchFailure[] = [];
    const replies: NetlinkMessage[] = [];
    for (;;) {
      const messages = this.#messages(what);
      if (messages === undefined) return { failures, replies };
      for (const message of messages) {
        const index = (message.sequence - first) >>> 0;
        if (index >= count) continue;
        const error = message.type === NLMSG_ERROR ? parseAcknowledgement(message) : undefined;
        if (error !== undefined) failures.push({ index, error });
        else if (message.type !== NLMSG_ERROR) replies.push(message);
      }
    }
  }

  #receive(what: string): NetlinkMessage[] {
    const messages = this.#messages(what);
    if (messages === undefined) throw new DriverError("failed", `Cannot ${what}: the kernel gave no answer`);
    return messages;
  }

  #messages(what: string): NetlinkMessage[] | undefined {
    try {
      const datagram = this.#port.receive();
      return datagram === undefined ? undefined : parseMessages(datagram);
    } catch (error) {
      if (!isOverrun(error)) throw error;
      throw new DriverError(
        "unavailable",
        `Cannot ${what}: the kernel's answer was lost; read back what there is`,
        error,
      );
    }
  }

  #nextEvent(): NetlinkEvent | undefined {
    const messages: NetlinkMessage[] = [];
    try {
      for (let i = 0; i < BURST; i++) {
        const datagram = this.#port.receive();
        if (datagram === undefined) break;
        for (const message of parseMessages(datagram)) messages.push(message);
      }
    } catch (error) {
      if (isOverrun(error)) return { kind: "overrun" };
      throw error;
    }
    return messages.length === 0 ? undefined : { kind: "messages", messages };
  }
}

/** Whole messages, so many that their answers fit together. */
function* chunks(messages: Uint8Array): Generator<Uint8Array, void, undefined> {
  const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
  let start = 0;
  let count = 0;
  for (let at = 0; at < messages.length; count++) {
    const next = at + ((view.getUint32(at, true) + 3) & ~3);
    if (next <= at) throw new RangeError(`there is no message at byte ${at}`);
    if (count === CHUNK_MESSAGES || (count > 0 && next - start > CHUNK_BYTES)) {
      yield messages.subarray(start, at);
      start = at;
      count = 0;
    }
    at = next;
  }
  if (start < messages.length) yield messages.subarray(start);
}

function collect<T>(
  messages: readonly NetlinkMessage[],
  parse: (message: NetlinkMessage) => T | undefined,
  out: T[],
): void {
  for (const message of messages) {
    const item = parse(message);
    if (item !== undefined) out.push(item);
  }
}

function restless(what: string): DriverError {
  const why = `the table changed during each of ${DUMP_ATTEMPTS} readings; try again`;
  return new DriverError("busy", `Cannot ${what}: ${why}`);
}
