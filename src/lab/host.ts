/** One machine of a lab: run commands in it, start, stop and kill its Docker engine and its Manx agent. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../drivers/error.ts";
import { mustRun, type Result, type RunOptions, run } from "../drivers/exec.ts";
import { isAlive, kill, waitGone } from "../drivers/system/processes.ts";
import { answers, isAgent, PLUGIN_SOCKET } from "../install/service.ts";
import type { Engine } from "./engines.ts";
import { enter, type Holder, members } from "./holder.ts";
import type { Addresses } from "./wire.ts";

export interface EngineOptions {
  /** Containers outlive the engine. */
  readonly liveRestore?: boolean;
  /** Further arguments of dockerd. */
  readonly args?: readonly string[];
}

export interface AgentOptions {
  /** Further arguments of `manx agent`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `manx` itself, as an installed host has it in its PATH. */
const OWN = join(import.meta.dirname, "../../bin");
const PATH = [OWN, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/** Variables of ours that mean nothing inside. */
const FOREIGN: readonly string[] = [
  "DOCKER_HOST",
  "DOCKER_CONTEXT",
  "NOTIFY_SOCKET",
  "NODE_CHANNEL_FD",
  "NODE_TEST_CONTEXT",
];
const DOCKER_SOCKET = "/run/docker.sock";

/** A machine of the lab: a host, the router, or one outside. */
export class Machine {
  readonly name: string;
  readonly addresses: Addresses;
  readonly holder: Holder;
  protected readonly engine: Engine | undefined;

  constructor(holder: Holder, addresses: Addresses, engine?: Engine) {
    this.name = holder.name;
    this.addresses = addresses;
    this.holder = holder;
    this.engine = engine;
  }

  /** Runs a command inside to its end; its exit status is the caller's to judge. It dies with the caller. */
  exec(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run(this.#dying(argv), { ...options, env: this.#variables(options.env) });
  }

  /** Like `exec`, but a failure is an error. Returns standard output. */
  mustExec(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return mustRun(this.#dying(argv), { ...options, env: this.#variables(options.env) });
  }

  /** Runs a command inside with this process's own terminal. Returns the exit status. */
  attach(argv: readonly string[]): Promise<number> {
    // From the same folder, where there is one inside: what is typed may name files of it.
    const here = ["sh", "-c", 'cd "$0" 2>/dev/null; exec "$@"', process.cwd()];
    const [file = "", ...args] = this.commandLine([...here, ...argv]);
    return new Promise((resolve, reject) => {
      const child = spawn(file, args, { stdio: "inherit" });
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 1));
    });
  }

  /** The same file as seen from this process; sockets as well. Valid while the machine runs. */
  path(inside: string): string {
    return `/proc/${this.holder.pid}/root${inside}`;
  }

  /** Outer process numbers of what runs inside, without containers. */
  pids(isWanted: (argv: readonly string[]) => boolean): number[] {
    return members(this.holder)
      .filter(({ argv }) => isWanted(argv))
      .map(({ pid }) => pid);
  }

  /** The whole command line that runs `argv` inside; for a caller that spawns by itself. */
  commandLine(argv: readonly string[], env: RunOptions["env"] = {}): string[] {
    return this.#dying([...this.environment(env), ...argv]);
  }

  #dying(argv: readonly string[]): string[] {
    return enter(this.holder, ["setpriv", "--pdeathsig", "KILL", ...argv]);
  }

  protected environment(env: RunOptions["env"] = {}): string[] {
    const set = Object.entries(this.#own(env));
    return ["env", ...FOREIGN.flatMap((name) => ["-u", name]), ...set.map(([name, value]) => `${name}=${value}`)];
  }

  /** What `environment` does, for who can give a process its variables at once. */
  #variables(env: RunOptions["env"]): NonNullable<RunOptions["env"]> {
    const kept = Object.entries(process.env).filter(([name]) => !FOREIGN.includes(name));
    return { ...Object.fromEntries(kept), ...this.#own(env) };
  }

  #own(env: RunOptions["env"] = {}): Record<string, string> {
    const path = [...(this.engine?.folders ?? []), ...PATH].join(":");
    const given = Object.entries(env).map(([name, value]) => [name, value ?? ""]);
    return { PATH: path, HOME: "/root", ...Object.fromEntries(given) };
  }
}

/** A machine with a Docker engine and a Manx agent. */
export class Host extends Machine {
  /** The lab's folder of this host on disk: logs, and what survives a reboot. */
  readonly folder: string;
  readonly #source: string;

  constructor(holder: Holder, addresses: Addresses, engine: Engine, folder: string, source: string) {
    super(holder, addresses, engine);
    this.folder = folder;
    this.#source = source;
  }

  /** `docker ARGS` inside. Returns standard output without the last line feed. */
  async docker(...args: readonly string[]): Promise<string> {
    return (await this.mustExec(["docker", ...args], { timeoutMs: 180_000 })).replace(/\n$/, "");
  }

  /** Starts dockerd and waits until it answers. */
  async startEngine(options: EngineOptions = {}): Promise<void> {
    if (this.enginePids().length > 0)
      throw new DriverError("exists", `Cannot start dockerd on "${this.name}": it runs`);
    const args = [...(options.args ?? [])];
    if (options.liveRestore === true) args.push("--live-restore");
    const child = this.#start("dockerd", ["dockerd", ...args]);
    await this.#until("dockerd", child, () => answers(this.path(DOCKER_SOCKET)));
  }

  enginePids(): number[] {
    return this.pids(([program = ""]) => basename(program) === "dockerd");
  }

  /** Ends dockerd with a signal and waits until it is gone. Default SIGTERM, as `systemctl stop docker`. */
  stopEngine(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    return end(this.enginePids(), signal, 60_000);
  }

  /** Starts the agent and waits until Docker can reach it. */
  async startAgent(options: AgentOptions = {}): Promise<void> {
    if (this.agentPids().length > 0)
      throw new DriverError("exists", `Cannot start the agent on "${this.name}": it runs`);
    const argv = [join(this.#source, "bin/manx"), "agent", ...(options.args ?? [])];
    const child = this.#start("agent", argv, options.env);
    await this.#until("the agent", child, () => answers(this.path(PLUGIN_SOCKET)));
  }

  agentPids(): number[] {
    return this.pids(isAgent);
  }

  /** Default SIGTERM; "SIGKILL" for a crash. */
  stopAgent(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    return end(this.agentPids(), signal, 30_000);
  }

  /** What dockerd (`dockerd`) or the agent (`agent`) wrote so far. */
  log(of: "dockerd" | "agent"): Promise<string> {
    return readFile(join(this.folder, `${of}.log`), "utf8");
  }

  /** Starts something that outlives this process, its output in a log file. What is returned ends with it. */
  #start(name: string, argv: readonly string[], env: AgentOptions["env"] = {}): ChildProcess {
    const log = openSync(join(this.folder, `${name}.log`), "a");
    const [file = "", ...args] = enter(this.holder, [...this.environment(env), ...argv]);
    const child = spawn(file, args, { detached: true, stdio: ["ignore", log, log], cwd: "/" });
    child.unref();
    child.on("error", () => {}); // it never answers
    closeSync(log);
    return child;
  }

  async #until(what: string, child: ChildProcess, ready: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    for (const end = Date.now() + timeoutMs; !(await ready()); await sleep(20)) {
      const ended = child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
      if (!ended && Date.now() < end) continue;
      const log = await this.log(what === "dockerd" ? "dockerd" : "agent").catch(() => "");
      const why = ended ? "it ended" : "it does not answer";
      throw new DriverError(
        "failed",
        `Cannot start ${what} on "${this.name}": ${why}. Its last words:\n${log.slice(-2000)}`,
      );
    }
  }
}

async function end(pids: readonly number[], signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  for (const pid of pids) if (isAlive(pid)) kill(pid, signal);
  await waitGone(pids, timeoutMs);
}
