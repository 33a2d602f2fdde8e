/** `manx token create|ls|rm`: what lets other hosts in. */
import type { Command } from "commander";
import { Option } from "commander";
import type { TokenView } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { parseDuration } from "../duration.ts";
import { type Column, type OutputFlags, outputOption, printListing } from "../output.ts";

export const define: Define = (command, cli) => {
  command.usage("create | ls | rm TOKEN").helpCommand(false);
  create(command.command("create").description("print a line that lets one host in: manx join LINE"), cli);
  list(command.command("ls").description("tokens, without their secrets"), cli);
  remove(command.command("rm").description("make tokens useless"), cli);
  examples(command, [
    ["manx token create", "one host, within a day"],
    ["manx token create --etcd", "a host that becomes a member of etcd too: manx join LINE --etcd"],
    ["manx token create --host h2 --ttl 10m", "only h2, also if it is known already: the same machine made anew"],
    ["manx token ls", ""],
    ["manx token rm 5f1c09aa", "it lets nobody in any more"],
  ]);
};

interface CreateFlags extends AgentFlags {
  readonly ttl: number;
  readonly host?: string;
  readonly etcd?: boolean;
}

function create(command: Command, cli: Cli): void {
  const ttl = new Option("--ttl <duration>", "how long it is good: 10m, 24h").default(86_400, "24h").argParser(seconds);
  command
    .addOption(ttl)
    .option("--host <name>", "only a host of this name, also one that is known already")
    .option("--etcd", "the host may become a member of etcd; it then has the key of the cluster's CA");
  agentOptions(command).action(async (flags: CreateFlags) => {
    const { ttl, host, etcd = false } = flags;
    const made = await cli.agent(flags).createToken({ ttl, etcd, ...(host !== undefined && { host }) });
    cli.terminal.line(made.line);
    cli.terminal.say(
      `Lets one host in until ${made.token.expires}. There: manx join LINE${etcd ? " --etcd" : ""}. Who has the line can use it; manx token rm ${made.token.id} ends that.`,
    );
  });
}

function seconds(text: string): number {
  return parseDuration(text, 60, 604_800);
}

const COLUMNS: readonly Column<TokenView>[] = [
  { title: "TOKEN", value: ({ id }) => id, style: ({ state }) => (state === "open" ? "strong" : "dim") },
  { title: "STATE", value: ({ state, usedBy }) => (usedBy === undefined ? state : `used by ${usedBy}`) },
  { title: "EXPIRES", value: ({ expires }) => expires },
  { title: "FOR", value: ({ host, etcd }) => [host ?? "any host", ...(etcd ? ["etcd member"] : [])].join(", ") },
  { title: "CREATED", value: ({ createdAt }) => createdAt, wide: true },
];

function list(command: Command, cli: Cli): void {
  agentOptions(outputOption(command)).action(async (flags: OutputFlags & AgentFlags) => {
    const rows = await cli.agent(flags).tokens();
    await printListing(cli.terminal, flags.output, {
      rows,
      columns: COLUMNS,
      name: ({ id }) => id,
      empty: "No tokens, so no host can join. Make one:\n  manx token create",
    });
  });
}

function remove(command: Command, cli: Cli): void {
  command.argument("<tokens...>", "as manx token ls shows them");
  agentOptions(command).action(async (ids: string[], flags: AgentFlags) => {
    for (const id of ids) {
      await cli.agent(flags).removeToken(id);
      cli.terminal.say(`The token ${id} lets nobody in any more.`);
    }
  });
}
