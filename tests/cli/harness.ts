/** The CLI against a fake agent on a socket of its own. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp } from "../../src/api/app.ts";
import { FakeAgent } from "../../src/api/fake-agent.ts";
import { serve } from "../../src/api/server.ts";
import { Cli } from "../../src/cli/cli.ts";
import { run } from "../../src/cli/run.ts";
import { Terminal } from "../../src/cli/terminal.ts";

export const MANX = join(import.meta.dirname, "../../bin/manx");

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

export interface Bench extends AsyncDisposable {
  readonly agent: FakeAgent;
  readonly socket: string;
  readonly folder: string;
  /** What `manx WORDS` prints and how it ends, without a process: `main.ts` only gives `run` the real arguments and streams. */
  manx(...words: readonly string[]): Promise<Ran>;
  /** `bin/manx WORDS` as a child process; `input` goes to its stdin. */
  manxWith(
    options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv },
    ...words: readonly string[]
  ): Promise<Ran>;
}

export async function setUp(agent = new FakeAgent()): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "manx-cli-"));
  const socket = join(folder, "manx.sock");
  const server = await serve(createApp(agent), socket);
  const own = { ...environment(), MANX_SOCKET: socket };
  const manxWith: Bench["manxWith"] = ({ input, env }, ...words) => execute(MANX, words, { ...own, ...env }, input);
  return {
    agent,
    socket,
    folder,
    manxWith,
    manx: (...words) => inProcess(words, own),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

async function inProcess(words: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  let [out, err] = ["", ""];
  const stdout = { write: (text: string) => (out += text) };
  const stderr = { write: (text: string) => (err += text) };
  const exit = await run(words, new Cli(new Terminal(stdout, stderr, env), env));
  return { exit, out, err };
}

/** What of our own environment a child may see: nothing that changes its output. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"], HOME: process.env["HOME"], LANG: "C.UTF-8" };
}

export function execute(file: string, words: readonly string[], env = environment(), input = ""): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(file, words, { env, timeout: 30_000, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === "number") resolve({ exit: code, out, err });
      else reject(error ?? new Error("no exit status"));
    });
    child.stdin?.on("error", () => {}); // a child that reads nothing may be gone already
    child.stdin?.end(input);
  });
}
