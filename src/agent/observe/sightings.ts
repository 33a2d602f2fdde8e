/** From what the kernel tells (a logged packet, new connections) to what was seen of whom. */
import type { Reason, Sighting } from "../../core/flows/flow.ts";
import type { Parties } from "../../core/flows/parties.ts";
import { parseLogPrefix, reasonOf } from "../../core/flows/reason.ts";
import type { Family } from "../../core/net/address.ts";
import { decider, type Membership } from "../../core/rules/decider.ts";
import type { Origins } from "../../core/rules/origin.ts";
import type { LoggedPacket } from "../../drivers/nflog/nflog.ts";
import { type PacketHead, parseHead } from "../../drivers/nflog/packet-head.ts";
import type { NewConnections } from "../../drivers/nftables/new-connections.ts";

export interface LogContext {
  readonly parties: Parties;
  readonly origins: Origins;
  readonly members: Membership;
  readonly interfaceName: (index: number) => string | undefined;
  readonly now: number;
}

/** Undefined for what is not ours, or too short to say who it was. */
export function sightingOfPacket(packet: LoggedPacket, context: LogContext): Sighting | undefined {
  const prefix = parseLogPrefix(packet.prefix);
  const head = parseHead(packet.etherType, packet.payload);
  if (prefix === undefined || head === undefined) return undefined;
  const { parties, interfaceName, now } = context;
  const from = packet.inIndex === undefined ? undefined : interfaceName(packet.inIndex);
  return {
    time: packet.time ?? now,
    verdict: prefix.verdict,
    family: familyOf(head),
    ...(head.protocol === undefined ? {} : { protocol: head.protocol }),
    source: parties.sender(head.source, from),
    destination: parties.of(head.destination),
    ...(head.sourcePort === undefined ? {} : { sourcePort: head.sourcePort }),
    ...(head.destinationPort === undefined ? {} : { destinationPort: head.destinationPort }),
    ...(head.icmp === undefined ? {} : { icmp: head.icmp }),
    reasons: [reasonFor(prefix.id, head, context)],
  };
}

export function familyOf({ source }: PacketHead): Family {
  return source.includes(":") ? 6 : 4;
}

function reasonFor(id: string, head: PacketHead, { origins, members }: LogContext): Reason {
  const origin = origins.get(id);
  if (origin === undefined) return GONE;
  if (head.protocol === undefined) return reasonOf(origin);
  return reasonOf(decider(origin, { ...head, family: familyOf(head), protocol: head.protocol }, members));
}

const GONE: Reason = { text: "a rule that is not there any more" };

/** Connections that were let through. */
export function sightingOfConnections(connections: NewConnections, parties: Parties): Sighting {
  const { time, family, protocol, source, destination, sourcePort, destinationPort, icmp } = connections;
  return {
    time,
    verdict: "allow",
    family,
    protocol,
    source: parties.of(source),
    destination: parties.of(destination),
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    ...(icmp === undefined ? {} : { icmp }),
    reasons: [],
  };
}
