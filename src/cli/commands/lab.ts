/** `manx lab`: hosts out of namespaces on this machine, each with a Docker engine and an agent, to try several hosts. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { LabSummary } from "../../lab/lab.ts";
import { type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { type OutputFlags, outputOption, printListing } from "../output.ts";

const STORES = ["sqlite", "etcd"] as const;
const ENGINES = ["installed", "20.10", "26.1"] as const;

export const define: Define = (command, cli) => {
  command.usage("up | exec MACHINE COMMAND... | ls | down").helpCommand(false).enablePositionalOptions();
  up(
    command.command("up").description("start a lab: hosts, a router, a machine on the LAN and one on the internet"),
    cli,
  );
  exec(command.command("exec").description("run a command on a machine of the lab"), cli);
  list(command.command("ls").description("labs and their machines"), cli);
  down(command.command("down").description("end a lab; nothing of it stays"), cli);
  examples(command, [
    ["manx lab up --hosts 2", "two hosts"],
    ["manx lab up --hosts 3 --store etcd", "three hosts that are one cluster, with etcd on each"],
    ["manx lab exec h1 docker network create -d manx --ipam-driver manx apps", "as on a real host"],
    ["manx lab exec h1 manx ls", "the agent of that host"],
    ["manx lab exec lan ping -c 1 10.65.0.2", "from outside; also: router, internet"],
    ["manx lab down", ""],
  ]);
};

const nameOption = (command: Command): Command =>
  command.option("--name <name>", "several labs can run at a time", "lab");

function hosts(text: string): number {
  if (!/^[0-9]{1,3}$/.test(text)) throw new InvalidArgumentError("It is a number of hosts.");
  return Number(text);
}

interface UpFlags {
  readonly name: string;
  readonly hosts: number;
  readonly engine: (typeof ENGINES)[number];
  readonly store: (typeof STORES)[number];
}

function up(command: Command, cli: Cli): void {
  nameOption(command)
    .addOption(new Option("--hosts <number>", "Docker hosts: h1, h2, ...").default(2).argParser(hosts))
    .addOption(new Option("--engine <version>", "which Docker").choices([...ENGINES]).default("installed"))
    .addOption(new Option("--store <kind>", "etcd: one cluster of all hosts").choices([...STORES]).default("sqlite"));
  command.action(async ({ name, hosts, engine, store }: UpFlags) => {
    needRoot("start a lab");
    const { up, down } = await import("../../lab/lab.ts");
    const progress = (line: string): void => cli.terminal.say(line, "dim");
    const stop = cli.signal();
    const started = up({ name, hosts, engine, store, progress });
    const interrupted = new Promise<"interrupted">((resolve) =>
      stop.addEventListener("abort", () => resolve("interrupted"), { once: true }),
    );
    if ((await Promise.race([started, interrupted])) === "interrupted") {
      cli.terminal.say("Interrupted: taking the lab down.");
      started.catch(() => {}); // it fails now, because its machines go
      await down(name);
      cli.exit = EXIT.interrupted;
      process.exit(EXIT.interrupted); // what still waits for those machines is of no interest
    }
    const flag = name === "lab" ? "" : ` --name ${name}`;
    cli.terminal.say(`The lab is up: ${hosts} ${hosts === 1 ? "host" : "hosts"}, router, lan, internet. Now:
  manx lab exec${flag} h1 docker network create -d manx --ipam-driver manx apps
  manx lab exec${flag} h1 docker run -d --name web --network apps manx/box sleep 1d
  manx lab exec${flag} h1 manx ls
  manx lab down${flag}`);
  });
}

function exec(command: Command, cli: Cli): void {
  nameOption(command)
    .argument("<machine>", "h1, h2, ..., router, lan, internet")
    .argument("<command...>", "what to run there")
    .passThroughOptions();
  command.action(async (machine: string, words: string[], { name }: { readonly name: string }) => {
    needRoot("enter a lab");
    const { find } = await import("../../lab/lab.ts");
    const lab = await find(name);
    process.on("SIGINT", () => {}); // the terminal sends it to the command as well, and the command decides
    const command = words[0] === "--" ? words.slice(1) : words; // as kubectl exec has it
    if (command.length === 0) throw new CliError(EXIT.usage, "Cannot run nothing: name a command");
    cli.exit = (await lab.machine(machine).attach(command)) as ExitCode;
  });
}

type Row = LabSummary["machines"][number] & { readonly lab: string; readonly engine: string };

const NOTHING = `No labs run. Start one:
  manx lab up --hosts 2`;

function list(command: Command, cli: Cli): void {
  outputOption(command).action(async ({ output }: OutputFlags) => {
    const { list } = await import("../../lab/lab.ts");
    const labs = await list();
    const rows: Row[] = labs.flatMap(({ name, engine, machines }) =>
      machines.map((machine) => ({ ...machine, lab: name, engine })),
    );
    const runs = (state: boolean | undefined): string => (state === undefined ? "" : state ? "runs" : "stopped");
    await printListing(cli.terminal, output, {
      rows,
      data: labs,
      columns: [
        { title: "LAB", value: ({ lab }) => lab },
        { title: "MACHINE", value: ({ name }) => name, style: () => "strong" },
        { title: "IPV4", value: ({ ipv4 }) => ipv4 },
        { title: "IPV6", value: ({ ipv6 }) => ipv6 },
        {
          title: "DOCKER",
          value: ({ docker }) => runs(docker),
          style: ({ docker }) => (docker === false ? "bad" : undefined),
        },
        {
          title: "AGENT",
          value: ({ agent }) => runs(agent),
          style: ({ agent }) => (agent === false ? "bad" : undefined),
        },
        { title: "ENGINE", value: ({ engine, docker }) => (docker === undefined ? "" : engine), wide: true },
      ],
      name: ({ lab, name }) => `${lab}/${name}`,
      empty: NOTHING,
    });
    for (const { name, machines } of labs)
      if (machines.length === 0)
        cli.terminal.say(`The lab "${name}" is only a left-over: manx lab down --name ${name}`);
  });
}

function down(command: Command, cli: Cli): void {
  nameOption(command).option("--all", "end every lab");
  command.action(async ({ name, all }: { readonly name: string; readonly all?: boolean }) => {
    needRoot("end a lab");
    const { down, list } = await import("../../lab/lab.ts");
    const names = all ? (await list()).map((lab) => lab.name) : [name];
    if (names.length === 0) return cli.terminal.say("There is no lab.");
    for (const one of names)
      cli.terminal.say((await down(one)) ? `The lab "${one}" is gone.` : `There is no lab "${one}".`);
  });
}

function needRoot(what: string): void {
  if (process.getuid?.() !== 0)
    throw new CliError(EXIT.denied, `Cannot ${what}: only root may make and enter namespaces`, "sudo manx lab ...");
}
