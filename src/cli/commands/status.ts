/** `manx status`: one line a part, with why and what to do where it is not well. */
import type { Component, StatusView } from "../../api/client.ts";
import { plural } from "../../core/plural.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { EXIT } from "../exit-codes.ts";
import { type OutputFlags, outputOption, printData } from "../output.ts";
import type { Style } from "../terminal.ts";
import { plain } from "../text.ts";

export const define: Define = (command, cli) => {
  agentOptions(outputOption(command, ["table", "wide", "json", "yaml"]));
  examples(command, [
    ["manx status", "exit 0: all is well; 1: something is not; 3: the agent does not answer"],
    ["manx status -o wide", "with the host's interfaces under policy, and the ports that no policy closes"],
    ["manx status -o json", "for a program"],
  ]);
  command.action(async (flags: OutputFlags & AgentFlags) => {
    const status = await cli.agent(flags).status();
    if (!status.components.every(isWell)) cli.exit = EXIT.no;
    if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, status);
    print(status, cli);
    if (flags.output === "wide") printHost(status, cli);
  });
};

const isWell = ({ state }: Component): boolean => state === "ok" || state === "off";
const STYLES: Readonly<Record<Component["state"], Style>> = { ok: "good", off: "dim", degraded: "warn", failed: "bad" };

function print({ host, components, counts }: StatusView, { terminal }: Cli): void {
  for (const { name, state, summary, why, remedy } of components) {
    terminal.line(
      `${name.padEnd(10)} ${terminal.paint(STYLES[state], state.padEnd(8))}  ${plain(detail(summary, why))}`,
    );
    if (remedy !== undefined) terminal.line(`${" ".repeat(21)}${plain(remedy)}`);
  }
  terminal.line();
  const { endpoints, networks, pools, hosts } = counts;
  const here = hosts === 1 ? `host ${plain(host)}` : `host ${plain(host)}, one of ${hosts}`;
  terminal.line(
    `${plural(endpoints, "endpoint")} on ${plural(networks, "network")}, ${plural(pools, "pool")}; ${here}`,
  );
}

function printHost({ hostEndpoints, failsafe }: StatusView, { terminal }: Cli): void {
  const interfaces = hostEndpoints.map(({ interface: name, name: endpoint }) => `${name} (${endpoint})`);
  terminal.line();
  for (const [title, words] of [
    ["under policy", interfaces],
    ["failsafe in", failsafe.inbound],
    ["failsafe out", failsafe.outbound],
  ] as const)
    terminal.line(`${title.padEnd(13)} ${words.length === 0 ? "none" : plain(words.join(", "))}`);
}

/** `off: routes stay on this host`, as the state already says off. */
function detail(summary: string, why: string | undefined): string {
  const rest = summary.replace(/^off(: )?/, "");
  return [rest, why].filter((text) => text !== undefined && text !== "").join(": ");
}
