/**
 * What a report of a trouble needs, from the agent as far as it answers and from the host itself where it does not. Nothing here
 * changes anything. Each piece has its own time limit; one that fails is a line in the archive, not the end of it.
 */
import { readdir, readFile } from "node:fs/promises";
import { arch, cpus, hostname, release, totalmem, uptime } from "node:os";
import { join } from "node:path";
import type { AgentClient } from "../../api/client.ts";
import { KINDS } from "../../core/model/kinds.ts";
import { run } from "../../drivers/exec.ts";
import { hasSystemd } from "../service.ts";

/** Something to be in the archive: data is written as JSON. */
export interface Piece {
  readonly path: string;
  readonly what: string;
  readonly make: (signal: AbortSignal) => Promise<{ readonly data: unknown } | { readonly text: string }>;
}

const LOG_LINES = 5_000;
const LOG_BYTES = 1_048_576;
const FLOWS = 5_000;

const data = async (value: Promise<unknown>): Promise<{ data: unknown }> => ({ data: await value });

export function agentPieces(agent: AgentClient): Piece[] {
  const ask = (path: string, what: string, question: () => Promise<unknown>): Piece => ({
    path: `${path}.json`,
    what,
    make: () => data(question()),
  });
  return [
    ask("versions", "versions of the agent and of what it stands on", () => agent.version()),
    ask("status", "health of each part", () => agent.status()),
    ask("doctor", "checks of this host", () => agent.doctor()),
    ask("endpoints", "endpoints of all hosts", () => agent.endpoints()),
    ask("networks", "networks", () => agent.networks()),
    ask("nodes", "hosts of the cluster", () => agent.nodes()),
    ask("pools", "address pools", () => agent.pools()),
    ask("ipam", "who has which addresses", () => agent.ipam()),
    ask("ipam-check", "what is wrong with addresses", () => agent.ipamCheck()),
    ask("flows", "who talked to whom", () => agent.flows({ limit: FLOWS })),
    ask("drops", "what was dropped", () => agent.flows({ limit: FLOWS, verdict: "deny,would-deny,log" })),
    ask("bgp", "BGP sessions", () => agent.bgp()),
    ask("bgp-diff", "what routers have, and what they should", () => agent.bgpDiff()),
    { path: "metrics.txt", what: "metrics", make: async () => ({ text: await agent.metrics() }) },
    ...KINDS.map(({ kind }) =>
      ask(`resources/${kind}`, `resources: ${kind}`, async () => (await agent.resources(kind)).items),
    ),
  ];
}

const command = (path: string, what: string, ...argv: string[]): Piece => ({
  path: `host/${path}.txt`,
  what,
  make: async (signal) => {
    const { code, stdout, stderr } = await run(argv, { timeoutMs: 15_000, signal });
    return { text: `$ ${argv.join(" ")}\n${stdout}${code === 0 ? "" : `\nexit status ${code}: ${stderr}`}` };
  },
});

export function hostPieces(): Piece[] {
  return [
    { path: "host/host.json", what: "the machine", make: async () => ({ data: machine() }) },
    command("nftables", "all of nftables: Manx' rules and everybody else's", "nft", "-a", "list", "ruleset"),
    command("iptables", "iptables, IPv4", "iptables-save", "-c"),
    command("ip6tables", "iptables, IPv6", "ip6tables-save", "-c"),
    command("links", "interfaces", "ip", "-d", "-s", "link"),
    command("addresses", "addresses", "ip", "address"),
    command("routes4", "routes, IPv4", "ip", "-4", "route", "show", "table", "all"),
    command("routes6", "routes, IPv6", "ip", "-6", "route", "show", "table", "all"),
    command("rules4", "routing rules, IPv4", "ip", "-4", "rule"),
    command("rules6", "routing rules, IPv6", "ip", "-6", "rule"),
    command("neighbours", "neighbours", "ip", "neighbour"),
    { path: "host/sysctls.txt", what: "kernel settings of the network", make: async () => ({ text: await sysctls() }) },
    {
      path: "host/counters.txt",
      what: "the kernel's counters",
      make: async () => ({ text: await allText("/proc/net", ["snmp", "snmp6", "netstat", "softnet_stat"]) }),
    },
  ];
}

export function logPieces(places: {
  readonly agentLog: string;
  readonly bird: string;
  readonly config: string;
}): Piece[] {
  const { agentLog, bird, config } = places;
  const journal = ["journalctl", "-u", "manx", "-n", String(LOG_LINES), "--no-pager", "-o", "short-iso"];
  return [
    hasSystemd()
      ? command("agent-log", "the end of the agent's log", ...journal)
      : {
          path: "host/agent-log.txt",
          what: "the end of the agent's log",
          make: async () => ({ text: await tail(agentLog) }),
        },
    { path: "host/bird.conf", what: "BIRD's configuration", make: async () => ({ text: await confText(bird) }) },
    {
      path: "host/bird-log.txt",
      what: "the end of BIRD's log",
      make: async () => ({ text: await tail(join(bird, "bird.log")) }),
    },
    {
      path: "host/agent.yaml",
      what: "the agent's configuration",
      make: async () => ({ text: await readFile(config, "utf8") }),
    },
  ];
}

function machine(): object {
  return {
    hostname: hostname(),
    kernel: release(),
    architecture: arch(),
    processors: cpus().length,
    memory: totalmem(),
    uptime: uptime(),
    node: process.version,
    time: new Date().toISOString(),
  };
}

/** The last lines; the first of them whole, since half a line may be half a secret. */
async function tail(path: string): Promise<string> {
  const text = await readFile(path, "utf8");
  if (text.length <= LOG_BYTES) return text;
  const end = text.slice(-LOG_BYTES);
  return end.slice(end.indexOf("\n") + 1);
}

async function confText(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".conf"));
  return allText(folder, names);
}

async function allText(folder: string, names: readonly string[]): Promise<string> {
  const texts = await Promise.all(
    names.map(async (name) => `== ${name}\n${await readFile(join(folder, name), "utf8").catch(() => "not there\n")}`),
  );
  return texts.join("\n");
}

const OF_INTERFACES: Readonly<Record<string, readonly string[]>> = {
  "net/ipv4/conf": [
    "forwarding",
    "rp_filter",
    "proxy_arp",
    "arp_ignore",
    "arp_announce",
    "accept_local",
    "route_localnet",
    "send_redirects",
  ],
  "net/ipv6/conf": ["forwarding", "disable_ipv6", "accept_ra", "accept_dad", "proxy_ndp", "addr_gen_mode"],
};
const SINGLE = [
  "net/ipv4/ip_forward",
  "net/ipv4/ip_local_port_range",
  "net/ipv4/neigh/default/gc_thresh3",
  "net/ipv6/neigh/default/gc_thresh3",
  "net/netfilter/nf_conntrack_max",
  "net/netfilter/nf_conntrack_count",
  "net/netfilter/nf_conntrack_tcp_loose",
  "net/bridge/bridge-nf-call-iptables",
  "net/bridge/bridge-nf-call-ip6tables",
  "net/core/netdev_max_backlog",
  "kernel/osrelease",
];
const MOST_INTERFACES = 300;

async function sysctls(): Promise<string> {
  const paths = [...SINGLE];
  for (const [folder, settings] of Object.entries(OF_INTERFACES)) {
    const interfaces = await readdir(`/proc/sys/${folder}`).catch(() => []);
    for (const name of interfaces.slice(0, MOST_INTERFACES))
      paths.push(...settings.map((one) => `${folder}/${name}/${one}`));
  }
  const lines = await Promise.all(
    paths.map(async (path) => {
      const value = await readFile(`/proc/sys/${path}`, "utf8").catch(() => undefined);
      return value === undefined ? [] : [`${path} = ${value.trim()}`];
    }),
  );
  return `${lines.flat().join("\n")}\n`;
}
