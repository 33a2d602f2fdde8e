/** `manx ipam show|check|release|explain`: who has which addresses, in the whole cluster. */
import type { Command } from "commander";
import type { IpamProblemView } from "../../api/client.ts";
import { plural } from "../../core/plural.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { EXIT } from "../exit-codes.ts";
import { type Column, type OutputFlags, outputOption, printData, printListing } from "../output.ts";
import { plain } from "../text.ts";

export const define: Define = (command, cli) => {
  command.usage("show | check | explain ADDRESS | release ADDRESS|BLOCK").helpCommand(false);
  show(command.command("show").description("pools, the blocks that hosts have of them, lent addresses"), cli);
  check(command.command("check").description("everything that disagrees about addresses"), cli);
  explain(command.command("explain").description("whose an address is, and why"), cli);
  release(command.command("release").description("give back an address that nobody has, or an empty block"), cli);
  examples(command, [
    ["manx ipam show", "who has which blocks"],
    ["manx ipam explain 10.65.0.7", "whose address it is"],
    ["manx ipam check", "exit status 1 where something disagrees"],
    ["manx ipam release 10.65.0.64/26", "back into its pool"],
  ]);
};

interface Row {
  readonly pool: string;
  readonly block: string;
  readonly host: string;
  readonly used: string;
}

const ROWS: readonly Column<Row>[] = [
  { title: "POOL", value: ({ pool }) => pool, style: () => "strong" },
  { title: "BLOCK", value: ({ block }) => block },
  { title: "HOST", value: ({ host }) => host },
  { title: "USED", value: ({ used }) => used },
];

function show(command: Command, cli: Cli): void {
  agentOptions(outputOption(command, ["table", "wide", "json", "yaml"])).action(
    async (flags: OutputFlags & AgentFlags) => {
      const view = await cli.agent(flags).ipam();
      if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, view);
      const rows = view.pools.flatMap(({ name, cidr, blocks }): Row[] => [
        { pool: `${name} (${cidr})`, block: plural(blocks.length, "block"), host: "", used: "" },
        ...blocks.map(({ cidr, host, allocated, size }) => ({
          pool: "",
          block: cidr,
          host,
          used: `${allocated} of ${size}`,
        })),
      ]);
      const loans = view.loans.map(({ address, owner, borrower, state }): Row => {
        return {
          pool: "lent",
          block: address,
          host: borrower,
          used: state === "granted" ? `by ${owner}` : `${state}, ${owner}`,
        };
      });
      await printListing(cli.terminal, flags.output, {
        rows: [...rows, ...loans],
        columns: ROWS,
        name: ({ block }) => block,
        empty: "No address pools. Add one:\n  manx pool add 10.65.0.0/16 --nat-outgoing",
      });
    },
  );
}

const PROBLEMS: readonly Column<IpamProblemView>[] = [
  { title: "ABOUT", value: ({ subject }) => subject, style: () => "strong" },
  { title: "PROBLEM", value: ({ message }) => message },
  { title: "REPAIRED", value: ({ repair }) => (repair === "person" ? "by you" : "by Manx, soon") },
];

function check(command: Command, cli: Cli): void {
  agentOptions(outputOption(command, ["table", "wide", "json", "yaml"])).action(
    async (flags: OutputFlags & AgentFlags) => {
      const problems = await cli.agent(flags).ipamCheck();
      if (flags.output === "json" || flags.output === "yaml") await printData(cli.terminal, flags.output, problems);
      else
        await printListing(cli.terminal, flags.output, {
          rows: problems,
          columns: PROBLEMS,
          name: ({ subject }) => subject,
          empty: "All agree: pools, blocks, addresses given out, containers.",
        });
      if (problems.length > 0) cli.exit = EXIT.no;
    },
  );
}

function explain(command: Command, cli: Cli): void {
  command.argument("<address>", "10.65.0.7, fd65::7");
  agentOptions(outputOption(command, ["table", "json", "yaml"])).action(
    async (address: string, flags: OutputFlags & AgentFlags) => {
      const found = await cli.agent(flags).ipamExplain(address);
      if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, found);
      cli.terminal.line(cli.terminal.paint("heading", `${plain(found.address)}: ${found.state.replace("-", " ")}`));
      for (const sentence of found.sentences) cli.terminal.line(`  ${plain(sentence)}`);
    },
  );
}

function release(command: Command, cli: Cli): void {
  command.argument("<subjects...>", "addresses, or CIDRs of blocks");
  agentOptions(command).action(async (subjects: string[], flags: AgentFlags) => {
    const agent = cli.agent(flags);
    for (const subject of subjects) cli.terminal.say(`${(await agent.ipamRelease(subject)).sentence}.`);
  });
}
