/**
 * What runs in the kernel at each packet that it drops (tracepoint skb:kfree_skb, with reasons since Linux 5.17): of the reasons and
 * the network namespace that are wanted, the head of the packet goes into a queue; of what is alike, once a second, with a count.
 * A flood costs a lookup for each packet, and nothing is written but to maps of a fixed size.
 */
import { Assembler } from "./assembler.ts";
import type { Btf } from "./btf.ts";

/** bpf-helpers(7) */
const HELPER = { mapLookup: 1, mapUpdate: 2, time: 5, push: 87, read: 113 } as const;

/** Where the fields lie, in bytes. */
export interface Layout {
  readonly head: number;
  readonly network: number;
  readonly protocol: number;
  readonly length: number;
  readonly arrived: number;
  readonly device: number;
  readonly socket: number;
  readonly route: number;
  readonly deviceIndex: number;
  readonly deviceNet: number;
  readonly socketNet: number;
  readonly routeDevice: number;
  readonly netNumber: number;
}

/** Undefined: this kernel has not all of it. */
export function layoutOf(btf: Btf): Layout | undefined {
  const at = (structure: string, field: string): number => btf.offset(structure, field) ?? Number.NaN;
  const layout: Layout = {
    head: at("sk_buff", "head"),
    network: at("sk_buff", "network_header"),
    protocol: at("sk_buff", "protocol"),
    length: at("sk_buff", "len"),
    arrived: at("sk_buff", "skb_iif"),
    device: at("sk_buff", "dev"),
    socket: at("sk_buff", "sk"),
    route: at("sk_buff", "_skb_refdst"),
    deviceIndex: at("net_device", "ifindex"),
    deviceNet: at("net_device", "nd_net"),
    socketNet: at("sock", "__sk_common") + at("sock_common", "skc_net"),
    routeDevice: at("dst_entry", "dev"),
    netNumber: at("net", "ns") + at("ns_common", "inum"),
  };
  return Object.values(layout).some((offset) => !Number.isInteger(offset)) ? undefined : layout;
}

/** Bytes of a packet, from the network header on: addresses and ports of IPv6 with a few extension headers. */
const PACKET = 80;
/** What a queue's element looks like. */
export const EVENT = {
  reason: 0,
  count: 4,
  device: 8,
  arrived: 12,
  length: 16,
  etherType: 20,
  packet: 24,
  size: 24 + PACKET,
} as const;
/** Reason, addresses (16 each), next protocol, version, destination port. */
export const KEY_SIZE = 40;
/** When it was told last, and what has come since. */
export const SEEN_SIZE = 16;
const SECOND = 1_000_000_000;

export interface Maps {
  readonly queue: number;
  readonly seen: number;
  /** One counter: what found no room. */
  readonly lost: number;
}

/** From the frame pointer down: the event, the key, the value, and 8 bytes for what is read. */
const EVENT_AT = -EVENT.size;
const KEY_AT = EVENT_AT - KEY_SIZE;
const SEEN_AT = KEY_AT - SEEN_SIZE;
const READ_AT = SEEN_AT - 8;

/** `reasons`: numbers of this kernel; `netns`: the inode number of the namespace. */
export function dropProgram(layout: Layout, reasons: readonly number[], netns: number, maps: Maps): Uint8Array {
  const asm = new Assembler();
  asm.load(6, 8, 1, 0).load(7, 4, 1, 16);
  for (const reason of reasons) asm.when(7, "eq", reason, "wanted");
  asm.label("out").set(0, 0).exit().label("wanted");
  /** Reads so many bytes at a register's address and further on. */
  const read = (bytes: 1 | 2 | 4 | 8, from: 6 | 8 | 9, offset: number): void => {
    asm.storeValue(8, 10, READ_AT, 0).copy(1, 10).add(1, READ_AT).set(2, bytes).copy(3, from).add(3, offset);
    asm.call(HELPER.read).load(0, 8, 10, READ_AT);
  };
  for (let at = READ_AT; at < 0; at += 8) asm.storeValue(8, 10, at, 0);
  // Whose packet: of its interface, else of its socket, else of its route's interface.
  read(8, 6, layout.device);
  asm.copy(8, 0).when(8, "ne", 0, "device");
  read(8, 6, layout.socket);
  asm.copy(8, 0).when(8, "ne", 0, "socket");
  read(8, 6, layout.route);
  asm.and(0, -2).when(0, "eq", 0, "out").copy(8, 0); // the lowest bit is no part of the address
  read(8, 8, layout.routeDevice);
  asm.copy(8, 0).when(8, "eq", 0, "out").label("device");
  read(4, 8, layout.deviceIndex);
  asm.store(4, 10, EVENT_AT + EVENT.device, 0);
  read(8, 8, layout.deviceNet);
  asm.copy(9, 0).go("net").label("socket");
  read(8, 8, layout.socketNet);
  asm.copy(9, 0).label("net").when(9, "eq", 0, "out");
  read(4, 9, layout.netNumber);
  asm
    .set(1, netns | 0)
    .subtract(0, 1)
    .and(0, 0x7fffffff)
    .when(0, "ne", 0, "out");
  asm.store(4, 10, EVENT_AT + EVENT.reason, 7);
  read(4, 6, layout.arrived);
  asm.store(4, 10, EVENT_AT + EVENT.arrived, 0);
  read(4, 6, layout.length);
  asm.store(4, 10, EVENT_AT + EVENT.length, 0);
  read(2, 6, layout.protocol);
  asm.store(2, 10, EVENT_AT + EVENT.etherType, 0);
  read(8, 6, layout.head);
  asm.copy(8, 0);
  read(2, 6, layout.network);
  asm.add(8, { register: 0 });
  asm
    .copy(1, 10)
    .add(1, EVENT_AT + EVENT.packet)
    .set(2, PACKET)
    .copy(3, 8)
    .call(HELPER.read);
  once(asm, maps);
  return asm.finish();
}

/** Of what is alike, once a second. */
function once(asm: Assembler, { queue, seen, lost }: Maps): void {
  const packet = EVENT_AT + EVENT.packet;
  const copy = (size: 1 | 2 | 4 | 8, to: number, from: number): void => {
    asm.load(1, size, 10, packet + from).store(size, 10, KEY_AT + to, 1);
  };
  asm
    .store(2, 10, KEY_AT, 7)
    .load(1, 1, 10, packet)
    .and(1, 0xf0)
    .store(1, 10, KEY_AT + 2, 1);
  asm.when(1, "eq", 0x60, "v6");
  copy(4, 8, 12);
  copy(4, 12, 16);
  copy(1, 3, 9);
  copy(2, 4, 22);
  asm.go("keyed").label("v6");
  for (let i = 0; i < 32; i += 8) copy(8, 8 + i, 8 + i);
  copy(1, 3, 6);
  copy(2, 4, 42);
  asm.label("keyed").call(HELPER.time).copy(9, 0);
  const key = (): void => void asm.copy(2, 10).add(2, KEY_AT);
  asm.map(1, seen);
  key();
  asm.call(HELPER.mapLookup).when(0, "ne", 0, "known");
  asm.store(8, 10, SEEN_AT, 9).map(1, seen);
  key();
  asm.copy(3, 10).add(3, SEEN_AT).set(4, 0).call(HELPER.mapUpdate);
  asm.set(1, 1).go("push").label("known").copy(8, 0);
  asm.load(2, 8, 8, 0).copy(1, 9).subtract(1, 2).when(1, "ge", SECOND, "due");
  asm.set(1, 1).addAtomic(8, 8, 1).go("out");
  asm.label("due").store(8, 8, 0, 9).load(1, 8, 8, 8).add(1, 1).storeValue(8, 8, 8, 0);
  asm.label("push").store(4, 10, EVENT_AT + EVENT.count, 1);
  asm.map(1, queue).copy(2, 10).add(2, EVENT_AT).set(3, 0).call(HELPER.push).when(0, "eq", 0, "end");
  asm.storeValue(4, 10, READ_AT, 0).map(1, lost).copy(2, 10).add(2, READ_AT).call(HELPER.mapLookup);
  asm.when(0, "eq", 0, "end").set(1, 1).addAtomic(0, 0, 1);
  asm.label("end").set(0, 0).exit();
}
