/**
 * What watching flows and drops costs, in a lab (root, a C compiler): new connections per CPU second of both ends, and of the agent too,
 * with flow logging on against off, interleaved; and 50,000 drops or new connections a second, while policy changes.
 *
 *     node bench/flows.ts             about five minutes
 *     node bench/flows.ts --quick     to see that it works
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../src/lab/host.ts";
import { up } from "../src/lab/lab.ts";
import { cpuMs } from "./agent.ts";
import { type Path, Serving } from "./datapath.ts";
import { median, percentile, printTable } from "./figures.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 2 : 10;
const SECONDS = quick ? 0.5 : 2;
const FLOOD_SECONDS = quick ? 3 : 10;
const FLOOD_PER_SECOND = 50_000;
const [OWN_PORT, FOREIGN_PORT] = [9001, 9002];

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "manx-bench-"));
  try {
    const program = join(folder, "traffic");
    execFileSync("cc", ["-O2", "-o", program, join(import.meta.dirname, "traffic.c")], { stdio: "inherit" });
    await using lab = await up({ name: `bench-flows-${process.pid}`, hosts: 1, progress: say });
    await run(lab.host(1), program);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(host: Host, program: string): Promise<void> {
  await host.docker("network", "create", "-d", "manx", "--ipam-driver", "manx", "apps");
  const path = await containerPath(host);
  await apply(host, 1);
  await host.mustExec(["nft", "-f", "-"], { input: FOREIGN });
  await connections(host, path, program);
  await restart(host, "on");
  const rows = [
    ["flood", "datagrams a second", "agent's CPU, cores", "policy updates", "in force after, ms: median", "worst"],
  ];
  for (const [what, mode, port] of [
    ["none", undefined, 0],
    ["dropped by a policy", "flood", OWN_PORT],
    ["dropped by a foreign rule", "flood", FOREIGN_PORT],
    ["let through, each a new connection to another port", "scan", 1],
  ] as const)
    rows.push([what, ...(await flood(host, path, program, mode, port))]);
  printTable(`${FLOOD_PER_SECOND} datagrams a second wanted, for ${FLOOD_SECONDS} s`, rows);
}

const FOREIGN = `table inet other { chain guard { type filter hook forward priority 5; udp dport ${FOREIGN_PORT} drop; }; }
`;

async function containerPath(host: Host): Promise<Path> {
  const ends = await Promise.all(
    ["client", "server"].map(async (name) => {
      await host.docker("run", "-d", "--name", name, "--network", "apps", "busybox", "sleep", "1d");
      const format = "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
      const [pid = "", address = ""] = (await host.docker("inspect", "-f", format, name)).split(" ");
      return { at: ["nsenter", "-t", pid, "-n"], address };
    }),
  );
  const [client, server] = ends;
  return { name: "Manx", host, client: client?.at ?? [], server: server?.at ?? [], address: server?.address ?? "" };
}

/** A policy that denies one port and names another one that tells it apart. */
async function apply(host: Host, number: number): Promise<void> {
  const policy = {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: { name: "bench" },
    spec: {
      selector: "manx/container == 'server'",
      ingress: [
        { action: "Deny", protocol: "UDP", destination: { ports: [OWN_PORT, 20_000 + number] } },
        { action: "Allow" },
      ],
    },
  };
  await host.mustExec(["manx", "apply", "-f", "-"], { input: JSON.stringify(policy) });
}

async function restart(host: Host, flows: "on" | "off"): Promise<void> {
  await host.stopAgent();
  await host.startAgent({ env: flows === "off" ? { MANX_FLOWS: "off" } : {} });
  await sleep(1500); // what a start does first is no part of the figure
}

/** Connections per CPU second of both ends and the kernel, and with the agent's CPU; one figure a round. */
interface ConnectionRates {
  readonly ends: number[];
  readonly all: number[];
}

async function connections(host: Host, path: Path, program: string): Promise<void> {
  const rates: Record<"off" | "on", ConnectionRates> = { off: { ends: [], all: [] }, on: { ends: [], all: [] } };
  await using serving = await Serving.start(path, program);
  for (let round = 0; round < ROUNDS; round++) {
    for (const flows of round % 2 === 0 ? (["off", "on"] as const) : (["on", "off"] as const)) {
      await restart(host, flows);
      const pid = host.agentPids()[0] ?? 0;
      const before = cpuMs(pid);
      const { done, cpuSeconds } = await serving.work("crr", SECONDS);
      rates[flows].ends.push(done / cpuSeconds);
      rates[flows].all.push(done / (cpuSeconds + (cpuMs(pid) - before) / 1000));
    }
    say(`connections: round ${round + 1} of ${ROUNDS}`);
  }
  const row = (what: string, of: keyof ConnectionRates): string[] => {
    const ratios = rates.on[of].map((rate, round) => rate / (rates.off[of][round] ?? Number.NaN));
    const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
    const medians = [rates.off, rates.on].map((one) => median(one[of]).toFixed(0));
    return [what, ...medians, median(ratios).toFixed(3), least.toFixed(2), most.toFixed(2)];
  };
  printTable("New TCP connections per CPU second", [
    ["of", "flow logging off", "on", "on against off: median of ratios", "least", "most"],
    row("both ends and the kernel", "ends"),
    row("the agent too", "all"),
  ]);
}

async function flood(
  host: Host,
  { client, address }: Path,
  program: string,
  mode: "flood" | "scan" | undefined,
  port: number,
): Promise<string[]> {
  const pid = host.agentPids()[0] ?? 0;
  const [begun, before] = [performance.now(), cpuMs(pid)];
  // Before all others, or a busy machine slows the flood down.
  const flooding = ["nice", "-n", "-15", ...client, program, mode ?? "", address, String(port), String(FLOOD_SECONDS)];
  const argv = mode === undefined ? ["sh", "-c", `sleep ${FLOOD_SECONDS}; echo 0`] : flooding;
  const sending = host.mustExec(argv, { timeoutMs: 120_000 });
  // A change judges all connections, hundreds of thousands in a scan: that would be the figure.
  const times = mode === "scan" ? [] : await changing(host, port, sending);
  const sent = Number(await sending);
  const seconds = (performance.now() - begun) / 1000;
  const cores = (cpuMs(pid) - before) / 1000 / seconds;
  return [
    (sent / FLOOD_SECONDS).toFixed(0),
    cores.toFixed(2),
    ...(times.length === 0
      ? ["", "", ""]
      : [`${times.length}, none lost`, median(times).toFixed(0), percentile(times, 1).toFixed(0)]),
  ];
}

/** Changes the policy until `meanwhile` is over; milliseconds until each was in force. */
async function changing(host: Host, port: number, meanwhile: Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  const isOver = meanwhile.then(() => true);
  for (let number = 1; ; number++) {
    const asked = performance.now();
    await apply(host, number + port);
    times.push(performance.now() - asked);
    const rules = await host.mustExec(["nft", "list", "table", "inet", "manx"]);
    assert.match(rules, new RegExp(`\\b${20_000 + number + port}\\b`), "a policy update is lost");
    if (await Promise.race([isOver, sleep(200, false)])) return times;
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

await main();
