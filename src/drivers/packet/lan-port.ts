/**
 * This host's mouth and ears on a LAN, one interface of it: frames out as they are (packet(7)); in come ARP packets and IPv6
 * neighbour advertisements, nothing else, so that busy traffic costs nothing here.
 */
import { closeSync } from "node:fs";
import {
  AF_PACKET,
  bind,
  MSG_DONTWAIT,
  recvfrom,
  SO_BINDTODEVICE,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  sendto,
  setsockoptBytes,
  socket,
} from "../syscall/libc.ts";
import { inNetworkNamespace } from "../syscall/netns.ts";
import { readable } from "../syscall/poller.ts";
import { type ArpPacket, parseAdvertisement, parseArp } from "./frames.ts";

const ETH_P_ARP = 0x0806;
const AF_INET6 = 10;
const IPPROTO_ICMPV6 = 58;
const SOL_ICMPV6 = 58;
const ICMP6_FILTER = 1;
const ADVERTISEMENT = 136;
const ROOM = 2048;
/** Frames taken in one go before others have their turn. */
const TURN = 64;

export interface LanNews {
  readonly onArp: (packet: ArpPacket) => void;
  readonly onAdvertisement: (news: { readonly target: string; readonly mac?: string }) => void;
}

export interface LanPortOptions {
  readonly name: string;
  readonly index: number;
  readonly news: LanNews;
  /** Path of the namespace; absent: that of this process. */
  readonly netns?: string;
  /** Told why the port is deaf from now on: the interface is gone, for one. */
  readonly onEnd?: (error: unknown) => void;
}

export class LanPort implements Disposable {
  readonly #index: number;
  readonly #closed = new AbortController();
  readonly #arp: number;
  readonly #icmp: number;
  #ears = 2;

  constructor({ name, index, news, netns, onEnd }: LanPortOptions) {
    this.#index = index;
    const open = (): [number, number] => [openArp(index), openIcmp(name)];
    [this.#arp, this.#icmp] = netns === undefined ? open() : inNetworkNamespace(netns, open);
    const listen = (fd: number, take: (bytes: Uint8Array) => void): void =>
      void this.#listen(fd, take).catch((error: unknown) => onEnd?.(error));
    listen(this.#arp, (bytes) => {
      const packet = parseArp(bytes);
      if (packet !== undefined) news.onArp(packet);
    });
    listen(this.#icmp, (bytes) => {
      const found = parseAdvertisement(bytes);
      if (found !== undefined) news.onAdvertisement(found);
    });
  }

  /** A whole Ethernet frame. @throws DriverError where the interface is down or gone */
  send(frame: Uint8Array): void {
    if (!this.#closed.signal.aborted) sendto(this.#arp, frame, linkAddress(this.#index));
  }

  async #listen(fd: number, take: (bytes: Uint8Array) => void): Promise<void> {
    const { signal } = this.#closed;
    const room = new Uint8Array(ROOM);
    const from = new Uint8Array(28);
    try {
      while (!signal.aborted) {
        await readable(fd, signal);
        for (let i = 0; i < TURN && !signal.aborted; i++) {
          const length = recvfrom(fd, room, MSG_DONTWAIT, from);
          if (length === undefined) break;
          take(room.subarray(0, Math.min(length, ROOM)));
        }
      }
    } finally {
      closeSync(fd);
      this.#ears -= 1;
    }
  }

  /** False once it hears nothing any more. */
  get listening(): boolean {
    return this.#ears === 2 && !this.#closed.signal.aborted;
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
  }
}

function openArp(index: number): number {
  const fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, swap(ETH_P_ARP));
  try {
    bind(fd, linkAddress(index));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openIcmp(name: string): number {
  const fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMPV6);
  try {
    const filter = new Uint8Array(32).fill(0xff); // a bit that is set: the type is kept out (linux/icmpv6.h)
    const word = new DataView(filter.buffer);
    const at = (ADVERTISEMENT >> 5) * 4;
    word.setUint32(at, word.getUint32(at, true) & ~(1 << (ADVERTISEMENT & 31)), true);
    setsockoptBytes(fd, SOL_ICMPV6, ICMP6_FILTER, filter);
    setsockoptBytes(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${name}\0`));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** `struct sockaddr_ll` (linux/if_packet.h). */
function linkAddress(index: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ARP);
  view.setInt32(4, index, true);
  return bytes;
}

/** In network byte order. */
function swap(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}
