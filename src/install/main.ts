/**
 * ./quickstart, from the moment on when there is a Node: look, say, ask, do, show. It can be run at any time; a host that has everything
 * gets only the demonstration. Imports nothing outside Node and this repository: a dry run may come before npm.
 */
import { parseArgs } from "node:util";
import { demonstrate, Interrupted } from "./demo.ts";
import { DAEMON_FILE } from "./docker-dns.ts";
import { type Change, plan } from "./plan.ts";
import { type Screen, terminalScreen } from "./screen.ts";
import { LINK } from "./service.ts";
import { type Survey, survey } from "./survey.ts";

interface Flags {
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly demo: boolean;
}

/** The exit status: see ./quickstart --help. */
export async function quickstart(flags: Flags, screen: Screen): Promise<number> {
  const found = await survey();
  describe(found, screen);
  const obstacle = obstacleIn(found);
  if (obstacle !== undefined) {
    screen.line(`\n${obstacle}`);
    return 1;
  }
  const changes = plan(found);
  list(changes, flags, screen);
  if (flags.dryRun) return 0;
  if (changes.length > 0) {
    const consent = flags.yes || (await screen.ask("\nGo on?"));
    if (consent === undefined) {
      screen.line("\nCannot ask: there is no terminal. Nothing was changed. Agree beforehand: ./quickstart --yes");
      return 3;
    }
    if (!consent) {
      screen.line("Nothing was changed.");
      return 3;
    }
    screen.line();
    for (const { title, apply } of changes) await screen.step(title, apply);
  }
  const works = !flags.demo || (await demonstrate(screen));
  if (!works) {
    screen.line("\nSome packets did not go the way they should. What is wrong: manx doctor");
    return 1;
  }
  whatNext(screen);
  return 0;
}

const NAMES: Readonly<Record<Survey["names"], string>> = {
  set: "Docker asks Manx for those of other hosts' containers",
  missing: "Docker knows those of this host's containers only",
  flags: "dockerd is given --dns on its command line, which is left alone: no names of other hosts' containers",
  unreadable: `${DAEMON_FILE} is not understood and is left alone: no names of other hosts' containers`,
};

function describe(found: Survey, screen: Screen): void {
  const { distribution, isSupported, kernel, nftables, docker, forwarding, firewalls, missing, agent } = found;
  const onOff = (value: string | undefined): string => (value === undefined ? "absent" : value === "0" ? "off" : "on");
  const rows = [
    ["system", `${distribution}${isSupported ? "" : ", which is not among those that Manx is tested on"}`],
    [
      "kernel",
      `Linux ${kernel}, nftables ${nftables === undefined ? "to be seen" : nftables ? "works" : "does not work"}`,
    ],
    ["service", found.systemd ? "systemd" : "no systemd: the agent runs as a supervised background process"],
    [
      "Docker",
      docker.version === undefined ? "missing" : `${docker.version}, ${docker.running ? "runs" : "does not run"}`,
    ],
    [
      "forwarding",
      `IPv4 ${onOff(forwarding.ipv4)}, IPv6 ${onOff(forwarding.ipv6)}; Manx switches on what its containers need`,
    ],
    [
      "firewalls",
      firewalls.length === 0 ? "neither ufw nor firewalld is active" : `${firewalls.join(", ")}: seen, left alone`,
    ],
    ["packages", missing.length === 0 ? "all there" : `missing: ${missing.join(", ")}`],
    ["names", NAMES[found.names]],
    ["agent", agent.running ? "runs" : "does not run"],
  ];
  screen.heading("Manx on this machine");
  for (const [name = "", text = ""] of rows) screen.line(`  ${name.padEnd(11)} ${text}`);
  if (firewalls.includes("firewalld")) {
    screen.line("\n  firewalld drops what it forwards between its zones. To let Manx's own firewall decide:");
    screen.line("  firewall-cmd --permanent --zone=trusted --add-interface=manx+ && firewall-cmd --reload");
  }
}

/** What keeps Manx from being installed here, and what to do. */
function obstacleIn({ nftables, link }: Survey): string | undefined {
  if (nftables === false)
    return "Cannot go on: this kernel has no nftables (CONFIG_NF_TABLES). Try: modprobe nf_tables";
  if (link === "")
    return `Cannot go on: ${LINK} is there and is no link of ours. Move it away, then run ./quickstart again.`;
  return undefined;
}

function list(changes: readonly Change[], { dryRun }: Flags, screen: Screen): void {
  if (changes.length === 0) return screen.heading("Everything is there: nothing to change");
  screen.heading(dryRun ? "It would (nothing is changed now)" : "It will");
  for (const [index, { title, details }] of changes.entries()) {
    screen.line(`  ${index + 1}. ${title}`);
    for (const detail of details) screen.line(`       ${detail}`);
  }
}

function whatNext(screen: Screen): void {
  screen.heading("Now type");
  for (const line of [
    "docker network create -d manx --ipam-driver manx apps",
    "docker run -d --name web --network apps nginx",
    "manx ls                 who is where, and who can reach it",
    "manx doctor             whether all is well",
    "manx uninstall          take everything away again",
  ])
    screen.line(`  ${line}`);
}

if (import.meta.main) {
  const screen = terminalScreen();
  try {
    const options = {
      "dry-run": { type: "boolean" },
      yes: { type: "boolean", short: "y" },
      "no-demo": { type: "boolean" },
    } as const;
    const { values } = parseArgs({ options });
    const flags = { dryRun: values["dry-run"] === true, yes: values.yes === true, demo: values["no-demo"] !== true };
    process.exitCode = await quickstart(flags, screen);
  } catch (error) {
    screen.line(`\n${error instanceof Error ? error.message : String(error)}`);
    screen.line("What was done so far stays; ./quickstart goes on from there.");
    process.exitCode = error instanceof Interrupted ? 130 : 1;
  }
}
