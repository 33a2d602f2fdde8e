/** Child processes, for what has no netlink way: argument arrays only, never a shell, absolute binaries. */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { DriverError } from "./error.ts";

export interface RunOptions {
  /** Written to the child's standard input, which is then closed. Absent: the child has none (/dev/null). */
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** The child is killed after this many milliseconds; default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Called with each piece of output as it comes, for progress. */
  readonly onOutput?: (text: string) => void;
}

export interface Result {
  /** Exit status; 128 + signal number is not used: a child that a signal ended has `signal`. */
  readonly code: number;
  readonly signal?: NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a PATH without the sbin folders misses, as a user's often does. */
const SBIN = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Absolute path of a program in `path` (default: PATH, then the usual folders), or undefined. */
export function findBinary(name: string, path = process.env["PATH"] ?? ""): string | undefined {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined;
  const folders = [...path.split(delimiter).filter((folder) => isAbsolute(folder)), ...SBIN];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function requireBinary(name: string): string {
  const path = findBinary(name);
  if (path === undefined) throw new DriverError("not-found", `Cannot run "${name}": it is not installed`);
  return path;
}

/**
 * Runs a program to its end and returns its output, whatever its exit status. Its output is held in memory.
 * @throws DriverError `not-found` if there is no such program, `timeout` if it did not end in time or was aborted.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  const [name = "", ...args] = argv;
  const file = requireBinary(name);
  const limit = options.timeoutMs ?? 60_000;
  return await new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      ...(options.env === undefined ? {} : { env: { ...options.env } }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const collect = (into: Buffer[]) => (piece: Buffer) => {
      into.push(piece);
      options.onOutput?.(piece.toString());
    };
    child.stdout?.on("data", collect(out));
    child.stderr?.on("data", collect(err));
    // A child that ends before it has read its input is judged by its exit status.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input);

    let late = "";
    const stop = (why: string) => () => {
      late = why;
      child.kill("SIGKILL");
      // What the child started may hold the pipes open; nobody waits for that.
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const timer = setTimeout(stop(`it did not end within ${limit / 1000} s`), limit);
    const onAbort = stop("it was interrupted");
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (options.signal?.aborted === true) onAbort();
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
    };

    child.once("error", (cause) => {
      settle();
      reject(new DriverError("failed", `Cannot run "${name}": ${cause.message}`, cause));
    });
    child.once("close", (code, signal) => {
      settle();
      if (late !== "") return reject(new DriverError("timeout", `Cannot run "${argv.join(" ")}": ${late}`));
      const result = { code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
      return resolve(signal === null ? result : { ...result, signal });
    });
  });
}

/** Like `run`, but an exit status other than 0 is an error that carries what the program said. Returns standard output. */
export async function mustRun(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, signal, stdout, stderr } = await run(argv, options);
  if (code === 0) return stdout;
  const said = (stderr.trim() || stdout.trim()).slice(-2000);
  const end = signal === undefined ? `exit status ${code}` : `ended by ${signal}`;
  throw new DriverError("failed", `Cannot run "${argv.join(" ")}": ${said === "" ? end : said}`);
}
