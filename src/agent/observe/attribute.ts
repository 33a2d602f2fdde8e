/** Which rules let a connection pass: the packet that began it, through the rules as they are now. */
import { decisions } from "../../core/calc/decision.ts";
import type { FlowTuple } from "../../core/calc/flow-judge.ts";
import type { HostState } from "../../core/calc/host-state.ts";
import { stateRouting } from "../../core/calc/state-routing.ts";
import type { Reason } from "../../core/flows/flow.ts";
import type { LocalLink } from "../../core/flows/parties.ts";
import { reasonOf } from "../../core/flows/reason.ts";
import type { Family } from "../../core/net/address.ts";
import type { Membership } from "../../core/rules/decider.ts";
import { type Evaluation, evaluate } from "../../core/rules/evaluate.ts";

export interface Place {
  readonly state: HostState;
  readonly members: Membership;
  /** Canonical addresses of this host. */
  readonly own: readonly string[];
  readonly uplink: string | undefined;
}

/** `link`: that of the sender, if it is a container of this host. */
export function attribute(first: First, link: LocalLink | undefined, place: Place): Reason[] {
  const evaluation = judge(first, link, place);
  // A policy may have changed since: what the rules of now would drop was let through by those of then.
  return decisions(evaluation, place.state.origins, place.members).flatMap(({ verdict, origin }) =>
    verdict === "allow" && origin !== undefined ? [reasonOf(origin)] : [],
  );
}

/** A packet that begins a connection. */
export interface First extends FlowTuple {
  readonly family: Family;
}

/** What the rules in force make of the packet. */
export function judge(packet: First, link: LocalLink | undefined, place: Place): Evaluation {
  const { state, own, uplink } = place;
  const { family, source, destination, protocol, sourcePort, destinationPort, icmp } = packet;
  const fromHost = own.includes(source);
  const routing = stateRouting(state, {
    hostAddresses: own,
    ...(fromHost || uplink === undefined ? {} : { uplink }),
  });
  return evaluate(
    state.ruleset,
    {
      family,
      protocol,
      source,
      destination,
      ...(sourcePort === undefined ? {} : { sourcePort }),
      ...(destinationPort === undefined ? {} : { destinationPort }),
      ...(icmp === undefined ? {} : { icmp: { type: icmp.type, code: icmp.code } }),
      ...(link === undefined ? {} : { mac: link.mac }),
    },
    fromHost ? undefined : (link?.interface ?? uplink ?? "outside"),
    routing,
  );
}
