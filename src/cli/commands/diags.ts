/** `manx diags`: everything that a report of a trouble needs, in one archive, without secrets. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { SOCKET_PATH } from "../../api/socket.ts";
import { DriverError } from "../../drivers/error.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type OutputFlags, outputOption, printListing } from "../output.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly file?: string;
}

export const define: Define = (command, cli) => {
  command.option("--file <path>", "where to write it (default: manx-diags-HOST-TIME.tar.gz here)");
  agentOptions(outputOption(command, ["table", "json", "yaml"]));
  examples(command, [
    ["manx diags", "works without the agent too: what it cannot tell is left out"],
    ["manx diags --file /tmp/report.tar.gz", "only you may read it (mode 0600)"],
    ["manx diags -o json", "what is in it, for a program"],
  ]);
  command.action(async (flags: Flags) => show(flags, cli));
};

async function show(flags: Flags, cli: Cli): Promise<void> {
  const { hostDiags } = await import("../../install/diags/open.ts");
  const file = resolve(flags.file ?? defaultName());
  const socket = flags.socket ?? (cli.env["MANX_SOCKET"] || SOCKET_PATH);
  const report = await hostDiags({
    agent: cli.agent(flags, 15_000),
    env: cli.env,
    socket,
    file,
    signal: cli.signal(),
    onPiece: (what) => {
      if (cli.terminal.interactive) cli.terminal.say(`gathering: ${what}`, "dim");
    },
  }).catch((error: unknown) => {
    if (error instanceof DriverError)
      throw new CliError(EXIT.failed, error.message, "Name another place: manx diags --file PATH");
    throw error;
  });
  await printListing(cli.terminal, flags.output, {
    rows: report.entries,
    columns: [
      { title: "FILE", value: ({ path }) => path },
      { title: "BYTES", value: ({ bytes }) => String(bytes) },
      { title: "WHAT", value: ({ what }) => what },
      { title: "MISSING", value: ({ problem }) => problem?.split("\n")[0] ?? "" },
    ],
    name: ({ path }) => path,
    empty: "Nothing could be gathered.",
    data: report,
  });
  cli.terminal.say(
    `\n${report.file}: ${report.bytes} bytes, only you may read it. Secrets are taken out; names, addresses and policies are in it.`,
  );
}

function defaultName(): string {
  const time = new Date().toISOString().replaceAll(/[-:]|\.[0-9]+/g, "");
  return `manx-diags-${hostname()}-${time}.tar.gz`;
}
