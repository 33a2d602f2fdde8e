/** `manx node ls|show|rm`: the hosts of the cluster. */
import type { Command } from "commander";
import type { NodeView } from "../../api/client.ts";
import { plural } from "../../core/plural.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { type Column, type OutputFlags, outputOption, printData, printListing } from "../output.ts";
import { padEnd, plain } from "../text.ts";

export const define: Define = (command, cli) => {
  command.usage("ls | show NAME | rm NAME").helpCommand(false);
  list(command.command("ls").description("all hosts, and whether their agents live"), cli);
  show(command.command("show").description("one host, with its blocks and versions"), cli);
  remove(command.command("rm").description("forget hosts that are gone, and release their blocks"), cli);
  examples(command, [
    ["manx node ls", "all hosts"],
    ["manx node show h2", "one of them"],
    ["manx node rm h2", "it is gone for good: its blocks are free for others"],
    ["manx node rm h2 --force", "although something answers at its address"],
  ]);
};

const COLUMNS: readonly Column<NodeView>[] = [
  { title: "HOST", value: ({ name, self }) => (self ? `${name} *` : name), style: () => "strong" },
  { title: "STATE", value: ({ state }) => state },
  { title: "ADDRESSES", value: ({ addresses }) => addresses.join(", ") },
  { title: "CONTAINERS", value: ({ endpoints }) => String(endpoints) },
  { title: "BLOCKS", value: ({ blocks }) => String(blocks.length) },
  { title: "MANX", value: ({ version }) => version ?? "" },
  { title: "DOCKER", value: ({ engine }) => engine ?? "", wide: true },
  { title: "KERNEL", value: ({ kernel }) => kernel ?? "", wide: true },
  { title: "AS", value: ({ asNumber }) => (asNumber === undefined ? "" : String(asNumber)), wide: true },
  { title: "SINCE", value: ({ since }) => since ?? "", wide: true },
];

function list(command: Command, cli: Cli): void {
  agentOptions(outputOption(command)).action(async (flags: OutputFlags & AgentFlags) => {
    await printListing(cli.terminal, flags.output, {
      rows: await cli.agent(flags).nodes(),
      columns: COLUMNS,
      name: ({ name }) => name,
      empty: "No hosts are known yet.",
    });
  });
}

function show(command: Command, cli: Cli): void {
  command.argument("<host>", "its name");
  agentOptions(outputOption(command, ["table", "json", "yaml"])).action(
    async (name: string, flags: OutputFlags & AgentFlags) => {
      const node = await cli.agent(flags).node(name);
      if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, node);
      cli.terminal.line(cli.terminal.paint("heading", plain(node.name)));
      for (const [title, text] of facts(node))
        if (text !== "") cli.terminal.line(`  ${padEnd(title, 10)}  ${plain(text)}`);
    },
  );
}

const STATES: Readonly<Record<NodeView["state"], string>> = {
  alive: "alive",
  silent: "silent: its agent does not run, or cannot reach the store; its containers may run",
  removed: "removed, with something left: manx node rm",
};

function facts(node: NodeView): [string, string][] {
  return [
    ["state", STATES[node.state]],
    ["since", node.since ?? ""],
    ["addresses", node.addresses.join(", ")],
    ["AS number", node.asNumber === undefined ? "the cluster's" : String(node.asNumber)],
    ["containers", String(node.endpoints)],
    ["blocks", node.blocks.map(({ cidr, pool }) => `${cidr} (${pool})`).join(", ")],
    ["lent", node.lent.join(", ")],
    ["borrowed", node.borrowed.join(", ")],
    [
      "labels",
      Object.entries(node.labels)
        .map((pair) => pair.join("="))
        .join(", "),
    ],
    ["Manx", node.version ?? ""],
    ["Docker", node.engine ?? ""],
    ["kernel", node.kernel ?? ""],
  ];
}

function remove(command: Command, cli: Cli): void {
  command
    .argument("<hosts...>", "their names")
    .option("--force", "although something answers at the host's address; never while its agent lives");
  agentOptions(command).action(async (names: string[], flags: AgentFlags & { readonly force?: boolean }) => {
    const agent = cli.agent(flags);
    for (const name of names) {
      const { endpoints, released, kept, resources } = await agent.removeNode(name, flags.force === true);
      const blocks = released.length === 0 ? "no block" : released.join(", ");
      cli.terminal.say(`Removed the host "${name}": forgot ${plural(endpoints, "container")}, released ${blocks}.`);
      if (resources.length > 0) cli.terminal.say(`Deleted what was written for it alone: ${resources.join(", ")}.`);
      for (const { cidr, why } of kept) cli.terminal.say(`Kept the block ${cidr}: ${why}.`);
    }
  });
}
