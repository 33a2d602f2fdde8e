/**
 * What the way from one container to another costs: work done per CPU second of both ends and of what the kernel does for them.
 * Both ends run on one core, so that nothing waits for a wake-up on another; cases are interleaved.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Host } from "../src/lab/host.ts";
import { median } from "./figures.ts";

export const MODES = ["udp", "bulk", "crr", "rr"] as const;
export type Mode = (typeof MODES)[number];

/** Two ends; how a command is run where each of them is. */
export interface Path {
  readonly name: string;
  readonly host: Host;
  readonly client: readonly string[];
  readonly server: readonly string[];
  readonly address: string;
}

/** Work per CPU second, by path and mode, one figure a round. */
export type Rates = ReadonlyMap<string, Readonly<Record<Mode, number[]>>>;

const PORT = "7000";
const CORE = "1";

export class Serving implements AsyncDisposable {
  readonly path: Path;
  readonly #server: ReturnType<typeof spawn>;
  readonly #program: string;
  pid = 0;

  private constructor(path: Path, program: string) {
    this.path = path;
    this.#program = program;
    const line = path.host.commandLine([...path.server, "taskset", "-c", CORE, program, "serve", PORT]);
    this.#server = spawn(line[0] ?? "", line.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  }

  static async start(path: Path, program: string): Promise<Serving> {
    const serving = new Serving(path, program);
    for await (const _ of serving.#server.stdout ?? []) break; // "ready"
    serving.pid = descendant(serving.#server.pid ?? 0);
    return serving;
  }

  /** Work that was done in a second or so, per CPU second. */
  async run(mode: Mode, seconds: number): Promise<number> {
    const { done, cpuSeconds } = await this.work(mode, seconds);
    return done / cpuSeconds;
  }

  async work(mode: Mode, seconds: number): Promise<{ readonly done: number; readonly cpuSeconds: number }> {
    const before = cpuSeconds(this.pid) + softirqSeconds();
    const { host, client, address } = this.path;
    const script = 'TIMEFORMAT="%U %S"; time "$@"';
    const args = ["taskset", "-c", CORE, this.#program, mode, address, PORT, String(seconds)];
    const { code, stdout, stderr } = await host.exec([...client, "bash", "-c", script, "bench", ...args]);
    if (code !== 0) throw new Error(`traffic ${mode} over ${this.path.name}: ${stderr}`);
    const [user = 0, system = 0] = stderr.trim().split(/\s+/).slice(-2).map(Number);
    return { done: Number(stdout), cpuSeconds: user + system + cpuSeconds(this.pid) + softirqSeconds() - before };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.kill(this.pid, "SIGKILL");
    await new Promise((resolve) => this.#server.once("close", resolve));
  }
}

/** The process that an entering command became: the last of a chain of only children. */
function descendant(pid: number): number {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return child === undefined ? pid : descendant(Number(child));
}

/** proc_pid_schedstat(5): nanoseconds on a CPU. */
function cpuSeconds(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e9;
}

let ksoftirqd: number | undefined;

/** What the kernel's thread of that core took over from the two ends. */
function softirqSeconds(): number {
  for (let pid = 2; ksoftirqd === undefined && pid < 200; pid++) {
    try {
      if (readFileSync(`/proc/${pid}/comm`, "utf8").trim() === `ksoftirqd/${CORE}`) ksoftirqd = pid;
    } catch {
      // no such process
    }
  }
  return ksoftirqd === undefined ? 0 : cpuSeconds(ksoftirqd);
}

export async function measure(
  paths: readonly Path[],
  program: string,
  rounds: number,
  seconds: number,
): Promise<Rates> {
  await using open = new AsyncDisposableStack();
  const serving: Serving[] = [];
  for (const path of paths) serving.push(open.use(await Serving.start(path, program)));
  const rates = new Map<string, Record<Mode, number[]>>(
    paths.map(({ name }) => [name, { udp: [], bulk: [], crr: [], rr: [] }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const mode of MODES) {
      for (const one of round % 2 === 0 ? serving : serving.toReversed())
        rates.get(one.path.name)?.[mode].push(await one.run(mode, seconds));
    }
    process.stderr.write(`\rdata path: round ${round + 1} of ${rounds} `);
  }
  process.stderr.write("\n");
  return rates;
}

/** Median of the ratios round by round, which noise that lasts longer than a round does not touch. */
export function ratio(rates: Rates, mode: Mode, of: string, to: string): number {
  const [a, b] = [rates.get(of)?.[mode] ?? [], rates.get(to)?.[mode] ?? []];
  return median(a.map((value, round) => value / (b[round] ?? Number.NaN)));
}
