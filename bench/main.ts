/**
 * The figures of docs/performance.md, in one run, in a lab (root): Manx with 10 and with 1,000 endpoints on the host, side by side
 * with Docker's default bridge network and a bare veth pair. Medians of interleaved rounds.
 *
 *     npm run bench               everything, about 15 minutes
 *     npm run bench -- --quick    the same with few rounds, to see that it works
 *
 * bench/policy.ts, bench/nftables.ts and bench/netlink.ts look at single parts.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host } from "../src/lab/host.ts";
import { up } from "../src/lab/lab.ts";
import { agentAtRest, agentStarts } from "./agent.ts";
import { Crowd } from "./crowd.ts";
import { type Mode, measure, type Path, type Rates, ratio } from "./datapath.ts";
import { median, percentile, printTable } from "./figures.ts";
import { containerStarts, START_NETWORKS } from "./starts.ts";

const quick = process.argv.includes("--quick");
const FEW = 10;
const MANY = 1000;
const ROUNDS = quick ? 5 : 15;
const SECONDS = quick ? 0.5 : 1;
const STARTS = quick ? 5 : 21;
const CALLS = quick ? 50 : 500;
const REST_SECONDS = quick ? 20 : 60;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "manx-bench-"));
  try {
    const program = join(folder, "traffic");
    execFileSync("cc", ["-O2", "-o", program, join(import.meta.dirname, "traffic.c")], { stdio: "inherit" });
    await using lab = await up({ name: `bench-${process.pid}`, hosts: 2, progress: say });
    await run(lab.host(1), lab.host(2), program);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(few: Host, many: Host, program: string): Promise<void> {
  await using crowds = new AsyncDisposableStack();
  const fill = async (host: Host, count: number): Promise<Crowd> => {
    await host.docker("network", "create", "-d", "manx", "--ipam-driver", "manx", "--ipv6", "apps");
    await host.docker("network", "create", "own-bridge");
    const crowd = crowds.use(await Crowd.start(host, "apps"));
    say(`${host.name}: ${count} endpoints`);
    await crowd.grow(count - 2); // two are the ends that are measured
    return crowd;
  };
  await fill(few, FEW);
  const crowd = await fill(many, MANY);
  const paths = [
    await barePath(few),
    await containerPath(few, "Docker bridge", "bridge"),
    await containerPath(few, `Manx, ${FEW} endpoints`, "apps"),
    await containerPath(many, `Manx, ${MANY} endpoints`, "apps"),
  ];
  printDataPath(await measure(paths, program, ROUNDS, SECONDS), paths);
  printStarts(await containerStarts(many, STARTS));
  printAgent(await agentStarts(crowd, CALLS), await agentAtRest(many, crowd, REST_SECONDS));
}

/** Two namespaces with a veth pair between them and nothing else. */
async function barePath(host: Host): Promise<Path> {
  await host.mustExec(["ip", "-batch", "-"], {
    input: "netns add bare1\nnetns add bare2\nlink add name b1 netns bare1 type veth peer name b2 netns bare2\n",
  });
  for (const [end, address] of [
    ["1", "192.0.2.1/30"],
    ["2", "192.0.2.2/30"],
  ] as const)
    await host.mustExec(["ip", "-n", `bare${end}`, "-batch", "-"], {
      input: `addr add ${address} dev b${end}\nlink set dev b${end} up\nlink set dev lo up\n`,
    });
  const at = (end: string): string[] => ["ip", "netns", "exec", `bare${end}`];
  return { name: "bare veth pair", host, client: at("1"), server: at("2"), address: "192.0.2.2" };
}

async function containerPath(host: Host, name: string, network: string): Promise<Path> {
  const ends = await Promise.all(
    ["client", "server"].map(async (end) => {
      const container = `${network}-${end}`;
      await host.docker("run", "-d", "--name", container, "--network", network, "busybox", "sleep", "1d");
      const [pid = "", address = ""] = (
        await host.docker(
          "inspect",
          "-f",
          "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
          container,
        )
      ).split(" ");
      return { at: ["nsenter", "-t", pid, "-n"], address };
    }),
  );
  const [client, server] = ends;
  return { name, host, client: client?.at ?? [], server: server?.at ?? [], address: server?.address ?? "" };
}

const WORK: readonly (readonly [Mode, string])[] = [
  ["udp", "UDP packets"],
  ["bulk", "TCP bulk"],
  ["crr", "TCP connections"],
  ["rr", "requests"],
];

function printDataPath(rates: Rates, paths: readonly Path[]): void {
  const names = paths.map(({ name }) => name);
  const [bare = "", bridge = "", few = "", many = ""] = names;
  const against = (of: string, to: string): string[] => WORK.map(([mode]) => ratio(rates, mode, of, to).toFixed(2));
  const title = ["", ...WORK.map(([, name]) => name)];
  printTable("Work per CPU second, against a bare veth pair (1.00)", [
    title,
    ...names.map((name) => [name, ...against(name, bare)]),
  ]);
  printTable("Work per CPU second, side by side", [
    title,
    [`${many} : Docker bridge`, ...against(many, bridge)],
    [`${few} : Docker bridge`, ...against(few, bridge)],
    [`${many} : ${FEW}`, ...against(many, few)],
  ]);
  const micro = (name: string): string => (1e6 / median(rates.get(name)?.rr ?? [])).toFixed(1);
  printTable(
    "CPU microseconds for a request and its answer",
    names.map((name) => [name, micro(name)]),
  );
}

function printStarts(starts: ReadonlyMap<string, readonly number[]>): void {
  const base = median(starts.get(START_NETWORKS.own) ?? []);
  printTable(`docker run --rm ... true, ${MANY} endpoints on the host`, [
    ["", "median ms", "against an own bridge"],
    ...[...starts].map(([name, ms]) => [name, median(ms).toFixed(0), (median(ms) / base).toFixed(2)]),
  ]);
}

function printAgent(
  calls: ReadonlyMap<string, readonly number[]>,
  rest: Awaited<ReturnType<typeof agentAtRest>>,
): void {
  printTable(`The agent's answers for one start, ${MANY} endpoints on the host, ms`, [
    ["", "median", "p99"],
    ...[...calls].map(([name, ms]) => [name, median(ms).toFixed(2), percentile(ms, 0.99).toFixed(2)]),
  ]);
  printTable(`The agent with ${MANY} endpoints`, [
    ["resident MB, after all that", rest.residentMb.toFixed(0)],
    ["resident MB, started anew", rest.residentAnewMb.toFixed(0)],
    ["of them the program's own file, shared", rest.fileMb.toFixed(0)],
    [`CPU at rest, % of a core over ${REST_SECONDS} s`, rest.cpuPercent.toFixed(2)],
  ]);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

await main();
