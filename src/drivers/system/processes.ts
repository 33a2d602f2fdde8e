/** Processes as /proc shows them (proc(5)). */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../error.ts";

export interface Process {
  /** As seen from here. */
  readonly pid: number;
  /** Never empty: kernel threads and zombies have none and are left out. */
  readonly argv: readonly string[];
}

/** All of them, those in other namespaces below ours included. */
export function processes(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), argv: commandLine(Number(name)) }))
    .filter(({ argv }) => argv.length > 0);
}

/** Those that share this PID namespace (`pidNamespace`), so without containers. */
export function processesIn(namespace: string | undefined): Process[] {
  return processes().filter(({ pid }) => pidNamespace(pid) === namespace);
}

/** Those that a process has started and that it may wait for (proc_pid_task(5)); all processes, where the kernel does not tell. */
export function childrenOf(parent: number): Process[] {
  if (!existsSync(`/proc/self/task/${process.pid}/children`)) return processes();
  const pids = readProc(parent, `task/${parent}/children`).split(" ").filter(Boolean).map(Number);
  return pids.map((pid) => ({ pid, argv: commandLine(pid) })).filter(({ argv }) => argv.length > 0);
}

function commandLine(pid: number): string[] {
  return readProc(pid, "cmdline").split("\0").slice(0, -1);
}

/** Identity of a process's PID namespace, as `pid:[4026531836]`; undefined when the process is gone. */
export function pidNamespace(pid: number | "self"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** A zombie is dead: it only waits for its parent to look. */
export function isAlive(pid: number): boolean {
  const state = /^State:\s*(\S)/m.exec(readProc(pid, "status"))?.[1];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Sends a signal; false if there is no such process any more. */
export function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** @throws DriverError `timeout` */
export async function waitGone(pids: readonly number[], timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (pids.some(isAlive)) {
    if (Date.now() > end) throw new DriverError("timeout", `Cannot end process ${pids.filter(isAlive).join(", ")}`);
    await sleep(10);
  }
}

/** A file of /proc/PID; empty when the process is gone. */
export function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
