/** Which of the rules that were merged into one has decided about a packet: the first that matches it. */
import { parseAddress } from "../net/address.ts";
import { cidr, contains } from "../net/cidr.ts";
import type { Origin } from "./origin.ts";
import type { Packet } from "./packet.ts";
import type { Line, PeerMatch } from "./program.ts";
import { WITH_PORTS } from "./protocol.ts";
import { originOf } from "./rule-list.ts";

/** Whom selectors match, in the state that the ruleset was derived from. */
export interface Membership {
  /** True if something that the selector matches has the address, or a net around it. */
  has(selector: string, address: string): boolean;
}

/** The rule that an origin means for this packet: `origin` itself unless many rules share it. */
export function decider(origin: Origin, packet: Packet, members: Membership): Origin {
  if (origin.kind !== "merged") return origin;
  const line = origin.lines.find((one) => matches(one, packet, members));
  return line === undefined ? origin : originOf(line);
}

/** Only of what `isMergeable` lets through: the peer, the protocol and the destination port. */
function matches({ list, rule }: Line, packet: Packet, members: Membership): boolean {
  if (rule.family !== undefined && rule.family !== packet.family) return false;
  if (rule.protocol !== undefined && rule.protocol !== packet.protocol) return false;
  const ranges = rule.destination.ports?.ranges ?? [];
  if (ranges.length > 0) {
    const { protocol, destinationPort: port } = packet;
    if (port === undefined || (rule.protocol === undefined && !WITH_PORTS.includes(protocol))) return false;
    if (!ranges.some(({ first, last }) => first <= port && port <= last)) return false;
  }
  return list.direction === "ingress"
    ? hasPeer(rule.source, packet.source, members)
    : hasPeer(rule.destination, packet.destination, members);
}

function hasPeer({ selector, nets }: PeerMatch, text: string, members: Membership): boolean {
  if (selector !== undefined && !members.has(selector, text)) return false;
  if (nets === undefined || nets.length === 0) return true;
  const address = parseAddress(text);
  return address !== undefined && nets.some((net) => contains(cidr(net), address));
}
