/** What the agent itself costs: its share of a container's start, its memory, and its CPU while nothing happens. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../src/lab/host.ts";
import type { Crowd } from "./crowd.ts";

/** Milliseconds by call, and of all together, of `rounds` starts (each stopped again). */
export async function agentStarts(crowd: Crowd, rounds: number): Promise<ReadonlyMap<string, readonly number[]>> {
  const times = new Map<string, number[]>();
  const note = (name: string, ms: number): void => void times.set(name, [...(times.get(name) ?? []), ms]);
  for (let round = 0; round < rounds; round++) {
    const member = await crowd.add();
    for (const [name, ms] of member.calls) note(name.replace(/^\w+\./, ""), ms);
    const all = member.calls.values().reduce((sum, ms) => sum + ms, 0);
    note("all of them", all);
    note("of it the agent's own, without waiting for the engine", all - member.engine);
    await crowd.remove(member);
  }
  return times;
}

export interface Rest {
  readonly residentMb: number;
  readonly residentAnewMb: number;
  readonly fileMb: number;
  readonly cpuPercent: number;
}

export async function agentAtRest(host: Host, crowd: Crowd, seconds: number): Promise<Rest> {
  const pid = (): number => host.agentPids()[0] ?? 0;
  await sleep(5000); // what the last stop left to do
  const residentMb = statusMb(pid(), "VmRSS");
  const before = cpuMs(pid());
  await sleep(seconds * 1000);
  const cpuPercent = (cpuMs(pid()) - before) / (seconds * 10);
  await host.stopAgent();
  await crowd.startAgent();
  await sleep(5000);
  return { residentMb, residentAnewMb: statusMb(pid(), "VmRSS"), fileMb: statusMb(pid(), "RssFile"), cpuPercent };
}

/** proc_pid_status(5). */
function statusMb(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return (Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(text)?.[1]) * 1024) / 1e6;
}

/** proc_pid_stat(5): utime and stime of all threads, in ticks of 10 ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
