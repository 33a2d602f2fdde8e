/**
 * A BGPFilter's rules as statements of BIRD's filter language, each as Calico writes it (confd, `filterStatement`). Values are
 * numbers or have been parsed and printed again: no text of a user's reaches the output as it is.
 */
import type { BGPFilterOperation, BGPFilterRule } from "../model/resources.ts";
import { width } from "../net/address.ts";
import { type Cidr, formatCidr, parseNet } from "../net/cidr.ts";
import { symbol } from "./names.ts";
import type { FilterProgram } from "./state.ts";

/** Calico's: priorities are kept in LOCAL_PREF as what is missing to this. */
export const MAX_PRIORITY = 2_147_483_647;

/** A function that accepts, rejects, or returns so that the next filter has its say. */
export function renderProgram({ symbol: name, rules, filter }: FilterProgram): string[] {
  return [
    `# ${JSON.stringify(filter).replaceAll(/[^ -~]/g, "?")}`,
    `function ${symbol(name)}(bool is_internal) {`,
    ...rules.map((rule) => `  ${statement(rule)}`),
    "}",
  ];
}

export function statement(rule: BGPFilterRule): string {
  const conditions = [
    ...(rule.peerType === undefined ? [] : [rule.peerType === "iBGP" ? "is_internal" : "!is_internal"]),
    ...(rule.cidr === undefined ? [] : [prefixCondition(rule)]),
    ...(rule.source === undefined ? [] : ["source = RTS_BGP"]),
    ...(rule.interface === undefined ? [] : [`(defined(ifname) && ifname ~ "${rule.interface}")`]),
    ...(rule.communities?.values ?? []).map((value) => `${community(value).literal} ~ ${community(value).attribute}`),
    ...pathCondition(rule.asPathPrefix ?? []),
    ...(rule.priority === undefined ? [] : [`krt_metric = ${whole(rule.priority)}`]),
  ];
  const body = [...(rule.operations ?? []).flatMap(operation), rule.action === "Accept" ? "accept;" : "reject;"].join(
    " ",
  );
  return conditions.length === 0 ? body : `if ${conditions.join(" && ")} then { ${body} }`;
}

function prefixCondition(rule: BGPFilterRule): string {
  const net = parseNet(rule.cidr ?? "");
  if (net === undefined) throw new RangeError(`"${rule.cidr}" is not a CIDR`);
  const { matchOperator: operator = "In", prefixLength } = rule;
  const negated = operator === "NotEqual" || operator === "NotIn";
  if (prefixLength !== undefined) return lengthCondition(net, prefixLength, negated);
  const exact = operator === "Equal" || operator === "NotEqual";
  return `net ${negated ? "!" : ""}${exact ? "=" : "~"} ${formatCidr(net)}`;
}

/** A range of lengths that is empty matches nothing; BIRD refuses to write it down. */
function lengthCondition(net: Cidr, { min, max }: { min?: number; max?: number }, negated: boolean): string {
  const from = Math.max(net.length, min ?? 0);
  const to = Math.min(width(net.family), max ?? width(net.family));
  if (from > to) return negated ? "true" : "false";
  return `net ${negated ? "!~" : "~"} [ ${formatCidr(net)}{${whole(from)},${whole(to)}} ]`;
}

function pathCondition(prefix: readonly number[]): string[] {
  if (prefix.length === 0) return [];
  if (prefix.length === 1) return [`bgp_path.first = ${whole(prefix[0])}`];
  return [`bgp_path ~ [= ${prefix.map(whole).join(" ")} * =]`];
}

function operation({ addCommunity, prependASPath, setPriority }: BGPFilterOperation): string[] {
  if (addCommunity !== undefined) return [addCommunityStatement(addCommunity.value)];
  // The last one that is put before the path is the first of it.
  if (prependASPath !== undefined)
    return prependASPath.prefix.toReversed().map((asNumber) => `bgp_path.prepend(${whole(asNumber)});`);
  const value = whole(setPriority?.value);
  return [`krt_metric = ${value};`, `bgp_local_pref = ${MAX_PRIORITY} - ${value};`];
}

export function addCommunityStatement(text: string): string {
  const { literal, attribute } = community(text);
  return `${attribute}.add(${literal});`;
}

function community(text: string): { literal: string; attribute: string } {
  const numbers = text.split(":").map((part) => whole(Number(part)));
  return {
    literal: `(${numbers.join(", ")})`,
    attribute: numbers.length === 2 ? "bgp_community" : "bgp_large_community",
  };
}

/** @throws RangeError: what is checked when it is stored is checked again where it is written */
function whole(value: number | undefined): number {
  if (value === undefined || !Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw new RangeError(`${value} is not a whole number of 32 bits`);
  return value;
}
