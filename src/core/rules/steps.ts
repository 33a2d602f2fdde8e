/** Short ways to write the IR's steps, so that a chain in code reads like a chain of nft(8). */
import type { Base, Chain, CtState, ElementData, Field, FieldType, NftSet, Rule, Step, Verdict } from "./ir.ts";

export const ACCEPT: Verdict = { kind: "accept" };
export const DROP: Verdict = { kind: "drop" };
export const RETURN: Verdict = { kind: "return" };

export const accept: Step = { kind: "verdict", verdict: ACCEPT };
export const drop: Step = { kind: "verdict", verdict: DROP };
export const leave: Step = { kind: "verdict", verdict: RETURN };
export const counter: Step = { kind: "counter" };
export const masquerade: Step = { kind: "masquerade" };

export function jump(chain: string): Step {
  return { kind: "verdict", verdict: { kind: "jump", chain } };
}

export function goto(chain: string): Step {
  return { kind: "verdict", verdict: { kind: "goto", chain } };
}

/**
 * Sends the packet's head to whoever listens; nothing where nobody should. Not limited here: a limit would hide one sender's
 * packets behind another's flood. The kernel's part is 1 us a packet, and who reads takes only so many a second.
 */
export function logSteps(group: number | undefined, verb: string, id: string): Step[] {
  return group === undefined ? [] : [{ kind: "log", group, prefix: `manx ${verb} ${id} ` }];
}

// What tens of thousands of rules have in common is one object.
const protocols = new Map<string, Step>();
const lists = new Map<Field, readonly Field[]>();

export function is(field: Field, value: string): Step {
  const made: Step = { kind: "match", field, value };
  return field === "meta l4proto" ? protocols.getOrInsert(value, made) : made;
}

export function isNot(field: Field, value: string): Step {
  return { kind: "match", field, value, negate: true };
}

export function isIn(fields: readonly Field[], set: string): Step {
  const [only] = fields;
  return {
    kind: "lookup",
    fields: only !== undefined && fields.length === 1 ? lists.getOrInsert(only, fields) : fields,
    set,
  };
}

export function isNotIn(fields: readonly Field[], set: string): Step {
  return { kind: "lookup", fields, set, negate: true };
}

export function vmap(fields: readonly Field[], map: string): Step {
  return { kind: "vmap", fields, map };
}

export function ctState(...states: CtState[]): Step {
  return { kind: "ct-state", states };
}

export function rule(...steps: Step[]): Rule {
  return { steps };
}

/** A rule whose comment is the id of what decides in it. */
export function named(comment: string, ...steps: Step[]): Rule {
  return { steps, comment };
}

export function chain(...rules: Rule[]): Chain {
  return { rules };
}

export function baseChain(type: Base["type"], hook: Base["hook"], priority: number, ...rules: readonly Rule[]): Chain {
  return { base: { type, hook, priority, policy: "accept" }, rules };
}

/** A set of exact keys. */
export function exactSet(key: readonly FieldType[], elements: Iterable<string>): NftSet {
  return { key, interval: false, elements: nulls(elements) };
}

/** A set whose keys may be ranges and prefixes. */
export function intervalSet(key: readonly FieldType[], elements: Iterable<string>): NftSet {
  return { key, interval: true, elements: nulls(elements) };
}

export function verdictMap(key: readonly FieldType[], elements: ReadonlyMap<string, Verdict>): NftSet {
  return { key, interval: false, data: "verdict", elements };
}

export function dataMap(
  key: readonly FieldType[],
  data: readonly FieldType[],
  elements: ReadonlyMap<string, string>,
): NftSet {
  return { key, interval: false, data, elements };
}

function nulls(keys: Iterable<string>): ReadonlyMap<string, ElementData> {
  const out = new Map<string, ElementData>();
  for (const key of keys) out.set(key, null);
  return out;
}
