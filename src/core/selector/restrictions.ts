import { type Selector, valueSet } from "./ast.ts";

/** What a selector demands of one label; a necessary condition, never a sufficient one. */
export interface Restriction {
  readonly mustBePresent: boolean;
  readonly mustBeAbsent: boolean;
  /** The label has one of these values wherever the selector matches; empty: it matches nothing. Sorted. */
  readonly oneOf?: readonly string[];
}

/** By label name. A label that is not here may be anything. */
export type Restrictions = ReadonlyMap<string, Restriction>;

const NONE: Restrictions = new Map();
const PRESENT: Restriction = { mustBePresent: true, mustBeAbsent: false };
const ABSENT: Restriction = { mustBePresent: false, mustBeAbsent: true };

/** What every set of labels that the selector matches has in common, as far as it is cheap to say. */
export function restrictions(selector: Selector): Restrictions {
  switch (selector.kind) {
    case "has":
    case "contains":
    case "starts with":
    case "ends with":
      return new Map([[selector.label, PRESENT]]);
    case "==":
      return new Map([[selector.label, { ...PRESENT, oneOf: [selector.value] }]]);
    case "in":
      return new Map([[selector.label, { ...PRESENT, oneOf: selector.values }]]);
    case "not":
      // The rest cannot be turned round: !(a == "b") matches with and without the label a.
      return selector.operand.kind === "has" ? new Map([[selector.operand.label, ABSENT]]) : NONE;
    case "and":
      return both(selector.operands.map(restrictions));
    case "or":
      return either(selector.operands.map(restrictions));
    case "all":
    case "global":
    case "!=":
    case "not in":
      return NONE;
  }
}

/** True if no labels at all can satisfy the restrictions. */
export function isImpossible(all: Restrictions): boolean {
  return all
    .values()
    .some(({ mustBePresent, mustBeAbsent, oneOf }) => (mustBePresent && mustBeAbsent) || oneOf?.length === 0);
}

/** Every operand holds: each label's demands add up. */
function both(operands: readonly Restrictions[]): Restrictions {
  const out = new Map<string, Restriction>();
  for (const operand of operands) {
    for (const [label, right] of operand) {
      const left = out.get(label);
      out.set(label, left === undefined ? right : conjunction(left, right));
    }
  }
  return out;
}

function conjunction(a: Restriction, b: Restriction): Restriction {
  const other = b.oneOf === undefined ? undefined : new Set(b.oneOf);
  const oneOf = other === undefined ? a.oneOf : (a.oneOf?.filter((value) => other.has(value)) ?? b.oneOf);
  return {
    mustBePresent: a.mustBePresent || b.mustBePresent,
    mustBeAbsent: a.mustBeAbsent || b.mustBeAbsent,
    ...(oneOf === undefined ? {} : { oneOf }),
  };
}

/** One operand holds: only what all of them demand remains. */
function either(operands: readonly Restrictions[]): Restrictions {
  const out = new Map<string, Restriction>();
  for (const label of operands[0]?.keys() ?? []) {
    const all = demandsOfAll(operands, label);
    if (all === undefined) continue;
    const mustBePresent = all.every((one) => one.mustBePresent);
    const mustBeAbsent = all.every((one) => one.mustBeAbsent);
    if (!mustBePresent && !mustBeAbsent) continue;
    const oneOf = mustBePresent ? union(all) : undefined;
    out.set(label, { mustBePresent, mustBeAbsent, ...(oneOf === undefined ? {} : { oneOf }) });
  }
  return out;
}

/** Stops at the first operand that demands nothing of the label, which keeps `either` linear in the selector. */
function demandsOfAll(operands: readonly Restrictions[], label: string): Restriction[] | undefined {
  const all: Restriction[] = [];
  for (const operand of operands) {
    const one = operand.get(label);
    if (one === undefined) return undefined;
    all.push(one);
  }
  return all;
}

function union(all: readonly Restriction[]): string[] | undefined {
  const values = new Set<string>();
  for (const { oneOf } of all) {
    if (oneOf === undefined) return undefined;
    for (const value of oneOf) values.add(value);
  }
  return valueSet(values);
}
