import type { Selector } from "./ast.ts";

/**
 * Calico's canonical text of a selector: one space around operators, sets sorted, parentheses around every `&&` and `||` list
 * and nowhere else, double quotes unless the value holds one. Two selectors with the same text match the same labels.
 *
 * Reading the text back gives the same selector, except that Calico folds `!!x` (from `!(!x)`) into `x` when it reads.
 */
export function printSelector(selector: Selector): string {
  const out: string[] = [];
  append(out, selector);
  return out.join("");
}

function append(out: string[], selector: Selector): void {
  switch (selector.kind) {
    case "all":
    case "global":
      out.push(selector.kind, "()");
      return;
    case "has":
      out.push("has(", selector.label, ")");
      return;
    case "not":
      out.push("!");
      append(out, selector.operand);
      return;
    case "and":
      appendList(out, selector.operands, " && ");
      return;
    case "or":
      appendList(out, selector.operands, " || ");
      return;
    case "in":
    case "not in":
      out.push(selector.label, " ", selector.kind, " {", selector.values.map(quoted).join(", "), "}");
      return;
    case "==":
    case "!=":
    case "contains":
    case "starts with":
    case "ends with":
      out.push(selector.label, " ", selector.kind, " ", quoted(selector.value));
  }
}

function appendList(out: string[], operands: readonly Selector[], separator: string): void {
  out.push("(");
  for (const [index, operand] of operands.entries()) {
    if (index > 0) out.push(separator);
    append(out, operand);
  }
  out.push(")");
}

/** A string of the language cannot hold both kinds of quotes, so one of them always fits. */
function quoted(value: string): string {
  return value.includes('"') ? `'${value}'` : `"${value}"`;
}
