/** Which flows somebody asks for. What is left out does not matter. */
import type { Flow, FlowVerdict, Party } from "./flow.ts";

export interface FlowFilter {
  /** Seen by whatever host of the cluster; absent: by this one. */
  readonly hosts?: "all";
  /** Container, NETWORK/CONTAINER, address, host, or `internet` for anybody outside. */
  readonly from?: string;
  readonly to?: string;
  /** Of the receiver. */
  readonly port?: number;
  readonly protocol?: number;
  readonly verdicts?: readonly FlowVerdict[];
  /** Name of a policy, as NAME or NAMESPACE/NAME, that decided at either end. */
  readonly policy?: string;
  /** Either end. */
  readonly network?: string;
  /** Seen at or after, unix time in milliseconds. */
  readonly since?: number;
}

export function matches(flow: Flow, filter: FlowFilter): boolean {
  const { from, to, port, protocol, verdicts, policy, network, since } = filter;
  return (
    (from === undefined || isParty(flow.source, from)) &&
    (to === undefined || isParty(flow.destination, to)) &&
    (port === undefined || flow.destinationPort === port) &&
    (protocol === undefined || flow.protocol === protocol) &&
    (verdicts === undefined || verdicts.includes(flow.verdict)) &&
    (policy === undefined || decidedBy(flow, policy)) &&
    (network === undefined || [flow.source, flow.destination].some((party) => isOn(party, network))) &&
    (since === undefined || flow.time >= since)
  );
}

function isParty(party: Party, text: string): boolean {
  if (party.address === text) return true;
  switch (party.kind) {
    case "endpoint":
      return party.container === text || `${party.network}/${party.container}` === text;
    case "host":
      return party.host === text || text === "host";
    case "outside":
      return text === "internet" || text === "outside";
  }
}

function isOn(party: Party, network: string): boolean {
  return party.kind === "endpoint" && party.network === network;
}

function decidedBy({ reasons }: Flow, policy: string): boolean {
  return reasons.some(
    (reason) => reason.policy !== undefined && [reason.policy, `${reason.namespace}/${reason.policy}`].includes(policy),
  );
}
