/** `manx network ls|inspect`: the networks of the driver. Docker makes and removes them. */
import type { Command } from "commander";
import type { NetworkDetail, NetworkView } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { ENDPOINT_COLUMNS } from "../endpoint-columns.ts";
import { type Column, type OutputFlags, outputOption, printData, printListing } from "../output.ts";
import { reachableFrom } from "../reach.ts";
import { padEnd, plain } from "../text.ts";

type Flags = OutputFlags & AgentFlags;

export const define: Define = (command, cli) => {
  command.usage("ls | inspect NAME...").helpCommand(false);
  list(command.command("ls").description("all Manx networks"), cli);
  inspect(command.command("inspect").description("a network, its settings and its containers"), cli);
  examples(command, [
    ["docker network create -d manx --ipam-driver manx apps", "make one"],
    ["manx network ls", "all of them"],
    ["manx network inspect apps", "one of them"],
    ["docker network rm apps", "remove it"],
  ]);
};

const NOTHING = `No Manx networks yet. Make one:
  docker network create -d manx --ipam-driver manx apps`;

const COLUMNS: readonly Column<NetworkView>[] = [
  { title: "NETWORK", value: ({ name }) => name, style: () => "strong" },
  { title: "CONTAINERS", value: ({ endpoints }) => String(endpoints) },
  { title: "IP", value: families },
  { title: "POOLS", value: pools },
  { title: "ISOLATION", value: isolation },
  { title: "PUBLISH", value: ({ publish }) => publish },
  { title: "MTU", value: ({ mtu }) => (mtu === undefined ? "" : String(mtu)), wide: true },
  { title: "STICKY", value: ({ sticky }) => (sticky ? "yes" : "no"), wide: true },
  { title: "RANGES", value: ({ ranges }) => ranges.join(", "), wide: true },
  { title: "HOSTS", value: ({ hosts }) => hosts.join(", "), wide: true },
];

type Fields = Omit<NetworkView, "endpoints">;

function families({ families }: Fields): string {
  return families.map((family) => `v${family}`).join(" ");
}

function pools({ pools, anyPool }: Fields): string {
  return pools.length === 0 ? "any" : [...anyPool.map((family) => `any v${family}`), ...pools].join(", ");
}

/** For one network alone. */
function poolsAtLength({ pools, anyPool }: Fields): string {
  if (pools.length === 0) return "every pool that allows it";
  return [...pools, ...anyPool.map((family) => `every IPv${family} pool that allows it`)].join(", ");
}

function isolation({ internal, isolation }: Fields): string {
  return internal ? `${isolation}, internal` : isolation;
}

function list(command: Command, cli: Cli): void {
  agentOptions(outputOption(command)).action(async (flags: Flags) => {
    const rows = await cli.agent(flags).networks();
    await printListing(cli.terminal, flags.output, {
      rows,
      columns: COLUMNS,
      name: ({ name }) => name,
      empty: NOTHING,
    });
  });
}

function inspect(command: Command, cli: Cli): void {
  command.argument("<networks...>", "their names");
  agentOptions(outputOption(command, ["table", "wide", "json", "yaml"])).action(
    async (names: string[], flags: Flags) => {
      const agent = cli.agent(flags);
      const networks = await Promise.all(names.map((name) => agent.network(name)));
      if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, networks);
      for (const [index, network] of networks.entries()) {
        if (index > 0) cli.terminal.line();
        await print(network, flags.output, cli);
      }
    },
  );
}

const ISOLATION: Readonly<Record<NetworkView["isolation"], string>> = {
  network: "network: members talk freely, others are kept out",
  endpoint: "endpoint: members are kept apart, too",
  off: "off: open to everybody who has a route",
};
const PUBLISH: Readonly<Record<NetworkView["publish"], string>> = {
  address: "address: -p opens the container's own port",
  host: "host: -p opens the host's port as well",
  off: "off: -p is refused",
};

async function print(network: NetworkDetail, format: "table" | "wide" | "name", { terminal }: Cli): Promise<void> {
  const facts: [string, string][] = [
    ["families", network.families.map((family) => `IPv${family}`).join(", ")],
    ["pools", poolsAtLength(network)],
    ["ranges", network.ranges.join(", ")],
    ["isolation", ISOLATION[network.isolation]],
    ["internal", network.internal ? "yes: nothing in or out but the network itself" : ""],
    ["publish", PUBLISH[network.publish]],
    ["sticky", network.sticky ? "yes: a container made again under its name gets its address back" : "no"],
    ["MTU", network.mtu === undefined ? "" : String(network.mtu)],
  ];
  terminal.line(terminal.paint("heading", plain(network.name)));
  for (const [title, text] of facts) if (text !== "") terminal.line(`  ${padEnd(title, 10)}  ${plain(text)}`);
  terminal.line();
  await printListing(terminal, format, {
    rows: network.endpoints,
    columns: [
      ...ENDPOINT_COLUMNS.filter(({ title }) => title !== "NETWORK"),
      { title: "REACHABLE FROM", value: reachableFrom },
    ],
    name: ({ container }) => container,
    empty: `No containers on it. Start one:\n  docker run -d --network ${network.name} IMAGE`,
  });
}
