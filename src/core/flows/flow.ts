/**
 * What was seen of packets: who with whom, what became of it, and which rule said so. One flow stands for all connections or
 * dropped packets that differ in nothing but the sender's port.
 */
import type { Family } from "../net/address.ts";
import type { Direction } from "../rules/origin.ts";

/** One end, by name where it has one. */
export type Party =
  | {
      readonly kind: "endpoint";
      readonly address: string;
      readonly container: string;
      readonly network: string;
      readonly namespace: string;
      readonly host: string;
    }
  /** A host of ours. */
  | { readonly kind: "host"; readonly address: string; readonly host: string }
  | { readonly kind: "outside"; readonly address: string };

/** `would-*`: what a staged policy would have done; `log`: a rule of action Log. */
export type FlowVerdict = "allow" | "deny" | "log" | "would-allow" | "would-deny" | "would-pass";

/** What decided, in the order of the way: the sender's egress, then the receiver's ingress. */
export interface Reason {
  readonly text: string;
  readonly direction?: Direction;
  readonly tier?: string;
  readonly policy?: string;
  readonly namespace?: string;
  /** `ingress[2]`. */
  readonly rule?: string;
}

export interface Sighting {
  /** Unix time in milliseconds. */
  readonly time: number;
  readonly verdict: FlowVerdict;
  readonly family: Family;
  /** IANA's number; absent for ARP. */
  readonly protocol?: number;
  readonly source: Party;
  readonly destination: Party;
  readonly sourcePort?: number;
  /** What the receiver gets: behind a published host port, the container's own. */
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** Empty where nobody had the time to find out. */
  readonly reasons: readonly Reason[];
}

export interface Flow extends Sighting {
  /** When it was seen first, and (`time`) last. */
  readonly first: number;
  /** Connections, or packets that were logged. */
  readonly count: number;
  /** Those that saw it; absent: this one, which was asked alone. */
  readonly hosts?: readonly string[];
}

/** Equal for sightings that are one flow. */
export function flowKey({ verdict, protocol, source, destination, destinationPort, icmp, reasons }: Sighting): string {
  const service = icmp === undefined ? (destinationPort ?? "") : `${icmp.type}/${icmp.code}`;
  const decided = verdict === "allow" ? "" : (reasons.at(-1)?.text ?? "");
  return `${verdict}|${partyKey(source)}|${partyKey(destination)}|${protocol ?? "arp"}|${service}|${decided}`;
}

function partyKey(party: Party): string {
  return party.kind === "endpoint"
    ? `${party.host}/${party.network}/${party.container}/${party.address}`
    : party.address;
}
