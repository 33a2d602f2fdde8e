/** Where output goes: data to stdout, messages to stderr, colours only where somebody looks. */
import { styleText } from "node:util";
import { plainLines } from "./text.ts";

export type Style = "heading" | "good" | "bad" | "warn" | "dim" | "strong";

const FORMATS: Readonly<Record<Style, Parameters<typeof styleText>[0]>> = {
  heading: "bold",
  good: "green",
  bad: "red",
  warn: "yellow",
  dim: "dim",
  strong: "bold",
};

export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  /** Of a terminal. */
  readonly columns?: number | undefined;
}

export class Terminal {
  readonly #out: Sink;
  readonly #err: Sink;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(out: Sink = process.stdout, err: Sink = process.stderr, env = process.env) {
    this.#out = out;
    this.#err = err;
    this.#env = env;
  }

  /** A line of data. The caller has made names and labels safe (`plain`). */
  line(text = ""): void {
    this.#out.write(`${text}\n`);
  }

  /** Data as it is. */
  raw(text: string): void {
    this.#out.write(text);
  }

  /** A message to the person who types. Control characters in it are shown, never obeyed. */
  say(text: string, style?: Style): void {
    const safe = plainLines(text);
    this.#err.write(`${style === undefined ? safe : this.#styled(this.#err, style, safe)}\n`);
  }

  readonly paint = (style: Style, text: string): string => this.#styled(this.#out, style, text);

  /** Columns of the terminal that shows the data; undefined where it goes elsewhere. */
  get columns(): number | undefined {
    return this.#out.isTTY === true ? this.#out.columns : undefined;
  }

  /** Both ends are a person: questions can be asked. */
  get interactive(): boolean {
    return this.#err.isTTY === true && process.stdin.isTTY;
  }

  #styled(sink: Sink, style: Style, text: string): string {
    const wanted = sink.isTTY === true && (this.#env["NO_COLOR"] ?? "") === "" && this.#env["TERM"] !== "dumb";
    return wanted ? styleText(FORMATS[style], text, { validateStream: false }) : text;
  }
}
