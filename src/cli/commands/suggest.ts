/** `manx suggest NAME`: the smallest policy that allows what was seen of a container. Prints, and changes nothing. */
import { Option } from "commander";
import { type SuggestedRule, type Suggestion, suggest } from "../../core/flows/suggest.ts";
import { printResource } from "../../core/model/print.ts";
import type { PolicyType } from "../../core/model/resources.ts";
import { plural } from "../../core/plural.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { parseDuration } from "../duration.ts";
import { CliError } from "../errors.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { type OutputFlags, outputOption, printData } from "../output.ts";
import { escapeQuoted, plain } from "../text.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly direction: "ingress" | "egress" | "both";
  readonly since?: string;
}

const MOST = 100_000;
const DIRECTIONS: Readonly<Record<Flags["direction"], readonly PolicyType[]>> = {
  ingress: ["Ingress"],
  egress: ["Egress"],
  both: ["Ingress", "Egress"],
};

export const define: Define = (command, cli) => {
  command
    .argument("<name>", "a container, or a compose service")
    .addOption(
      new Option("--direction <which>", "what to close but for what was seen")
        .choices(["ingress", "egress", "both"])
        .default("both"),
    )
    .option("--since <time>", "from flows of the last 60s, 5m, 1h only");
  agentOptions(outputOption(command, ["table", "json", "yaml"]));
  examples(command, [
    ["manx suggest db > db.yaml", "from the flows of the last hours; look through it, then: manx diff -f db.yaml"],
    ["manx suggest web --direction egress", "where web may go: nowhere else than it has gone"],
    ["manx suggest db -o json", "the policy alone, as JSON"],
  ]);
  command.action((name: string, flags: Flags) => run(name, flags, cli));
};

async function run(name: string, flags: Flags, cli: Cli): Promise<void> {
  const agent = cli.agent(flags);
  const since = flags.since === undefined ? {} : { since: parseDuration(flags.since, 1, 86_400) };
  const [endpoints, report] = await Promise.all([
    agent.endpoints(),
    agent.flows({ verdict: "allow", limit: MOST, ...since }),
  ]);
  const made = suggest({ name, directions: DIRECTIONS[flags.direction], endpoints, flows: report.flows });
  if (!made.ok) throw refusal(name, made.why);
  if (flags.output === "json") return printData(cli.terminal, "json", made.policy);
  cli.terminal.raw(escapeQuoted(`${comments(made.rules, made.since)}${printResource(made.policy)}`));
  if (report.lost + report.forgotten > 0)
    cli.terminal.say(
      `Not all was seen: ${report.lost} came too fast, ${report.forgotten} went for want of room.`,
      "warn",
    );
}

/** Above the policy: a file that is applied keeps them, and whoever reads it knows where it comes from. */
function comments(rules: readonly SuggestedRule[], since: string): string {
  const lines = [
    `Suggested by manx from what was seen since ${since}. What is rare may be missing: backups, updates, failovers.`,
    ...rules.map(
      ({ direction, index, peer, flows, connections, since: first }) =>
        `${direction.toLowerCase()}[${index}]: ${plural(connections, "connection")} of ${plural(flows, "flow")} with ${peer}, since ${first}`,
    ),
  ];
  return lines.map((line) => `# ${plain(line)}\n`).join("");
}

const REFUSALS: Readonly<Record<Extract<Suggestion, { ok: false }>["why"], readonly [ExitCode, string, string]>> = {
  unknown: [EXIT.notFound, "no container or compose service has that name", "manx ls shows those there are."],
  ambiguous: [EXIT.usage, "containers of several compose projects have that name", "Name a container: manx ls."],
  "nothing-seen": [EXIT.no, "no connection of it was seen", "Let it work for a while; manx flows shows what was seen."],
};

function refusal(name: string, why: Extract<Suggestion, { ok: false }>["why"]): CliError {
  const [exit, text, remedy] = REFUSALS[why];
  return new CliError(exit, `Cannot suggest a policy for "${name}": ${text}`, remedy);
}
