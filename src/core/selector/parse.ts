/**
 * Tokens to a Selector, by the grammar of Calico's parser:
 *
 *     selector := "" | or        or := and ("||" and)*       and := op ("&&" op)*
 *     op  := "!"* ( has | all | global | label cmp | "(" or ")" )
 *     cmp := ("==" | "!=" | contains | starts with | ends with) string | ("in" | "not in") set
 *     set := "{" [string ("," string)* [","]] "}"
 */
import { ALL, MAX_NESTING, type Selector, valueSet } from "./ast.ts";
import { type Operator, SelectorError, type Token, tokenize } from "./tokenize.ts";

export interface SelectorProblem {
  /** Index into the text, from 0. */
  readonly offset: number;
  readonly message: string;
}
export type ParsedSelector =
  | { readonly ok: true; readonly selector: Selector }
  | { readonly ok: false; readonly problem: SelectorProblem };

/** Reads a selector. Accepts and refuses exactly what Calico does, but for parentheses nested deeper than MAX_NESTING. */
export function parseSelector(text: string): ParsedSelector {
  try {
    return { ok: true, selector: parse(text) };
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    return { ok: false, problem: { offset: error.offset, message: error.message } };
  }
}

/** As `parseSelector`, for text that is known to be a selector; throws SelectorError otherwise. */
export function selector(text: string): Selector {
  return parse(text);
}

function parse(text: string): Selector {
  const tokens = new Cursor(tokenize(text));
  if (tokens.peek().kind === "end") return ALL;
  const root = parseOr(tokens, 0);
  const rest = tokens.peek();
  if (rest.kind !== "end") throw new SelectorError(rest.offset, `expected &&, || or the end, not ${described(rest)}`);
  return root;
}

class Cursor {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw new Error("read past the end token");
    return token;
  }

  take(): Token {
    const token = this.peek();
    if (token.kind !== "end") this.#next++;
    return token;
  }

  takeSymbol(text: string): boolean {
    const token = this.peek();
    if (token.kind !== "symbol" || token.text !== text) return false;
    this.#next++;
    return true;
  }
}

function parseOr(tokens: Cursor, depth: number): Selector {
  const first = parseAnd(tokens, depth);
  const operands = [first];
  while (tokens.takeSymbol("||")) operands.push(parseAnd(tokens, depth));
  return operands.length === 1 ? first : { kind: "or", operands };
}

function parseAnd(tokens: Cursor, depth: number): Selector {
  const first = parseOperation(tokens, depth);
  const operands = [first];
  while (tokens.takeSymbol("&&")) operands.push(parseOperation(tokens, depth));
  return operands.length === 1 ? first : { kind: "and", operands };
}

function parseOperation(tokens: Cursor, depth: number): Selector {
  let negated = false;
  while (tokens.takeSymbol("!")) negated = !negated;
  const operand = parseOperand(tokens, depth);
  return negated ? { kind: "not", operand } : operand;
}

function parseOperand(tokens: Cursor, depth: number): Selector {
  const token = tokens.take();
  switch (token.kind) {
    case "has":
      return { kind: "has", label: token.text };
    case "all":
      return ALL;
    case "global":
      return { kind: "global" };
    case "label":
      return parseComparison(tokens, token.text);
    case "symbol":
      if (token.text === "(") return parseGroup(tokens, token.offset, depth + 1);
      break;
    case "operator":
    case "string":
    case "end":
  }
  throw new SelectorError(token.offset, `expected a label, has(), all(), global() or (, not ${described(token)}`);
}

function parseGroup(tokens: Cursor, offset: number, depth: number): Selector {
  if (depth > MAX_NESTING)
    throw new SelectorError(offset, `parentheses are nested more than ${MAX_NESTING} deep: write it flatter`);
  const group = parseOr(tokens, depth);
  const close = tokens.peek();
  if (!tokens.takeSymbol(")")) throw new SelectorError(close.offset, `expected &&, || or ), not ${described(close)}`);
  return group;
}

function parseComparison(tokens: Cursor, label: string): Selector {
  const token = tokens.take();
  if (token.kind !== "operator")
    throw new SelectorError(
      token.offset,
      `expected an operator after the label "${label}": ==, !=, in, not in, contains, starts with, ends with`,
    );
  const kind = token.text;
  if (kind === "in" || kind === "not in") return { kind, label, values: valueSet(parseSet(tokens, kind)) };
  const value = tokens.take();
  if (value.kind !== "string")
    throw new SelectorError(value.offset, `expected a string in quotes after ${kind}, not ${described(value)}`);
  return { kind, label, value: value.text };
}

/** A comma after the last string is allowed, one without a string before it is not. */
function parseSet(tokens: Cursor, operator: Operator): string[] {
  const open = tokens.peek();
  if (!tokens.takeSymbol("{"))
    throw new SelectorError(open.offset, `expected a set like {"a", "b"} after ${operator}, not ${described(open)}`);
  const values: string[] = [];
  while (tokens.peek().kind === "string") {
    values.push(tokens.take().text);
    if (!tokens.takeSymbol(",")) break;
  }
  const close = tokens.peek();
  if (!tokens.takeSymbol("}"))
    throw new SelectorError(close.offset, `expected a string in quotes or } in the set, not ${described(close)}`);
  return values;
}

function described(token: Token): string {
  switch (token.kind) {
    case "end":
      return "the end";
    case "string":
      return `the string ${JSON.stringify(token.text)}`;
    case "label":
      return `the label "${token.text}" (a value needs quotes)`;
    case "has":
      return `has(${token.text})`;
    case "all":
    case "global":
      return `${token.kind}()`;
    case "symbol":
    case "operator":
      return token.text;
  }
}
