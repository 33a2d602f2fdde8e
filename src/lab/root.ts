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
  const inside = (argv: readonly string[]): Promise<string> => mustRun(enter(holder, argv));
  const mount = (...argv: readonly string[]): Promise<string> => inside(["mount", ...argv]);
  const bind = async (from: string, to: string): Promise<void> => {
    await inside(["mkdir", "-p", join(root, to)]);
    await mount("--bind", from, join(root, to));
  };

  // /proc first: mount(8) itself looks at /proc/self, which the machine's /proc does not have for this PID namespace.
  await mount("-t", "proc", "proc", "/proc");
  await mount("-t", "tmpfs", "-o", "mode=755", "manx-lab", memory);
  const overlay = async (name: string, lower: string): Promise<void> => {
    const upper = join(memory, name, "upper");
    const work = join(memory, name, "work");
    await inside(["mkdir", "-p", upper, work]);
    const layers = `lowerdir=${escaped(lower)},upperdir=${escaped(upper)},workdir=${escaped(work)}`;
    await mount("-t", "overlay", "-o", layers, "manx-lab", join(root, lower));
  };
  await overlay("root", "/");
  for (const [index, path] of (await otherFilesystems()).entries()) {
    await overlay(`other${index}`, path).catch(() => mount("--bind", "-o", "ro", path, join(root, path)));
  }
  await mount("--rbind", "/dev", join(root, "dev"));
  await mount("-t", "sysfs", "sysfs", join(root, "sys"));
  await mount("--rbind", "/sys/fs/cgroup", join(root, "sys/fs/cgroup"));
  await mount("-t", "tmpfs", "-o", "mode=755", "manx-lab", join(root, "run"));
  await inside(["mkdir", "-p", join(root, "run/lock")]);
  await bind(source, source);
  for (const [name, path] of Object.entries(ON_DISK)) await bind(join(folder, name), path);
  await inside(["rm", "-rf", ...ABSENT.map((path) => join(root, path))]);
  await inside(["mkdir", "-p", join(root, "etc/docker")]);
  await mustRun(enter(holder, ["tee", join(root, "etc/docker/daemon.json")]), { input: engineSettings(holder) });
  await mount("-t", "proc", "proc", join(root, "proc"));
  await inside(["pivot_root", root, join(root, "mnt")]);
  await inside(["umount", "-l", "/mnt"]);
}

/** However dockerd is started here: its containers' control groups lie below ours, where `down` finds them. */
function engineSettings({ lab, name }: Holder): string {
  const settings = { "cgroup-parent": `/manx-lab/${lab}/${name}`, "exec-opts": ["native.cgroupdriver=cgroupfs"] };
  return `${JSON.stringify(settings)}\n`;
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
