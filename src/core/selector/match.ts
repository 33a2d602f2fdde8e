import { compareCodePoints, type Selector } from "./ast.ts";

/** Names to values. A record is read by its own keys only: `has(toString)` is false for `{}`. */
export type Labels = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

/**
 * Whether the labels satisfy the selector. Of a label that is missing, `!=` and `not in` are true, every other operator is
 * false. `all()` and `global()` are true.
 */
export function match(selector: Selector, labels: Labels): boolean {
  return matchMap(selector, labels instanceof Map ? labels : new Map(Object.entries(labels)));
}

function matchMap(selector: Selector, labels: ReadonlyMap<string, string>): boolean {
  switch (selector.kind) {
    case "all":
    case "global":
      return true;
    case "has":
      return labels.has(selector.label);
    case "==":
      return labels.get(selector.label) === selector.value;
    case "!=":
      return labels.get(selector.label) !== selector.value;
    case "contains":
      return labels.get(selector.label)?.includes(selector.value) ?? false;
    case "starts with":
      return labels.get(selector.label)?.startsWith(selector.value) ?? false;
    case "ends with":
      return labels.get(selector.label)?.endsWith(selector.value) ?? false;
    case "in":
      return isMember(labels.get(selector.label), selector.values);
    case "not in":
      return !isMember(labels.get(selector.label), selector.values);
    case "not":
      return !matchMap(selector.operand, labels);
    case "and":
      for (const operand of selector.operands) if (!matchMap(operand, labels)) return false;
      return true;
    case "or":
      for (const operand of selector.operands) if (matchMap(operand, labels)) return true;
      return false;
  }
}

/** The values are sorted by code points: short sets are scanned, long ones halved. */
function isMember(value: string | undefined, values: readonly string[]): boolean {
  if (value === undefined) return false;
  if (values.length <= 16) return values.includes(value);
  let low = 0;
  let high = values.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = compareCodePoints(values[middle] ?? "", value);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}
