/** `manx help [COMMAND...]`, and topics that belong to no command. */
import type { Command } from "commander";
import type { Define } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT, EXIT_CODES } from "../exit-codes.ts";

const TOPICS: Readonly<Record<string, () => string>> = {
  "exit-codes": () =>
    [
      "The exit status of every command:",
      "",
      ...EXIT_CODES.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`),
    ].join("\n"),
};

export const define: Define = (command, cli) =>
  command.argument("[words...]", "a command, or: exit-codes").action((words: string[]) => {
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
