/**
 * `manx uninstall`: takes Manx off this host, then compares the host with the snapshot that ./quickstart took and names every
 * difference and who made it. Each step may be repeated; a run that was cut short is finished by the next.
 */
import { existsSync } from "node:fs";
import { readdir, readlink, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { openLocalState } from "../agent/local-state.ts";
import { SysctlOriginals } from "../agent/sysctl-originals.ts";
import { retireBird } from "../drivers/bird/daemon.ts";
import { run } from "../drivers/exec.ts";
import { kill, pidNamespace, processesIn, waitGone } from "../drivers/system/processes.ts";
import { type AttachedNetwork, type DockerState, detach, dockerState } from "./attached.ts";
import { hasEtcd, removeEtcd } from "./cluster/etcd-service.ts";
import { DAEMON_FILE, RECORD_FILE, unsetOurDns } from "./docker-dns.ts";
import { giveBackSettings, removeFromKernel } from "./kernel-traces.ts";
import { readInstallation } from "./record.ts";
import { API_SOCKET, hasSystemd, LINK, LOG_FOLDER, PLUGIN_SOCKET, stopAgent, UNIT_FILE } from "./service.ts";
import { compareSnapshots, type Difference, loadSnapshot, takeSnapshot } from "./snapshot.ts";
import { GATE_NAME, GATE_SOCKET, hasGate, setGate } from "./stop-gate.ts";

const STATE_FOLDER = "/var/lib/manx";
const STATE_FILE = `${STATE_FOLDER}/manx.db`;
const CACHE_FOLDER = "/var/cache/manx";

export interface UninstallPlan {
  readonly docker: DockerState;
  /** Containers that run on Manx networks: they lose them. */
  readonly attached: readonly string[];
  readonly steps: readonly Step[];
}

export interface Step {
  readonly title: string;
  readonly details: readonly string[];
  readonly apply: (progress: (text: string) => void) => Promise<void>;
}

export interface UninstallReport {
  /** Undefined: there was no snapshot to compare with. */
  readonly differences: readonly Difference[] | undefined;
  /** Kernel settings that were left as Docker needs them. */
  readonly kept: readonly string[];
  /** Debian packages that ./quickstart installed; they stay. */
  readonly packages: readonly string[];
}

export interface UninstallOptions {
  /** Keep networks, addresses and policies for a later installation. */
  readonly keepState?: boolean;
}

/** What would be done. Changes nothing. */
export async function planUninstall(options: UninstallOptions = {}): Promise<UninstallPlan> {
  const docker = await dockerState();
  const attached = [...new Set(docker.networks.flatMap(({ containers }) => containers))].sort();
  const all: (Step | undefined)[] = [
    networks(docker.networks),
    names(),
    await gate(),
    agent(),
    etcd(),
    kernel(),
    settings(docker),
    files(options),
  ];
  return { docker, attached, steps: all.filter((step) => step !== undefined) };
}

/** Runs after the steps of the plan, which it must be given all of. */
export async function uninstall(
  { docker, steps }: UninstallPlan,
  onStep: (step: Step, index: number) => Promise<void>,
): Promise<UninstallReport> {
  // Read before the state goes.
  const before = await loadSnapshot();
  const { packages } = await readInstallation();
  for (const [index, step] of steps.entries()) await onStep(step, index);
  const differences =
    before === undefined
      ? undefined
      : compareSnapshots(before, await takeSnapshot(), { docker: docker.running, packages });
  const kept = docker.running ? (differences ?? []).filter(isForwarding).map(({ what }) => what) : [];
  return { differences, kept, packages };
}

function isForwarding({ what }: Difference): boolean {
  return what === "sysctl net/ipv4/ip_forward" || what === "sysctl net/ipv6/conf/all/forwarding";
}

function networks(found: readonly AttachedNetwork[]): Step | undefined {
  if (found.length === 0) return undefined;
  const details = found.flatMap(({ name, containers }) => [
    ...containers.map((container) => `docker network disconnect -f ${name} ${container}`),
    `docker network rm ${name}`,
  ]);
  return { title: "Remove Docker's Manx networks", details, apply: (progress) => detach(found, progress) };
}

function names(): Step | undefined {
  if (!existsSync(RECORD_FILE)) return undefined;
  return {
    title: "Have Docker ask its own resolvers again",
    details: [`give ${DAEMON_FILE} back as it was; Docker reads it when it next starts`],
    apply: async () => void (await unsetOurDns()),
  };
}

/** Before the agent ends: Docker refuses everything while it asks for us and nobody answers. */
async function gate(): Promise<Step | undefined> {
  if (!(await hasGate().catch(() => false))) return undefined;
  return {
    title: "Have Docker stop containers without asking",
    details: [`remove "${GATE_NAME}" from authorization-plugins in ${DAEMON_FILE}; Docker reads it again at once`],
    apply: async () => void (await setGate(false)),
  };
}

function agent(): Step {
  const unit = hasSystemd() ? ["systemctl disable --now manx.service", `remove ${UNIT_FILE}`] : [];
  return {
    title: "Stop the agent",
    details: [...unit, "end the agent, its supervisor and its BIRD"],
    apply: async () => {
      await stopAgent();
      if (hasSystemd() && existsSync(UNIT_FILE)) {
        await run(["systemctl", "disable", "--quiet", "manx.service"]);
        await rm(UNIT_FILE, { force: true });
        await run(["systemctl", "daemon-reload"]);
      }
      await retireBird(join(dirname(API_SOCKET), "bird")).catch(() => {}); // what does not answer is ended below
      const birds = processesIn(pidNamespace("self")).filter(({ argv }) => isOurBird(argv));
      for (const { pid } of birds) kill(pid, "SIGTERM");
      await waitGone(birds.map(({ pid }) => pid));
    },
  };
}

function etcd(): Step | undefined {
  if (!hasEtcd()) return undefined;
  return {
    title: "Stop this host's etcd",
    details: ["stop and remove manx-etcd; the other members go on, if they are a majority without it"],
    apply: removeEtcd,
  };
}

/** A BIRD that runs with a configuration of ours; the host's own has another. */
function isOurBird(argv: readonly string[]): boolean {
  return basename(argv[0] ?? "") === "bird" && argv.some((part) => part.includes("/manx/"));
}

function kernel(): Step {
  return {
    title: "Remove interfaces, routes and rules",
    details: [
      "delete routes and next hops with protocol 109, interfaces manx*, addresses 169.254.1.N/32 on lo",
      'delete rules with the comment "manx" from DOCKER-USER and FORWARD',
      "delete table inet manx",
    ],
    apply: () => removeFromKernel(AbortSignal.timeout(60_000)),
  };
}

function settings(docker: DockerState): Step | undefined {
  if (!existsSync(STATE_FILE)) return undefined;
  return {
    title: "Give kernel settings their old values",
    details: ["sysctl -w, for each setting that Manx changed; what Docker relies on stays"],
    apply: async (progress) => {
      using state = openLocalState(STATE_FILE);
      for (const path of await giveBackSettings(new SysctlOriginals(state), docker)) {
        progress(`${path} stays on: Docker relies on it. FORWARD is closed instead, as Docker would have done`);
      }
    },
  };
}

function files({ keepState = false }: UninstallOptions): Step {
  const folders = ["/run/manx", LOG_FOLDER, CACHE_FOLDER, ...(keepState ? [] : [STATE_FOLDER, "/etc/manx"])];
  return {
    title: keepState ? "Remove files, but not the state" : "Remove files and the state",
    details: [LINK, PLUGIN_SOCKET, GATE_SOCKET, API_SOCKET, ...folders].map((path) => `remove ${path}`),
    apply: async () => {
      const target = await readlink(LINK).catch(() => "");
      if (target.endsWith("/bin/manx")) await rm(LINK, { force: true });
      await rm(PLUGIN_SOCKET, { force: true });
      await rm(GATE_SOCKET, { force: true });
      for (const folder of folders) await removeFolder(folder);
    },
  };
}

/** Where something is mounted on the folder, it stays, empty. */
async function removeFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  // A process that is just ending may still write into its cache of compiled code.
  const whole = { recursive: true, force: true, maxRetries: 10 };
  for (const name of names) await rm(join(folder, name), whole);
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" && error.code !== "EBUSY") throw error;
  });
}
