/** A live connection between containers, and how many of its packets came back. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../src/lab/host.ts";

const PROGRAM = join(import.meta.dirname, "flow-program.ts");
/** Milliseconds after which a packet that is under way has come back, and in which a live flow moves on. */
const SETTLED = 400;

export interface Counts {
  readonly sent: number;
  readonly received: number;
}

export class Flow implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  private constructor(name: string, child: ChildProcess, lines: Interface) {
    this.name = name;
    this.#child = child;
    this.#lines = lines;
  }

  /** `pid`: a process in the container, by the machine's numbers; absent: the machine itself. */
  static async start(machine: Machine, pid: number | undefined, ...args: readonly string[]): Promise<Flow> {
    const inside = pid === undefined ? [] : ["nsenter", "-t", String(pid), "-n"];
    const [file = "", ...rest] = machine.commandLine([...inside, process.execPath, PROGRAM, ...args]);
    const child = spawn(file, rest, { stdio: ["pipe", "pipe", "inherit"] });
    const flow = new Flow(args.join(" "), child, createInterface(child.stdout));
    await flow.#next();
    return flow;
  }

  async #next(): Promise<Counts> {
    const [line] = (await once(this.#lines, "line", { signal: AbortSignal.timeout(60_000) })) as [string];
    return JSON.parse(line) as Counts;
  }

  async counts(): Promise<Counts> {
    const answer = this.#next();
    this.#child.stdin?.write("\n");
    return await answer;
  }

  /** Nothing comes back any more. */
  async expectCut(): Promise<void> {
    await sleep(50); // what was under way
    const before = await this.counts();
    await sleep(SETTLED);
    const after = await this.counts();
    assert.equal(after.received, before.received, `${this.name} is not cut`);
    assert.ok(after.sent > before.sent, `${this.name} did not try`);
  }

  /** It moves on, and nothing that was sent until a moment ago is missing. */
  async expectWhole(): Promise<void> {
    let before = await this.counts();
    for (const end = Date.now() + 5000; before.sent === 0 && Date.now() < end; before = await this.counts())
      await sleep(20);
    await sleep(SETTLED);
    const after = await this.counts();
    assert.ok(before.sent > 0 && after.sent > before.sent, `${this.name} does not send`);
    assert.ok(
      after.received >= before.sent,
      `${this.name} lost ${before.sent - after.received} packets or stands still`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
  }
}
