/** `manx selector EXPR`: what it matches now, or whether it matches one set of labels. */
import { text as readAll } from "node:stream/consumers";
import { plural } from "../../core/plural.ts";
import { match } from "../../core/selector/match.ts";
import { parseSelector } from "../../core/selector/parse.ts";
import { printSelector } from "../../core/selector/print.ts";
import { type AgentFlags, agentOptions, type Define, examples } from "../cli.ts";
import { ENDPOINT_COLUMNS } from "../endpoint-columns.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { notASelector } from "../label-filter.ts";
import { type OutputFlags, outputOption, printData, printListing } from "../output.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly labels?: string;
}

const HYPHEN = `A selector that begins with a hyphen is the last word, after --: manx selector -- '-o == "x"'`;

const LANGUAGE = `
The language, the same as in policies and after -l:
  role == "db"                  the label has this value
  role != "db"                  it has another, or there is no such label
  role in {"db", "cache"}       one of them
  role not in {"db", "cache"}   none of them, or there is no such label
  role contains "d"             also: starts with "d", ends with "b"
  has(role)                     there is such a label
  !has(role)                    there is none
  a == "1" && (b == "2" || has(c))
  all()                         everything

What labels there are: manx ls -o wide`;

export const define: Define = (command, cli) => {
  command
    .argument("<selector>", "the language: see below; - reads it from standard input")
    // A label may begin with a hyphen: what is no option of ours is a selector, or refused as one.
    .allowUnknownOption()
    .option("--labels <json>", 'one set of labels, as {"role":"db"}; no agent is asked');
  agentOptions(outputOption(command));
  examples(command, [
    ["manx selector 'role == \"db\"'", "the containers it matches; exit 1: none"],
    [`manx selector --labels '{"-o":"x"}' -- '-o == "x"'`, "a label that begins with a hyphen: after --"],
    ["manx selector 'has(role)' --labels '{\"role\":\"db\"}'", "exit 0: a match; 1: none; 2: not a selector"],
  ]);
  command.addHelpText("after", LANGUAGE);
  const output = command.configureOutput();
  command.configureOutput({
    outputError: (text, write) => {
      output.outputError?.(text, write);
      if (/option|too many arguments/.test(text)) write(HYPHEN);
    },
  });
  command.action(async (given: string, flags: Flags) => {
    const text = given === "-" ? (await readAll(process.stdin)).replace(/\r?\n$/, "") : given;
    const parsed = parseSelector(text);
    if (!parsed.ok) throw notASelector(text, parsed.problem.offset, parsed.problem.message);
    if (flags.labels !== undefined) {
      const matches = match(parsed.selector, parseLabels(flags.labels));
      if (!matches) cli.exit = EXIT.no;
      if (flags.output === "json" || flags.output === "yaml")
        return printData(cli.terminal, flags.output, { selector: printSelector(parsed.selector), matches });
      return cli.terminal.line(matches ? "match" : "no match");
    }
    const all = await cli.agent(flags).endpoints();
    const rows = all.filter(({ labels }) => match(parsed.selector, labels));
    if (rows.length === 0) cli.exit = EXIT.no;
    await printListing(cli.terminal, flags.output, {
      rows,
      columns: ENDPOINT_COLUMNS,
      name: ({ container, id }) => container || id,
      empty: `It matches none of the ${plural(all.length, "endpoint")}. What labels there are: manx ls -o wide`,
    });
  });
};

function parseLabels(text: string): Readonly<Record<string, string>> {
  const wrong = (): CliError =>
    new CliError(
      EXIT.usage,
      `Cannot read the labels "${text}": they are a JSON object of texts`,
      `Write: --labels '{"role":"db"}'`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong();
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong();
  if (!Object.values(value).every((one) => typeof one === "string")) throw wrong();
  return value as Record<string, string>;
}
