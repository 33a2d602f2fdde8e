/**
 * How long it takes until what happens on one host holds on all: real engines, real etcd, real BIRD, in a lab. `converge.ts [HOSTS]`.
 *
 * A container: from `docker run` having returned until one on another host reaches it; less than nothing where it did before.
 * A policy: from asking the API until the last host's kernel has it; the store's part is in it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "../src/api/client.ts";
import type { AnyResource } from "../src/core/model/resources.ts";
import { ClusterWorld } from "../tests/cluster/cluster-world.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 20);
const hosts = Number(process.argv[2] ?? 5);

await using world = await ClusterWorld.start("cluster-converge", hosts);
await world.network("h1", "apps", "--subnet", "10.77.0.0/16");
const names = world.lab.hosts.map(({ name }) => name);
for (const name of names) await world.eventually(() => mustHave(name));
for (const name of names) await world.run(`${name}/base-${name}`, "apps", "--label", "app=base");
await sleep(3000);
print("container reachable from another host, after docker run", await containers());
print(`policy in force on all of ${hosts} hosts`, await policies());

async function mustHave(name: string): Promise<void> {
  if (!(await world.hasNetwork(name, "apps"))) throw new Error(`${name} has no network`);
}

function print(what: string, samples: readonly number[]): void {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor((sorted.length - 1) * part)] ?? 0).toFixed(1);
  console.log(`${what}: median ${at(0.5)} ms, 90% ${at(0.9)} ms, worst ${at(1)} ms (${samples.length} rounds)`);
}

async function containers(): Promise<number[]> {
  const base = (await world.address("h1/base-h1")).split(".").map(Number);
  const prober = JSON.parse(await world.host("h2").docker("inspect", "base-h2")) as { State: { Pid: number } }[];
  const samples: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const address = [...base.slice(0, 3), ((base[3] ?? 0) & ~63) + (((base[3] ?? 0) + 1 + i) & 63)].join(".");
    const inside = [
      "nsenter",
      "-t",
      String(prober[0]?.State.Pid),
      "-n",
      "ping",
      "-n",
      "-i",
      "0.002",
      "-W",
      "1",
      address,
    ];
    const ping = start(world.host("h2").commandLine(inside));
    let first: number | undefined;
    listen(ping, (line) => {
      if (line.includes("bytes from")) first ??= performance.now();
    });
    await world
      .host("h1")
      .docker("run", "-d", "--name", `c${i}`, "--network", "apps", "--ip", address, "busybox", "sleep", "1000");
    const returned = performance.now();
    await until(() => first !== undefined);
    samples.push((first ?? 0) - returned);
    ping.kill("SIGKILL");
    await world.host("h1").docker("rm", "-f", `c${i}`);
  }
  return samples;
}

async function policies(): Promise<number[]> {
  const client = createClient({ socket: world.host("h1").path("/run/manx/manx.sock") });
  const last = new Map<string, number>();
  const monitors = world.lab.hosts.map((host) => {
    const monitor = start(host.commandLine(["nft", "monitor"]));
    listen(monitor, () => last.set(host.name, last.get(host.name) ?? performance.now()));
    return monitor;
  });
  await sleep(2000);
  const samples: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    last.clear();
    const begun = performance.now();
    await client.change({ mode: "apply", resources: [policy(20_000 + i) as never] });
    await until(() => last.size === hosts);
    samples.push(Math.max(...last.values()) - begun);
    await sleep(500);
  }
  for (const monitor of monitors) monitor.kill("SIGKILL");
  return samples;
}

function policy(port: number): AnyResource {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: { name: "bench" },
    spec: {
      tier: "default",
      selector: "app == 'base'",
      types: ["Ingress"],
      ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: [port] } }],
    },
  };
}

function start([file = "", ...args]: readonly string[]): ChildProcess {
  return spawn(file, args, { stdio: ["ignore", "pipe", "ignore"] });
}

function listen(child: ChildProcess, onLine: (line: string) => void): void {
  if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", onLine);
}

async function until(check: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !check(); await sleep(1))
    if (Date.now() > end) throw new Error("it did not come to be within 20 s");
}
