/** `manx why A B PORT`: the way of a packet, and what decides at each step of it. */
import { ApiError, type LiveQuery, type WhyPath, type WhyQuery, type WhyStep, type WhyView } from "../../api/client.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { parseDuration } from "../duration.ts";
import { CliError } from "../errors.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { type OutputFlags, outputOption, printData } from "../output.ts";
import type { Style } from "../terminal.ts";
import { plain } from "../text.ts";
import { showLive } from "./why-live.ts";

interface Flags extends OutputFlags, AgentFlags {
  readonly probe?: boolean;
  readonly live?: boolean;
  readonly timeout?: number;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
}

const EXITS: Readonly<Record<WhyView["verdict"], ExitCode>> = { allow: EXIT.ok, deny: EXIT.no, unknown: EXIT.usage };
const STYLES: Readonly<Record<WhyStep["verdict"], Style>> = {
  allow: "good",
  deny: "bad",
  pass: "dim",
  unknown: "warn",
};

export const define: Define = (command, cli) => {
  command
    .argument(
      "<from>",
      "CONTAINER, NETWORK/CONTAINER, a compose service of one container, an address, internet, or a host",
    )
    .argument("<to>", "the same")
    .argument("[port]", "5432, 53/udp, icmp, icmp/8 (type), icmp/8/0 (type and code), or a protocol number as 47/proto")
    .option("--probe", "send a real packet as well, and say whether the kernel agrees")
    .option("--live", "wait for the next real packet, and show its way through everybody's rules on every host")
    .option("--timeout <time>", "of --live: 30s, 5m (60s)", (text) => parseDuration(text, 1, 600))
    .option("-4, --ipv4", "IPv4 only")
    .option("-6, --ipv6", "IPv6 only");
  agentOptions(outputOption(command, ["table", "json", "yaml"]));
  examples(command, [
    ["manx why web db 5432", "exit 0: allowed; 1: denied; 2: it cannot be told"],
    ["manx why internet web 443 --probe", "and try it"],
    ["manx why web 1.1.1.1 53/udp", "to the outside"],
    ["manx why web db 5432 --live", "where the next packet dies: exit 0: it arrives; 1: it does not"],
    ["manx why web db icmp -o json", "for a program"],
  ]);
  command.action(async (from: string, to: string, port: string | undefined, flags: Flags) => {
    const query = { from, to, ...parsePort(port), ...family(flags), ...(flags.probe && { probe: true }) };
    if (flags.live) return showLive(liveQuery(query, flags), flags, cli).catch(unknownName);
    if (flags.timeout !== undefined) throw new CliError(EXIT.usage, "Cannot use --timeout without --live");
    const view = await cli.agent(flags).why(query).catch(unknownName);
    const exit = EXITS[view.verdict];
    if (exit !== EXIT.ok) cli.exit = exit;
    if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, view);
    for (const [index, path] of view.paths.entries()) {
      if (index > 0) cli.terminal.line();
      printPath(path, cli);
    }
    if (view.remedy !== undefined) cli.terminal.line(`\nTo allow it: ${plain(view.remedy)}`);
  });
};

/** A name that nobody has leaves it as unknown as a way that nobody knows. */
function unknownName(error: unknown): never {
  if (error instanceof ApiError && error.code === "not-found")
    throw new CliError(EXITS.unknown, error.message, error.remedy);
  throw error;
}

function liveQuery({ probe, ...query }: WhyQuery, { timeout = 60 }: Flags): LiveQuery {
  if (probe === true)
    throw new CliError(EXIT.usage, "Cannot send a packet and wait for one: leave out --probe or --live");
  return { ...query, timeout };
}

function family({ ipv4, ipv6 }: Flags): Pick<WhyQuery, "family"> {
  if (ipv4 && ipv6) throw new CliError(EXIT.usage, "Cannot ask for IPv4 only and IPv6 only: leave both out for both");
  return ipv4 ? { family: 4 } : ipv6 ? { family: 6 } : {};
}

/** `5432`, `5432/tcp`, `icmp/8/0`, `47/proto`. @throws CliError (usage) */
export function parsePort(text: string | undefined): Pick<WhyQuery, "protocol" | "port" | "icmpType" | "icmpCode"> {
  if (text === undefined) return { protocol: "tcp" };
  const icmp = /^(icmp|icmpv6)(?:\/([0-9]{1,3}))?(?:\/([0-9]{1,3}))?$/i.exec(text);
  if (icmp !== null) {
    const [, protocol = "icmp", type, code] = icmp;
    return {
      protocol: protocol.toLowerCase(),
      ...(type !== undefined && { icmpType: inRange(type, 255, text) }),
      ...(code !== undefined && { icmpCode: inRange(code, 255, text) }),
    };
  }
  const number = /^([0-9]{1,3})\/proto$/i.exec(text)?.[1];
  if (number !== undefined) return { protocol: String(inRange(number, 255, text)) };
  const [, port, protocol = "tcp"] = /^([0-9]{1,5})(?:\/(tcp|udp|sctp|udplite))?$/i.exec(text) ?? [];
  if (port === undefined) throw notAPort(text);
  return { protocol: protocol.toLowerCase(), port: inRange(port, 65_535, text) };
}

function inRange(text: string, most: number, whole: string): number {
  const number = Number(text);
  if (number > most) throw notAPort(whole);
  return number;
}

function notAPort(text: string): CliError {
  return new CliError(
    EXIT.usage,
    `Cannot ask about "${text}": it is neither a port up to 65535, nor ICMP with numbers up to 255, nor a protocol by number`,
    "Write 5432, 53/udp, 9/sctp, icmp, icmp/8 or 47/proto.",
  );
}

/** The agent's sentence, with tier, policy and rule before it where it does not name them. */
function decided({ tier, policy, rule, text }: WhyStep): string {
  if (policy === undefined || text.includes(policy)) return text;
  const who = [tier && `tier ${tier}`, `policy ${policy}`, rule].filter((word) => word);
  return `${who.join(", ")}: ${text}`;
}

const VERDICTS: Readonly<Record<WhyPath["verdict"], string>> = {
  allow: "allowed",
  deny: "DENIED",
  unknown: "not known",
};
const PROBES: Readonly<Record<NonNullable<WhyPath["probe"]>, string>> = {
  arrived: "a real packet arrived",
  refused: "a real packet arrived; nothing listens there",
  dropped: "a real packet did not arrive",
  silent: "a real packet was sent; nobody answered, which says nothing",
  "not-sent": "no real packet could be sent from there",
};

function printPath({ source, destination, flow, verdict, steps, staged, probe }: WhyPath, { terminal }: Cli): void {
  const style = STYLES[verdict];
  terminal.line(`${plain(`${source} -> ${destination}  ${flow}`)}: ${terminal.paint(style, VERDICTS[verdict])}`);
  for (const step of steps) {
    terminal.line(`  ${terminal.paint(STYLES[step.verdict], step.verdict.padEnd(7))} ${plain(step.place)}`);
    terminal.line(`          ${plain(decided(step))}`);
    if (step.nearest !== undefined) terminal.line(`          nearest: ${plain(step.nearest)}`);
  }
  if (staged !== undefined)
    terminal.line(`  staged  with the staged policies: ${terminal.paint(STYLES[staged.verdict], VERDICTS[staged.verdict])}
          ${plain(staged.text)}`);
  if (probe === undefined) return;
  const agrees = (verdict === "allow") === (probe === "arrived" || probe === "refused");
  const judged =
    probe === "not-sent" || probe === "silent" || verdict === "unknown"
      ? ""
      : agrees
        ? ": the kernel agrees"
        : ": THE KERNEL DOES NOT AGREE";
  terminal.line(`  probe   ${PROBES[probe]}${judged}`);
}
