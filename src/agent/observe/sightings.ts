/** From what the kernel tells (a logged packet, a new connection) to what was seen of whom. */
import type { FlowVerdict, Reason, Sighting } from "../../core/flows/flow.ts";
import type { Parties } from "../../core/flows/parties.ts";
import { parseLogPrefix, reasonOf } from "../../core/flows/reason.ts";
import type { Family } from "../../core/net/address.ts";
import { decider, type Membership } from "../../core/rules/decider.ts";
import type { Origins } from "../../core/rules/origin.ts";
import type { Connection } from "../../drivers/conntrack/conntrack.ts";
import type { LoggedPacket } from "../../drivers/nflog/nflog.ts";
import { type PacketHead, parseHead } from "../../drivers/nflog/packet-head.ts";

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

/** A connection that was let through; the receiver is who answers, behind a published host port too. */
export function sightingOfConnection(connection: Connection, parties: Parties, time: number): Sighting {
  const { family, original, reply, destinationNat } = connection;
  const verdict: FlowVerdict = "allow";
  const port = destinationNat ? reply.sourcePort : original.destinationPort;
  return {
    time,
    verdict,
    family,
    protocol: original.protocol,
    source: parties.of(original.source),
    destination: parties.of(destinationNat ? reply.source : original.destination),
    ...(original.sourcePort === undefined ? {} : { sourcePort: original.sourcePort }),
    ...(port === undefined ? {} : { destinationPort: port }),
    ...(original.icmp === undefined ? {} : { icmp: { type: original.icmp.type, code: original.icmp.code } }),
    reasons: [],
  };
}

/** True where one of the ends is a container. */
export function concernsEndpoint({ original, reply }: Connection, parties: Parties): boolean {
  return parties.isEndpoint(original.source) || parties.isEndpoint(reply.source);
}
