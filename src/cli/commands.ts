/**
 * The commands, in the order of `manx --help`. Only the one that is typed is loaded: a command that shows a list should not
 * wait for the code that runs a laboratory.
 */
import type { Define } from "./cli.ts";

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly load: () => Promise<{ readonly define: Define }>;
}

const LOOK = "Look:";
const CHANGE = "Change:";
const HOST = "This host:";
const TRY = "Try out:";
const MORE = "More:";

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "ls",
    summary: "containers, their addresses, and who can reach them",
    group: LOOK,
    load: () => import("./commands/ls.ts"),
  },
  {
    name: "status",
    summary: "whether all parts are well, and what to do where not",
    group: LOOK,
    load: () => import("./commands/status.ts"),
  },
  {
    name: "network",
    summary: "networks of the driver manx: ls, inspect",
    group: LOOK,
    load: () => import("./commands/network.ts"),
  },
  {
    name: "pool",
    summary: "address pools: ls, add, rm",
    group: CHANGE,
    load: () => import("./commands/pool.ts"),
  },
  {
    name: "doctor",
    summary: "check this host, say what is wrong and what to do, repair",
    group: HOST,
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "agent",
    summary: "run the agent in the foreground, as the system's service does",
    group: HOST,
    load: () => import("./commands/agent.ts"),
  },
  {
    name: "lab",
    summary: "several hosts on this machine, to try out: up, exec, ls, down",
    group: TRY,
    load: () => import("./commands/lab.ts"),
  },
  {
    name: "version",
    summary: "versions of this command, the agent, Docker, the kernel",
    group: MORE,
    load: () => import("./commands/version.ts"),
  },
  {
    name: "completion",
    summary: "tab completion for bash, zsh or fish",
    group: MORE,
    load: () => import("./commands/completion.ts"),
  },
  {
    name: "help",
    summary: "help for a command, or: exit-codes, selector",
    group: MORE,
    load: () => import("./commands/help.ts"),
  },
];
