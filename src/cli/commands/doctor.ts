/** `manx doctor`: every check with its remedy; `--fix` repairs what can be repaired without harm. */
import { type Check, type FixReport, UnreachableError } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { EXIT } from "../exit-codes.ts";
import { type OutputFlags, outputOption, printData } from "../output.ts";
import type { Style } from "../terminal.ts";
import { plain } from "../text.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly fix?: boolean;
}

export const define: Define = (command, cli) => {
  command.option("--fix", "repair what can be repaired without harm to anybody's traffic");
  agentOptions(outputOption(command, ["table", "wide", "json", "yaml"]));
  examples(command, [
    ["manx doctor", "exit 0: nothing failed; 1: something did"],
    ["manx doctor --fix", "repair, then check again"],
    ["manx doctor -o wide", "also what is well, with what was found"],
  ]);
  command.action(async (flags: Flags) => {
    const agent = cli.agent(flags);
    const report = flags.fix ? await agent.doctorFix() : undefined;
    const checks = report?.checks ?? (await agent.doctor().catch(withoutAgent)).checks;
    if (checks.some(({ state }) => state === "failed")) cli.exit = EXIT.no;
    if (flags.output === "json" || flags.output === "yaml")
      return printData(cli.terminal, flags.output, report ?? { checks });
    if (report !== undefined) sayFixed(report, cli);
    print(checks, flags.output === "wide", cli);
  });
};

/** Where no agent answers, what can be seen without one. */
async function withoutAgent(error: unknown): Promise<{ checks: readonly Check[] }> {
  if (!(error instanceof UnreachableError) || error.reason === "denied") throw error;
  const [{ localFacts }, { diagnose }] = await Promise.all([
    import("../../install/local-facts.ts"),
    import("../../api/doctor/checks.ts"),
  ]);
  return { checks: diagnose(await localFacts(error.message)) };
}

const WORDS: Readonly<Record<Check["state"], readonly [string, Style]>> = {
  ok: ["ok", "good"],
  warning: ["warning", "warn"],
  failed: ["FAILED", "bad"],
  unknown: ["unknown", "warn"],
};

function print(checks: readonly Check[], all: boolean, { terminal }: Cli): void {
  // Without an agent most of the rest is unknown for the same reason: one line says so.
  const alone = checks.some(({ id, state }) => id === "agent" && state === "failed");
  const shown = checks.filter(({ state }) => all || !alone || state !== "unknown");
  for (const { title, state, found, remedy } of shown) {
    const [word, style] = WORDS[state];
    const detail = state === "ok" && !all ? "" : `: ${found}`;
    terminal.line(`${terminal.paint(style, word.padEnd(8))} ${plain(title + detail)}`);
    if (remedy !== undefined && state !== "ok") terminal.line(`${" ".repeat(9)}${plain(remedy)}`);
  }
  const bad = checks.filter(({ state }) => state !== "ok");
  terminal.line();
  terminal.line(bad.length === 0 ? `All ${checks.length} checks are well.` : summary(bad, checks.length));
  const fixable = bad.filter(({ fix }) => fix !== undefined).length;
  if (alone) terminal.line("Start the agent first: what could not be looked at needs it.");
  else if (fixable > 0) terminal.line(`manx doctor --fix repairs ${fixable} of them.`);
}

function summary(bad: readonly Check[], total: number): string {
  const count = (state: Check["state"]): number => bad.filter((check) => check.state === state).length;
  const parts = [
    [count("failed"), "failed"],
    [count("warning"), "warned"],
    [count("unknown"), "could not be looked at"],
  ] as const;
  const text = parts.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`);
  return `Of ${total} checks ${text.join(", ")}.`;
}

function sayFixed({ fixed, failed }: FixReport, { terminal }: Cli): void {
  for (const { did } of fixed) terminal.say(`Repaired: ${did}`, "good");
  for (const { id, why } of failed) terminal.say(`Could not repair ${id}: ${why}`, "bad");
  if (fixed.length + failed.length === 0) terminal.say("There was nothing that --fix repairs.");
}
