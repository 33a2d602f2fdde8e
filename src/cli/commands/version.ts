/** `manx version`: this command's version always, the agent's and what it stands on where it answers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UnreachableError, type VersionView } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Define, examples } from "../cli.ts";
import { type OutputFlags, outputOption, printData } from "../output.ts";
import { plain } from "../text.ts";

export function ownVersion(): string {
  const text = readFileSync(join(import.meta.dirname, "../../../package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

export const define: Define = (command, cli) => {
  agentOptions(outputOption(command, ["table", "json", "yaml"]));
  examples(command, [
    ["manx version", "all versions, one a line"],
    ["manx version -o json", "for a program"],
  ]);
  command.action(async (flags: OutputFlags & AgentFlags) => {
    const agent = await cli.agent(flags, 2_000).version().catch(whyNot);
    const client = ownVersion();
    const { terminal } = cli;
    if (flags.output === "json" || flags.output === "yaml")
      return printData(terminal, flags.output, typeof agent === "string" ? { client, agent: null } : { client, agent });
    terminal.line(`manx    ${client}`);
    if (typeof agent === "string") return terminal.line(`agent   ${agent}`);
    for (const [name, text] of rows(agent)) terminal.line(`${name.padEnd(8)}${plain(text)}`);
    if (agent.version !== client)
      terminal.say("The agent is of another version than this command: systemctl restart manx");
  });
};

function whyNot(error: unknown): string {
  if (error instanceof UnreachableError)
    return error.reason === "denied" ? "not permitted to ask it" : "does not answer";
  throw error;
}

function rows(agent: VersionView): [string, string][] {
  const all: [string, string | undefined][] = [
    ["agent", agent.version],
    ["docker", agent.engine],
    ["kernel", agent.kernel],
    ["bird", agent.bird],
    ["node", agent.node],
  ];
  return all.map(([name, text]) => [name, text ?? "-"]);
}
