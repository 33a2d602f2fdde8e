/**
 * The few Ethernet frames that tell a LAN who has an address: ARP (RFC 826, RFC 5227), neighbour solicitations and
 * advertisements (RFC 4861 sections 4.3 and 4.4, RFC 4862 section 5.4). Pure.
 */
import { type Address, address, formatBytes, toBytes } from "../../core/net/address.ts";

export interface ArpPacket {
  readonly operation: "request" | "reply";
  /** Lower case, with colons. */
  readonly senderMac: string;
  /** 0.0.0.0 in a probe. */
  readonly sender: string;
  readonly target: string;
}

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const NOBODY = "00:00:00:00:00:00";
const ARP_LENGTH = 42;
const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const OVERRIDE = 0x20;
const TARGET_LINK_ADDRESS = 2;
const ALL_NODES = "ff02::1";

/** Asks whether somebody has the address, without claiming it (RFC 5227 section 2.1.1). */
export function arpProbe(mac: string, ip: string): Uint8Array {
  return arp(BROADCAST, 1, mac, "0.0.0.0", NOBODY, ip);
}

/** "This address is here now" (RFC 5227 section 2.3): whoever knew it elsewhere takes the new place at once. */
export function arpAnnouncement(mac: string, ip: string): Uint8Array {
  return arp(BROADCAST, 1, mac, ip, NOBODY, ip);
}

/** Answers one who asks. */
export function arpReply(mac: string, ip: string, toMac: string, toIp: string): Uint8Array {
  return arp(toMac, 2, mac, ip, toMac, toIp);
}

function arp(to: string, operation: number, mac: string, ip: string, targetMac: string, target: string): Uint8Array {
  const frame = new Uint8Array(ARP_LENGTH);
  ethernet(frame, to, mac, ETHERTYPE_ARP);
  // Ethernet (1), IPv4, lengths of their addresses.
  frame.set([0, 1, 0x08, 0, 6, 4, 0, operation], 14);
  frame.set(macOf(mac), 22);
  frame.set(toBytes(address(ip)), 28);
  frame.set(macOf(targetMac), 32);
  frame.set(toBytes(address(target)), 38);
  return frame;
}

/** Undefined for what is no ARP of IPv4 on Ethernet, or is cut off. */
export function parseArp(frame: Uint8Array): ArpPacket | undefined {
  if (frame.length < ARP_LENGTH) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint16(12) !== ETHERTYPE_ARP || view.getUint32(14) !== 0x00010800 || view.getUint16(18) !== 0x0604)
    return undefined;
  const operation = view.getUint16(20);
  if (operation !== 1 && operation !== 2) return undefined;
  return {
    operation: operation === 1 ? "request" : "reply",
    senderMac: formatMac(frame.subarray(22, 28)),
    sender: formatBytes(frame.subarray(28, 32)) ?? "",
    target: formatBytes(frame.subarray(38, 42)) ?? "",
  };
}

/** Asks whether somebody has the address, without having one (RFC 4862 section 5.4.2). */
export function neighbourProbe(mac: string, ip: string): Uint8Array {
  const target = toBytes(address(ip));
  const group = toBytes(address("ff02::1:ff00:0"));
  group.set(target.subarray(13), 13);
  const body = new Uint8Array(24);
  body[0] = SOLICITATION;
  body.set(target, 8);
  return icmp(mac, "::", group, body);
}

/** Unsolicited (RFC 4861 section 7.2.6), with the override flag: neighbours take the new place at once. */
export function neighbourAnnouncement(mac: string, from: string, ip: string): Uint8Array {
  const body = new Uint8Array(32);
  body[0] = ADVERTISEMENT;
  body[4] = OVERRIDE;
  body.set(toBytes(address(ip)), 8);
  body.set([TARGET_LINK_ADDRESS, 1], 24);
  body.set(macOf(mac), 26);
  return icmp(mac, from, toBytes(address(ALL_NODES)), body);
}

/** `message`: from the ICMPv6 header on. Undefined for all but advertisements. */
export function parseAdvertisement(
  message: Uint8Array,
): { readonly target: string; readonly mac?: string } | undefined {
  if (message.length < 24 || message[0] !== ADVERTISEMENT) return undefined;
  const target = formatBytes(message.subarray(8, 24));
  if (target === undefined) return undefined;
  for (let at = 24; at + 8 <= message.length; ) {
    const length = (message[at + 1] ?? 0) * 8;
    if (length === 0) return undefined; // RFC 4861 section 4.6: to be discarded
    if (message[at] === TARGET_LINK_ADDRESS && length === 8)
      return { target, mac: formatMac(message.subarray(at + 2, at + 8)) };
    at += length;
  }
  return { target };
}

function icmp(mac: string, from: string, to: Uint8Array, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(54 + body.length);
  // RFC 2464 section 7: the last four bytes of a group's address name its Ethernet group.
  ethernet(frame, formatMac(new Uint8Array([0x33, 0x33, ...to.subarray(12)])), mac, ETHERTYPE_IPV6);
  const view = new DataView(frame.buffer);
  frame[14] = 0x60;
  view.setUint16(18, body.length);
  frame[20] = ICMPV6;
  frame[21] = 255; // neighbours heed nothing that a router could have passed on
  frame.set(toBytes(address(from)), 22);
  frame.set(to, 38);
  frame.set(body, 54);
  view.setUint16(56, checksum(frame.subarray(22)));
  return frame;
}

/** Of the addresses and the message behind them (RFC 8200 section 8.1). */
function checksum(bytes: Uint8Array): number {
  let sum = bytes.length - 32 + ICMPV6;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function ethernet(frame: Uint8Array, to: string, from: string, type: number): void {
  frame.set(macOf(to), 0);
  frame.set(macOf(from), 6);
  frame.set([type >> 8, type & 0xff], 12);
}

function macOf(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** What asks a LAN about the address, whichever its family. */
export function probe(mac: string, { family }: Address, ip: string): Uint8Array {
  return family === 4 ? arpProbe(mac, ip) : neighbourProbe(mac, ip);
}
