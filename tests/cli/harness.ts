/** The CLI as a child process, against a fake agent on a socket of its own. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp } from "../../src/api/app.ts";
import { FakeAgent } from "../../src/api/fake-agent.ts";
import { serve } from "../../src/api/server.ts";

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
  /** Runs `manx WORDS`; `input` goes to its stdin. */
  manx(...words: readonly string[]): Promise<Ran>;
  manxWith(
    options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv },
    ...words: readonly string[]
  ): Promise<Ran>;
}

export async function setUp(agent = new FakeAgent()): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "manx-cli-"));
  const socket = join(folder, "manx.sock");
  const server = await serve(createApp(agent), socket);
  const manxWith: Bench["manxWith"] = ({ input, env }, ...words) =>
    execute(MANX, words, { ...environment(), MANX_SOCKET: socket, ...env }, input);
  return {
    agent,
    socket,
    folder,
    manxWith,
    manx: (...words) => manxWith({}, ...words),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
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
