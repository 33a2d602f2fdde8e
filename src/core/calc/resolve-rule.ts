/**
 * Rules as users write them, resolved: each selector says whom it means without the policy's namespace (Calico's
 * libcalico-go/lib/backend/syncersv1/updateprocessors/rules.go), and protocols and ports are numbers where they can be.
 */

import type { EntityRule, IcmpMatch, PolicyRule, Port } from "../model/resources.ts";
import type { Family } from "../net/address.ts";
import { cidr, formatCidr } from "../net/cidr.ts";
import { parsePortRange } from "../net/port-range.ts";
import type { PeerMatch, PortMatch, ResolvedRule } from "../rules/program.ts";
import { ICMP, ICMPV6, protocolNumber } from "../rules/protocol.ts";
import type { Selector } from "../selector/ast.ts";
import { selector as parse } from "../selector/parse.ts";
import { printSelector } from "../selector/print.ts";
import { exactly } from "./exactly.ts";
import { NAMESPACE_LABEL, NAMESPACE_PREFIX } from "./labels.ts";

const IN_A_NAMESPACE: Selector = { kind: "has", label: NAMESPACE_LABEL };

/** The rule of a policy in the namespace; undefined for a global one. Throws where validation should have refused it. */
export function resolveRule(rule: PolicyRule, namespace: string | undefined): ResolvedRule {
  const family = rule.ipVersion ?? familyOf(rule.protocol);
  return {
    action: rule.action,
    ...(family === undefined ? {} : { family }),
    ...(rule.protocol === undefined ? {} : { protocol: protocolNumber(rule.protocol) }),
    ...(rule.notProtocol === undefined ? {} : { notProtocol: protocolNumber(rule.notProtocol) }),
    ...(rule.icmp === undefined ? {} : { icmp: rule.icmp }),
    ...excludedIcmp(rule),
    source: resolvePeer(rule.source ?? {}, namespace),
    destination: resolvePeer(rule.destination ?? {}, namespace),
  };
}

/** What is not ICMP anyway is not excluded by an ICMP type, and a notICMP that says nothing excludes nothing. */
function excludedIcmp({ protocol, notICMP, source, destination }: PolicyRule): { notICMP?: IcmpMatch } {
  if (notICMP?.type === undefined) return {};
  const mayBeIcmp =
    protocol === undefined
      ? !isOfPorts(source) && !isOfPorts(destination)
      : [ICMP, ICMPV6].includes(protocolNumber(protocol));
  return mayBeIcmp ? { notICMP } : {};
}

function isOfPorts(peer: EntityRule | undefined): boolean {
  return (peer?.ports?.length ?? 0) > 0;
}

/** ICMP by its name is IPv4's and ICMPv6 is IPv6's; by number it is any (felix/calc/rule_convert.go). */
function familyOf(protocol: string | number | undefined): Family | undefined {
  if (typeof protocol !== "string") return undefined;
  const name = protocol.toLowerCase();
  return name === "icmp" ? 4 : name === "icmpv6" ? 6 : undefined;
}

function resolvePeer(peer: EntityRule, namespace: string | undefined): PeerMatch {
  return {
    ...netsOf("nets", peer.nets),
    ...netsOf("notNets", peer.notNets),
    ...selectorsOf(peerSelector(peer, namespace), isSet(peer.notSelector) ? parse(peer.notSelector) : undefined),
    ...(peer.ports === undefined || peer.ports.length === 0 ? {} : { ports: portsOf(peer.ports) }),
    ...(peer.notPorts === undefined || peer.notPorts.length === 0 ? {} : { notPorts: portsOf(peer.notPorts) }),
  };
}

/**
 * Beside a selector, a notSelector says which of the selected are not meant: what else has the same address does not
 * matter (felix/calc/rule_scanner.go). Alone it excludes the addresses of all that it selects.
 */
function selectorsOf(selector: Selector | undefined, not: Selector | undefined): PeerMatch {
  if (selector === undefined) return not === undefined ? {} : { notSelector: printSelector(not) };
  if (not === undefined) return { selector: printSelector(selector) };
  return { selector: printSelector({ kind: "and", operands: [selector, { kind: "not", operand: not }] }) };
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}

/** A namespaced policy means its own namespace as soon as any selector is used, even only a notSelector. */
function peerSelector(peer: EntityRule, namespace: string | undefined): Selector | undefined {
  const own = isSet(peer.selector) ? parse(peer.selector) : undefined;
  const scope = isSet(peer.namespaceSelector)
    ? namespaceScope(parse(peer.namespaceSelector))
    : namespace === undefined
      ? undefined
      : inNamespace(namespace);
  if (scope === undefined) return own;
  if (own !== undefined) return { kind: "and", operands: [scope, own] };
  return isSet(peer.notSelector) || isSet(peer.namespaceSelector) ? scope : undefined;
}

export function inNamespace(namespace: string): Selector {
  return { kind: "==", label: NAMESPACE_LABEL, value: namespace };
}

/** A selector of namespaces as one of what is in them: all() is "in any namespace", global() "in none". */
export function namespaceScope(selector: Selector): Selector {
  switch (selector.kind) {
    case "all":
      return IN_A_NAMESPACE;
    case "global":
      return { kind: "not", operand: IN_A_NAMESPACE };
    case "not":
      return { kind: "not", operand: namespaceScope(selector.operand) };
    case "and":
    case "or":
      return { kind: selector.kind, operands: selector.operands.map(namespaceScope) };
    case "has":
    case "==":
    case "!=":
    case "contains":
    case "starts with":
    case "ends with":
    case "in":
    case "not in":
      return { ...selector, label: NAMESPACE_PREFIX + selector.label };
  }
}

function netsOf<K extends "nets" | "notNets">(key: K, nets: readonly string[] | undefined): { [P in K]?: string[] } {
  if (nets === undefined || nets.length === 0) return {};
  return { [key]: nets.map((net) => formatCidr(cidr(net))) } as { [P in K]?: string[] };
}

function portsOf(ports: readonly Port[]): PortMatch {
  const ranges = ports.map(parsePortRange);
  return {
    ranges: exactly(ranges.filter((range) => range !== undefined)),
    named: exactly(ports.filter((_, i) => ranges[i] === undefined).map(String)),
  };
}
