/** What this machine has already: the first step of ./quickstart, which changes nothing. */
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { findBinary, run } from "../drivers/exec.ts";
import { readIfExists } from "../drivers/system/files.ts";
import { readProc } from "../drivers/system/processes.ts";
import { ourDns } from "./docker-dns.ts";
import { API_SOCKET, agentPids, answers, DOCKER_SOCKET, hasSystemd, installedUnit, LINK, ROOT } from "./service.ts";
import { SNAPSHOT_FILE } from "./snapshot.ts";

export interface Survey {
  /** As in os-release(5): `Debian GNU/Linux 12 (bookworm)`. */
  readonly distribution: string;
  /** One of those that Manx is tested on. */
  readonly isSupported: boolean;
  readonly kernel: string;
  /** Undefined: it cannot be known before nft is installed. */
  readonly nftables: boolean | undefined;
  readonly systemd: boolean;
  readonly docker: { readonly version?: string; readonly hasClient: boolean; readonly running: boolean };
  /** Debian packages that are missing, but for Docker's. */
  readonly missing: readonly string[];
  /** Values of ip_forward and IPv6's; undefined: the kernel has no such protocol. */
  readonly forwarding: { readonly ipv4: string | undefined; readonly ipv6: string | undefined };
  /** Other firewalls that are active. */
  readonly firewalls: readonly string[];
  /** What /usr/local/bin/manx is: the target of a link, "" for something else, undefined for nothing. */
  readonly link: string | undefined;
  readonly unit: string | undefined;
  readonly agent: { readonly running: boolean; readonly isOutdated: boolean };
  readonly hasSnapshot: boolean;
  /** Whether Docker's daemon.json names us as a resolver. */
  readonly names: Awaited<ReturnType<typeof ourDns>>;
}

/** Program that shows that a package is there, by package. */
const PROGRAMS: Readonly<Record<string, string>> = {
  bird2: "bird",
  "busybox-static": "busybox",
  iproute2: "ip",
  iptables: "iptables",
  nftables: "nft",
};
const SUPPORTED = ["debian 12", "debian 13", "ubuntu 24.04"];

export async function survey(): Promise<Survey> {
  const { name, id } = await distribution();
  const running = await answers(DOCKER_SOCKET);
  return {
    distribution: name,
    isSupported: SUPPORTED.includes(id),
    kernel: release(),
    nftables: await hasNftables(),
    systemd: hasSystemd(),
    docker: { ...(await dockerVersion()), hasClient: findBinary("docker") !== undefined, running },
    missing: Object.keys(PROGRAMS).filter((name) => findBinary(PROGRAMS[name] ?? name) === undefined),
    forwarding: { ipv4: setting("ipv4/ip_forward"), ipv6: setting("ipv6/conf/all/forwarding") },
    firewalls: await firewalls(),
    link: link(),
    unit: await installedUnit(),
    agent: await agent(),
    hasSnapshot: existsSync(SNAPSHOT_FILE),
    names: await ourDns(),
  };
}

async function distribution(): Promise<{ readonly name: string; readonly id: string }> {
  const text = (await readIfExists("/etc/os-release")) ?? "";
  const value = (key: string): string => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "";
  return { name: value("PRETTY_NAME") || "an unknown distribution", id: `${value("ID")} ${value("VERSION_ID")}` };
}

async function dockerVersion(): Promise<{ readonly version?: string }> {
  const dockerd = findBinary("dockerd");
  if (dockerd === undefined) return {};
  const { stdout } = await run([dockerd, "--version"]).catch(() => ({ stdout: "" }));
  return { version: /version ([^\s,]+)/.exec(stdout)?.[1] ?? "of unknown version" };
}

/** Asks nft where it is installed; else looks for the module. */
async function hasNftables(): Promise<boolean | undefined> {
  if (findBinary("nft") !== undefined) return (await run(["nft", "list", "tables"])).code === 0;
  const folder = join("/lib/modules", release());
  const lists = await Promise.all(["modules.builtin", "modules.dep"].map((file) => readIfExists(join(folder, file))));
  return lists.some((list) => list?.includes("/nf_tables.ko") === true) ? true : undefined;
}

function setting(path: string): string | undefined {
  try {
    return readFileSync(join("/proc/sys/net", path), "utf8").trim();
  } catch {
    return undefined;
  }
}

async function firewalls(): Promise<string[]> {
  const ufw = (await readIfExists("/etc/ufw/ufw.conf"))?.split("\n").includes("ENABLED=yes") === true;
  const firewalld = existsSync("/run/firewalld.pid") || existsSync("/run/firewalld/firewalld.pid");
  return [...(ufw ? ["ufw"] : []), ...(firewalld ? ["firewalld"] : [])];
}

function link(): string | undefined {
  try {
    return readlinkSync(LINK);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "";
  }
}

/** One that does not answer does not run: it may end and be started again, over and over. With changed code it runs the old one. */
async function agent(): Promise<Survey["agent"]> {
  const pids = agentPids();
  if (pids.length === 0 || !(await answers(API_SOCKET))) return { running: false, isOutdated: false };
  const started = Math.min(...pids.map(startedAt));
  return { running: true, isOutdated: (await newestSource()) > started };
}

/** Milliseconds since the epoch. Field 22 of /proc/PID/stat counts ticks of 10 ms since boot (proc_pid_stat(5)). */
function startedAt(pid: number): number {
  const fields = readProc(pid, "stat").split(") ").at(-1)?.split(" ") ?? [];
  const boot = Number(/^btime (\d+)/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? 0);
  return boot * 1000 + Number(fields[19] ?? 0) * 10;
}

async function newestSource(): Promise<number> {
  const files = await readdir(join(ROOT, "src"), { recursive: true, withFileTypes: true });
  const counted = files.filter((file) => file.isFile() && file.name.endsWith(".ts") && !file.name.endsWith(".test.ts"));
  return Math.max(0, ...counted.map((file) => statSync(join(file.parentPath, file.name)).mtimeMs));
}

/** Names of Debian packages that apt knows. Empty where its lists have never been fetched. */
export async function knownPackages(): Promise<ReadonlySet<string>> {
  const { stdout } = await run(["apt-cache", "pkgnames"]).catch(() => ({ stdout: "" }));
  return new Set(stdout.split("\n").filter((name) => name !== ""));
}

/** Whether a Debian package is installed, not only its configuration. */
export async function isInstalled(name: string): Promise<boolean> {
  const status = await readFile("/var/lib/dpkg/status", "utf8").catch(() => "");
  const stanza = status.split("\n\n").find((text) => text.startsWith(`Package: ${name}\n`));
  return stanza?.includes("\nStatus: install ok installed\n") === true;
}
