/** Flows as the API shows them, and what a query means. */
import type { FlowFilter } from "../core/flows/filter.ts";
import type { Flow, FlowVerdict, Party } from "../core/flows/flow.ts";
import { protocolName, protocolNumber } from "../core/rules/protocol.ts";
import { ApiError } from "./error.ts";
import { FLOW_VERDICTS, type FlowQuery, type FlowView, type PartyView } from "./schema/flow.ts";

export function flowView(flow: Flow): FlowView {
  const { verdict, first, time, count, protocol, source, destination, sourcePort, destinationPort, icmp, reasons } =
    flow;
  return {
    verdict,
    first: new Date(first).toISOString(),
    last: new Date(time).toISOString(),
    count,
    protocol: protocol === undefined ? "arp" : protocolName(protocol).toLowerCase(),
    source: partyView(source),
    destination: partyView(destination),
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    ...(icmp === undefined ? {} : { icmp }),
    reasons: [...reasons],
  };
}

function partyView(party: Party): PartyView {
  return { ...party };
}

/** @throws ApiError "invalid" */
export function flowFilter(query: FlowQuery, now: number): FlowFilter {
  const { from, to, port, protocol, verdict, policy, network, since } = query;
  const number = protocol === undefined ? undefined : parseProtocol(protocol);
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(port === undefined ? {} : { port }),
    ...(number === undefined ? {} : { protocol: number }),
    ...(verdict === undefined ? {} : { verdicts: parseVerdicts(verdict) }),
    ...(policy === undefined ? {} : { policy }),
    ...(network === undefined ? {} : { network }),
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
