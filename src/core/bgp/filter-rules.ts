/**
 * A BGPFilter's rules as statements of BIRD's filter language, each as Calico writes it (confd, `filterStatement`). Values are
 * numbers or have been parsed and printed again: no text of a user's reaches the output as it is.
 */
import { isCommunity } from "../model/bgp.ts";
import { whyNotName } from "../model/names.ts";
import type { BGPFilter, BGPFilterOperation, BGPFilterRule } from "../model/resources.ts";
import { type Family, width } from "../net/address.ts";
import { formatCidr, parseNet } from "../net/cidr.ts";
import { symbol } from "./names.ts";
import type { FilterProgram } from "./state.ts";

/** Calico's: priorities are kept in LOCAL_PREF as what is missing to this. */
export const MAX_PRIORITY = 2_147_483_647;

const PEER_TYPES = { iBGP: "is_internal", eBGP: "!is_internal" };
const SOURCES = { RemotePeers: "source = RTS_BGP" };
const ACTIONS = { Accept: "accept;", Reject: "reject;" };
const OPERATORS = { Equal: "=", NotEqual: "!=", In: "~", NotIn: "!~" };

/** A function that accepts, rejects, or returns so that the next filter has its say. */
export function renderProgram({ symbol: name, rules, filter, family }: FilterProgram): string[] {
  return [
    `# ${JSON.stringify(filter).replaceAll(/[^ -~]/g, "?")}`,
    `function ${symbol(name)}(bool is_internal) {`,
    ...rules.map((rule) => `  ${statement(rule, family)}`),
    "}",
  ];
}

/** The store may hold what no check has seen: what cannot be written down has not been understood. */
export function isReadable({ metadata, spec }: BGPFilter): boolean {
  if (whyNotName(metadata.name) !== undefined) return false;
  try {
    for (const rule of [...(spec.importV4 ?? []), ...(spec.exportV4 ?? [])]) statement(rule, 4);
    for (const rule of [...(spec.importV6 ?? []), ...(spec.exportV6 ?? [])]) statement(rule, 6);
    return true;
  } catch {
    return false;
  }
}

/** @throws RangeError for what no check would let in: it is checked again where it is written */
export function statement(rule: BGPFilterRule, family: Family): string {
  const conditions = [
    ...(rule.peerType === undefined ? [] : [word(PEER_TYPES, rule.peerType)]),
    ...(rule.cidr === undefined ? [] : [prefixCondition(rule, family)]),
    ...(rule.source === undefined ? [] : [word(SOURCES, rule.source)]),
    ...(rule.interface === undefined ? [] : [`(defined(ifname) && ifname ~ "${interfacePattern(rule.interface)}")`]),
    ...(rule.communities?.values ?? []).map((value) => `${community(value).literal} ~ ${community(value).attribute}`),
    ...pathCondition(rule.asPathPrefix ?? []),
    ...(rule.priority === undefined ? [] : [`krt_metric = ${whole(rule.priority)}`]),
  ];
  const body = [...(rule.operations ?? []).flatMap(operation), word(ACTIONS, rule.action)].join(" ");
  return conditions.length === 0 ? body : `if ${conditions.join(" && ")} then { ${body} }`;
}

function word<K extends string>(words: Readonly<Record<K, string>>, key: K): string {
  if (!Object.hasOwn(words, key)) throw new RangeError(`"${key}" is none of ${Object.keys(words).join(", ")}`);
  return words[key];
}

/** @returns the pattern, which has nothing in it that ends a string of BIRD's */
export function interfacePattern(pattern: string): string {
  if (!isInterfacePattern(pattern)) throw new RangeError(`"${pattern}" is not a pattern of interfaces`);
  return pattern;
}

export function isInterfacePattern(pattern: string): boolean {
  return typeof pattern === "string" && /^[A-Za-z0-9_.*-]{1,15}$/.test(pattern);
}

function prefixCondition(rule: BGPFilterRule, family: Family): string {
  const net = parseNet(rule.cidr ?? "");
  if (net?.family !== family) throw new RangeError(`"${rule.cidr}" is not an IPv${family} CIDR`);
  const operator = word(OPERATORS, rule.matchOperator ?? "In");
  if (rule.prefixLength === undefined) return `net ${operator} ${formatCidr(net)}`;
  const { min = 0, max = width(family) } = rule.prefixLength;
  const [from, to] = [Math.max(net.length, whole(min)), Math.min(width(family), whole(max))];
  // The lengths narrow what is equal or inside; where they leave nothing, BIRD refuses to write it down.
  const isEmpty = from > to || (operator.endsWith("=") && from > net.length);
  if (isEmpty) return operator.startsWith("!") ? "true" : "false";
  return operator.endsWith("=")
    ? `net ${operator} ${formatCidr(net)}`
    : `net ${operator} [ ${formatCidr(net)}{${from},${to}} ]`;
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
  if (!isCommunity(text)) throw new RangeError(`"${text}" is not a community`);
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
