/** Builds the commander program: every command by name and summary, and in full the one that is asked for. */
import { Command } from "commander";
import type { Cli } from "./cli.ts";
import { COMMANDS, type CommandEntry } from "./commands.ts";

const DESCRIPTION = "An address for every container, routed by the kernel, with a firewall in front of it.";
const FOOTER = `
Begin:
  docker network create -d manx --ipam-driver manx apps
  docker run -d --name web --network apps nginx
  manx ls

manx help COMMAND has options and examples; manx help exit-codes tells what a script gets.`;

export async function buildProgram(cli: Cli, wanted: (entry: CommandEntry) => boolean): Promise<Command> {
  const program = new Command("manx")
    .description(DESCRIPTION)
    .usage("COMMAND ...")
    .helpCommand(false)
    .helpOption("-h, --help", "show help")
    .option("-V, --version", "as manx version")
    .addHelpText("after", FOOTER)
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({ showGlobalOptions: false, subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => cli.terminal.raw(text),
      writeErr: (text) => cli.terminal.say(text.trimEnd()),
      outputError: (text, write) => write(restate(text)),
    });
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).description(entry.summary).helpGroup(entry.group);
    if (wanted(entry)) (await entry.load()).define(command, cli);
  }
  return program;
}

/** Commander's words in the house's form. */
function restate(text: string): string {
  return `manx: ${text.replace(/^error: /, "").trimEnd()}`;
}
