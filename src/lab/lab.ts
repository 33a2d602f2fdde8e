/**
 * Hosts out of namespaces, for trying several hosts on one machine and for the tests: each with a root file system, a Docker
 * engine and a Manx agent of its own, on one wire with a router, a machine on the LAN and one on the "internet".
 *
 * A lab leaves nothing outside its folder, its processes and its control groups, and all three are found by its name: `down`
 * works after a crash half way through `up`, after kill -9 of anything, and twice.
 */
import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { mkdir, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../drivers/error.ts";
import { mustRun, run } from "../drivers/exec.ts";
import { importBox } from "../install/box-image.ts";
import { makeCluster } from "./cluster.ts";
import { type Engine, type EngineName, findEngine } from "./engines.ts";
import { endHolder, enter, findHolders, type Holder, startHolder } from "./holder.ts";
import { type AgentOptions, type EngineOptions, Host, Machine } from "./host.ts";
import { makeRoot } from "./root.ts";
import { type Addresses, hostAddresses, INTERNET, LAN, layWire, MAX_HOSTS, plugIn, ROUTER, routeVia } from "./wire.ts";

export interface LabOptions {
  /** Letters, digits and `-`, at most 32; default `lab`. */
  readonly name?: string;
  /** Default 2. */
  readonly hosts?: number;
  readonly engine?: EngineName;
  /** Undefined: a plain engine; false: none is started. */
  readonly docker?: EngineOptions | false;
  readonly agent?: AgentOptions | false;
  /** `etcd`: the hosts become one cluster, with etcd on the first three; default: each is alone. */
  readonly store?: "sqlite" | "etcd";
  readonly progress?: (line: string) => void;
}

/** What a later process must know and cannot see. */
interface LabFile {
  readonly engine: EngineName;
  readonly hosts: number;
}

const FOLDER = "/var/lib/manx-lab";
const SOURCE = join(import.meta.dirname, "../..");
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/;
const OUTSIDE: Readonly<Record<string, Addresses>> = { router: ROUTER, lan: LAN, internet: INTERNET };

export class Lab implements AsyncDisposable {
  readonly name: string;
  readonly hosts: readonly Host[];
  readonly router: Machine;
  /** A machine on the same wire as the hosts, without Docker. */
  readonly lan: Machine;
  /** A machine behind the router. */
  readonly internet: Machine;

  constructor(name: string, hosts: readonly Host[], [router, lan, internet]: readonly [Machine, Machine, Machine]) {
    this.name = name;
    this.hosts = hosts;
    this.router = router;
    this.lan = lan;
    this.internet = internet;
  }

  /** A host (`h1`), or `router`, `lan`, `internet`. */
  machine(name: string): Machine {
    const all = [...this.hosts, this.router, this.lan, this.internet];
    const found = all.find((machine) => machine.name === name);
    if (found !== undefined) return found;
    const names = all.map((machine) => machine.name).join(", ");
    throw new DriverError("not-found", `Cannot find machine "${name}" in lab "${this.name}": it has ${names}`);
  }

  /** The host with this number, from 1. */
  host(number: number): Host {
    const host = this.hosts[number - 1];
    if (host === undefined)
      throw new DriverError("not-found", `Cannot find host ${number}: the lab has ${this.hosts.length}`);
    return host;
  }

  /** Tells router and LAN that a prefix is behind a host, as a routing protocol would; undefined takes it back. */
  route(prefix: string, via: Host | undefined): Promise<void> {
    return routeVia([this.router.holder, this.lan.holder], prefix, via?.addresses);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await down(this.name);
  }
}

/** Starts a lab. A start that fails is taken down again. */
export async function up(options: LabOptions = {}): Promise<Lab> {
  const { name = "lab", hosts = 2, engine: engineName = "installed", progress = () => {} } = options;
  checkOptions(name, hosts);
  const engine = await findEngine(engineName, progress);
  const folder = join(FOLDER, name);
  await claim(name, folder);
  try {
    const file: LabFile = { engine: engineName, hosts };
    await writeFile(join(folder, "lab.json"), JSON.stringify(file));
    return await build(name, hosts, engine, options, progress);
  } catch (error) {
    await down(name);
    throw error;
  }
}

async function claim(name: string, folder: string): Promise<void> {
  try {
    await mkdir(FOLDER, { recursive: true });
    await mkdir(folder);
  } catch (error) {
    // The last of the other labs ended just now and took the folder of all along.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return claim(name, folder);
    throw new DriverError(
      "exists",
      `Cannot start lab "${name}": it is there already. End it: manx lab down --name ${name}`,
    );
  }
}

function checkOptions(name: string, hosts: number): void {
  if (!NAME.test(name)) {
    throw new DriverError("invalid", `Cannot start lab "${name}": a name is 1-32 letters, digits and "-" inside`);
  }
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > MAX_HOSTS) {
    throw new DriverError("invalid", `Cannot start a lab of ${hosts} hosts: it can have 1 to ${MAX_HOSTS}`);
  }
  if (process.getuid?.() !== 0)
    throw new DriverError("denied", `Cannot start lab "${name}": only root may make namespaces`);
}

async function build(
  name: string,
  count: number,
  engine: Engine,
  options: LabOptions,
  progress: (line: string) => void,
): Promise<Lab> {
  progress(`${name}: router, LAN and internet`);
  const outside = Object.entries(OUTSIDE).map(async ([machine, addresses]) => {
    const holder = await startHolder(name, machine);
    await mustRun(enter(holder, ["mount", "-t", "proc", "proc", "/proc"]));
    return new Machine(holder, addresses);
  });
  const [router, lan, internet] = (await Promise.all(outside)) as [Machine, Machine, Machine];
  await layWire(router.holder, internet.holder);
  await plugIn(router.holder, lan.holder, LAN);
  const hosts: Host[] = [];
  for (let index = 1; index <= count; index++) {
    progress(`${name}: h${index}`);
    hosts.push(await buildHost(name, index, engine, router.holder));
  }
  const lab = new Lab(name, hosts, [router, lan, internet]);
  const { docker, agent } = options;
  const engines = async (): Promise<void> => {
    if (docker !== false) await startEngines(lab, engine, docker, progress);
  };
  // A cluster's hosts have Docker ask the agent for names of other hosts' containers: dockerd reads that when it starts.
  const cluster = options.store === "etcd";
  if (!cluster) await engines();
  if (agent !== false) await startAgents(lab, agent, progress);
  if (!cluster) return lab;
  await makeCluster(lab, progress);
  await engines();
  return lab;
}

async function buildHost(lab: string, index: number, engine: Engine, router: Holder): Promise<Host> {
  const name = `h${index}`;
  const folder = join(FOLDER, lab, name);
  await mkdir(folder, { recursive: true });
  const holder = await startHolder(lab, name);
  await makeRoot(holder, { folder, source: SOURCE });
  await plugIn(router, holder, hostAddresses(index));
  return new Host(holder, hostAddresses(index), engine, folder, SOURCE);
}

async function startEngines(
  lab: Lab,
  engine: Engine,
  options: EngineOptions | undefined,
  progress: (line: string) => void,
): Promise<void> {
  progress(`${lab.name}: Docker ${engine.version}`);
  await Promise.all(
    lab.hosts.map(async (host) => {
      await host.startEngine(options);
      await importBox(host.commandLine(["docker"]), ["busybox", "manx/box"]);
    }),
  );
}

async function startAgents(
  lab: Lab,
  options: AgentOptions | undefined,
  progress: (line: string) => void,
): Promise<void> {
  progress(`${lab.name}: agents`);
  await Promise.all(lab.hosts.map((host) => host.startAgent(options)));
}

/** Finds a lab that runs. */
export async function find(name = "lab"): Promise<Lab> {
  const file = await readLabFile(name);
  if (file === undefined)
    throw new DriverError("not-found", `Cannot find lab "${name}": start it with manx lab up --name ${name}`);
  const engine = await findEngine(file.engine, () => {});
  const holders = new Map(findHolders(name).map((holder) => [holder.name, holder]));
  const holder = (machine: string): Holder => {
    const found = holders.get(machine);
    if (found !== undefined) return found;
    throw new DriverError(
      "not-found",
      `Cannot use lab "${name}": its ${machine} is gone. End it: manx lab down --name ${name}`,
    );
  };
  const hosts = Array.from({ length: file.hosts }, (_, index) => {
    const machine = `h${index + 1}`;
    return new Host(holder(machine), hostAddresses(index + 1), engine, join(FOLDER, name, machine), SOURCE);
  });
  const outside = (machine: string): Machine => new Machine(holder(machine), OUTSIDE[machine] ?? ROUTER);
  return new Lab(name, hosts, [outside("router"), outside("lan"), outside("internet")]);
}

async function readLabFile(name: string): Promise<LabFile | undefined> {
  try {
    return JSON.parse(await readFile(join(FOLDER, name, "lab.json"), "utf8")) as LabFile;
  } catch {
    return undefined;
  }
}

export interface LabSummary {
  readonly name: string;
  readonly engine: string;
  readonly machines: readonly {
    readonly name: string;
    readonly ipv4: string;
    readonly ipv6: string;
    /** Absent for a machine that is no Docker host. */
    readonly docker?: boolean;
    readonly agent?: boolean;
  }[];
}

/** All labs, also those that are only left-overs (they have no machines). */
export async function list(): Promise<LabSummary[]> {
  const folders = await readdir(FOLDER).catch((): string[] => []);
  const names = new Set([...folders, ...findHolders().map((holder) => holder.lab)]);
  return Promise.all([...names].sort().map(summarize));
}

async function summarize(name: string): Promise<LabSummary> {
  const lab = await find(name).catch(() => undefined);
  const file = await readLabFile(name);
  const machines = [
    ...(lab?.hosts ?? []).map((host) => ({
      name: host.name,
      ...host.addresses,
      docker: host.enginePids().length > 0,
      agent: host.agentPids().length > 0,
    })),
    ...(lab === undefined
      ? []
      : [lab.router, lab.lan, lab.internet].map((each) => ({ name: each.name, ...each.addresses }))),
  ];
  return { name, engine: file?.engine ?? "", machines };
}

/** Ends a lab and removes all it left. Returns false if there was nothing of that name. */
export async function down(name = "lab"): Promise<boolean> {
  if (!NAME.test(name)) throw new DriverError("invalid", `Cannot end lab "${name}": that is no lab's name`);
  const folder = join(FOLDER, name);
  const existed = existsSync(folder) || findHolders(name).length > 0;
  // A start that runs at the same time may add another.
  for (let holders = findHolders(name); holders.length > 0; holders = findHolders(name)) {
    await Promise.all(holders.map(endHolder));
  }
  await unmountBelow(folder);
  removeControlGroups(name);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  await rmdir(FOLDER).catch(() => {}); // other labs are in it
  return existed;
}

/** Nothing of a lab is mounted outside its namespaces, unless somebody looked into it that way. */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  for (const path of mounts.filter((mount) => mount.startsWith(`${folder}/`)).reverse())
    await run(["umount", "-l", path]);
}

/** The containers' control groups, in every hierarchy (cgroups(7)): /sys/fs/cgroup itself or each folder in it. */
function removeControlGroups(lab: string): void {
  const base = "/sys/fs/cgroup";
  for (const root of [base, ...readdirSync(base).map((name) => join(base, name))]) {
    const group = join(root, "manx-lab");
    if (!existsSync(group)) continue;
    removeGroup(join(group, lab));
    removeEmpty(group);
  }
}

/** Control groups are removed from the leaves; their files cannot be removed at all. */
function removeGroup(group: string): void {
  if (!existsSync(group)) return;
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(group, entry.name));
  }
  removeEmpty(group);
}

function removeEmpty(group: string): void {
  for (let attempt = 0; existsSync(group) && attempt < 50; attempt++) {
    try {
      rmdirSync(group);
      return;
    } catch {
      // A process that is just ending keeps it busy; another lab keeps the common one for good.
      if (readdirSync(group, { withFileTypes: true }).some((entry) => entry.isDirectory())) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}
