/** A packet as the ruleset sees it in user space, and what each field of the IR reads from it. */
import type { Family } from "../net/address.ts";
import type { CtState, Field } from "./ir.ts";
import { ICMP, ICMPV6, SCTP, TCP, UDP } from "./protocol.ts";

export interface Packet {
  readonly family: Family;
  /** IP protocol number. */
  readonly protocol: number;
  /** Canonical addresses. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** Target of neighbour discovery. */
  readonly target?: string;
  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16; absent: SYN, the first segment. */
  readonly tcpFlags?: number;
  /** Source MAC; absent where the packet comes from this host. */
  readonly mac?: string;
  readonly mark?: number;
  /** Absent: new. */
  readonly state?: CtState;
  readonly reply?: boolean;
  /** What conntrack has translated so far. */
  readonly translated?: readonly ("dnat" | "snat")[];
}

/** A packet at a hook. */
export interface Passing extends Packet {
  readonly iif?: string;
  readonly oif?: string;
}

const SYN = 2;

export function tcpFlags(packet: Packet): number {
  return packet.tcpFlags ?? SYN;
}

/** Canonical text of the field; undefined where the packet has no such field, and then nothing about it matches. */
export function fieldText(packet: Passing, field: Field): string | undefined {
  switch (field) {
    case "meta iifname":
      return packet.iif;
    case "meta oifname":
      return packet.oif;
    case "meta nfproto":
      return packet.family === 4 ? "ipv4" : "ipv6";
    case "meta l4proto":
      return String(packet.protocol);
    case "meta mark":
    case "ct mark":
      return `0x${(packet.mark ?? 0).toString(16)}`;
    case "ether saddr":
      return packet.mac;
    case "ip saddr":
      return packet.family === 4 ? packet.source : undefined;
    case "ip daddr":
      return packet.family === 4 ? packet.destination : undefined;
    case "ip6 saddr":
      return packet.family === 6 ? packet.source : undefined;
    case "ip6 daddr":
      return packet.family === 6 ? packet.destination : undefined;
    case "th sport":
      return port(packet, packet.sourcePort);
    case "th dport":
      return port(packet, packet.destinationPort);
    case "icmp type":
      return icmp(packet, ICMP, packet.icmp?.type);
    case "icmp code":
      return icmp(packet, ICMP, packet.icmp?.code);
    case "icmpv6 type":
      return icmp(packet, ICMPV6, packet.icmp?.type);
    case "icmpv6 code":
      return icmp(packet, ICMPV6, packet.icmp?.code);
    case "icmpv6 taddr":
      return packet.protocol === ICMPV6 ? packet.target : undefined;
    case "arp operation":
    case "arp saddr ether":
    case "arp saddr ip":
      return undefined;
  }
}

function port(packet: Packet, value: number | undefined): string | undefined {
  const has = packet.protocol === TCP || packet.protocol === UDP || packet.protocol === SCTP;
  return has && value !== undefined ? String(value) : undefined;
}

function icmp(packet: Packet, protocol: number, value: number | undefined): string | undefined {
  return packet.protocol === protocol && value !== undefined ? String(value) : undefined;
}
