/**
 * One real agent in a cluster of simulated hosts, in real etcd: how long it takes to be in sync, how much memory it needs, and
 * how long one change of an endpoint elsewhere takes from the store to the kernel. Over the number of hosts: `scale.ts [HOSTS...]`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../src/lab/host.ts";
import { ClusterWorld } from "../tests/cluster/cluster-world.ts";

const PER_HOST = 50;
const POLICIES = 2000;
const CHANGES = Number(process.env["ROUNDS"] ?? 40);
const SEED = join(import.meta.dirname, "scale-seed.ts");

const counts = process.argv.slice(2).map(Number);
console.log("hosts  endpoints  policies  in sync     memory  change: median    worst");
for (const hosts of counts.length > 0 ? counts : [10, 100, 1000]) {
  await using world = await ClusterWorld.start("cluster-scale", 1);
  const host = world.host("h1");
  await world.network("h1", "apps", "--ipv6");
  for (const app of [0, 1, 2]) await world.run(`h1/app${app}`, "apps", "--label", `app=app-${app}`);
  await host.stopAgent();
  await seed(world, String(hosts), String(hosts * PER_HOST), String(POLICIES));
  const begun = performance.now();
  await world.startAgent(host);
  const inSync = performance.now() - begun;
  await sleep(3000);
  const samples = await changes(world, host, hosts);
  const row = [hosts, hosts * PER_HOST, POLICIES, `${(inSync / 1000).toFixed(1)} s`, `${memory(host)} MB`];
  const sorted = samples.sort((a, b) => a - b);
  const [median = 0, worst = 0] = [sorted[sorted.length >> 1], sorted.at(-1)];
  const text = row.map((cell, i) => String(cell).padStart([5, 11, 10, 9, 11][i] ?? 0)).join("");
  console.log(`${text}  ${median.toFixed(1).padStart(10)} ms${worst.toFixed(1).padStart(7)} ms`);
}

async function seed(world: ClusterWorld, ...args: readonly string[]): Promise<void> {
  await world.lab.lan.mustExec([process.execPath, SEED, world.store, ...args], { timeoutMs: 300_000 });
}

function memory(host: Host): number {
  const sizes = host.agentPids().map((pid) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmHWM:\s+([0-9]+)/.exec(status)?.[1] ?? 0);
  });
  return Math.round(Math.max(...sizes) / 1024);
}

/** Milliseconds from before the write until the kernel says that it has the new address. */
async function changes(world: ClusterWorld, host: Host, hosts: number): Promise<number[]> {
  const monitor = start(host.commandLine(["nft", "monitor", "elements"]));
  const writer = start(world.lab.lan.commandLine([process.execPath, SEED, world.store, "change", "0", String(hosts)]));
  const seen = new Map<string, number>();
  listen(monitor, (line) => {
    const address = /10\.200\.[0-9]+\.[0-9]+/.exec(line)?.[0];
    if (line.startsWith("add") && address !== undefined) seen.set(address, seen.get(address) ?? now());
  });
  const answers: string[] = [];
  listen(writer, (line) => answers.push(line));
  await sleep(2000);
  const samples: number[] = [];
  try {
    for (let i = 0; i < CHANGES; i++) {
      writer.stdin?.write("next\n");
      await until(() => answers.length > i);
      const [at = "0", address = ""] = (answers[i] ?? "").split(" ");
      await until(() => seen.has(address));
      samples.push((seen.get(address) ?? 0) - Number(at));
      await sleep(20);
    }
  } finally {
    for (const child of [monitor, writer]) child.kill("SIGKILL");
  }
  return samples;
}

function start([file = "", ...args]: readonly string[]): ChildProcess {
  return spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
}

function listen(child: ChildProcess, onLine: (line: string) => void): void {
  if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", onLine);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

async function until(check: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !check(); await sleep(1))
    if (Date.now() > end) throw new Error("the change did not arrive within 20 s");
}
