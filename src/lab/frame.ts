/** Frames by hand: the first packet of a flow, with right checksums, because conntrack calls anything else invalid. */
import { address, toBytes } from "../core/net/address.ts";

/** A flow's first packet. Addresses are canonical text. */
export interface Flow {
  /** IP protocol number. */
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
}

export interface FrameOptions {
  readonly sourceMac: string;
  readonly destinationMac: string;
  /** In the payload, so that the packet is known again wherever it arrives. */
  readonly token: string;
  /** In the place of the token: what follows the transport header. */
  readonly body?: Uint8Array;
  readonly tcpFlags?: number;
}

const IPV4 = 0x0800;
const IPV6 = 0x86dd;

/** An Ethernet frame (IEEE 802.3, EtherType as RFC 894 and RFC 2464). */
export function frame(flow: Flow, options: FrameOptions): Uint8Array {
  const six = flow.source.includes(":");
  const head = [...macBytes(options.destinationMac), ...macBytes(options.sourceMac), ...u16(six ? IPV6 : IPV4)];
  return Uint8Array.from([...head, ...ipPacket(flow, options)]);
}

/** The IP packet alone. */
export function ipPacket(flow: Flow, options: Pick<FrameOptions, "token" | "tcpFlags" | "body">): Uint8Array {
  const { token, body = Buffer.from(token), tcpFlags = 2 } = options;
  const payload = transport(flow, body, tcpFlags);
  const [source, destination] = [toBytes(address(flow.source)), toBytes(address(flow.destination))];
  if (source.length === 16)
    return Uint8Array.from([
      0x60,
      0,
      0,
      0,
      ...u16(payload.length),
      flow.protocol,
      64,
      ...source,
      ...destination,
      ...payload,
    ]);
  const header = [0x45, 0, ...u16(20 + payload.length), 0, 1, 0, 0, 64, flow.protocol, 0, 0, ...source, ...destination];
  header.splice(10, 2, ...u16(checksum(header)));
  return Uint8Array.from([...header, ...payload]);
}

function transport(flow: Flow, data: Uint8Array, tcpFlags: number): Uint8Array {
  const ports = [...u16(flow.sourcePort ?? 0), ...u16(flow.destinationPort ?? 0)];
  switch (flow.protocol) {
    case 6:
      return summed(
        flow,
        [...ports, 0, 0, 0, 1, 0, 0, 0, tcpFlags & 16, 0x50, tcpFlags, 0xff, 0xff, 0, 0, 0, 0, ...data],
        16,
      );
    case 17:
    case 136:
      return summed(flow, [...ports, ...u16(8 + data.length), 0, 0, ...data], 6);
    case 132:
      return sctpInit(ports, data);
    case 1:
    case 58: {
      const { type, code } = flow.icmp ?? { type: flow.protocol === 1 ? 8 : 128, code: 0 };
      const id = Math.floor(Math.random() * 65536);
      const message = [type, code, 0, 0, ...u16(id), 0, 1, ...data];
      if (flow.protocol === 58) return summed(flow, message, 2);
      message.splice(2, 2, ...u16(checksum(message)));
      return Uint8Array.from(message);
    }
    default:
      return Uint8Array.from([0, 0, 0, 0, ...data]);
  }
}

/** With the checksum over the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) at the offset. */
function summed(flow: Flow, segment: number[], offset: number): Uint8Array {
  const pseudo = [
    ...toBytes(address(flow.source)),
    ...toBytes(address(flow.destination)),
    0,
    0,
    ...u16(segment.length),
    0,
    0,
    0,
    flow.protocol,
  ];
  segment.splice(offset, 2, ...u16(checksum([...pseudo, ...segment]) || 0xffff));
  return Uint8Array.from(segment);
}

/** RFC 9260 section 3.3.2: INIT stands alone, its verification tag is 0. The token is an unknown parameter. */
function sctpInit(ports: readonly number[], data: Uint8Array): Uint8Array {
  const parameter = [0x80, 0x01, ...u16(4 + data.length), ...data];
  while (parameter.length % 4 !== 0) parameter.push(0);
  const init = [0, 0, 0, 1, 0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 1, ...parameter];
  const packet = [...ports, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, ...u16(4 + init.length), ...init];
  const sum = crc32c(packet);
  packet.splice(8, 4, sum & 255, (sum >>> 8) & 255, (sum >>> 16) & 255, sum >>> 24);
  return Uint8Array.from(packet);
}

/** RFC 9260 appendix A. */
function crc32c(bytes: readonly number[]): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** RFC 1071. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}

export function u16(value: number): [number, number] {
  return [(value >> 8) & 255, value & 255];
}

export function macBytes(text: string): number[] {
  return text.split(":").map((part) => Number.parseInt(part, 16));
}
