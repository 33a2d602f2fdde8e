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
const POLICY = "Policy in one line:";
const FILES = "Resources, from and to files:";
const WRITE = "Write policies, without an agent:";
const HOST = "This host:";
const CLUSTER = "Several hosts:";
const MORE = "More:";

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "ls",
    summary: "containers, their addresses, and who can reach them",
    group: LOOK,
    load: () => import("./commands/ls.ts"),
  },
  {
    name: "why",
    summary: "why A can reach B or not: the rule that decides",
    group: LOOK,
    load: () => import("./commands/why.ts"),
  },
  {
    name: "flows",
    summary: "who talks to whom, and which rule lets them",
    group: LOOK,
    load: async () => ({ define: (await import("./commands/flows.ts")).flows }),
  },
  {
    name: "drops",
    summary: "what was dropped, and the rule that did it",
    group: LOOK,
    load: async () => ({ define: (await import("./commands/flows.ts")).drops }),
  },
  {
    name: "top",
    summary: "who sends and receives most, now",
    group: LOOK,
    load: () => import("./commands/top.ts"),
  },
  {
    name: "suggest",
    summary: "the smallest policy that allows what was seen",
    group: LOOK,
    load: () => import("./commands/suggest.ts"),
  },
  {
    name: "status",
    summary: "whether all parts are well, and what to do where not",
    group: LOOK,
    load: () => import("./commands/status.ts"),
  },
  {
    name: "ui",
    summary: "the link to the dashboard: a live map, policies, routes, addresses, health",
    group: LOOK,
    load: () => import("./commands/ui.ts"),
  },
  {
    name: "network",
    summary: "networks of the driver manx: ls, inspect",
    group: LOOK,
    load: () => import("./commands/network.ts"),
  },
  {
    name: "pool",
    summary: "address pools: ls, add, set, rm",
    group: LOOK,
    load: () => import("./commands/pool.ts"),
  },
  {
    name: "node",
    summary: "hosts of the cluster: ls, show, rm",
    group: LOOK,
    load: () => import("./commands/node.ts"),
  },
  {
    name: "ipam",
    summary: "who has which addresses: show, check, explain, release",
    group: LOOK,
    load: () => import("./commands/ipam.ts"),
  },
  {
    name: "bgp",
    summary: "routers and other hosts: status, routes, diff, add, rm, config, reset",
    group: LOOK,
    load: () => import("./commands/bgp.ts"),
  },
  {
    name: "lan",
    summary: "containers on the LAN by their own address, without BGP: enable, status, disable",
    group: LOOK,
    load: () => import("./commands/lan.ts"),
  },
  {
    name: "service",
    summary: "one address for several containers: ls, add, rm, drain, undrain, guard",
    group: LOOK,
    load: () => import("./commands/service.ts"),
  },
  {
    name: "allow",
    summary: "let A reach B, on these ports",
    group: POLICY,
    load: async () => ({ define: (await import("./commands/presets.ts")).allow }),
  },
  {
    name: "deny",
    summary: "keep A from B",
    group: POLICY,
    load: async () => ({ define: (await import("./commands/presets.ts")).deny }),
  },
  {
    name: "isolate",
    summary: "nothing in, nothing out, but for what is allowed by name",
    group: POLICY,
    load: async () => ({ define: (await import("./commands/presets.ts")).isolate }),
  },
  {
    name: "egress",
    summary: "where a container may go: none, internet, dns, all",
    group: POLICY,
    load: async () => ({ define: (await import("./commands/presets.ts")).egress }),
  },
  {
    name: "get",
    summary: "resources, to read or to apply again",
    group: FILES,
    load: () => import("./commands/get.ts"),
  },
  {
    name: "apply",
    summary: "make or change what files say, all or nothing",
    group: FILES,
    load: async () => ({ define: (await import("./commands/apply.ts")).apply }),
  },
  {
    name: "diff",
    summary: "what apply would change, and for whom",
    group: FILES,
    load: () => import("./commands/diff.ts"),
  },
  {
    name: "confirm",
    summary: "keep a change that is undone otherwise",
    group: FILES,
    load: () => import("./commands/confirm.ts"),
  },
  {
    name: "create",
    summary: "as apply, but refuse what exists",
    group: FILES,
    load: async () => ({ define: (await import("./commands/apply.ts")).create }),
  },
  {
    name: "replace",
    summary: "as apply, but refuse what does not exist",
    group: FILES,
    load: async () => ({ define: (await import("./commands/apply.ts")).replace }),
  },
  {
    name: "delete",
    summary: "remove resources",
    group: FILES,
    load: () => import("./commands/delete.ts"),
  },
  {
    name: "patch",
    summary: "change a part of a resource",
    group: FILES,
    load: async () => ({ define: (await import("./commands/edit.ts")).patch }),
  },
  {
    name: "label",
    summary: "set and remove labels of a resource",
    group: FILES,
    load: async () => ({ define: (await import("./commands/edit.ts")).label }),
  },
  {
    name: "explain",
    summary: "kinds and their fields, and schemas for editors",
    group: WRITE,
    load: () => import("./commands/explain.ts"),
  },
  {
    name: "validate",
    summary: "whether files are good, with line and column of what is not",
    group: WRITE,
    load: () => import("./commands/validate.ts"),
  },
  {
    name: "test",
    summary: "whether policies do what a team expects of them, for its CI",
    group: WRITE,
    load: () => import("./commands/test.ts"),
  },
  {
    name: "selector",
    summary: "what a selector matches",
    group: WRITE,
    load: () => import("./commands/selector.ts"),
  },
  {
    name: "up",
    summary: "go from one host to several: onto an etcd, or start one here",
    group: CLUSTER,
    load: () => import("./commands/up.ts"),
  },
  {
    name: "token",
    summary: "what lets other hosts in: create, ls, rm",
    group: CLUSTER,
    load: () => import("./commands/token.ts"),
  },
  {
    name: "join",
    summary: "bring this host into a cluster",
    group: CLUSTER,
    load: () => import("./commands/join.ts"),
  },
  {
    name: "migrate",
    summary: "copy this host's own store to etcd while containers run",
    group: CLUSTER,
    load: () => import("./commands/migrate.ts"),
  },
  {
    name: "doctor",
    summary: "check this host, say what is wrong and what to do, repair",
    group: HOST,
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "diags",
    summary: "pack what a report of a trouble needs, without secrets",
    group: HOST,
    load: () => import("./commands/diags.ts"),
  },
  {
    name: "agent",
    summary: "run the agent in the foreground, as the system's service does",
    group: HOST,
    load: () => import("./commands/agent.ts"),
  },
  {
    name: "uninstall",
    summary: "take Manx off this host, and prove that the host is as it was",
    group: HOST,
    load: () => import("./commands/uninstall.ts"),
  },
  {
    name: "lab",
    summary: "several hosts on this machine, to try out: up, exec, ls, down",
    group: MORE,
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
    summary: "help for a command, or: exit-codes",
    group: MORE,
    load: () => import("./commands/help.ts"),
  },
];
