/** What a rule wants that a packet does not have, in words: for `manx why`. It explains; it decides nothing. */

import type { IcmpMatch } from "../model/resources.ts";
import { parseAddress } from "../net/address.ts";
import { cidr, contains } from "../net/cidr.ts";
import type { Membership } from "../rules/decider.ts";
import type { Packet } from "../rules/packet.ts";
import type { PeerMatch, PortMatch, ResolvedRule } from "../rules/program.ts";
import { protocolName, WITH_PORTS } from "../rules/protocol.ts";
import type { Selector } from "../selector/ast.ts";
import { selector as parse } from "../selector/parse.ts";
import type { Labels } from "./labels.ts";
import { NAMESPACE_LABEL, NAMESPACE_PREFIX } from "./labels.ts";

/** One end of the packet, as people call it. */
export interface RuleEnd {
  readonly name: string;
  /** Absent for somebody without labels: an address outside. */
  readonly labels?: Labels;
  /** Ports of it that have names. */
  readonly ports: readonly { readonly name: string; readonly protocol: number; readonly port: number }[];
}

/** One text for each condition that is not met; none where the rule matches. */
export function ruleMisses(
  rule: ResolvedRule,
  packet: Packet,
  ends: { readonly source: RuleEnd; readonly destination: RuleEnd },
  members: Membership,
): string[] {
  const misses: string[] = [];
  const { family, protocol, notProtocol, icmp, notICMP } = rule;
  if (family !== undefined && family !== packet.family) misses.push(`this is IPv${packet.family}, not IPv${family}`);
  if (protocol !== undefined && protocol !== packet.protocol)
    misses.push(`this is ${protocolName(packet.protocol)}, not ${protocolName(protocol)}`);
  if (notProtocol !== undefined && notProtocol === packet.protocol)
    misses.push(`it is not for ${protocolName(notProtocol)}`);
  if (icmp !== undefined && !isIcmp(icmp, packet)) misses.push(`it wants ICMP ${icmpText(icmp)}`);
  if (notICMP !== undefined && isIcmp(notICMP, packet)) misses.push(`it is not for ICMP ${icmpText(notICMP)}`);
  misses.push(
    ...peerMisses(rule.source, packet.source, ends.source, members),
    ...portMisses(rule.source, packet.sourcePort, packet, ends.source, "source port"),
    ...peerMisses(rule.destination, packet.destination, ends.destination, members),
    ...portMisses(rule.destination, packet.destinationPort, packet, ends.destination, "port"),
  );
  return misses;
}

function isIcmp({ type, code }: IcmpMatch, { icmp }: Packet): boolean {
  return icmp !== undefined && (type ?? icmp.type) === icmp.type && (code ?? icmp.code) === icmp.code;
}

function icmpText({ type, code }: IcmpMatch): string {
  return [type !== undefined && `type ${type}`, code !== undefined && `code ${code}`].filter((word) => word).join(", ");
}

function peerMisses(peer: PeerMatch, text: string, end: RuleEnd, members: Membership): string[] {
  const { selector, notSelector, nets, notNets } = peer;
  const misses: string[] = [];
  if (selector !== undefined && !members.has(selector, text))
    misses.push(`it wants ${selector}; ${labelsText(end, selector)}`);
  if (notSelector !== undefined && members.has(notSelector, text))
    misses.push(`it is not for ${notSelector}; ${labelsText(end, notSelector)}`);
  if (nets !== undefined && nets.length > 0 && !isInside(text, nets)) misses.push(`${text} is not in ${list(nets)}`);
  const around = (notNets ?? []).filter((net) => isInside(text, [net]));
  if (around.length > 0) misses.push(`it is not for ${list(around)}, where ${text} is`);
  return misses;
}

function isInside(text: string, nets: readonly string[]): boolean {
  const address = parseAddress(text);
  return address !== undefined && nets.some((net) => contains(cidr(net), address));
}

const MOST = 5;

function list(words: readonly (string | number)[]): string {
  return words.length <= MOST ? words.join(", ") : `${words.slice(0, MOST).join(", ")} and ${words.length - MOST} more`;
}

function portMisses(
  { ports, notPorts }: PeerMatch,
  port: number | undefined,
  packet: Packet,
  end: RuleEnd,
  what: string,
): string[] {
  if (port === undefined || !WITH_PORTS.includes(packet.protocol))
    return ports === undefined ? [] : [`it is for ${what}s, and ${protocolName(packet.protocol)} has none`];
  const misses: string[] = [];
  if (ports !== undefined && !holds(ports, port, packet, end))
    misses.push(`${what} ${port} is not in ${portsText(ports)}`);
  if (notPorts !== undefined && holds(notPorts, port, packet, end))
    misses.push(`it is not for ${what} ${portsText(notPorts)}`);
  return misses;
}

function holds({ ranges, named }: PortMatch, port: number, { protocol }: Packet, end: RuleEnd): boolean {
  if (ranges.some(({ first, last }) => first <= port && port <= last)) return true;
  return end.ports.some((one) => named.includes(one.name) && one.protocol === protocol && one.port === port);
}

function portsText({ ranges, named }: PortMatch): string {
  return list([...ranges.map(({ first, last }) => (first === last ? first : `${first}-${last}`)), ...named]);
}

/** `web-2 has role=worker, and no label tier`. */
function labelsText({ name, labels }: RuleEnd, selector: string): string {
  if (labels === undefined) return `${name} has no labels`;
  const keys = [...new Set(labelsOf(parse(selector)))].filter((key) => !key.startsWith(NAMESPACE_PREFIX));
  const has = keys.flatMap((key) => (labels.has(key) ? [labelText(key, labels.get(key) ?? "")] : []));
  const lacks = keys.filter((key) => !labels.has(key));
  const words = [...has, ...(lacks.length === 0 ? [] : [`no label ${lacks.join(", ")}`])];
  return `${name} ${words.length === 0 ? "is none of them" : `has ${words.join(", ")}`}`;
}

function labelText(key: string, value: string): string {
  return key === NAMESPACE_LABEL ? `the namespace ${value}` : `${key}=${value}`;
}

function labelsOf(selector: Selector): string[] {
  switch (selector.kind) {
    case "all":
    case "global":
      return [];
    case "not":
      return labelsOf(selector.operand);
    case "and":
    case "or":
      return selector.operands.flatMap(labelsOf);
    case "has":
    case "==":
    case "!=":
    case "contains":
    case "starts with":
    case "ends with":
    case "in":
    case "not in":
      return [selector.label];
  }
}
