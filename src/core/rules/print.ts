/**
 * A ruleset as nft(8) reads it: for golden files, for `nft -c -f`, and for people. It is not how the kernel gets it.
 *
 * One line per element and per rule, everything in the order of the ruleset, so that two versions compare as a diff.
 */
import type { Base, Chain, ElementData, Field, FieldType, NftSet, Rule, Ruleset, Step, Table, Verdict } from "./ir.ts";

export interface PrintOptions {
  /**
   * Debian 12's nft (1.0.6) does not know `icmpv6 taddr`, nor can it look raw payload up in a set of addresses. True writes
   * `ip6 daddr` there: enough for `nft -c` to judge everything else, and not what the kernel gets.
   */
  readonly withoutTargetAddress?: boolean;
}

/** Text that `nft -f` loads. Throws RangeError for names and comments that nft(8) has no way to write. */
export function printRuleset(ruleset: Ruleset, options: PrintOptions = {}): string {
  return [...ruleset.values()].map((table) => printTable(table, options)).join("\n");
}

export function printTable(table: Table, options: PrintOptions = {}): string {
  const blocks = [
    ...[...table.sets].map(([name, set]) => printSet(name, set)),
    ...[...table.chains].map(([name, chain]) => printChain(name, chain, options)),
  ];
  return `table ${table.family} ${word(table.name)} {\n${blocks.map(indent).join("\n\n")}\n}\n`;
}

export function printChain(name: string, chain: Chain, options: PrintOptions = {}): string {
  const lines = [
    ...(chain.base === undefined ? [] : [printBase(chain.base)]),
    ...chain.rules.map((rule) => printRule(rule, options)),
  ];
  return `chain ${word(name)} ${block(lines)}`;
}

export function printSet(name: string, set: NftSet): string {
  const data = set.data === undefined ? "" : ` : ${set.data === "verdict" ? "verdict" : set.data.join(" . ")}`;
  const lines = [`type ${set.key.join(" . ")}${data}`];
  if (set.interval) lines.push("flags interval");
  if (set.counters === true) lines.push("counter");
  if (set.elements.size > 0) {
    const elements = [...set.elements].map(([key, value]) => indent(printElement(set, key, value)));
    lines.push(`elements = {\n${elements.join(",\n")}\n}`);
  }
  return `${set.data === undefined ? "set" : "map"} ${word(name)} ${block(lines)}`;
}

function printElement(set: NftSet, key: string, data: ElementData): string {
  const left = printConcatenation(set.key, key);
  if (data === null || set.data === undefined) return left;
  if (typeof data !== "string") return `${left} : ${printVerdict(data)}`;
  return `${left} : ${set.data === "verdict" ? data : printConcatenation(set.data, data)}`;
}

function printConcatenation(types: readonly FieldType[], text: string): string {
  const parts = text.split(" . ");
  return types.map((type, i) => (type === "ifname" ? quote(parts[i] ?? "") : (parts[i] ?? ""))).join(" . ");
}

export function printRule(rule: Rule, options: PrintOptions = {}): string {
  const words = rule.steps.map((step) => printStep(step, options));
  if (rule.comment !== undefined) words.push(`comment ${quote(rule.comment)}`);
  return words.join(" ");
}

function printStep(step: Step, options: PrintOptions): string {
  switch (step.kind) {
    case "match":
      return printMatch(step, options);
    case "lookup":
      return `${printFields(step.fields, options)} ${not(step, "!= ")}@${word(step.set)}`;
    case "vmap":
      return `${printFields(step.fields, options)} vmap @${word(step.map)}`;
    case "ct-state":
      return `ct state ${not(step, "! ")}${step.states.join(",")}`;
    case "ct-status":
      return `ct status ${not(step, "! ")}${step.status}`;
    case "ct-direction":
      return `ct direction ${step.direction}`;
    case "tcp-flags":
      return `tcp flags & ${step.mask} ${step.negate === true ? "!=" : "=="} ${step.value}`;
    case "mark":
      return `meta mark & ${hex(step.mask)} ${step.negate === true ? "!=" : "=="} ${hex(step.value)}`;
    case "fib-local":
      return `fib ${step.address} type ${not(step, "!= ")}local`;
    case "counter":
    case "notrack":
    case "masquerade":
    case "reject":
      return step.kind;
    case "log":
      return `log prefix ${quote(step.prefix)} group ${step.group} snaplen ${step.snaplen ?? DEFAULT_SNAPLEN}`;
    case "limit":
      return `limit rate ${step.perSecond}/second burst ${step.burst} packets`;
    case "set-mark":
      return printSetMark(step.value, step.mask);
    case "dnat":
      return `dnat ${step.family === 4 ? "ip" : "ip6"} to ${printFields(step.fields, options)} map @${word(step.map)}`;
    case "verdict":
      return printVerdict(step.verdict);
  }
}

/** Bytes of a packet that a `log` step without `snaplen` sends. */
export const DEFAULT_SNAPLEN = 128;

function not(step: { readonly negate?: boolean }, operator: string): string {
  return step.negate === true ? operator : "";
}

function printMatch(step: Step & { kind: "match" }, options: PrintOptions): string {
  const value = step.field === "meta iifname" || step.field === "meta oifname" ? quote(step.value) : step.value;
  return `${printFields([step.field], options)} ${not(step, "!= ")}${value}`;
}

function printFields(fields: readonly Field[], options: PrintOptions): string {
  return fields
    .map((field) => (field === "icmpv6 taddr" && options.withoutTargetAddress === true ? "ip6 daddr" : field))
    .join(" . ");
}

function printSetMark(value: number, mask: number): string {
  if (mask === 0xffffffff) return `meta mark set ${hex(value)}`;
  return `meta mark set meta mark & ${hex(~mask >>> 0)} | ${hex((value & mask) >>> 0)}`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

function printVerdict(verdict: Verdict): string {
  return "chain" in verdict ? `${verdict.kind} ${word(verdict.chain)}` : verdict.kind;
}

function printBase(base: Base): string {
  return `type ${base.type} hook ${base.hook} priority ${base.priority}; policy ${base.policy};`;
}

/** A name without quotes, as nft(8) wants names of tables, chains and sets. */
function word(name: string): string {
  if (!/^[A-Za-z][A-Za-z0-9_./-]*$/.test(name))
    throw new RangeError(`nft(8) cannot read the name ${JSON.stringify(name)}`);
  return name;
}

/** nft(8) knows no escapes inside quotes. */
function quote(text: string): string {
  // oxlint-disable-next-line no-control-regex -- it is the control characters that must not get through
  if (/["\\\u0000-\u001f\u007f]/.test(text))
    throw new RangeError(`nft(8) cannot read the text ${JSON.stringify(text)}`);
  return `"${text}"`;
}

function block(lines: readonly string[]): string {
  return lines.length === 0 ? "{\n}" : `{\n${lines.map(indent).join("\n")}\n}`;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "\t");
}
