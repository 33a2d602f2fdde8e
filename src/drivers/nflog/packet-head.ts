/** Addresses and ports of a packet's head: RFC 791, 8200, 9293, 768, 9260, 792, 4443, 826. Pure; trusts no length. */
import { formatBytes } from "../../core/net/address.ts";

export interface PacketHead {
  readonly source: string;
  readonly destination: string;
  /** IANA's number; for ARP it is absent. */
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** Not the first fragment of its packet: it has no ports. */
  readonly fragment?: true;
}

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;

const ICMP = 1;
const ICMPV6 = 58;
/** TCP, UDP, DCCP, SCTP, UDP-Lite: two ports of 16 bits come first. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);
/** Hop-by-hop, routing, destination options, mobility: next header and length in units of 8 bytes without the first. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60, 135]);
const FRAGMENT = 44;
const AUTHENTICATION = 51;
/** More than any sender means. */
const MAX_EXTENSIONS = 8;

/** Undefined for what is neither IPv4, IPv6 nor ARP, or is cut off before its addresses. */
export function parseHead(etherType: number, bytes: Uint8Array): PacketHead | undefined {
  switch (etherType) {
    case ETHERTYPE_IPV4:
      return parseIpv4(bytes);
    case ETHERTYPE_IPV6:
      return parseIpv6(bytes);
    case ETHERTYPE_ARP:
      return parseArp(bytes);
    default:
      return undefined;
  }
}

function parseIpv4(bytes: Uint8Array): PacketHead | undefined {
  const length = ((bytes[0] ?? 0) & 15) * 4;
  if (bytes.length < 20 || (bytes[0] ?? 0) >> 4 !== 4 || length < 20) return undefined;
  const addresses = { source: text(bytes, 12, 4), destination: text(bytes, 16, 4) };
  const protocol = bytes[9] ?? 0;
  const fragment = (u16(bytes, 6) & 0x1fff) !== 0;
  return fragment ? { ...addresses, protocol, fragment } : { ...addresses, ...transport(protocol, bytes, length) };
}

function parseIpv6(bytes: Uint8Array): PacketHead | undefined {
  if (bytes.length < 40 || (bytes[0] ?? 0) >> 4 !== 6) return undefined;
  const addresses = { source: text(bytes, 8, 16), destination: text(bytes, 24, 16) };
  let protocol = bytes[6] ?? 0;
  let at = 40;
  for (let i = 0; i < MAX_EXTENSIONS && at + 8 <= bytes.length; i++) {
    if (protocol === FRAGMENT) {
      if (u16(bytes, at + 2) >> 3 !== 0) return { ...addresses, protocol: bytes[at] ?? 0, fragment: true };
      protocol = bytes[at] ?? 0;
      at += 8;
    } else if (EXTENSIONS.has(protocol) || protocol === AUTHENTICATION) {
      const unit = protocol === AUTHENTICATION ? 4 : 8;
      const length = ((bytes[at + 1] ?? 0) + (protocol === AUTHENTICATION ? 2 : 1)) * unit;
      protocol = bytes[at] ?? 0;
      at += length;
    } else {
      break;
    }
  }
  return { ...addresses, ...transport(protocol, bytes, at) };
}

/** Ethernet and IPv4 only (RFC 826); the addresses are those of the protocol. */
function parseArp(bytes: Uint8Array): PacketHead | undefined {
  if (bytes.length < 28 || u16(bytes, 0) !== 1 || u16(bytes, 2) !== ETHERTYPE_IPV4) return undefined;
  return { source: text(bytes, 14, 4), destination: text(bytes, 24, 4) };
}

function transport(
  protocol: number,
  bytes: Uint8Array,
  at: number,
): Partial<PacketHead> & { readonly protocol: number } {
  if (WITH_PORTS.has(protocol) && at + 4 <= bytes.length)
    return { protocol, sourcePort: u16(bytes, at), destinationPort: u16(bytes, at + 2) };
  if ((protocol === ICMP || protocol === ICMPV6) && at + 2 <= bytes.length)
    return { protocol, icmp: { type: bytes[at] ?? 0, code: bytes[at + 1] ?? 0 } };
  return { protocol };
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function text(bytes: Uint8Array, at: number, length: 4 | 16): string {
  return formatBytes(bytes.subarray(at, at + length)) ?? "";
}
