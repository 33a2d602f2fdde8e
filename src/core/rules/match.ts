/**
 * One resolved rule's conditions as steps. A rule can need several sequences, any of which may match: one a family where
 * addresses are compared, and one each for numeric and named ports.
 */

import type { IcmpMatch } from "../model/resources.ts";
import { FAMILIES, type Family } from "../net/address.ts";
import { type Cidr, cidr } from "../net/cidr.ts";
import { mergePortRanges } from "../net/port-range.ts";
import type { Field, FieldType, Step } from "./ir.ts";
import type { PeerMatch, PortMatch, ResolvedRule } from "./program.ts";
import { ICMP, ICMPV6, WITH_PORTS } from "./protocol.ts";
import { netText, type SetUses } from "./sets.ts";
import { exactSet, is, isIn, isNot, isNotIn } from "./steps.ts";

type Side = "source" | "destination";
/** Sequences of steps: the rule matches where one of them does. */
export type Alternatives = readonly (readonly Step[])[];

/** Every packet that the rule matches, matches at least one of the sequences, and no other packet does. */
export function alternatives(rule: ResolvedRule, uses: SetUses): Alternatives {
  const wanted = FAMILIES.filter((family) => rule.family === undefined || rule.family === family);
  if (!comparesAddresses(rule)) {
    const family = wanted.length === 1 ? wanted[0] : undefined;
    const steps = family === undefined ? [] : [isFamily(family)];
    return withPorts(rule, family, [...steps, ...protocolSteps(rule, family, uses)], uses);
  }
  return wanted.flatMap((family) => {
    const addresses = addressSteps(rule, family, uses);
    if (addresses === undefined) return [];
    return excludesPortsOfAny(rule)
      ? withoutNamedPorts(rule, family, addresses, uses)
      : matching(rule, family, addresses, uses);
  });
}

function matching(rule: ResolvedRule, family: Family, before: readonly Step[], uses: SetUses): readonly Step[][] {
  if (excludesIcmpOfAny(rule)) return withoutIcmp(rule, family, before, uses);
  return withPorts(rule, family, [...before, ...protocolSteps(rule, family, uses)], uses);
}

/** Any protocol, but not these ports by name: what has no ports is not excluded. */
function excludesPortsOfAny({ protocol, source, destination }: ResolvedRule): boolean {
  if (protocol !== undefined || source.ports !== undefined || destination.ports !== undefined) return false;
  return source.notPorts !== undefined || destination.notPorts !== undefined;
}

/** What has other ports, which no ICMP has, and what has none at all. */
function withoutNamedPorts(
  rule: ResolvedRule,
  family: Family,
  addresses: readonly Step[],
  uses: SetUses,
): readonly Step[][] {
  const { notICMP: _, ...other } = rule;
  const { notPorts: __, ...source } = rule.source;
  const { notPorts: ___, ...destination } = rule.destination;
  const hasNone = isNotIn(["meta l4proto"], protocolsWithPorts(uses));
  return [
    ...matching(other, family, addresses, uses),
    ...matching({ ...rule, source, destination }, family, [...addresses, hasNone], uses),
  ];
}

/** Any protocol, but of ICMP not this type. */
function excludesIcmpOfAny(rule: ResolvedRule): boolean {
  return rule.protocol === undefined && rule.notICMP !== undefined;
}

/** What is not ICMP at all, and ICMP of other types: asking a packet for its ICMP type asks whether it is ICMP. */
function withoutIcmp(
  { notICMP = {}, ...rule }: ResolvedRule,
  family: Family,
  addresses: readonly Step[],
  uses: SetUses,
): readonly Step[][] {
  const icmp = family === 4 ? ICMP : ICMPV6;
  const before = [...addresses, ...protocolSteps(rule, family, uses)];
  if (rule.notProtocol === icmp) return [before];
  return [
    [...before, isNot("meta l4proto", String(icmp))],
    [...addresses, is("meta l4proto", String(icmp)), ...notIcmpSteps(notICMP, family, uses)],
  ];
}

export function isFamily(family: Family): Step {
  return is("meta nfproto", family === 4 ? "ipv4" : "ipv6");
}

/** Or anything else that differs between IPv4 and IPv6. */
function comparesAddresses(rule: ResolvedRule): boolean {
  if (excludesIcmpOfAny(rule)) return true;
  return [rule.source, rule.destination].some(
    (peer) =>
      (peer.nets?.length ?? 0) > 0 ||
      (peer.notNets?.length ?? 0) > 0 ||
      peer.selector !== undefined ||
      peer.notSelector !== undefined ||
      (peer.ports?.named.length ?? 0) > 0 ||
      (peer.notPorts?.named.length ?? 0) > 0,
  );
}

/** Conditions on the addresses; undefined if no packet of the family can meet them. */
function addressSteps(rule: ResolvedRule, family: Family, uses: SetUses): Step[] | undefined {
  const steps: Step[] = [];
  for (const side of ["source", "destination"] as const) {
    const peer = rule[side];
    const field = addressField(side, family);
    if (peer.nets !== undefined && peer.nets.length > 0) {
      const nets = ofFamily(peer.nets, family);
      if (nets.length === 0) return undefined;
      if (!nets.some(isAll)) steps.push(netStep(field, nets, family, false, uses));
    }
    if (peer.selector !== undefined) steps.push(isIn([field], uses.selector(peer.selector, family)));
    const notNets = ofFamily(peer.notNets ?? [], family);
    // What is excluded says the rule's family just as what is included does (FilterRuleToIPVersion of felix/rules/policy.go).
    if (notNets.length === 0 && (peer.notNets?.length ?? 0) > 0) return undefined;
    if (notNets.some(isAll)) return undefined;
    if (notNets.length > 0) steps.push(netStep(field, notNets, family, true, uses));
    if (peer.notSelector !== undefined) steps.push(isNotIn([field], uses.selector(peer.notSelector, family)));
  }
  return steps.length === 0 ? [isFamily(family)] : steps;
}

function ofFamily(nets: readonly string[], family: Family): Cidr[] {
  return nets.map(cidr).filter((net) => net.family === family);
}

function isAll(net: Cidr): boolean {
  return net.length === 0;
}

function netStep(field: Field, nets: readonly Cidr[], family: Family, negate: boolean, uses: SetUses): Step {
  const [only] = nets;
  if (nets.length === 1 && only !== undefined) return (negate ? isNot : is)(field, netText(only));
  const set = uses.nets(nets.map(netText), family);
  return (negate ? isNotIn : isIn)([field], set);
}

export function addressField(side: Side, family: Family): Field {
  if (family === 4) return side === "source" ? "ip saddr" : "ip daddr";
  return side === "source" ? "ip6 saddr" : "ip6 daddr";
}

function protocolSteps(rule: ResolvedRule, family: Family | undefined, uses: SetUses): Step[] {
  const steps: Step[] = [];
  if (rule.protocol !== undefined) steps.push(is("meta l4proto", String(rule.protocol)));
  if (rule.notProtocol !== undefined) steps.push(isNot("meta l4proto", String(rule.notProtocol)));
  if (rule.protocol === undefined && (hasPorts(rule.source) || hasPorts(rule.destination)))
    steps.push(isIn(["meta l4proto"], protocolsWithPorts(uses)));
  const version = rule.protocol === ICMPV6 || (rule.protocol !== ICMP && family === 6) ? 6 : 4;
  if (rule.icmp !== undefined) steps.push(...icmpSteps(rule.icmp, version));
  if (rule.notICMP !== undefined) steps.push(...notIcmpSteps(rule.notICMP, version, uses));
  return steps;
}

function protocolsWithPorts(uses: SetUses): string {
  return uses.constant("protocols", "with-ports", exactSet(["inet_proto"], WITH_PORTS.map(String)));
}

const ICMP_FIELDS: Record<Family, readonly [Field, Field]> = {
  4: ["icmp type", "icmp code"],
  6: ["icmpv6 type", "icmpv6 code"],
};
const ICMP_TYPES: Record<Family, readonly [FieldType, FieldType]> = {
  4: ["icmp_type", "icmp_code"],
  6: ["icmpv6_type", "icmpv6_code"],
};

function icmpSteps(icmp: IcmpMatch, family: Family): Step[] {
  const [type, code] = ICMP_FIELDS[family];
  const steps: Step[] = [];
  if (icmp.type !== undefined) steps.push(is(type, String(icmp.type)));
  if (icmp.code !== undefined) steps.push(is(code, String(icmp.code)));
  return steps;
}

function notIcmpSteps(icmp: IcmpMatch, family: Family, uses: SetUses): Step[] {
  const [type, code] = ICMP_FIELDS[family];
  if (icmp.type === undefined) return icmp.code === undefined ? [] : [isNot(code, String(icmp.code))];
  if (icmp.code === undefined) return [isNot(type, String(icmp.type))];
  // Not both at once: a concatenated key, because two negated steps would mean neither.
  const set = exactSet(ICMP_TYPES[family], [`${icmp.type} . ${icmp.code}`]);
  return [isNotIn([type, code], uses.constant(`icmp${family}`, "", set))];
}

function hasPorts(peer: PeerMatch): boolean {
  return peer.ports !== undefined || peer.notPorts !== undefined;
}

function withPorts(
  rule: ResolvedRule,
  family: Family | undefined,
  before: readonly Step[],
  uses: SetUses,
): readonly Step[][] {
  let out: Step[][] = [[...before]];
  for (const side of ["source", "destination"] as const) {
    const choices = portChoices(rule[side], side, family, uses);
    out = out.flatMap((steps) => choices.map((choice) => [...steps, ...choice]));
  }
  return out;
}

/** Sequences for the ports of one side, any of which may match. */
function portChoices(peer: PeerMatch, side: Side, family: Family | undefined, uses: SetUses): Step[][] {
  const field: Field = side === "source" ? "th sport" : "th dport";
  const not = notPortSteps(peer, field, side, family, uses);
  if (peer.ports === undefined || isEmpty(peer.ports)) return [not];
  const choices: Step[][] = [];
  if (peer.ports.ranges.length > 0) choices.push([rangeStep(field, peer.ports, false, uses), ...not]);
  if (family !== undefined)
    for (const name of peer.ports.named) {
      const set = uses.namedPort(peer.selector ?? "all()", name, family);
      choices.push([isIn([addressField(side, family), "meta l4proto", field], set), ...not]);
    }
  return choices;
}

function notPortSteps(peer: PeerMatch, field: Field, side: Side, family: Family | undefined, uses: SetUses): Step[] {
  const ports = peer.notPorts;
  if (ports === undefined) return [];
  const steps = ports.ranges.length > 0 ? [rangeStep(field, ports, true, uses)] : [];
  if (family !== undefined)
    for (const name of ports.named) {
      const set = uses.namedPort(peer.selector ?? "all()", name, family);
      steps.push(isNotIn([addressField(side, family), "meta l4proto", field], set));
    }
  return steps;
}

function isEmpty(ports: PortMatch): boolean {
  return ports.ranges.length === 0 && ports.named.length === 0;
}

function rangeStep(field: Field, ports: PortMatch, negate: boolean, uses: SetUses): Step {
  const ranges = mergePortRanges(ports.ranges);
  const [only] = ranges;
  if (ranges.length === 1 && only !== undefined) {
    const value = only.first === only.last ? String(only.first) : `${only.first}-${only.last}`;
    return (negate ? isNot : is)(field, value);
  }
  return (negate ? isNotIn : isIn)([field], uses.ports(ranges));
}
