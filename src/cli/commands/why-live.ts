/** `manx why A B PORT --live`: the next real packet, hop by hop on each host, and where it died. */
import type { LiveEvent, LiveQuery, LiveReport, LiveResult } from "../../api/client.ts";
import type { AgentFlags, Cli } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { type OutputFlags, printData } from "../output.ts";
import type { Style } from "../terminal.ts";
import { plain } from "../text.ts";

const EXITS: Readonly<Record<LiveResult["outcome"], ExitCode>> = {
  answered: EXIT.ok,
  refused: EXIT.ok,
  dropped: EXIT.no,
  unreachable: EXIT.no,
  lost: EXIT.no,
  unanswered: EXIT.usage,
  "nothing-came": EXIT.usage,
};
const WORDS: Readonly<Record<LiveResult["outcome"], readonly [Style, string]>> = {
  answered: ["good", "answered"],
  refused: ["warn", "nothing listens there"],
  dropped: ["bad", "DROPPED"],
  unreachable: ["bad", "UNREACHABLE"],
  lost: ["bad", "LOST"],
  unanswered: ["warn", "no answer"],
  "nothing-came": ["warn", "nothing came"],
};

export async function showLive(query: LiveQuery, flags: OutputFlags & AgentFlags, cli: Cli): Promise<void> {
  const signal = cli.signal();
  let result: LiveResult | undefined;
  for await (const event of cli.agent(flags).live(query, signal)) {
    if (event.kind === "result") result = event;
    else tell(event, query.timeout, cli);
  }
  if (result === undefined) {
    if (signal.aborted) throw new CliError(EXITS["nothing-came"], "Stopped before a packet came. No trace is left.");
    throw new CliError(EXITS["nothing-came"], "Cannot tell: the agent ended before a packet came", "manx status");
  }
  const exit = EXITS[result.outcome];
  if (exit !== EXIT.ok) cli.exit = exit;
  if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, result);
  for (const report of result.hosts) printHost(report, cli);
  const [style, word] = WORDS[result.outcome];
  cli.terminal.line(`${cli.terminal.paint(style, word)}: ${plain(result.text)}`);
}

function tell({ flows, hosts }: Extract<LiveEvent, { kind: "watching" }>, timeout: number, { terminal }: Cli): void {
  for (const flow of flows) terminal.say(plain(flow), "dim");
  terminal.say(
    plain(`on ${hosts.join(", ")}: waiting for the next packet, ${timeout} s at the most (Ctrl-C ends)`),
    "dim",
  );
}

function printHost(report: LiveReport, { terminal }: Cli): void {
  const line = (text: string): void => terminal.line(plain(text));
  if (report.state === "nothing") return line(`host ${report.host}: did not come by`);
  if (report.state === "failed") return line(`host ${report.host}: could not look: ${report.why}`);
  const { from, to, hops, end, text, answer } = report.passage;
  line(`host ${report.host}${from === undefined ? "" : `, in by ${from}`}${to === undefined ? "" : `, out by ${to}`}`);
  for (const { hook, family, table, chain, verdict, owner, text: said } of hops) {
    const style: Style = verdict === "drop" ? "bad" : verdict === "accept" ? "good" : "warn";
    terminal.line(
      `  ${terminal.paint(style, verdict.padEnd(6))} ${plain(`${hook.padEnd(11)} ${owner}: ${family} ${table}, chain ${chain}`)}`,
    );
    line(`         ${said}`);
  }
  if (end === "vanished" || end === "dropped") terminal.line(`  ${terminal.paint("bad", "died")}   ${plain(text)}`);
  else line(`         ${text}`);
  if (answer !== undefined) line(`  back   ${answer.text}`);
}
