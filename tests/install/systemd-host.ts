/** A machine of a lab on which systemd runs, as PID 1 of namespaces of its own within the machine's. */
import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Result, run } from "../../src/drivers/exec.ts";
import { kill, processes, waitGone } from "../../src/drivers/system/processes.ts";
import type { Host } from "../../src/lab/host.ts";

const TARGET = "lab-test.target";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * systemd rules over the control groups below its own, so it gets a namespace of them below the lab's, where `down` finds
 * them. Arguments: the group. A new cpuset can hold no process before it has processors.
 */
const JOIN = `
for h in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ -e "$h/cgroup.procs" ] || continue
  g=$h
  for part in $(echo "$1" | tr / ' '); do
    [ -e "$g/cpuset.cpus" ] && c=$(cat "$g/cpuset.cpus") && m=$(cat "$g/cpuset.mems")
    g=$g/$part
    mkdir -p "$g"
    [ -e "$g/cpuset.clone_children" ] && echo "$c" >"$g/cpuset.cpus" && echo "$m" >"$g/cpuset.mems"
  done
  echo $$ >"$g/cgroup.procs"
done
exec env -i container=lab PATH=${PATH} unshare --mount --pid --cgroup --fork --kill-child sh -c "$2"`;

const BOOT = `
mount -t proc proc /proc
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
  umount -l /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  names=$(cd /sys/fs/cgroup && ls -d */)
  umount -l /sys/fs/cgroup
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  for name in $names; do
    name=\${name%/}
    mkdir /sys/fs/cgroup/$name
    case $name in
      unified) mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified ;;
      systemd) mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd ;;
      *) mount -t cgroup -o $name cgroup /sys/fs/cgroup/$name ;;
    esac
  done
fi
exec /lib/systemd/systemd --system --unit=${TARGET} --log-target=journal`;

export class SystemdHost {
  readonly #host: Host;
  #pid = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Units that this one boot starts. */
  async boot(...wants: readonly string[]): Promise<void> {
    const host = this.#host;
    assert.ok((await host.exec(["test", "-x", "/lib/systemd/systemd"])).code === 0, "apt-get install systemd");
    const unit = `[Unit]\nDescription=test\nRequires=dbus.socket\nWants=${wants.join(" ")}\n`;
    await host.mustExec(["tee", `/lib/systemd/system/${TARGET}`], { input: unit });
    await host.mustExec(["rm", "-f", "/etc/docker/daemon.json"]); // systemd says where groups are
    const group = `manx-lab/${host.holder.lab}/${host.name}/systemd`;
    await host.mustExec([
      "setsid",
      "--fork",
      "sh",
      "-c",
      `exec >/dev/null 2>&1 </dev/null; ${JOIN}`,
      "sh",
      group,
      BOOT,
    ]);
    for (let waited = 0; waited < 20_000; waited += 100) {
      this.#pid = this.#find();
      const state = this.#pid === 0 ? "" : (await this.exec("systemctl", "is-system-running")).stdout.trim();
      if (state === "running" || state === "degraded") return;
      await sleep(100);
    }
    assert.fail("systemd did not start");
  }

  /** Ends all that runs under systemd at once, as a power loss. Namespaces of the network stay. */
  async powerOff(): Promise<void> {
    kill(this.#pid, "SIGKILL");
    await waitGone([this.#pid]);
    // A kernel that starts anew has no interface of containers, no rule and no address of theirs.
    const { stdout } = await this.#host.exec(["ip", "-o", "link"]);
    const made = [...stdout.matchAll(/^\d+: ((?:manx|docker|veth|br-)[^:@]*)/gm)].map(([, name = ""]) => name);
    for (const name of made) await this.#host.exec(["ip", "link", "del", name]);
    await this.#host.mustExec(["nft", "flush", "ruleset"]);
    await this.#host.exec(["ip", "route", "flush", "proto", "109"]);
    await this.#host.exec(["ip", "addr", "flush", "dev", "lo", "scope", "link"]);
    await this.#host.mustExec(["busybox", "sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"]);
    await this.#host.mustExec(["rm", "-rf", "/run/docker", "/run/docker.pid", "/run/manx", "/run/containerd"]);
  }

  exec(...argv: readonly string[]): Promise<Result> {
    const spaces = ["--mount", "--net", "--pid", "--uts", "--cgroup"];
    const command = [
      "nsenter",
      "--target",
      `${this.#pid}`,
      ...spaces,
      "env",
      "-i",
      `PATH=${PATH}`,
      "HOME=/root",
      ...argv,
    ];
    return run(command, { timeoutMs: 300_000 });
  }

  async mustExec(...argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.exec(...argv);
    assert.equal(code, 0, `${argv.join(" ")}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  #find(): number {
    const network = (pid: number): string => readlinkSync(`/proc/${pid}/ns/net`);
    const found = processes().filter(({ argv }) => argv[0]?.endsWith("/systemd") && argv.includes(`--unit=${TARGET}`));
    return found.find(({ pid }) => network(pid) === network(this.#host.holder.pid))?.pid ?? 0;
  }
}
