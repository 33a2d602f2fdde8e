/** Text to tokens. The rules are those of Calico's tokenizer, quirks included: each is a line in tokenize's table of tests. */
import { MAX_LABEL_LENGTH } from "./ast.ts";

export type Symbol = "(" | ")" | "{" | "}" | "," | "&&" | "||" | "!";
export type Operator = "==" | "!=" | "contains" | "starts with" | "ends with" | "in" | "not in";

export type Token = { readonly offset: number } & (
  | { readonly kind: "symbol"; readonly text: Symbol }
  | { readonly kind: "operator"; readonly text: Operator }
  | { readonly kind: "label" | "string" | "has"; readonly text: string }
  | { readonly kind: "all" | "global" | "end"; readonly text: "" }
);

/** Why a text is not a selector, and where. Thrown by the tokenizer and the parser, caught by `parseSelector`. */
export class SelectorError extends Error {
  /** Index into the text, in UTF-16 units, from 0; the length of the text if something is missing at its end. */
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.name = "SelectorError";
    this.offset = offset;
  }
}

/** The tokens, the last of them `end`. Throws SelectorError. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let offset = skipBlanks(text, 0);
  while (offset < text.length) {
    const [token, next] = readToken(text, offset, tokens.at(-1)?.kind === "label");
    tokens.push(token);
    offset = skipBlanks(text, next);
  }
  tokens.push({ kind: "end", text: "", offset: text.length });
  return tokens;
}

type Read = readonly [token: Token, next: number];

function readToken(text: string, offset: number, afterLabel: boolean): Read {
  const first = text[offset] ?? "";
  switch (first) {
    case "(":
    case ")":
    case "{":
    case "}":
    case ",":
      return [{ kind: "symbol", text: first, offset }, offset + 1];
    case '"':
    case "'":
      return readString(text, offset, first);
    case "=":
    case "&":
    case "|":
      return readDouble(text, offset, first);
    case "!":
      return text[offset + 1] === "="
        ? [{ kind: "operator", text: "!=", offset }, offset + 2]
        : [{ kind: "symbol", text: "!", offset }, offset + 1];
    default:
      // Words are operators only right after a label, so that `in in {"in"}` is a selector about a label named "in".
      return afterLabel ? readWordOperator(text, offset) : readTerm(text, offset);
  }
}

/** There are no escapes: a string ends at the next quote of its own kind. It may hold anything else, line ends too. */
function readString(text: string, offset: number, quote: string): Read {
  const end = text.indexOf(quote, offset + 1);
  if (end < 0) throw new SelectorError(offset, `the string that starts here has no closing ${quote}`);
  return [{ kind: "string", text: text.slice(offset + 1, end), offset }, end + 1];
}

function readDouble(text: string, offset: number, first: "=" | "&" | "|"): Read {
  if (text[offset + 1] !== first) throw new SelectorError(offset, `expected ${first}${first}`);
  const token: Token =
    first === "="
      ? { kind: "operator", text: "==", offset }
      : { kind: "symbol", text: first === "&" ? "&&" : "||", offset };
  return [token, offset + 2];
}

const WORD_OPERATORS: readonly (readonly [Operator, RegExp])[] = [
  ["contains", /contains(?![A-Za-z0-9_./-])/y],
  ["starts with", /starts[ \t]*with(?![A-Za-z0-9_./-])/y],
  ["ends with", /ends[ \t]*with(?![A-Za-z0-9_./-])/y],
  ["not in", /not[ \t]*in(?![A-Za-z0-9_./-])/y],
  ["in", /in(?![A-Za-z0-9_./-])/y],
];

function readWordOperator(text: string, offset: number): Read {
  for (const [operator, pattern] of WORD_OPERATORS) {
    pattern.lastIndex = offset;
    if (pattern.test(text)) return [{ kind: "operator", text: operator, offset }, pattern.lastIndex];
  }
  throw new SelectorError(
    offset,
    "expected an operator after the label: ==, !=, in, not in, contains, starts with, ends with",
  );
}

/** No blank may stand between `has`, `all` or `global` and its parenthesis; inside the parentheses blanks are free. */
function readTerm(text: string, offset: number): Read {
  if (text.startsWith("has(", offset)) {
    const at = skipBlanks(text, offset + 4);
    const label = readLabel(text, at);
    return [{ kind: "has", text: label, offset }, closeCall(text, at + label.length, "has(")];
  }
  if (text.startsWith("all(", offset)) return [{ kind: "all", text: "", offset }, closeCall(text, offset + 4, "all(")];
  if (text.startsWith("global(", offset))
    return [{ kind: "global", text: "", offset }, closeCall(text, offset + 7, "global(")];
  const label = readLabel(text, offset);
  return [{ kind: "label", text: label, offset }, offset + label.length];
}

function closeCall(text: string, offset: number, call: string): number {
  const at = skipBlanks(text, offset);
  if (text[at] !== ")") throw new SelectorError(at, `expected ) to close ${call}`);
  return at + 1;
}

const LABEL = /[A-Za-z0-9_./-]+/y;

function readLabel(text: string, offset: number): string {
  LABEL.lastIndex = offset;
  if (!LABEL.test(text))
    throw new SelectorError(offset, `expected the name of a label, not ${described(text, offset)}`);
  const label = text.slice(offset, LABEL.lastIndex);
  if (label.length > MAX_LABEL_LENGTH)
    throw new SelectorError(
      offset,
      `the name of a label has at most ${MAX_LABEL_LENGTH} characters, this one has ${label.length}`,
    );
  return label;
}

function described(text: string, offset: number): string {
  const point = text.codePointAt(offset);
  return point === undefined ? "the end" : JSON.stringify(String.fromCodePoint(point));
}

/** Blanks are space and tab only; a line end is not one. */
function skipBlanks(text: string, offset: number): number {
  let at = offset;
  while (text[at] === " " || text[at] === "\t") at++;
  return at;
}
