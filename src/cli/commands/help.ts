/** `manx help [COMMAND...]`, and topics that belong to no command. */
import type { Command } from "commander";
import type { Define } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT, EXIT_CODES } from "../exit-codes.ts";

const SELECTOR = `A selector picks endpoints by their labels. The same language in -l, in policies and in manx selector:

  role == "db"                  the label has this value
  role != "db"                  it has another, or there is no such label
  role in {"db", "cache"}       one of them
  role not in {"db", "cache"}   none of them, or there is no such label
  role contains "d"             as starts with "d", ends with "b"
  has(role)                     there is such a label
  !has(role)                    not
  a == "1" && (b == "2" || has(c))
  all()                         everything

What labels there are: manx ls -o wide`;

const TOPICS: Readonly<Record<string, () => string>> = {
  selector: () => SELECTOR,
  "exit-codes": () =>
    [
      "The exit status of every command:",
      "",
      ...EXIT_CODES.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`),
    ].join("\n"),
};

export const define: Define = (command, cli) =>
  command.argument("[words...]", "a command, or: exit-codes, selector").action((words: string[]) => {
    const program = command.parent;
    if (program === null) return;
    const topic = words.length === 1 ? TOPICS[words[0] ?? ""] : undefined;
    if (topic !== undefined) cli.terminal.line(topic());
    else find(program, words).outputHelp();
  });

function find(program: Command, words: readonly string[]): Command {
  return words.reduce((command, word) => {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next === undefined)
      throw new CliError(
        EXIT.usage,
        `Cannot help with "${words.join(" ")}": there is no such command`,
        "manx --help lists the commands.",
      );
    return next;
  }, program);
}
