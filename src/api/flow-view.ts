/** Flows as the API shows them, and what a query means. */
import type { Snapshot } from "../core/calc/snapshot.ts";
import type { FlowFilter } from "../core/flows/filter.ts";
import type { Flow, FlowVerdict, Party } from "../core/flows/flow.ts";
import { protocolName, protocolNumber } from "../core/rules/protocol.ts";
import { ApiError } from "./error.ts";
import { FLOW_VERDICTS, type FlowQuery, type FlowView, type PartyView } from "./schema/flow.ts";

/** Whether there is such an endpoint now. */
export type IsThere = (party: Extract<Party, { kind: "endpoint" }>) => boolean;

export function isThere({ endpoints }: Pick<Snapshot, "endpoints">): IsThere {
  const nameOf = (host: string, network: string, container: string): string => `${host}\n${network}\n${container}`;
  const names = new Set(
    endpoints.map(({ host, network, container, id }) => nameOf(host, network, container || id.slice(0, 12))),
  );
  return ({ host, network, container }) => names.has(nameOf(host, network, container));
}

export function flowView(flow: Flow, isKnown: IsThere = () => true): FlowView {
  const { verdict, first, time, count, protocol, sourcePort, destinationPort, icmp, hosts, reasons } = flow;
  const partyView = (party: Party): PartyView =>
    party.kind === "endpoint" && !isKnown(party) ? { ...party, gone: true } : { ...party };
  return {
    verdict,
    first: new Date(first).toISOString(),
    last: new Date(time).toISOString(),
    count,
    protocol: protocol === undefined ? "arp" : protocolName(protocol).toLowerCase(),
    source: partyView(flow.source),
    destination: partyView(flow.destination),
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    ...(icmp === undefined ? {} : { icmp }),
    ...(hosts === undefined ? {} : { hosts: [...hosts] }),
    reasons: [...reasons],
  };
}

/** @throws ApiError "invalid" */
export function flowFilter(query: FlowQuery, now: number): FlowFilter {
  const { from, to, port, protocol, verdict, policy, network, since, hosts } = query;
  const number = protocol === undefined ? undefined : parseProtocol(protocol);
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(port === undefined ? {} : { port }),
    ...(number === undefined ? {} : { protocol: number }),
    ...(verdict === undefined ? {} : { verdicts: parseVerdicts(verdict) }),
    ...(policy === undefined ? {} : { policy }),
    ...(network === undefined ? {} : { network }),
    ...(hosts === undefined ? {} : { hosts }),
    ...(since === undefined ? {} : { since: now - since * 1000 }),
  };
}

function parseProtocol(text: string): number {
  try {
    return protocolNumber(text);
  } catch {
    throw new ApiError("invalid", `Cannot read the protocol "${text}": write tcp, udp, icmp or a number up to 255`);
  }
}

function parseVerdicts(text: string): FlowVerdict[] {
  return text.split(",").map((word) => {
    const verdict = FLOW_VERDICTS.find((one) => one === word.trim());
    if (verdict === undefined)
      throw new ApiError("invalid", `Cannot read the verdict "${word}": it is one of ${FLOW_VERDICTS.join(", ")}`);
    return verdict;
  });
}
