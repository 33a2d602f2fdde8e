/** The lower half of a netlink socket: a descriptor, numbered messages out, the kernel's datagrams in. */
import { closeSync } from "node:fs";
import { DriverError } from "../error.ts";
import { SystemError } from "./errno.ts";
import {
  AF_NETLINK,
  bind,
  getsockname,
  MSG_DONTWAIT,
  MSG_TRUNC,
  recvfrom,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
  sendto,
  sendtoAsync,
  setsockopt,
  socket,
} from "./libc.ts";
import { NLMSG_HEADER } from "./netlink-message.ts";
import { inNetworkNamespace } from "./netns.ts";
import { readable } from "./poller.ts";

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** `struct sockaddr_nl`: family, padding, port id, groups. The kernel's port is 0. */
const KERNEL = new Uint8Array([AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
/** The kernel's own default (net.core.wmem_default); what exceeds it needs a larger buffer. */
const SEND_BUFFER = 212_992;

/** Larger than anything the kernel sends: dumps come in 32 KiB, packet logs in 128 KiB. Shared, since no call is asynchronous. */
const received = new Uint8Array(262_144);
const sender = new Uint8Array(12);

export interface NetlinkSocketOptions {
  /** Path of the namespace; absent: that of this process. */
  readonly netns?: string;
  /** Bytes, before the kernel doubles it for its own needs. */
  readonly receiveBuffer?: number;
  /** Multicast groups, by number (RTNLGRP_*, NFNLGRP_*). */
  readonly groups?: readonly number[];
}

export class NetlinkPort {
  readonly #fd: number;
  #sequence = 0;
  #sendBuffer = SEND_BUFFER;

  constructor(protocol: number, options: NetlinkSocketOptions) {
    const { netns } = options;
    const open = (): number => socket(AF_NETLINK, SOCK_RAW, protocol);
    this.#fd = netns === undefined ? open() : inNetworkNamespace(netns, open);
    try {
      setUp(this.#fd, protocol, options);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get portId(): number {
    return new DataView(getsockname(this.#fd, 12).buffer).getUint32(4, true);
  }

  /** Numbers the messages in place, adds the flags and makes room to send them. Answers to earlier ones are forgotten. */
  prepare(messages: Uint8Array, flags: number): { readonly first: number; readonly count: number } {
    const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
    const first = this.#sequence;
    let count = 0;
    for (let at = 0; at < messages.length; count++) {
      const length = view.getUint32(at, true);
      if (length < NLMSG_HEADER) throw new RangeError(`there is no message at byte ${at}`);
      view.setUint16(at + 6, view.getUint16(at + 6, true) | flags, true);
      view.setUint32(at + 8, (first + count) >>> 0, true);
      at += (length + 3) & ~3;
    }
    this.#sequence = (first + count) >>> 0;
    if (messages.length + 1024 > this.#sendBuffer) {
      this.#sendBuffer = messages.length * 2;
      setsockopt(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, this.#sendBuffer);
    }
    this.drain();
    return { first, count };
  }

  send(messages: Uint8Array): void {
    sendto(this.#fd, messages, KERNEL);
  }

  async sendAsync(messages: Uint8Array): Promise<void> {
    await sendtoAsync(this.#fd, messages, KERNEL);
  }

  /** The kernel's next datagram, in memory of its own; undefined: there is none. */
  receive(): Uint8Array | undefined {
    for (;;) {
      const length = recvfrom(this.#fd, received, MSG_DONTWAIT | MSG_TRUNC, sender);
      if (length === undefined) return undefined;
      // Other processes may write to our port as well; only port 0 is the kernel.
      if (sender[4] !== 0 || sender[5] !== 0 || sender[6] !== 0 || sender[7] !== 0) continue;
      if (length > received.length)
        throw new DriverError("failed", `Cannot read the kernel's answer: it has ${length} bytes, more than fit`);
      return received.slice(0, length);
    }
  }

  /** Forgets what lies ready, also the end of a dump that was left half way, which the kernel would keep open. */
  drain(): void {
    for (;;) {
      try {
        if (recvfrom(this.#fd, received, MSG_DONTWAIT | MSG_TRUNC, sender) === undefined) return;
      } catch (error) {
        if (!isOverrun(error)) throw error;
      }
    }
  }

  readable(signal: AbortSignal): Promise<void> {
    return readable(this.#fd, signal);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** ENOBUFS: the kernel had more to say than the receive buffer holds. */
export function isOverrun(error: unknown): boolean {
  return error instanceof DriverError && error.cause instanceof SystemError && error.cause.errno === "ENOBUFS";
}

function setUp(fd: number, protocol: number, options: NetlinkSocketOptions): void {
  bind(fd, KERNEL);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  // Dumps are filtered by the kernel then, and unknown fields refused rather than ignored.
  if (protocol === NETLINK_ROUTE) setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  if (options.receiveBuffer !== undefined) setReceiveBuffer(fd, options.receiveBuffer);
  for (const group of options.groups ?? []) setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
}

function setReceiveBuffer(fd: number, bytes: number): void {
  try {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  } catch {
    // Without the capability, up to net.core.rmem_max.
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
}
