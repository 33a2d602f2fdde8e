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

/** Reads a selector. Accepts and refuses exactly what Calico does, but for trees deeper than MAX_NESTING. */
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
  return parseOr(tokens);
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

/** A selector and how deep its tree is: a leaf is 0. */
interface Node {
  readonly selector: Selector;
  readonly depth: number;
}

/** What has been read of one `or`, at the top or between parentheses. */
interface Group {
  readonly offset: number;
  readonly ors: Node[];
  ands: Node[];
  negated: boolean;
}

/**
 * The whole of it, with a stack of its own: Calico takes parentheses as deep as anybody writes them. Those that change nothing
 * leave no trace in the tree.
 */
function parseOr(tokens: Cursor): Selector {
  const outer: Group[] = [];
  let group: Group = { offset: 0, ors: [], ands: [], negated: false };
  for (;;) {
    while (tokens.takeSymbol("!")) group.negated = !group.negated;
    const { offset } = tokens.peek();
    if (tokens.takeSymbol("(")) {
      outer.push(group);
      group = { offset, ors: [], ands: [], negated: false };
      continue;
    }
    let operand: Node = { selector: parseOperand(tokens), depth: 0 };
    while (!wantsMore(tokens, group, operand)) {
      const whole = joined("or", group.ors, group.offset);
      const next = tokens.peek();
      const before = outer.pop();
      if (before === undefined) {
        if (next.kind === "end") return whole.selector;
        throw new SelectorError(next.offset, `expected &&, || or the end, not ${described(next)}`);
      }
      if (!tokens.takeSymbol(")")) throw new SelectorError(next.offset, `expected &&, || or ), not ${described(next)}`);
      operand = whole;
      group = before;
    }
  }
}

/** Adds an operand to its group; false where the group ends after it. */
function wantsMore(tokens: Cursor, group: Group, operand: Node): boolean {
  group.ands.push(group.negated ? negation(operand, group.offset) : operand);
  group.negated = false;
  if (tokens.takeSymbol("&&")) return true;
  group.ors.push(joined("and", group.ands, group.offset));
  group.ands = [];
  return tokens.takeSymbol("||");
}

function negation({ selector, depth }: Node, offset: number): Node {
  return bounded({ selector: { kind: "not", operand: selector }, depth: depth + 1 }, offset);
}

function joined(kind: "and" | "or", nodes: readonly Node[], offset: number): Node {
  const [first] = nodes;
  if (nodes.length === 1 && first !== undefined) return first;
  const depth = nodes.reduce((most, node) => Math.max(most, node.depth), 0) + 1;
  return bounded({ selector: { kind, operands: nodes.map(({ selector }) => selector) }, depth }, offset);
}

/** Whoever walks over the tree may recurse. */
function bounded(node: Node, offset: number): Node {
  if (node.depth > MAX_NESTING)
    throw new SelectorError(offset, `is nested more than ${MAX_NESTING} deep: write it flatter`);
  return node;
}

function parseOperand(tokens: Cursor): Selector {
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
    case "operator":
    case "string":
    case "end":
  }
  throw new SelectorError(token.offset, `expected a label, has(), all(), global() or (, not ${described(token)}`);
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
