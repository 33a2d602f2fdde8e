/** `manx bgp`: who this host speaks BGP with, how that goes, and what the other side needs. */
import { type Command, Option } from "commander";
import type { BgpDifference, BgpRouteView, BgpSessionView, BgpView } from "../../api/client.ts";
import { DIALECT_NAMES, DIALECTS, type DialectName } from "../../core/bgp/dialects/dialects.ts";
import { type ChangeFlags, changeOptions, makeChange } from "../change.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type Column, type OutputFlags, outputOption, printData, printListing } from "../output.ts";
import { plain } from "../text.ts";
import { type PeerFlags, peerResource } from "./bgp-peer.ts";

export const define: Define = (command, cli) => {
  command.usage("status | routes | diff | add PEER | rm PEER | config PEER | reset [PEER]").helpCommand(false);
  status(command.command("status").description("sessions in plain words, and what goes over them"), cli);
  routes(command.command("routes").description("what peers say, what is said to them, what filters refuse"), cli);
  diff(command.command("diff").description("where BGP is not as the resources say"), cli);
  add(command.command("add").description("speak with a router"), cli);
  remove(command.command("rm").description("speak with a router no more"), cli);
  config(command.command("config").description("what to paste into the router at the other side"), cli);
  reset(command.command("reset").description("ask for all routes again, or close sessions and open them anew"), cli);
  examples(command, [
    ["manx bgp add 192.168.1.1 --as 65001", "all hosts speak with the router"],
    ["manx bgp config 192.168.1.1 --for frr", "what the router needs for that"],
    ["manx bgp status --probe", "how it goes; packets are sent to each peer too"],
    ["manx bgp routes 192.168.1.1 --refused", "what the router says and filters refuse"],
  ]);
};

const STYLES = { up: "good", partly: "warn", waiting: "dim", down: "bad" } as const;

const SESSIONS: readonly Column<BgpSessionView>[] = [
  { title: "PEER", value: ({ peer }) => peer, style: () => "strong" },
  { title: "AS", value: ({ peerAs }) => String(peerAs) },
  { title: "WHO", value: who },
  { title: "TAKEN", value: ({ families }) => sum(families.map(({ accepted }) => accepted)) },
  { title: "REFUSED", value: ({ families }) => sum(families.map(({ refused }) => refused)) },
  { title: "SAID", value: ({ families }) => sum(families.map(({ announced }) => announced)) },
  {
    title: "STATE",
    value: ({ text, probe }) => (probe === undefined ? text : `${text} (${probe})`),
    style: ({ health }) => STYLES[health],
  },
  { title: "SESSION", value: ({ name }) => name, wide: true },
  { title: "BFD", value: ({ bfd }) => bfd ?? "", wide: true },
  { title: "LOCAL AS", value: ({ localAs }) => String(localAs), wide: true },
];

function who({ kind, peerNode, resource }: BgpSessionView): string {
  return peerNode === undefined ? (resource ?? kind) : `host ${peerNode}`;
}

function sum(numbers: readonly number[]): string {
  return String(numbers.reduce((total, number) => total + number, 0));
}

function status(command: Command, cli: Cli): void {
  command.option("--probe", "ping each peer and knock at its port");
  agentOptions(outputOption(command)).action(async (flags: OutputFlags & AgentFlags & { readonly probe?: boolean }) => {
    const view = await cli.agent(flags).bgp({ probe: flags.probe === true });
    if (view.sessions.some(({ health }) => health === "down" || health === "partly")) cli.exit = EXIT.no;
    if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, view);
    head(view, cli);
    await printListing(cli.terminal, flags.output, {
      rows: view.sessions,
      columns: SESSIONS,
      name: ({ name }) => name,
      empty: "No sessions: there is no other host and no peer. Add one:\n  manx bgp add 192.168.1.1 --as 65001",
    });
    for (const problem of view.problems) cli.terminal.say(`Left out: ${plain(problem)}`, "warn");
  });
}

function head(view: BgpView, { terminal }: Cli): void {
  if (view.mode === "off") return terminal.say("BGP is switched off on this host (MANX_BGP=off).");
  const says = view.announced.length === 0 ? "nothing yet" : view.announced.join(", ");
  const role = view.clusterId === undefined ? "" : `, route reflector ${view.clusterId}`;
  terminal.say(`AS ${view.asNumber}, router ID ${view.routerId}${plain(role)}; speaks for ${plain(says)}`);
}

interface RouteFlags extends OutputFlags, AgentFlags {
  readonly received?: boolean;
  readonly announced?: boolean;
  readonly refused?: boolean;
}

const ROUTES: readonly Column<BgpRouteView>[] = [
  { title: "PREFIX", value: ({ prefix }) => prefix, style: ({ best }) => (best ? "strong" : "dim") },
  { title: "SESSION", value: ({ session }) => session },
  {
    title: "DIRECTION",
    value: ({ direction }) => direction,
    style: ({ direction }) => (direction === "refused" ? "warn" : "dim"),
  },
  { title: "NEXT HOP", value: ({ nextHops }) => nextHops.join(", ") },
  { title: "AS PATH", value: ({ asPath }) => asPath },
  { title: "COMMUNITIES", value: ({ communities }) => communities.join(" "), wide: true },
];

function routes(command: Command, cli: Cli): void {
  command
    .argument("[peer]", "address of the peer, name of the session or of the BGPPeer")
    .option("--received", "only what the peer says and is taken")
    .option("--announced", "only what is said to the peer")
    .option("--refused", "only what the peer says and filters refuse");
  agentOptions(outputOption(command)).action(async (session: string | undefined, flags: RouteFlags) => {
    const direction = (["received", "announced", "refused"] as const).find((one) => flags[one] === true);
    const found = await cli.agent(flags).bgpRoutes({
      ...(session !== undefined && { session }),
      ...(direction !== undefined && { direction }),
    });
    await printListing(cli.terminal, flags.output, {
      rows: found.routes,
      columns: ROUTES,
      name: ({ prefix }) => prefix,
      empty: "No routes.",
    });
    if (found.truncated) cli.terminal.say("There are more; name a peer and a direction.", "warn");
  });
}

const DIFFERENCES: readonly Column<BgpDifference>[] = [
  { title: "WHAT", value: ({ subject }) => subject, style: () => "strong" },
  { title: "DIFFERENCE", value: ({ difference }) => difference },
];

function diff(command: Command, cli: Cli): void {
  agentOptions(outputOption(command)).action(async (flags: OutputFlags & AgentFlags) => {
    const rows = await cli.agent(flags).bgpDiff();
    if (rows.length > 0) cli.exit = EXIT.no;
    await printListing(cli.terminal, flags.output, {
      rows,
      columns: DIFFERENCES,
      name: ({ subject }) => subject,
      empty: "No difference: BGP is as the resources say.",
    });
  });
}

function add(command: Command, cli: Cli): void {
  command
    .argument(
      "<peer>",
      "192.168.1.1, 192.168.1.1:1790, fd00::1, fe80::1%eth0, or 10.0.0.0/24: whoever calls from there",
    )
    .requiredOption("--as <number>", "AS number of the router: 65001, 0.65001")
    .option("--name <name>", "of the BGPPeer; otherwise it is made from the address")
    .option("--node <name>", "only this host")
    .option("--hosts <selector>", "only hosts with such labels")
    .option("--local-as <number>", "AS number that the router sees instead of the host's")
    .option("--password <name/key>", "the secret in /etc/manx/secrets/NAME/KEY of each host")
    .option("--bfd [times]", "find out fast that the router is gone: 200ms x 3")
    .option("--hops <number>", "TTL security: how many hops the router is away")
    .option("--filter <name...>", "BGPFilters, in order")
    .option("--families <list>", "ipv4, ipv6, or both")
    .option("--passive", "wait for the router to call");
  changeOptions(agentOptions(command)).action(async (peer: string, flags: PeerFlags & ChangeFlags) => {
    const made = peerResource(peer, flags);
    if (typeof made === "string") throw new CliError(EXIT.usage, `Cannot add the peer "${peer}": ${made}`);
    await makeChange({ mode: "apply", resources: [made] }, flags, cli);
    if (flags.dryRun !== true)
      cli.terminal.say(
        `Now the other side: manx bgp config ${made.metadata.name} --for frr   (or bird, gobgp, vyos, ...)`,
      );
  });
}

function remove(command: Command, cli: Cli): void {
  command.argument("<peers...>", "addresses, or names of BGPPeers");
  changeOptions(agentOptions(command)).action(async (names: string[], flags: ChangeFlags) => {
    const { items } = await cli.agent(flags).resources("BGPPeer");
    const found = names.map((name) => {
      const one = items.find(
        (item) => item.metadata.name === name || (item.kind === "BGPPeer" && item.spec.peerIP === name),
      );
      if (one === undefined)
        throw new CliError(
          EXIT.notFound,
          `Cannot remove the peer "${name}": there is none of that name or address`,
          "manx bgp status shows those there are.",
        );
      return one;
    });
    await makeChange({ mode: "delete", resources: found }, flags, cli);
  });
}

function config(command: Command, cli: Cli): void {
  command
    .argument("<peer>", "name or address of the BGPPeer")
    .addOption(new Option("--for <router>", "its language").choices(DIALECT_NAMES).makeOptionMandatory());
  agentOptions(command).action(async (peer: string, flags: AgentFlags & { readonly for: DialectName }) => {
    const router = await cli.agent(flags).bgpOtherSide(peer);
    const dialect = DIALECTS[flags.for];
    for (const line of dialect.render(router)) cli.terminal.line(plain(line));
    cli.terminal.say(
      `${dialect.title}.${dialect.tested ? "" : " Untested: compare it with the router's manual."}`,
      dialect.tested ? "dim" : "warn",
    );
    const [neighbor] = router.neighbors;
    const taken = neighbor === undefined ? undefined : dialect.taken?.(neighbor, router);
    if (taken !== undefined)
      cli.terminal.say(
        `What it has taken from host ${plain(neighbor?.name ?? "")}, which BGP does not tell a host: ${plain(taken.map(quoted).join(" "))}`,
        "dim",
      );
    if (router.password !== undefined)
      cli.terminal.say(
        `Write the password of the secret ${router.password} in place of PASSWORD-...: Manx prints none.`,
        "warn",
      );
  });
}

function reset(command: Command, cli: Cli): void {
  command
    .argument("[peer]", "address of the peer, name of the session or of the BGPPeer; otherwise all")
    .option("--hard", "close the session and open it again: routes are withdrawn meanwhile");
  agentOptions(command).action(async (session: string | undefined, flags: AgentFlags & { readonly hard?: boolean }) => {
    const { reset: names } = await cli.agent(flags).bgpReset({
      ...(session !== undefined && { session }),
      ...(flags.hard === true && { hard: true }),
    });
    for (const name of names)
      cli.terminal.say(`${flags.hard === true ? "Restarted" : "Asked for all routes again:"} ${name}`);
    if (names.length === 0) cli.terminal.say("No sessions.");
  });
}

const quoted = (word: string): string => (/^[\w.:-]+$/.test(word) ? word : `'${word}'`);
