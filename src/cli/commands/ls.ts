/** `manx ls`: every endpoint, and from where it can be reached. For one container: why, and what would change it. */
import type { EndpointView } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { ENDPOINT_COLUMNS } from "../endpoint-columns.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { filterByLabels } from "../label-filter.ts";
import { type OutputFlags, outputOption, printListing } from "../output.ts";
import { changes, reachableFrom, renderDetail } from "../reach.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly network?: string;
  readonly namespace?: string;
  readonly host?: string;
  readonly selector?: string;
}

const NOTHING = `No containers on Manx networks yet. Begin with:
  docker network create -d manx --ipam-driver manx apps
  docker run -d --name web --network apps nginx`;

export const define: Define = (command, cli) => {
  command
    .argument("[containers...]", "names, or NETWORK/NAME; one alone is shown in full")
    .option("--network <name>", "only this network")
    .option("-n, --namespace <namespace>", "only this compose project")
    .option("--host <name>", "only this host")
    .option("-l, --selector <selector>", "only what the labels select, as in a policy");
  agentOptions(outputOption(command));
  examples(command, [
    ["manx ls", "all containers, and from where each is reachable"],
    ["manx ls web", "why, and the commands that would change it"],
    ["manx ls -l 'role == \"db\"' -o wide", "by label, with everything"],
    ["manx ls -o json | jq -r '.[].ipv4[]'", "for a program"],
  ]);
  command.action(async (names: string[], flags: Flags) => {
    const all = await cli.agent(flags).endpoints({
      ...(flags.network !== undefined && { network: flags.network }),
      ...(flags.host !== undefined && { host: flags.host }),
    });
    const inside = all.filter(({ namespace }) => flags.namespace === undefined || namespace === flags.namespace);
    const rows = pick(await filterByLabels(inside, flags.selector), names);
    const [only] = rows;
    if (names.length === 1 && flags.output === "table") {
      for (const row of rows) for (const line of renderDetail(row, cli.terminal.paint)) cli.terminal.line(line);
      return;
    }
    const filtered = flags.network ?? flags.host ?? flags.selector ?? flags.namespace;
    const empty = filtered === undefined ? NOTHING : "No container fits. manx ls shows all of them.";
    await printListing(cli.terminal, flags.output, {
      rows,
      columns: [...ENDPOINT_COLUMNS, { title: "REACHABLE FROM", value: reachableFrom }],
      name: ({ container, id }) => container || id,
      empty,
    });
    if (only !== undefined && flags.output === "table") hint(rows, cli);
  });
};

/** Endpoints of the names, in the names' order. Each name must fit at least one. */
function pick(all: readonly EndpointView[], names: readonly string[]): readonly EndpointView[] {
  if (names.length === 0) return all;
  return names.flatMap((name) => {
    const found = all.filter(
      ({ container, network, id }) =>
        name === container || name === `${network}/${container}` || (name.length >= 12 && id.startsWith(name)),
    );
    if (found.length > 0) return found;
    if (all.some(({ network }) => network === name))
      throw new CliError(EXIT.notFound, `Cannot show "${name}": it is a network`, `manx network inspect ${name}`);
    throw new CliError(
      EXIT.notFound,
      `Cannot show "${name}": no such container is on a Manx network`,
      "manx ls shows those that are. docker network connect NETWORK CONTAINER puts one there.",
    );
  });
}

function hint(rows: readonly EndpointView[], { terminal }: Cli): void {
  const lines = changes(rows);
  if (lines.length === 0) return;
  terminal.say("\nTo change that:", "dim");
  for (const line of lines) terminal.say(`  ${line}`, "dim");
}
