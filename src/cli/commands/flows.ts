/** `manx flows` and `manx drops`: what was seen of packets, and what decided; as a list, or as they come. */
import { type Command, InvalidArgumentError } from "commander";
import type { FlowQuery, FlowView } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { parseDuration } from "../duration.ts";
import { byName, FLOW_STYLES, flowColumns, partyText, reasonText, serviceText } from "../flow-table.ts";
import { type OutputFlags, outputOption, printListing } from "../output.ts";
import { plain } from "../text.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly from?: string;
  readonly to?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly policy?: string;
  readonly network?: string;
  readonly verdict?: string;
  readonly since?: string;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly allHosts?: boolean;
}

const DROPPED = "deny,would-deny,log";

export const flows: Define = (command, cli) => {
  options(command).option("--verdict <verdicts>", "allow, deny, log, would-allow, would-deny, would-pass");
  examples(command, [
    ["manx flows", "who has talked to whom, and which rule let them"],
    ["manx flows --follow --to db --port 5432", "new connections to db as they come"],
    ["manx flows --all-hosts", "on whatever host"],
    ["manx flows --verdict would-deny", "what staged policies would have dropped"],
    ["manx flows --follow -o json", "one JSON object a line, for a program"],
  ]);
  command.action((flags: Flags) => show(flags, flags.verdict, "No flows yet. They appear as containers talk.", cli));
};

export const drops: Define = (command, cli) => {
  options(command);
  examples(command, [
    ["manx drops", "what was dropped, and the rule that did it"],
    ["manx drops --follow", "as it happens"],
    ["manx drops --from web --since 5m", "of one container"],
  ]);
  command.action((flags: Flags) => show(flags, DROPPED, "Nothing was dropped.", cli));
};

function options(command: Command): Command {
  command
    .option("-f, --follow", "as they come, until Ctrl-C")
    .option("-A, --all-hosts", "what the other hosts of the cluster saw as well: the last of it")
    .option("--from <end>", "CONTAINER, NETWORK/CONTAINER, an address, a host, or internet")
    .option("--to <end>", "the same")
    .option("--port <number>", "of the receiver", whole(65_535))
    .option("--protocol <name>", "tcp, udp, icmp, ...")
    .option("--policy <name>", "decided by this policy: NAME or NAMESPACE/NAME")
    .option("--network <name>", "an end is on this network")
    .option("--since <time>", "seen in the last 60s, 5m, 1h")
    .option("--limit <number>", "so many at the most (1000)", whole(100_000));
  return agentOptions(outputOption(command, ["table", "wide", "json", "yaml"]));
}

function whole(most: number): (text: string) => number {
  return (text) => {
    if (/^[0-9]{1,6}$/.test(text) && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`It is a whole number up to ${most}.`);
  };
}

async function show(flags: Flags, verdict: string | undefined, empty: string, cli: Cli): Promise<void> {
  const query = queryOf(flags, verdict);
  if (flags.follow) return follow(flags, query, cli);
  const { flows, lost, forgotten, silent = [], blind } = await cli.agent(flags).flows(query);
  const isTable = flags.output === "table" || flags.output === "wide";
  await printListing(cli.terminal, flags.output, {
    rows: flags.output === "table" ? byName(flows) : flows,
    columns: flowColumns(Date.now(), flags.allHosts === true),
    name: ({ source, destination }) => `${partyText(source)} ${partyText(destination)}`,
    empty: isNarrowed(flags) ? "Nothing of that kind was seen." : empty,
  });
  if (!isTable) return;
  if (silent.length > 0) cli.terminal.say(`Without those of ${silent.join(", ")}: no answer.`, "warn");
  if (blind !== undefined && verdict === DROPPED)
    cli.terminal.say(`Without what others than Manx dropped. ${blind}.`, "dim");
  if (lost + forgotten > 0)
    cli.terminal.say(`Not shown: ${lost} came too fast to be taken, ${forgotten} went for want of room.`, "dim");
}

/** Whether it asks for some of the flows only, so that none of them does not mean that there are none. */
function isNarrowed({ from, to, port, protocol, policy, network, verdict, since }: Flags): boolean {
  return [from, to, port, protocol, policy, network, verdict, since].some((one) => one !== undefined);
}

function queryOf(
  { from, to, port, protocol, policy, network, since, limit, allHosts }: Flags,
  verdict?: string,
): FlowQuery {
  return {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(port !== undefined && { port }),
    ...(protocol !== undefined && { protocol }),
    ...(policy !== undefined && { policy }),
    ...(network !== undefined && { network }),
    ...(allHosts === true && { hosts: "all" as const }),
    ...(verdict !== undefined && { verdict }),
    ...(since !== undefined && { since: parseDuration(since, 1, 86_400) }),
    ...(limit !== undefined && { limit }),
  };
}

async function follow(flags: Flags, query: FlowQuery, cli: Cli): Promise<void> {
  const { output } = flags;
  for await (const batch of cli.agent(flags).followFlows(query, cli.signal()))
    for (const flow of batch) {
      if (output === "json" || output === "yaml") cli.terminal.line(JSON.stringify(flow));
      else cli.terminal.line(lineOf(flow, cli));
    }
}

function lineOf(flow: FlowView, { terminal }: Cli): string {
  const { verdict, last, count, source, destination } = flow;
  const time = new Date(last).toTimeString().slice(0, 8);
  const times = count > 1 ? `  x${count}` : "";
  const way = plain(`${partyText(source)} -> ${partyText(destination)}  ${serviceText(flow)}${times}`);
  return `${time}  ${terminal.paint(FLOW_STYLES[verdict], verdict.padEnd(5))}  ${way}  ${terminal.paint("dim", plain(reasonText(flow)))}`;
}
