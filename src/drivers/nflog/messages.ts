/** Packet logs as messages: linux/netfilter/nfnetlink_log.h. Pure. Numbers are in network order. */
import { Attributes, type MessageWriter, type NetlinkMessage } from "../syscall/netlink-message.ts";
import type { LoggedPacket } from "./nflog.ts";

const NFNL_SUBSYS_ULOG = 4;
const NFULNL_MSG_PACKET = NFNL_SUBSYS_ULOG << 8;
const NFULNL_MSG_CONFIG = (NFNL_SUBSYS_ULOG << 8) | 1;

const NFULA_CFG_CMD = 1;
const NFULA_CFG_MODE = 2;
const NFULA_CFG_NLBUFSIZ = 3;
const NFULA_CFG_TIMEOUT = 4;
const NFULA_CFG_QTHRESH = 5;
const NFULA_CFG_FLAGS = 6;
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_CFG_CMD_PF_UNBIND = 4;
const NFULNL_COPY_PACKET = 2;
const NFULNL_CFG_F_SEQ = 1;

const NFULA_PACKET_HDR = 1;
const NFULA_MARK = 2;
const NFULA_TIMESTAMP = 3;
const NFULA_IFINDEX_INDEV = 4;
const NFULA_IFINDEX_OUTDEV = 5;
const NFULA_HWADDR = 8;
const NFULA_PAYLOAD = 9;
const NFULA_PREFIX = 10;
const NFULA_SEQ = 12;

/** No family: of a real one the command would take the logger away that others have chosen (net.netfilter.nf_log). */
const NO_FAMILY = 255;
/** `struct nfgenmsg` */
const HEADER = 4;
const BUFFER_BYTES = 65_536;

export interface LogOptions {
  /** Bytes of each packet. */
  readonly copyBytes: number;
  /** Packets that the kernel sends together. */
  readonly bundle: number;
  /** Milliseconds that a packet waits for others at the most. */
  readonly bundleMs: number;
}

const attributes = new Attributes(24);

/** A command about a family that does not exist: the kernel takes it and does nothing. */
export function writeNothing(w: MessageWriter): MessageWriter {
  w.begin(NFULNL_MSG_CONFIG, 0).nfgen(NO_FAMILY);
  return w.bytes(NFULA_CFG_CMD, new Uint8Array([NFULNL_CFG_CMD_PF_UNBIND])).end();
}

export function writeBind(w: MessageWriter, group: number, { copyBytes, bundle, bundleMs }: LogOptions): MessageWriter {
  w.begin(NFULNL_MSG_CONFIG, 0).nfgen(0, group);
  w.bytes(NFULA_CFG_CMD, new Uint8Array([NFULNL_CFG_CMD_BIND]));
  const mode = new Uint8Array(6);
  new DataView(mode.buffer).setUint32(0, copyBytes, false);
  mode[4] = NFULNL_COPY_PACKET;
  w.bytes(NFULA_CFG_MODE, mode);
  w.u32Be(NFULA_CFG_NLBUFSIZ, BUFFER_BYTES);
  w.u32Be(NFULA_CFG_TIMEOUT, Math.max(1, Math.round(bundleMs / 10)));
  w.u32Be(NFULA_CFG_QTHRESH, bundle);
  return w.u16Be(NFULA_CFG_FLAGS, NFULNL_CFG_F_SEQ).end();
}

/** Undefined for what is no packet. `sequence`: counts the packets of this binding. */
export function parsePacket({
  type,
  body,
}: NetlinkMessage): { readonly packet: LoggedPacket; readonly sequence: number } | undefined {
  if (type !== NFULNL_MSG_PACKET) return undefined;
  attributes.read(body, HEADER);
  const header = attributes.bytes(NFULA_PACKET_HDR);
  const inIndex = attributes.u32Be(NFULA_IFINDEX_INDEV);
  const outIndex = attributes.u32Be(NFULA_IFINDEX_OUTDEV);
  const sourceMac = parseMac(attributes.bytes(NFULA_HWADDR));
  const time = parseTime(attributes.bytes(NFULA_TIMESTAMP));
  const packet: LoggedPacket = {
    kind: "packet",
    prefix: attributes.string(NFULA_PREFIX) ?? "",
    etherType: header === undefined || header.length < 2 ? 0 : ((header[0] ?? 0) << 8) | (header[1] ?? 0),
    mark: attributes.u32Be(NFULA_MARK) ?? 0,
    payload: attributes.bytes(NFULA_PAYLOAD) ?? new Uint8Array(),
    ...(inIndex === undefined ? {} : { inIndex }),
    ...(outIndex === undefined ? {} : { outIndex }),
    ...(sourceMac === undefined ? {} : { sourceMac }),
    ...(time === undefined ? {} : { time }),
  };
  return { packet, sequence: attributes.u32Be(NFULA_SEQ) ?? 0 };
}

/** `struct nfulnl_msg_packet_hw`: length, padding, eight bytes of room. */
function parseMac(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.length < 10 || bytes[0] !== 0 || bytes[1] !== 6) return undefined;
  return Array.from(bytes.subarray(4, 10), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Seconds and microseconds, each of 64 bits. */
function parseTime(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined || bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const high = view.getUint32(0, false);
  return (high * 4_294_967_296 + view.getUint32(4, false)) * 1000 + view.getUint32(12, false) / 1000;
}
