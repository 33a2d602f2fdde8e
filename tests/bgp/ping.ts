/** A stream of pings, a thousand a second, and what became of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Machine } from "./fabric.ts";

export interface PingResult {
  readonly sent: number;
  readonly received: number;
}

export class PingStream {
  readonly #child;
  readonly #end;
  #output = "";

  constructor(from: Machine, to: string, source?: string) {
    const [file, ...args] = [
      ...from.within,
      "ping",
      "-n",
      "-q",
      "-i",
      "0.001",
      "-W",
      "2",
      ...(source === undefined ? [] : ["-I", source]),
      to,
    ];
    this.#child = spawn(file, args, { stdio: ["ignore", "pipe", "ignore"] });
    this.#child.stdout.on("data", (piece: Buffer) => void (this.#output += piece.toString()));
    this.#end = once(this.#child, "close");
  }

  async stop(): Promise<PingResult> {
    this.#child.kill("SIGINT");
    await this.#end;
    const [, sent = "0", received = "0"] = /(\d+) packets transmitted, (\d+) received/.exec(this.#output) ?? [];
    return { sent: Number(sent), received: Number(received) };
  }
}
