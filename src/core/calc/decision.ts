/** Who decided about a packet, in words: from the trace of an evaluation to tier, policy and rule. */
import { decider, type Membership } from "../rules/decider.ts";
import type { Evaluation, TraceEntry } from "../rules/evaluate.ts";
import type { FixedRule, Origin, Origins } from "../rules/origin.ts";

export interface Decision {
  readonly verdict: "allow" | "deny";
  /** Undefined where no rule but the end of a chain decided. */
  readonly origin: Origin | undefined;
  readonly text: string;
}

/**
 * The rules that decided, in the order of the way: the sender's egress, then the receiver's ingress. What denies is the last;
 * a chain that every packet of its kind passes is not told.
 */
export function decisions({ outcome, by, trace }: Evaluation, origins: Origins, members: Membership): Decision[] {
  const told = (entry: TraceEntry, verdict: Decision["verdict"]): Decision[] =>
    decided(entry, verdict, origins, members);
  const accepted = trace.flatMap((entry) => (entry.verdict?.kind === "accept" ? told(entry, "allow") : []));
  if (outcome !== "drop") return accepted;
  const denied = by === undefined ? [] : told(by, "deny");
  return [
    ...accepted,
    ...(denied.length > 0
      ? denied
      : [{ verdict: "deny" as const, origin: undefined, text: "dropped by the end of a chain" }]),
  ];
}

function decided(
  { rule, packet }: TraceEntry,
  verdict: Decision["verdict"],
  origins: Origins,
  members: Membership,
): Decision[] {
  const shared = rule.comment === undefined ? undefined : origins.get(rule.comment);
  if (shared === undefined) return [];
  const origin = decider(shared, packet, members);
  return [{ verdict, origin, text: originText(origin) }];
}

const FIXED: Readonly<Record<FixedRule, string>> = {
  "spoofed-source": "the source is not an address of the sender",
  "spoofed-arp": "the ARP message speaks of an address that is not the sender's",
  "foreign-neighbour": "the neighbour discovery speaks of an address that is not the sender's",
  "loopback-destination": "the destination is a loopback address",
  "unknown-interface": "the interface is not known",
  invalid: "conntrack calls the packet invalid",
  "mid-stream": "the segment belongs to no known connection",
  "endpoint-to-host": "what containers may do on their own host",
  guard: "the host does not route between its other networks",
  failsafe: "a failsafe port of the host",
};

/** `tier default, NetworkPolicy shop/web: ingress[0] (Allow)`. */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case "Profile":
      return `Profile ${origin.name}: ${origin.direction}[${origin.rule}] (${origin.action})`;
    case "GlobalNetworkPolicy":
    case "NetworkPolicy":
    case "StagedGlobalNetworkPolicy":
    case "StagedNetworkPolicy": {
      const name = origin.namespace === undefined ? origin.name : `${origin.namespace}/${origin.name}`;
      const tier = origin.tier === undefined ? "" : `tier ${origin.tier}, `;
      return `${tier}${origin.kind} ${name}: ${origin.direction}[${origin.rule}] (${origin.action})`;
    }
    case "merged":
      return `one of ${origin.lines.length} rules of the ${origin.direction} (${origin.action})`;
    case "end-of-tier":
      return `tier ${origin.tier}: its policies apply to the ${origin.direction}, and no rule of them matches`;
    case "network":
      return `network ${origin.name}: ${NETWORK[origin.part]}`;
    case "no-profile":
      return `no policy applies to the ${origin.direction}, and no profile allows it`;
    case "fixed":
      return FIXED[origin.rule];
  }
}

const NETWORK: Readonly<Record<Extract<Origin, { kind: "network" }>["part"], string>> = {
  members: "its members reach each other",
  published: "the port is published",
  open: "it is open",
  names: "its containers may ask for each other's names",
};
