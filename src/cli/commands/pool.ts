/** `manx pool ls|add|rm`: where addresses come from. */
import type { Command } from "commander";
import { Option } from "commander";
import type { PoolRequest, PoolView } from "../../api/client.ts";
import { formatProblems } from "../../core/problem.ts";
import { type ChangeFlags, changeOptions, makeChange } from "../change.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type Column, type OutputFlags, outputOption, printListing } from "../output.ts";

export const define: Define = (command, cli) => {
  command.usage("ls | add CIDR | set NAME | rm NAME").helpCommand(false);
  list(command.command("ls").description("all pools, and how much of each is used"), cli);
  add(command.command("add").description("a new pool; networks that name no pool take from it as well"), cli);
  set(command.command("set").description("change a pool; what has been given out stays"), cli);
  remove(command.command("rm").description("remove pools that are not in use"), cli);
  examples(command, [
    ["manx pool ls", "all pools"],
    ["manx pool add 10.66.0.0/16 --nat-outgoing", "a pool whose containers reach the internet through the host"],
    [
      "manx pool add 192.168.7.64/26 --name lan --manual",
      "only for networks that ask for it: --subnet or -o pools=lan",
    ],
    ["manx pool set lan --nat-outgoing on", "change it"],
    ["manx pool rm lan", "give it back"],
  ]);
};

const NOTHING = `No address pools, so containers cannot get an address. Add one:
  manx pool add 10.65.0.0/16 --nat-outgoing`;

const COLUMNS: readonly Column<PoolView>[] = [
  { title: "POOL", value: ({ name }) => name, style: ({ disabled }) => (disabled ? "dim" : "strong") },
  { title: "CIDR", value: ({ cidr }) => cidr },
  { title: "USED", value: used },
  { title: "NAT OUT", value: ({ natOutgoing }) => (natOutgoing ? "yes" : "no") },
  { title: "GIVES", value: gives },
  { title: "NETWORKS", value: ({ networks }) => networks.join(", ") },
  { title: "BLOCK SIZE", value: ({ blockSize }) => `/${blockSize}`, wide: true },
  { title: "HOSTS", value: ({ nodeSelector }) => nodeSelector, wide: true },
  {
    title: "BLOCKS",
    value: ({ blocks }) => blocks.map((block) => `${block.cidr} ${block.host} ${block.allocated}`).join(", "),
    wide: true,
  },
];

/** `12 of 65536`; a number that nobody can read is a power of two. */
function used({ allocated, size }: PoolView): string {
  const total = BigInt(size);
  return `${allocated} of ${total < 1n << 32n ? size : `2^${total.toString(2).length - 1}`}`;
}

function gives({ disabled, assignmentMode }: PoolView): string {
  if (disabled) return "nothing: disabled";
  return assignmentMode === "Manual" ? "when asked for" : "to all";
}

function list(command: Command, cli: Cli): void {
  agentOptions(outputOption(command)).action(async (flags: OutputFlags & AgentFlags) => {
    const rows = await cli.agent(flags).pools();
    await printListing(cli.terminal, flags.output, {
      rows,
      columns: COLUMNS,
      name: ({ name }) => name,
      empty: NOTHING,
    });
  });
}

interface AddFlags extends OutputFlags, AgentFlags {
  readonly name?: string;
  readonly blockSize?: number;
  readonly natOutgoing?: boolean;
  readonly manual?: boolean;
  readonly disabled?: boolean;
  readonly hosts?: string;
}

function add(command: Command, cli: Cli): void {
  command
    .argument("<cidr>", "10.66.0.0/16, fd66::/64")
    .option("--name <name>", "otherwise it is made from the CIDR")
    .addOption(
      new Option(
        "--block-size <length>",
        "prefix length of the part that a host takes at once (default: 26, 122)",
      ).argParser(blockSize),
    )
    .option("--nat-outgoing", "towards the outside, containers appear with the host's address")
    .option("--manual", "give addresses only to networks that ask for this pool")
    .option("--disabled", "give nothing yet")
    .option("--hosts <selector>", "only hosts with such labels");
  agentOptions(command.allowExcessArguments()).action(async (cidr: string, flags: AddFlags) => {
    if (command.args.length > 1) throw oneCidr(command.args);
    const pool = await cli.agent(flags).addPool(request(cidr, flags));
    cli.terminal.say(`Added the pool "${pool.name}": ${pool.cidr}, in blocks of /${pool.blockSize}.`);
    if (!pool.natOutgoing && !flags.natOutgoing)
      cli.terminal.say(
        "Its containers appear with their own address outside. Without a route back to it they need --nat-outgoing.",
      );
  });
}

/** Other commands begin with the name of what they make, so this one is often typed that way. */
function oneCidr(words: readonly string[]): CliError {
  const cidrs = words.filter((word) => word.includes("/"));
  const [name, ...others] = words.filter((word) => !word.includes("/"));
  const what = `Cannot add a pool from ${words.length} words: it has one CIDR, and its name is an option`;
  if (cidrs.length === 1 && name !== undefined && others.length === 0)
    return new CliError(EXIT.usage, what, `manx pool add ${cidrs[0]} --name ${name}`);
  return new CliError(EXIT.usage, what, "manx pool add CIDR --name NAME");
}

function request(cidr: string, flags: AddFlags): PoolRequest {
  return {
    cidr,
    ...(flags.name !== undefined && { name: flags.name }),
    ...(flags.blockSize !== undefined && { blockSize: flags.blockSize }),
    ...(flags.natOutgoing && { natOutgoing: true }),
    ...(flags.manual && { assignmentMode: "Manual" }),
    ...(flags.disabled && { disabled: true }),
    ...(flags.hosts !== undefined && { nodeSelector: flags.hosts }),
  };
}

function blockSize(text: string): number {
  const number = /^\/?([0-9]{1,3})$/.exec(text)?.[1];
  if (number === undefined)
    throw new CliError(EXIT.usage, `Cannot use the block size "${text}": it is a prefix length, 20-32 or 116-128`);
  return Number(number);
}

interface SetFlags extends ChangeFlags {
  readonly natOutgoing?: Switch;
  readonly disabled?: Switch;
  readonly manual?: Switch;
  readonly hosts?: string;
}

type Switch = "on" | "off";
const onOff = (flag: string, about: string): Option => new Option(`${flag} <switch>`, about).choices(["on", "off"]);

function set(command: Command, cli: Cli): void {
  command
    .argument("<pool>", "its name")
    .addOption(onOff("--nat-outgoing", "towards the outside, containers appear with the host's address"))
    .addOption(onOff("--disabled", "give nothing any more"))
    .addOption(onOff("--manual", "give addresses only to networks that ask for this pool"))
    .option("--hosts <selector>", "only hosts with such labels");
  changeOptions(agentOptions(command)).action(async (name: string, flags: SetFlags) => {
    const { natOutgoing, disabled, manual, hosts } = flags;
    const spec = {
      ...(natOutgoing !== undefined && { natOutgoing: natOutgoing === "on" }),
      ...(disabled !== undefined && { disabled: disabled === "on" }),
      ...(manual !== undefined && { assignmentMode: manual === "on" ? "Manual" : "Automatic" }),
      ...(hosts !== undefined && { nodeSelector: hosts }),
    };
    if (Object.keys(spec).length === 0)
      throw new CliError(EXIT.usage, `Cannot change the pool "${name}": to what?`, "manx pool set --help");
    const { patchResource } = await import("../../core/model/patch.ts");
    const patched = patchResource(await cli.agent(flags).resource("IPPool", name), { spec });
    if (!patched.ok)
      throw new CliError(EXIT.usage, `Cannot change the pool "${name}":\n${formatProblems(patched.problems)}`);
    await makeChange({ mode: "replace", resources: [patched.value] }, flags, cli);
  });
}

function remove(command: Command, cli: Cli): void {
  command.argument("<pools...>", "names or CIDRs");
  agentOptions(command).action(async (names: string[], flags: AgentFlags) => {
    const agent = cli.agent(flags);
    for (const name of names) {
      const pool = await agent.removePool(name);
      cli.terminal.say(`Removed the pool "${pool.name}": ${pool.cidr}.`);
    }
  });
}
