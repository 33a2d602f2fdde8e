/** `manx top`: who sends and receives most, now. On a terminal again and again; elsewhere one table. */
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError, Option } from "commander";
import type { AgentClient, TrafficView } from "../../api/client.ts";
import { type Rates, rates, SORT_KEYS, type SortKey, sorted } from "../../core/flows/rates.ts";
import { plural } from "../../core/plural.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { type Column, type OutputFlags, outputOption, printListing } from "../output.ts";
import { renderTable } from "../table.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly sort: SortKey;
  readonly interval: number;
}

export const define: Define = (command, cli) => {
  command
    .addOption(new Option("--sort <key>", "what comes first").choices([...SORT_KEYS]).default("bytes"))
    .option("--interval <seconds>", "between two looks", seconds, 1);
  agentOptions(outputOption(command, ["table", "wide", "json", "yaml"]));
  examples(command, [
    ["manx top", "keys: b bytes, p packets, f flows, d drops, n name, q quit"],
    ["manx top --sort drops --interval 5", "who is dropped most"],
    ["manx top -o json", "once, for a program; the numbers are per second"],
  ]);
  command.action((flags: Flags) => run(flags, cli));
};

function seconds(text: string): number {
  const number = Number(text);
  if (/^[0-9]{1,3}(\.[0-9]{1,2})?$/.test(text) && number >= 0.1 && number <= 600) return number;
  throw new InvalidArgumentError("It is a number of seconds from 0.1 to 600.");
}

async function run(flags: Flags, cli: Cli): Promise<void> {
  const agent = cli.agent(flags);
  const pause = flags.interval * 1000;
  const signal = cli.signal();
  if (flags.output === "table" && cli.terminal.interactive && process.stdout.isTTY)
    return follow(agent, flags, pause, cli);
  const before = await agent.traffic();
  await sleep(pause, undefined, { signal });
  const rows = sorted(rates(before, await agent.traffic()), flags.sort);
  await printListing(cli.terminal, flags.output, {
    rows,
    columns: COLUMNS,
    name: ({ container }) => container,
    empty: "No container on this host has an interface of Manx.",
  });
}

const COLUMNS: readonly Column<Rates>[] = [
  { title: "CONTAINER", value: ({ container }) => container },
  { title: "NETWORK", value: ({ network }) => network },
  { title: "SENT", value: ({ sentBytes }) => `${scaled(sentBytes)}B/s` },
  { title: "RECEIVED", value: ({ receivedBytes }) => `${scaled(receivedBytes)}B/s` },
  { title: "PACKETS", value: ({ sentPackets, receivedPackets }) => `${scaled(sentPackets + receivedPackets)}/s` },
  { title: "NEW FLOWS", value: ({ flows }) => `${scaled(flows)}/s` },
  {
    title: "DROPS",
    value: ({ drops }) => `${scaled(drops)}/s`,
    style: ({ drops }) => (drops > 0 ? "bad" : undefined),
  },
];

/** `1.2k`, `35M`: three figures are enough to see who is large. */
function scaled(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  const number = value / 1000 ** power;
  return `${number >= 100 || Number.isInteger(number) ? Math.round(number) : number.toFixed(1)}${units[power]}`;
}

const KEYS: Readonly<Record<string, SortKey>> = { b: "bytes", p: "packets", f: "flows", d: "drops", n: "name" };
/** Home, and clear what is below: without a flash. */
const TOP = "\x1b[H\x1b[J";

async function follow(agent: AgentClient, flags: Flags, pause: number, cli: Cli): Promise<void> {
  const { terminal } = cli;
  let sort = flags.sort;
  const stop = new AbortController();
  const signal = AbortSignal.any([cli.signal(), stop.signal]);
  const onKey = (bytes: Buffer): void => {
    const key = bytes.toString();
    if (key === "q" || key === "\x03") stop.abort(); // raw mode: Ctrl-C is a key
    sort = KEYS[key] ?? sort;
  };
  process.stdin.setRawMode(true).resume().on("data", onKey);
  try {
    let before: TrafficView = await agent.traffic();
    while (!signal.aborted) {
      await sleep(pause, undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      const now = await agent.traffic();
      const room = Math.max(1, (process.stdout.rows ?? 24) - 3);
      const rows = sorted(rates(before, now), sort);
      before = now;
      const title = `${plural(rows.length, "endpoint")}, by ${sort}   b bytes  p packets  f flows  d drops  n name  q quit`;
      terminal.raw(TOP);
      terminal.line(terminal.paint("dim", title));
      for (const line of renderTable(COLUMNS, rows.slice(0, room), terminal.paint)) terminal.line(line);
    }
  } finally {
    process.stdin.off("data", onKey).setRawMode(false).pause();
  }
}
