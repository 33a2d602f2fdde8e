/**
 * The real BIRD. It is no child of the agent: it puts itself into the background and outlives the agent's crash, stop and upgrade, so that
 * nothing is withdrawn by them. A fresh agent finds it by its control socket, in a folder that only root can enter:
 *
 *     bird.conf   what BIRD reads, always a configuration that `bird -p` has accepted (passwords are in it)
 *     bird.ctl    its control socket     bird.pid   its process     bird.log   what it says
 *
 * The folder is in /run, so a pid file there means that a BIRD ran since the host came up: the next one restarts gracefully (-R).
 */
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../error.ts";
import { findBinary, run } from "../exec.ts";
import type { Applied, Bird } from "./bird.ts";
import { Control, type Reply, refusal } from "./control.ts";
import { inTheWay, isBird } from "./in-the-way.ts";

export interface DaemonOptions {
  /** Folder of its own, made with mode 0700. */
  readonly folder: string;
  /** What stands before `bird` on its command line, as `ip netns exec NAME`. */
  readonly within?: readonly string[];
  /** Called when a BIRD that ran is gone. */
  readonly onDeath: () => void;
}

/** Milliseconds: a BIRD that ended within this time of its start makes the next start wait. */
const SHORT_LIFE = 30_000;
const MAX_DELAY = 30_000;
const LOG_TAIL = 65_536;
const START_MS = 10_000;
/** A configuration of thousands of sessions takes BIRD a while to read. */
const CONFIGURE_MS = 60_000;

/** Version of the BIRD that is installed, as `2.0.12`; undefined if there is none. */
export async function birdVersion(): Promise<string | undefined> {
  if (findBinary("bird") === undefined) return undefined;
  const { stdout, stderr } = await run(["bird", "--version"], { timeoutMs: 5_000 });
  return /^BIRD version (\S+)/m.exec(stdout + stderr)?.[1];
}

export class BirdDaemon implements Bird, Disposable {
  readonly #options: DaemonOptions;
  #control: Control | undefined;
  #config: string | undefined;
  #startedAt = 0;
  #failures = 0;
  #disposed = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#control?.isOpen === true;
  }

  async apply(config: string, { ports }: { readonly ports: readonly number[] }): Promise<Applied> {
    if (this.running && config === this.#config) return "unchanged";
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    await chmod(this.#options.folder, 0o700);
    await this.#place(config);
    if (await this.#connect()) return await this.#reconfigure(config);
    await this.#start(ports);
    this.#config = config;
    return "started";
  }

  async ask(command: string): Promise<Reply> {
    if (!(await this.#connect())) throw new DriverError("unavailable", "Cannot ask BIRD: it does not run");
    return await (this.#control as Control).ask(command);
  }

  async log(): Promise<string> {
    const text = await readFile(this.#path("bird.log"), "utf8").catch(() => "");
    return text.slice(-LOG_TAIL);
  }

  async stop(last: string): Promise<void> {
    if (!(await this.#connect())) return await this.#forget();
    const control = this.#control as Control;
    await this.#place(last);
    await control.ask("configure", CONFIGURE_MS).catch(() => {});
    this.#control = undefined; // its end is no death
    const pid = await this.#pid();
    await control.ask("down").catch(() => {}); // it may close the socket before it answers
    await this.#gone(pid);
    control[Symbol.dispose]();
    await this.#forget();
  }

  /** Waits until the process has ended, which is later than its pid file's end; helps if it does not. */
  async #gone(pid: number | undefined): Promise<void> {
    const end = Date.now() + START_MS;
    if (pid === undefined) return;
    while (isBird(pid)) {
      if (Date.now() > end) kill(pid);
      await sleep(20);
    }
  }

  /** No BIRD runs and none is to be restarted gracefully. */
  async #forget(): Promise<void> {
    this.#config = undefined;
    for (const name of ["bird.pid", "bird.ctl", "bird.conf"]) await rm(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#options.folder, name);
  }

  /** Only what BIRD accepts becomes its configuration. */
  async #place(config: string): Promise<void> {
    const binary = findBinary("bird");
    if (binary === undefined)
      throw new DriverError(
        "not-found",
        "Cannot speak BGP: BIRD is not installed (Debian and Ubuntu: apt install bird2)",
      );
    const candidate = this.#path("bird.conf.new");
    await rm(candidate, { force: true }); // its mode counts only where the file is made
    await writeFile(candidate, config, { mode: 0o600, flag: "wx" });
    const { code, stdout, stderr } = await run([binary, "-p", "-c", candidate], { timeoutMs: CONFIGURE_MS });
    if (code !== 0) {
      const said = (stderr.trim() || stdout.trim())
        .replace(/^bird: /, "")
        .replaceAll(candidate, "bird.conf")
        .slice(0, 500);
      throw new DriverError("invalid", `Cannot use the BGP configuration: BIRD says ${said}`);
    }
    await rename(candidate, this.#path("bird.conf"));
  }

  async #reconfigure(config: string): Promise<Applied> {
    const refused = refusal(await (this.#control as Control).ask("configure", CONFIGURE_MS));
    if (refused !== undefined)
      throw new DriverError("invalid", `Cannot use the BGP configuration: BIRD says ${refused.slice(0, 500)}`);
    this.#config = config;
    return "reconfigured";
  }

  async #start(ports: readonly number[]): Promise<void> {
    const late = await this.#pid();
    if (late !== undefined) kill(late); // it runs and does not answer: nobody can tell it anything any more
    const obstacle = inTheWay(ports, late);
    if (obstacle !== undefined) throw new DriverError("busy", `Cannot start BIRD: ${obstacle}`);
    await this.#pause();
    const graceful = await readFile(this.#path("bird.pid"), "utf8").then(
      () => true,
      () => false,
    );
    await rm(this.#path("bird.ctl"), { force: true });
    this.#startedAt = Date.now();
    const { within = [] } = this.#options;
    const files = ["-c", this.#path("bird.conf"), "-s", this.#path("bird.ctl"), "-P", this.#path("bird.pid")];
    const { code, stdout, stderr } = await run([...within, "bird", ...files, ...(graceful ? ["-R"] : [])], {
      timeoutMs: START_MS,
    });
    if (code !== 0)
      throw new DriverError("failed", `Cannot start BIRD: ${(stderr.trim() || stdout.trim()).slice(0, 500)}`);
    for (const end = Date.now() + START_MS; !(await this.#connect()); await sleep(10))
      if (Date.now() > end) throw new DriverError("timeout", "Cannot start BIRD: its control socket does not open");
  }

  /** The first restart comes at once; a BIRD that keeps dying is started ever more rarely. */
  async #pause(): Promise<void> {
    if (this.#startedAt === 0) return;
    this.#failures = Date.now() - this.#startedAt < SHORT_LIFE ? this.#failures + 1 : 0;
    if (this.#failures > 1) await sleep(Math.min(100 * 2 ** this.#failures, MAX_DELAY), undefined, { ref: false });
  }

  async #connect(): Promise<boolean> {
    if (this.running) return true;
    const control = await Control.open(this.#path("bird.ctl")).catch(() => undefined);
    if (control === undefined) return false;
    this.#control = control;
    void control.closed.then(() => {
      if (this.#control !== control || this.#disposed) return;
      this.#control = undefined;
      this.#options.onDeath();
    });
    return true;
  }

  /** The process of the pid file, if it still is BIRD with our socket. */
  async #pid(): Promise<number | undefined> {
    const pid = Number(await readFile(this.#path("bird.pid"), "utf8").catch(() => ""));
    return Number.isInteger(pid) && pid > 1 && (await this.#isOurs(pid)) ? pid : undefined;
  }

  async #isOurs(pid: number): Promise<boolean> {
    if (!isBird(pid)) return false;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return command.split("\0").includes(this.#path("bird.ctl"));
  }

  /** Lets go of BIRD, which runs on. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#control?.[Symbol.dispose]();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone meanwhile
  }
}

/** Ends the BIRD of the folder, if one runs, and takes what it learned out of the kernel: for an agent that is gone for good. */
export async function retireBird(folder: string): Promise<void> {
  const config = await readFile(join(folder, "bird.conf"), "utf8").catch(() => undefined);
  if (config === undefined) return;
  using bird = new BirdDaemon({ folder, onDeath: () => {} });
  await bird.stop(config.replaceAll(/^ *persist;\n/gm, ""));
}
