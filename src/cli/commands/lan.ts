/** `manx lan enable|status|disable`: containers on the LAN by their own address, without a router that speaks BGP. */
import type { Command } from "commander";
import type { LanPoolView, LanView } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { type Column, type OutputFlags, outputOption, printListing } from "../output.ts";

export const define: Define = (command, cli) => {
  command.usage("enable [INTERFACE] [CIDR] | status | disable").helpCommand(false);
  enable(command.command("enable").description("use a free part of the LAN's subnet for containers"), cli);
  list(command.command("status").description("which addresses this host answers for"), cli);
  disable(command.command("disable").description("give the addresses back; leaves nothing"), cli);
  examples(command, [
    ["manx lan enable", "on the interface of the default route, in a part in which nobody answers"],
    ["manx lan enable eth0 192.168.7.64/27", "a part that no DHCP server hands out"],
    ["docker network create -d manx --ipam-driver manx --ipam-opt pool=lan lan", "a network of such containers"],
    [
      "docker network create -d manx --ipam-driver manx --ipv6 --ipam-opt pool=lan,lan6 lan",
      "of such with IPv6 as well",
    ],
    ["manx lan status", "who has which address"],
    ["manx lan disable", ""],
  ]);
};

const COLUMNS: readonly Column<LanPoolView>[] = [
  { title: "POOL", value: ({ name }) => name, style: ({ disabled }) => (disabled ? "dim" : "strong") },
  { title: "CIDR", value: ({ cidr }) => cidr },
  { title: "INTERFACE", value: ({ interface: name }) => name },
  { title: "STATE", value: state },
  {
    title: "ANSWERS FOR",
    value: ({ answers }) => answers.map(({ address, container }) => `${address} ${container}`.trim()).join(", "),
  },
  { title: "USED BY OTHERS", value: ({ taken }) => taken.map(({ address, mac }) => `${address} (${mac})`).join(", ") },
  { title: "PART OF", value: ({ network }) => network ?? "", wide: true },
];

function state({ disabled, network, follows }: LanPoolView): string {
  if (network === undefined) return "not on this host's LAN";
  if (disabled) return "gives nothing more: the prefix has changed";
  return follows ? "on, follows the prefix" : "on";
}

const NOTHING = `No part of the LAN's subnet is for containers. Use one:
  manx lan enable`;

function list(command: Command, cli: Cli): void {
  agentOptions(outputOption(command)).action(async (flags: OutputFlags & AgentFlags) => {
    await print(cli, flags, await cli.agent(flags).lan());
  });
}

async function print(cli: Cli, flags: OutputFlags, { pools }: LanView): Promise<void> {
  await printListing(cli.terminal, flags.output, {
    rows: pools,
    columns: COLUMNS,
    name: ({ name }) => name,
    empty: NOTHING,
  });
}

function enable(command: Command, cli: Cli): void {
  command
    .argument("[interface]", "eth0; absent: that of the default route")
    .argument("[cidr]", "192.168.7.64/27; absent: Manx looks for a part in which nobody answers");
  agentOptions(outputOption(command)).action(
    async (first: string | undefined, second: string | undefined, flags: OutputFlags & AgentFlags) => {
      const [name, cidr] = first?.includes("/") === true && second === undefined ? [undefined, first] : [first, second];
      const made = await cli.agent(flags).enableLan({
        ...(name !== undefined && { interface: name }),
        ...(cidr !== undefined && { cidr }),
      });
      await print(cli, flags, made);
      if (cidr === undefined)
        cli.terminal.say(
          "Nobody answers in there, but only your DHCP server knows what it hands out: keep these addresses out of its range.",
        );
      cli.terminal.say(
        `Containers get such an address on a network of their own: docker network create -d manx --ipam-driver manx ${networkOptions(made)} NAME. Ports stay closed until they are published or a policy opens them.`,
      );
    },
  );
}

/** Of the newest pool of each family. */
function networkOptions({ pools }: LanView): string {
  const on = pools.filter(({ disabled }) => !disabled);
  const six = on.findLast(({ cidr }) => cidr.includes(":"));
  const four = on.findLast(({ cidr }) => !cidr.includes(":"));
  if (six === undefined) return `--ipam-opt pool=${four?.name ?? "lan"}`;
  return four === undefined
    ? `--ipv6 --ipam-opt ipv4=off --ipam-opt pool=${six.name}`
    : `--ipv6 --ipam-opt pool=${four.name},${six.name}`;
}

function disable(command: Command, cli: Cli): void {
  agentOptions(command).action(async (flags: AgentFlags) => {
    const { pools } = await cli.agent(flags).disableLan();
    cli.terminal.say(
      pools.length === 0
        ? "Nothing to do: no part of the LAN's subnet was for containers."
        : `Gave back ${pools.map(({ cidr }) => cidr).join(", ")}.`,
    );
  });
}
