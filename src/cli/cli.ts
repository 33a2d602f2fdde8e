/** What every command has at hand: the agent, the terminal, and how to end. */
import type { Command } from "commander";
import { type AgentClient, createClient } from "../api/client.ts";
import type { ExitCode } from "./exit-codes.ts";
import { Terminal } from "./terminal.ts";

/** Options that `agentOptions` gives a command. */
export interface AgentFlags {
  readonly socket?: string;
}

export class Cli {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The exit status, where it is not 0 and no error was thrown. */
  exit: ExitCode | undefined;
  #stop: AbortController | undefined;

  constructor(terminal: Terminal = new Terminal(), env = process.env) {
    this.terminal = terminal;
    this.env = env;
  }

  agent(flags: AgentFlags, timeout?: number): AgentClient {
    return createClient({ socket: flags.socket ?? (this.env["MANX_SOCKET"] || undefined), timeout });
  }

  /** Aborted by Ctrl-C or SIGTERM: for commands that have something to clean up. The second Ctrl-C ends them at once. */
  signal(): AbortSignal {
    if (this.#stop === undefined) {
      const stop = new AbortController();
      this.#stop = stop;
      for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
    }
    return this.#stop.signal;
  }
}

/** A command's module: adds arguments, options, examples and the action. */
export type Define = (command: Command, cli: Cli) => void;

export function agentOptions(command: Command): Command {
  return command.option("--socket <path>", "the agent's socket (default: /run/manx/manx.sock, or $MANX_SOCKET)");
}

/** Examples below the help of a command: [what to type, what it does]. */
export function examples(command: Command, lines: readonly (readonly [string, string])[]): Command {
  const column = Math.max(...lines.map(([typed]) => typed.length));
  const text = lines.map(([typed, does]) => `  ${typed.padEnd(column)}  ${does}`.trimEnd()).join("\n");
  return command.addHelpText("after", `\nExamples:\n${text}`);
}
