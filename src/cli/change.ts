/** Asks the agent for a change of resources and says what became of each. */
import { type Command, Option } from "commander";
import { ApiError, type ChangeReport, type ChangeRequest, type ChangeResult } from "../api/client.ts";
import type { AnyResource } from "../core/model/resources.ts";
import type { AgentFlags, Cli } from "./cli.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { type OutputFlags, outputOption, printData } from "./output.ts";
import type { Style } from "./terminal.ts";
import { plain } from "./text.ts";

export interface ChangeFlags extends AgentFlags, OutputFlags {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly confirm?: number;
}

export function changeOptions(command: Command): Command {
  return outputOption(command, ["table", "json", "yaml", "name"])
    .option("--dry-run", "say what would change, change nothing")
    .option("--force", "even if it cuts the session that this is typed over")
    .addOption(
      new Option("--confirm [time]", "undo it by itself unless manx confirm follows within this time, as 60s or 5m")
        .preset("60s")
        .argParser((text) => parseDuration(text, 5, 86_400)),
    );
}

type Request = Pick<ChangeRequest, "mode" | "ignoreMissing" | "ignoreExisting"> & {
  readonly resources: readonly AnyResource[];
};

/** Makes the change, prints one line a resource, and how to keep it where it is undone otherwise. */
export async function makeChange(
  request: Request,
  flags: ChangeFlags,
  cli: Cli,
  /** "messages" where standard output has something else. */
  to: "data" | "messages" = "data",
): Promise<ChangeReport> {
  const report = await cli.agent(flags).change({
    ...request,
    // The wire's type has an index signature; every resource is such a map.
    resources: request.resources.map((resource) => ({ ...resource, metadata: { ...resource.metadata } })),
    ...(flags.dryRun && { dryRun: true }),
    ...(flags.force && { force: true }),
    ...(flags.confirm !== undefined && { confirmWithin: flags.confirm }),
    ...session(cli),
  });
  await printReport(report, flags, cli, to);
  return report;
}

/** What to do where resources are not there; other errors as they are. */
export function orIfMissing(remedy: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ApiError) || error.code !== "not-found") throw error;
    throw new ApiError(error.code, error.message, { problems: error.problems, remedy });
  };
}

/** Over which connection this is typed (sshd(8), SSH_CONNECTION), so that the agent can refuse to cut it. */
function session({ env }: Cli): Pick<ChangeRequest, "session"> {
  const [client, clientPort, server, serverPort] = (env["SSH_CONNECTION"] ?? "").split(" ");
  if (client === undefined || server === undefined || clientPort === undefined || serverPort === undefined) return {};
  return { session: { client, clientPort: Number(clientPort), server, serverPort: Number(serverPort) } };
}

const STYLES: Readonly<Record<ChangeResult["outcome"], Style>> = {
  created: "good",
  updated: "good",
  deleted: "warn",
  unchanged: "dim",
  absent: "dim",
};

export function titleOfResult({ kind, namespace, name }: Pick<ChangeResult, "kind" | "namespace" | "name">): string {
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}

async function printReport(
  report: ChangeReport,
  flags: ChangeFlags,
  { terminal }: Cli,
  to: "data" | "messages",
): Promise<void> {
  if (flags.output === "json" || flags.output === "yaml") return printData(terminal, flags.output, report);
  for (const result of report.results) {
    const title = plain(titleOfResult(result));
    const outcome = flags.dryRun ? `${result.outcome} (dry run)` : result.outcome;
    if (flags.output === "name") terminal.line(title);
    else if (to === "messages") terminal.say(`${title} ${outcome}`, STYLES[result.outcome]);
    else terminal.line(`${title} ${terminal.paint(STYLES[result.outcome], outcome)}`);
  }
  if (flags.output === "name") return;
  if (flags.dryRun) return;
  const isSame = report.results.every(({ outcome }) => outcome === "unchanged" || outcome === "absent");
  if (isSame) terminal.say("Nothing to change: it is so already.");
  if (report.confirmBefore === undefined) return;
  const left = Math.max(0, Math.round((Date.parse(report.confirmBefore) - Date.now()) / 1000));
  terminal.say(
    flags.confirm === undefined || isSame
      ? `A change before this one is undone in ${formatDuration(left)}, unless you type: manx confirm`
      : `It is undone in ${formatDuration(flags.confirm)}, unless you type: manx confirm`,
    "warn",
  );
}
