/**
 * A selector as a value: which labels must an endpoint, network set, node or namespace have. The language and its meaning are
 * Calico's (libcalico-go/lib/selector); every node kind is one operator of it.
 *
 *     text -> tokenize -> parse -> Selector -> match(labels) | print | restrictions
 *
 * Everything here is linear in the length of the text, and nesting is bounded (`MAX_NESTING`), so that recursion over a
 * selector is safe.
 */
export type Selector =
  | All
  | Global
  | Has
  | Compare
  | Membership
  | { readonly kind: "not"; readonly operand: Selector }
  | { readonly kind: "and" | "or"; readonly operands: readonly Selector[] };

/** `all()`, and the empty text. */
export interface All {
  readonly kind: "all";
}
/** `global()`: matches everything by itself; only a rule's namespaceSelector gives it a meaning (no namespace). */
export interface Global {
  readonly kind: "global";
}
export interface Has {
  readonly kind: "has";
  readonly label: string;
}
export interface Compare {
  readonly kind: "==" | "!=" | "contains" | "starts with" | "ends with";
  readonly label: string;
  readonly value: string;
}
export interface Membership {
  readonly kind: "in" | "not in";
  readonly label: string;
  /** In ascending order of code points, without duplicates (`valueSet`). */
  readonly values: readonly string[];
}

/** Longest name of a label in a selector, as in Calico. */
export const MAX_LABEL_LENGTH = 512;
/** Deepest nesting of `!`, `&&` and `||`. Calico has no limit of its own (Go's stack grows); no real selector comes near. */
export const MAX_NESTING = 1000;

export const ALL: All = { kind: "all" };

/** The values in the order that Calico prints them: by UTF-8 bytes, which is by code points, each once. */
export function valueSet(values: Iterable<string>): string[] {
  return [...new Set(values)].sort(compareCodePoints);
}

/** JavaScript compares UTF-16 units, Go compares UTF-8 bytes: they differ where a surrogate meets U+E000..U+FFFF. */
export function compareCodePoints(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Calls `visit` with the name of every label that the selector looks at; a name may come more than once. */
export function visitLabels(selector: Selector, visit: (label: string) => void): void {
  switch (selector.kind) {
    case "all":
    case "global":
      return;
    case "not":
      visitLabels(selector.operand, visit);
      return;
    case "and":
    case "or":
      for (const operand of selector.operands) visitLabels(operand, visit);
      return;
    case "has":
    case "==":
    case "!=":
    case "contains":
    case "starts with":
    case "ends with":
    case "in":
    case "not in":
      visit(selector.label);
  }
}
