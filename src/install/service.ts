/**
 * The agent as a service of this host: a systemd unit where systemd runs, else a background process with a small supervisor
 * (./supervise). Docker likewise, where it does not run yet.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CONFIG_FILE, readConfig } from "../agent/config-file.ts";
import { DriverError } from "../drivers/error.ts";
import { findBinary, mustRun } from "../drivers/exec.ts";
import { kill, pidNamespace, processesIn, waitGone } from "../drivers/system/processes.ts";

/** The clone that this file belongs to. */
export const ROOT = join(import.meta.dirname, "../..");
export const UNIT_FILE = "/etc/systemd/system/manx.service";
export const LINK = "/usr/local/bin/manx";
export const API_SOCKET = "/run/manx/manx.sock";
export const PLUGIN_SOCKET = "/run/docker/plugins/manx.sock";
export const DOCKER_SOCKET = "/var/run/docker.sock";
export const LOG_FOLDER = "/var/log/manx";
const AGENT_LOG = join(LOG_FOLDER, "agent.log");
const DOCKER_LOG = join(LOG_FOLDER, "dockerd.log");
export const SUPERVISE = join(ROOT, "src/install/supervise");

export function hasSystemd(): boolean {
  return existsSync("/run/systemd/system");
}

/**
 * Before docker.service, because Docker waits long for a driver that is not there; after those who write their firewall with
 * `flush ruleset`. KillMode=process: what the agent started for good goes on without it.
 */
export function unitText(root = ROOT): string {
  return `# Written by ${root}/quickstart; removed by manx uninstall.
[Unit]
Description=Manx, networking for containers
Documentation=file://${root}/docs
Before=docker.service
After=nftables.service ufw.service firewalld.service local-fs.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStart="${root}/bin/manx" agent
Restart=always
RestartSec=1
KillMode=process
TimeoutStartSec=120
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target docker.service
`;
}

/** Whether a command line is an agent's: Node with the CLI's main file and the word "agent". */
export function isAgent(argv: readonly string[]): boolean {
  return argv.some((part) => part.endsWith("/cli/main.ts")) && argv.includes("agent") && !isSupervisor(argv);
}

function isSupervisor(argv: readonly string[]): boolean {
  return argv.some((part) => part.endsWith("/src/install/supervise")) && argv.includes("agent");
}

/** Agents and supervisors of this host, not those of a lab on it. */
function ours(isWanted: (argv: readonly string[]) => boolean): number[] {
  return processesIn(pidNamespace("self"))
    .filter(({ argv }) => isWanted(argv))
    .map(({ pid }) => pid);
}

export const agentPids = (): number[] => ours(isAgent);
export const supervisorPids = (): number[] => ours(isSupervisor);

/** Starts the agent and waits until Docker can reach it. May be repeated. @throws DriverError also for what is wrong in agent.yaml */
export async function startAgent(): Promise<void> {
  await readConfig(CONFIG_FILE); // an agent that cannot read it ends, again and again
  if (hasSystemd()) {
    await mustRun(["systemctl", "daemon-reload"]);
    await mustRun(["systemctl", "enable", "--quiet", "manx.service"]);
    await mustRun(["systemctl", "start", "manx.service"], { timeoutMs: 150_000 });
  } else if (agentPids().length === 0) {
    await stopAgent(); // a supervisor whose agent has just ended may wait long before it tries again
    await background(["sh", SUPERVISE, AGENT_LOG, join(ROOT, "bin/manx"), "agent"], AGENT_LOG);
  }
  const log = hasSystemd() ? "journalctl -u manx" : AGENT_LOG;
  await until(`the agent does not open its sockets. Its log: ${log}`, async () => {
    return (await answers(API_SOCKET)) && (await answers(PLUGIN_SOCKET));
  });
}

/** Ends the agent; running containers keep their traffic. May be repeated. */
export async function stopAgent(): Promise<void> {
  if (hasSystemd() && existsSync(UNIT_FILE)) await mustRun(["systemctl", "stop", "manx.service"]);
  // The supervisor first, or it would start another.
  for (const pids of [supervisorPids(), agentPids()]) {
    for (const pid of pids) kill(pid, "SIGTERM");
    await waitGone(pids, 30_000);
  }
}

export async function restartAgent(): Promise<void> {
  await stopAgent();
  await startAgent();
}

/** Starts Docker and waits until it answers. May be repeated. */
export async function startDocker(): Promise<void> {
  if (await answers(DOCKER_SOCKET)) return;
  if (hasSystemd()) await mustRun(["systemctl", "start", "docker.service"], { timeoutMs: 150_000 });
  else await background(["dockerd"], DOCKER_LOG);
  const log = hasSystemd() ? "journalctl -u docker" : DOCKER_LOG;
  await until(`dockerd does not answer. Its log: ${log}`, () => answers(DOCKER_SOCKET), 90_000);
}

/** Starts something that outlives this process and its terminal, its output at the end of a log file. */
export async function background(argv: readonly string[], log: string): Promise<void> {
  const [name = "", ...args] = argv;
  const file = findBinary(name);
  if (file === undefined) throw new DriverError("not-found", `Cannot start "${name}": it is not installed`);
  await mkdir(dirname(log), { recursive: true, mode: 0o750 });
  const output = openSync(log, "a", 0o640);
  const child = spawn(file, args, { detached: true, stdio: ["ignore", output, output], cwd: "/" });
  closeSync(output);
  child.once("error", () => {}); // seen as a process that does not answer
  child.unref();
}

async function until(why: string, ready: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !(await ready()); await sleep(50)) {
    if (Date.now() > end) throw new DriverError("timeout", `Cannot go on: ${why}`);
  }
}

/** Whether anything speaks HTTP on a unix socket, whatever it says. */
export function answers(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const ask = request({ socketPath, path: "/_ping", timeout: 2000, agent: false }, (answer) => {
      answer.resume();
      answer.once("close", () => resolve(true));
    });
    ask.once("error", () => resolve(false));
    ask.once("timeout", () => ask.destroy());
    ask.end();
  });
}

/** The unit as it is on this host. */
export async function installedUnit(): Promise<string | undefined> {
  return await readFile(UNIT_FILE, "utf8").catch(() => undefined);
}
