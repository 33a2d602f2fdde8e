/** From a command line to an exit status: finds the command, runs it, says what went wrong. */
import { type Command, CommanderError } from "commander";
import type { Cli } from "./cli.ts";
import { explain } from "./errors.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { commandHint, optionHint } from "./hints.ts";
import { buildProgram } from "./program.ts";

export async function run(typed: readonly string[], cli: Cli): Promise<ExitCode> {
  const argv = isVersionFlag(typed[0]) ? ["version", ...typed.slice(1)] : typed;
  let program: Command | undefined;
  try {
    if (argv[0] === "complete") return await (await import("./complete.ts")).complete(argv, cli);
    const name = argv.find((word) => !word.startsWith("-"));
    const asked = name === "help" ? argv[argv.indexOf("help") + 1] : name;
    program = await buildProgram(cli, (entry) => entry.name === name || entry.name === asked);
    if (argv.length === 0) {
      program.outputHelp();
      return EXIT.ok;
    }
    await program.parseAsync([...argv], { from: "user" });
    return cli.exit ?? EXIT.ok;
  } catch (error) {
    return report(error, commandOf(program, argv), argv, cli);
  }
}

const isVersionFlag = (word: string | undefined): boolean => word === "--version" || word === "-V" || word === "-v";

function hintFor({ code }: CommanderError, argv: readonly string[]): string | undefined {
  if (code === "commander.unknownCommand") return commandHint(argv.find((word) => !word.startsWith("-")) ?? "");
  if (code !== "commander.unknownOption") return undefined;
  return argv.map(optionHint).find((hint) => hint !== undefined);
}

/** The words that name a command: `manx pool add`. */
function commandOf(program: Command | undefined, argv: readonly string[]): string {
  let command = program;
  const words = ["manx"];
  for (const word of argv) {
    command = command?.commands.find((one) => one.name() === word);
    if (command === undefined) break;
    words.push(word);
  }
  return words.join(" ");
}

function report(error: unknown, command: string, argv: readonly string[], cli: Cli): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code !== "commander.help") cli.terminal.say(`Try: ${hintFor(error, argv) ?? `${command} --help`}`);
    return EXIT.usage;
  }
  const { exit, text, remedy } = explain(error);
  cli.terminal.say(`manx: ${text}`);
  if (remedy !== undefined) cli.terminal.say(remedy);
  return exit;
}
