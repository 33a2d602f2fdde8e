/** `manx service ls|add|rm|drain|undrain|guard`: addresses that several containers have together. */
import type { Command } from "commander";
import { Option } from "commander";
import type { ServiceView } from "../../api/client.ts";
import { freeServiceAddress } from "../../core/ipam/service-address.ts";
import type { Service, ServiceCheck } from "../../core/model/resources.ts";
import { parseCheck } from "../../core/model/service.ts";
import { validateResource } from "../../core/model/validate.ts";
import { formatAddress } from "../../core/net/address.ts";
import { parseCidr } from "../../core/net/cidr.ts";
import { formatProblems } from "../../core/problem.ts";
import { type ChangeFlags, changeOptions, makeChange } from "../change.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { parseDuration } from "../duration.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type Column, type OutputFlags, outputOption, printData, printListing } from "../output.ts";

export const define: Define = (command, cli) => {
  command.usage("ls | add NAME | rm NAME | drain CONTAINER | undrain CONTAINER | guard").helpCommand(false);
  list(command.command("ls").description("service addresses, and the containers that have them"), cli);
  add(
    command.command("add").description("give several containers one address, announced where one of them is well"),
    cli,
  );
  remove(command.command("rm").description("take the address from them"), cli);
  drain(command.command("drain").description("take a container out of its services, then stop it when you like"), cli);
  undrain(command.command("undrain").description("take it back"), cli);
  guard(
    command.command("guard").description("have every docker stop wait until the container is out of its services"),
    cli,
  );
  examples(command, [
    ["manx service add api --address 203.0.113.10 --selector 'app == \"api\"'", "Docker's health check decides"],
    ["manx service add dns --pool vips --selector 'app == \"dns\"' --check tcp:53", "the next free address of a pool"],
    ["manx service ls", "who has it, and who is well"],
    ["manx service drain api-1 && docker stop api-1", "withdrawn before the stop signal"],
    ["manx service guard on", "the same for every docker stop, restart, kill and rm -f"],
    ["manx service rm api", ""],
  ]);
};

const COLUMNS: readonly Column<ServiceView>[] = [
  { title: "SERVICE", value: ({ name }) => name, style: () => "strong" },
  { title: "ADDRESSES", value: ({ addresses }) => addresses.join(", ") },
  { title: "ANNOUNCED", value: announced, style: ({ announced: here }) => (here.length > 0 ? "good" : "dim") },
  { title: "CONTAINERS", value: members },
  { title: "CHECK", value: ({ check }) => check },
  { title: "SELECTOR", value: ({ selector, from }) => selector ?? `(${from})`, wide: true },
  { title: "DRAIN", value: ({ drain: seconds }) => `${seconds}s`, wide: true },
  { title: "TROUBLE", value: ({ problems }) => problems.join("; "), style: () => "warn" },
];

function announced({ announced: here, addresses }: ServiceView): string {
  if (here.length === 0) return "no";
  return here.length === addresses.length ? "here" : here.join(", ");
}

function members({ members: all }: ServiceView): string {
  return all
    .map(({ container, host, state }) => `${container} ${state === "elsewhere" ? `on ${host}` : state}`)
    .join(", ");
}

const NOTHING = `No service addresses yet. Begin with:
  manx service add api --address 203.0.113.10 --selector 'app == "api"'`;

function list(command: Command, cli: Cli): void {
  agentOptions(outputOption(command)).action(async (flags: OutputFlags & AgentFlags) => {
    await printListing(cli.terminal, flags.output, {
      rows: await cli.agent(flags).services(),
      columns: COLUMNS,
      name: ({ name }) => name,
      empty: NOTHING,
    });
  });
}

interface AddFlags extends ChangeFlags {
  readonly address?: readonly string[];
  readonly pool?: readonly string[];
  readonly selector: string;
  readonly check?: string;
  readonly interval?: string;
  readonly rise?: string;
  readonly fall?: string;
  readonly drain?: number;
}

function add(command: Command, cli: Cli): void {
  command
    .argument("<name>", "its name")
    .option("--address <addresses...>", "203.0.113.10, 2001:db8::10; at most one of each IP version")
    .option("--pool <pools...>", "or the next free address of a pool")
    .requiredOption("--selector <selector>", "labels of the containers")
    .option("--check <check>", "docker (its health check), tcp:PORT, http:PORT/path", "docker")
    .option("--interval <seconds>", "between two checks (2)")
    .option("--rise <count>", "good answers in a row to be well (2)")
    .option("--fall <count>", "bad answers in a row to be unwell (3)")
    .addOption(
      new Option("--drain <time>", "between the withdrawal and the stop signal (1s)").argParser((text) =>
        parseDuration(text, 0, 25),
      ),
    );
  changeOptions(agentOptions(command)).action(async (name: string, flags: AddFlags) => {
    const check = parseCheck(flags.check ?? "docker");
    if (check === undefined)
      throw new CliError(
        EXIT.usage,
        `Cannot use the check "${flags.check}": write docker, tcp:80 or http:8080/healthz`,
      );
    const addresses = (flags.address ?? []).flatMap((text) => text.split(",")).map((text) => text.trim());
    for (const pool of flags.pool ?? []) addresses.push(await freeIn(pool, flags, cli));
    if (addresses.length === 0)
      throw new CliError(
        EXIT.usage,
        `Cannot add the service "${name}": which address?`,
        "--address 203.0.113.10, or --pool NAME",
      );
    const resource = {
      apiVersion: "manx/v1",
      kind: "Service",
      metadata: { name },
      spec: {
        addresses,
        selector: flags.selector,
        check: withNumbers(check, flags),
        ...(flags.drain !== undefined && { drain: flags.drain }),
      },
    };
    const validated = validateResource(resource);
    if (!validated.ok)
      throw new CliError(EXIT.usage, `Cannot add the service "${name}":\n${formatProblems(validated.problems)}`);
    await makeChange({ mode: "apply", resources: [validated.value] }, flags, cli);
    if (flags.output !== "table" || flags.dryRun) return;
    cli.terminal.say(
      `${(validated.value as Service).spec.addresses.join(", ")}: announced by each host while a healthy container is there.`,
    );
  });
}

function withNumbers(check: ServiceCheck, { interval, rise, fall }: AddFlags): ServiceCheck {
  return {
    ...check,
    ...(interval !== undefined && { interval: Number(interval.replace(/s$/, "")) }),
    ...(rise !== undefined && { rise: Number(rise) }),
    ...(fall !== undefined && { fall: Number(fall) }),
  };
}

async function freeIn(name: string, flags: AgentFlags, cli: Cli): Promise<string> {
  const agent = cli.agent(flags);
  const [pools, services, endpoints] = await Promise.all([agent.pools(), agent.services(), agent.endpoints({})]);
  const pool = pools.find((one) => one.name === name || one.cidr === name);
  const range = parseCidr(pool?.cidr ?? "");
  if (range === undefined)
    throw new CliError(EXIT.notFound, `Cannot take an address of the pool "${name}": there is none`, "manx pool ls");
  const taken = new Set([
    ...services.flatMap(({ addresses }) => addresses),
    ...endpoints.flatMap(({ ipv4, ipv6 }) => [...ipv4, ...ipv6]),
  ]);
  const free = freeServiceAddress(range, taken);
  if (free === undefined)
    throw new CliError(EXIT.refused, `Cannot take an address of the pool "${name}": none is free`);
  return formatAddress(free);
}

function remove(command: Command, cli: Cli): void {
  command.argument("<names...>", "as manx service ls shows them");
  changeOptions(agentOptions(command)).action(async (names: string[], flags: ChangeFlags) => {
    const resources = await Promise.all(names.map((name) => cli.agent(flags).resource("Service", name)));
    await makeChange({ mode: "delete", resources }, flags, cli);
  });
}

function drain(command: Command, cli: Cli): void {
  command.argument("<container>", "name or ID, on this host");
  agentOptions(outputOption(command)).action(async (container: string, flags: OutputFlags & AgentFlags) => {
    const report = await cli.agent(flags).drain({ container });
    if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, report);
    cli.terminal.say(
      report.addresses.length === 0
        ? `${report.container} has no service address: nothing to do.`
        : `${report.container} is out of ${report.addresses.join(", ")}. It comes back when it starts again, or by: manx service undrain ${report.container}`,
    );
  });
}

function undrain(command: Command, cli: Cli): void {
  command.argument("<container>", "name or ID, on this host");
  agentOptions(outputOption(command)).action(async (container: string, flags: OutputFlags & AgentFlags) => {
    const report = await cli.agent(flags).drain({ container, back: true });
    if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, report);
    cli.terminal.say(report.changed ? `${container} is in its services again.` : `${container} was not taken out.`);
  });
}

function guard(command: Command, cli: Cli): void {
  command.argument("[switch]", "on or off; absent: say which");
  outputOption(command).action(async (given: string | undefined, flags: OutputFlags) => {
    if (given !== undefined && given !== "on" && given !== "off")
      throw new CliError(EXIT.usage, `Cannot set the guard to "${given}": on or off`);
    const { hasGate, setGate } = await import("../../install/stop-gate.ts");
    const changed = given === undefined ? false : await setGate(given === "on");
    const on = await hasGate();
    if (flags.output === "json" || flags.output === "yaml")
      return printData(cli.terminal, flags.output, { guard: on ? "on" : "off", changed });
    cli.terminal.say(
      on
        ? "On: docker stop, restart, kill and rm -f wait until the container is out of its services. While the agent does not run, Docker refuses every command: manx service guard off."
        : "Off: a container is taken out when Docker tells of its stop signal, which is just after it. manx service drain does it before.",
    );
  });
}
