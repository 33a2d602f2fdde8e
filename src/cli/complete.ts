/** `manx complete -- WORDS`: candidates for the last word, from the commands' own declarations and from the agent. */
import type { Argument, Command, Option } from "commander";
import type { AgentClient } from "../api/client.ts";
import { plural } from "../core/plural.ts";
import type { Cli } from "./cli.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { buildProgram } from "./program.ts";

interface Candidate {
  readonly value: string;
  readonly about?: string;
}

/** What arguments and options of these names stand for; `before` are the arguments that stand already. */
type Source = (agent: AgentClient, before: readonly string[]) => Promise<readonly Candidate[]>;

const SOURCES: Readonly<Record<string, Source>> = {
  kind: async () => {
    const { KINDS } = await import("../core/model/kinds.ts");
    return KINDS.map(({ kind, description }) => ({ value: kind, about: description }));
  },
  names: async (agent, [kind = ""]) => {
    const { findKind } = await import("../core/model/kinds.ts");
    const info = findKind(kind);
    if (info === undefined) return [];
    const { items } = await agent.resources(info.kind);
    return items.map(({ metadata: { name, namespace } }) => ({
      value: namespace === undefined ? name : `${namespace}/${name}`,
    }));
  },
  end: async (agent) => [
    ...(await agent.endpoints()).map(({ container, network }) => ({ value: container, about: `on ${network}` })),
    { value: "internet", about: "anything outside" },
  ],
  machine: async () => ["h1", "h2", "router", "lan", "internet"].map((value) => ({ value })),
  containers: async (agent) =>
    (await agent.endpoints()).map(({ container, network }) => ({ value: container, about: `on ${network}` })),
  networks: async (agent) =>
    (await agent.networks()).map(({ name, endpoints }) => ({ value: name, about: plural(endpoints, "container") })),
  pools: async (agent) => (await agent.pools()).map(({ name, cidr }) => ({ value: name, about: cidr })),
  hosts: async (agent) => [...new Set((await agent.endpoints()).map(({ host }) => host))].map((value) => ({ value })),
};
const ALIASES: Readonly<Record<string, string>> = {
  container: "containers",
  network: "networks",
  pool: "pools",
  host: "hosts",
  name: "names",
  path: "kind",
  from: "end",
  to: "end",
};
const FILES = new Set(["file", "files", "socket"]);

/** How long a key press may wait for the agent, in milliseconds. */
const PATIENCE = 1_000;
/** Candidates need no quotes in any shell. Names that would are left to be typed. */
const SAFE = /^[A-Za-z0-9_.,/@%+=-][A-Za-z0-9_.,:/@%+=-]*$/;

export async function complete(argv: readonly string[], cli: Cli): Promise<ExitCode> {
  const words = joinEquals(argv.slice(argv[1] === "--" ? 2 : 1));
  const [first] = words;
  const program = await buildProgram(
    cli,
    (entry) => entry.name === first || (first === "help" && entry.name === words[1]),
  );
  const current = words.at(-1) ?? "";
  const found = await candidates(program, words.slice(0, -1), current, cli);
  const seen = new Set<string>();
  for (const { value, about } of found) {
    if (value !== ":files" && (!value.startsWith(typed(current)) || !SAFE.test(value) || seen.has(value))) continue;
    seen.add(value);
    cli.terminal.line(about === undefined ? value : `${value}\t${about.replaceAll(/[\p{Cc}]/gu, " ")}`);
  }
  return EXIT.ok;
}

/** Bash hands over `--output=js` as three words. */
function joinEquals(words: readonly string[]): string[] {
  const out: string[] = [];
  for (const [index, word] of words.entries()) {
    if (word === "=" && out.length > 0) out[out.length - 1] += "=";
    else if (words[index - 1] === "=" && out.at(-1)?.endsWith("=")) out[out.length - 1] += word;
    else out.push(word);
  }
  return out;
}

/** The part of the current word that candidates begin with: behind `=` it is the value alone. */
function typed(current: string): string {
  return current.startsWith("--") && current.includes("=") ? current.slice(current.indexOf("=") + 1) : current;
}

async function candidates(
  program: Command,
  before: readonly string[],
  current: string,
  cli: Cli,
): Promise<readonly Candidate[]> {
  let command = program;
  const args: string[] = [];
  let pending: Option | undefined;
  for (const word of before) {
    if (pending !== undefined) {
      pending = undefined;
    } else if (word === "--") {
      return [];
    } else if (word.startsWith("-")) {
      pending = takesValue(findOption(command, word)) && !word.includes("=") ? findOption(command, word) : undefined;
    } else {
      const sub = args.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (sub === undefined) args.push(word);
      else command = sub;
    }
  }
  if (pending !== undefined) return valuesOf(pending, cli);
  if (current.startsWith("--") && current.includes("=")) {
    const option = findOption(command, current.slice(0, current.indexOf("=")));
    return option === undefined ? [] : valuesOf(option, cli);
  }
  if (current.startsWith("-")) return optionsOf(command);
  return [...subcommandsOf(command, args.length, program), ...(await argumentAt(command, args, cli))];
}

function findOption(command: Command, word: string): Option | undefined {
  return command.options.find(({ short, long }) => word === short || word === long);
}

function takesValue(option: Option | undefined): boolean {
  return option !== undefined && (option.required || option.optional);
}

function optionsOf(command: Command): Candidate[] {
  const help = { value: "--help", about: "show help" };
  return [
    ...command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, description }) => ({ value: long ?? "", about: description })),
    help,
  ];
}

function subcommandsOf(command: Command, position: number, program: Command): Candidate[] {
  if (command.name() === "help" && command.parent === program)
    return [...program.commands.map(nameAndAbout), { value: "exit-codes", about: "what a script gets" }];
  return position === 0 ? command.commands.map(nameAndAbout) : [];
}

const nameAndAbout = (command: Command): Candidate => ({ value: command.name(), about: command.description() });

async function argumentAt(command: Command, before: readonly string[], cli: Cli): Promise<readonly Candidate[]> {
  const all = command.registeredArguments;
  const argument = all[before.length] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
  return argument === undefined ? [] : fromDeclaration(argument, argument.name(), cli, before);
}

function valuesOf(option: Option, cli: Cli): Promise<readonly Candidate[]> {
  return fromDeclaration(option, option.attributeName(), cli);
}

async function fromDeclaration(
  { argChoices }: Pick<Argument | Option, "argChoices">,
  name: string,
  cli: Cli,
  before: readonly string[] = [],
): Promise<readonly Candidate[]> {
  if (argChoices !== undefined) return argChoices.map((value) => ({ value }));
  if (FILES.has(name)) return [{ value: ":files" }];
  const source = SOURCES[ALIASES[name] ?? name];
  if (source === undefined) return [];
  return source(cli.agent({}, PATIENCE), before).catch(() => []);
}
