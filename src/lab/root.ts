/**
 * A host's own root file system: this machine's as the lower layer of an overlay, every change in memory and gone with the host.
 * So all paths are the defaults (/run/docker.sock, /var/lib/manx, /etc/docker), and what is installed or written inside
 * never reaches the machine. Docker's data and Manx's state lie on disk below the lab's folder.
 */
import { statSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { mustRun } from "../drivers/exec.ts";
import { enter, type Holder } from "./holder.ts";

export interface RootOptions {
  /** The lab's folder of this host, on disk. */
  readonly folder: string;
  /** Shown inside as it is, changes included: the source that the agent runs from. */
  readonly source: string;
}

/** Folders of a host that are on disk: overlay2 cannot lie on an overlay, and a database should see a real fsync. */
const ON_DISK: Readonly<Record<string, string>> = { docker: "/var/lib/docker", manx: "/var/lib/manx" };
/** What this machine has of its own in these places must not show. */
const ABSENT = [
  "/etc/docker",
  "/etc/default/docker",
  "/etc/systemd/system/docker.service.d",
  "/etc/manx",
  "/var/log/manx",
  "/usr/local/bin/manx",
  "/etc/systemd/system/docker.service.wants/manx.service",
  ...["manx", "manx-etcd"].flatMap((unit) => [
    `/etc/systemd/system/${unit}.service`,
    `/etc/systemd/system/multi-user.target.wants/${unit}.service`,
  ]),
];
const FRESH = ["/", "/proc", "/sys", "/dev", "/run"];
const REAL_FILESYSTEMS = /^(ext[234]|xfs|btrfs|zfs|f2fs|bcachefs|tmpfs|overlay|9p|virtiofs|vfat)$/;

export async function makeRoot(holder: Holder, options: RootOptions): Promise<void> {
  const { folder, source } = options;
  const root = join(folder, "root");
  const memory = join(folder, "memory");
  for (const path of [root, memory, ...Object.keys(ON_DISK).map((name) => join(folder, name))]) {
    await mkdir(path, { recursive: true });
  }
  const script: string[] = [];
  const inside = (...argv: readonly string[]): void => void script.push(line(argv));
  const mount = (...argv: readonly string[]): void => inside("mount", ...argv);
  const bind = (from: string, to: string): void => {
    inside("mkdir", "-p", join(root, to));
    mount("--bind", from, join(root, to));
  };
  const overlay = (name: string, lower: string): readonly string[] => {
    const upper = join(memory, name, "upper");
    const work = join(memory, name, "work");
    inside("mkdir", "-p", upper, work);
    const layers = `lowerdir=${escaped(lower)},upperdir=${escaped(upper)},workdir=${escaped(work)}`;
    return ["mount", "-t", "overlay", "-o", layers, "manx-lab", join(root, lower)];
  };

  // /proc first: mount(8) itself looks at /proc/self, which the machine's /proc does not have for this PID namespace.
  mount("-t", "proc", "proc", "/proc");
  mount("-t", "tmpfs", "-o", "mode=755", "manx-lab", memory);
  inside(...overlay("root", "/"));
  for (const [index, path] of (await otherFilesystems()).entries()) {
    const instead = line(["mount", "--bind", "-o", "ro", path, join(root, path)]);
    script.push(`${line(overlay(`other${index}`, path))} 2>/dev/null || ${instead}`);
  }
  mount("--rbind", "/dev", join(root, "dev"));
  mount("-t", "sysfs", "sysfs", join(root, "sys"));
  mount("--rbind", "/sys/fs/cgroup", join(root, "sys/fs/cgroup"));
  mount("-t", "tmpfs", "-o", "mode=755", "manx-lab", join(root, "run"));
  inside("mkdir", "-p", join(root, "run/lock"));
  bind(source, source);
  for (const [name, path] of Object.entries(ON_DISK)) bind(join(folder, name), path);
  inside("rm", "-rf", ...ABSENT.map((path) => join(root, path)));
  inside("mkdir", "-p", join(root, "etc/docker"));
  script.push(`echo ${quoted(engineSettings(holder))} >${quoted(join(root, "etc/docker/daemon.json"))}`);
  mount("-t", "proc", "proc", join(root, "proc"));
  inside("hostname", holder.name);
  inside("pivot_root", root, join(root, "mnt"));
  inside("umount", "-l", "/mnt");
  // One shell for all: a process that enters the namespaces costs more than what it does there.
  await mustRun(enter(holder, ["sh", "-e"]), { input: `${script.join("\n")}\n` });
}

/** Of a shell: each word as it is (POSIX.1-2017, Shell Command Language, 2.2.2). */
function line(argv: readonly string[]): string {
  return argv.map(quoted).join(" ");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** However dockerd is started here: its containers' control groups lie below ours, where `down` finds them. */
function engineSettings({ lab, name }: Holder): string {
  const settings = { "cgroup-parent": `/manx-lab/${lab}/${name}`, "exec-opts": ["native.cgroupdriver=cgroupfs"] };
  return JSON.stringify(settings);
}

/** File systems of their own below the root, which an overlay of the root does not show. */
async function otherFilesystems(): Promise<string[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).trim().split("\n");
  const mounts = lines
    .map(parseMount)
    .filter(({ path, type }) => !FRESH.some((fresh) => isWithin(path, fresh)) && REAL_FILESYSTEMS.test(type));
  const folders = mounts
    .map(({ path }) => path)
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
  return [...new Set(folders)].sort();
}

function isWithin(path: string, folder: string): boolean {
  return folder === "/" ? path === "/" : path === folder || path.startsWith(`${folder}/`);
}

/** One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)); spaces and the like are escaped in octal. */
function parseMount(line: string): { readonly path: string; readonly type: string } {
  const [before = "", after = ""] = line.split(" - ");
  const path = (before.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 8)),
  );
  return { path, type: after.split(" ")[0] ?? "" };
}

/** A path within overlay's mount options, which know `,` and `:` as separators. */
function escaped(path: string): string {
  return path.replace(/[\\:,]/g, (character) => `\\${character}`);
}
