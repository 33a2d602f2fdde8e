/** Labs as a user sees them: they work like machines, several at a time, and leave nothing. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mustRun } from "../../src/drivers/exec.ts";
import { isAlive } from "../../src/drivers/system/processes.ts";
import { findHolders } from "../../src/lab/holder.ts";
import { down, find, type Lab, list, up } from "../../src/lab/lab.ts";

const prefix = `t${process.pid}`;
const name = (suffix: string): string => `${prefix}-${suffix}`;

after(async () => {
  for (const lab of await list()) if (lab.name.startsWith(prefix)) await down(lab.name);
});

/** All that a lab could leave on the machine. Other labs run at the same time, so only what bears our name counts. */
async function traces(lab: string): Promise<string[]> {
  const found = [
    ...globSync(`/sys/fs/cgroup/{,*/}manx-lab/${lab}`),
    ...findHolders(lab).map((holder) => `process ${holder.pid}`),
    ...readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(`/${lab}/`)),
  ];
  if (existsSync(`/var/lib/manx-lab/${lab}`)) found.push("folder");
  for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    const text = (path: string): string => {
      try {
        return readFileSync(`/proc/${pid}/${path}`, "utf8");
      } catch {
        return "";
      }
    };
    const isOfLab = text("cgroup").includes(`/${lab}/`) || text("mountinfo").includes(`/manx-lab/${lab}/`);
    if (isOfLab && isAlive(Number(pid))) found.push(`process ${pid} ${text("cmdline").replaceAll("\0", " ")}`);
  }
  return found;
}

const machineState = async (): Promise<unknown> => ({
  links: (await mustRun(["ip", "-o", "link"])).replace(/ (promiscuity|qlen) \d+/g, ""),
  routes: await mustRun(["ip", "route"]),
  forward: readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8"),
  files: [existsSync("/run/docker"), existsSync("/run/docker.sock"), existsSync("/var/lib/docker")],
  rules: (await mustRun(["nft", "list", "ruleset"])).replace(/counter packets \d+ bytes \d+/g, "counter"),
});

describe("lab", () => {
  it("makes hosts that run containers, reach each other and the outside, and leaves nothing", async () => {
    const before = await machineState();
    await using lab = await up({ name: name("main"), hosts: 2, agent: false });
    const [h1, h2] = [lab.host(1), lab.host(2)];
    assert.equal((await h1.mustExec(["hostname"])).trim(), "h1");
    assert.equal(await h1.docker("run", "--rm", "busybox", "echo", "hello; $HOME `id`"), "hello; $HOME `id`");
    assert.equal(await h2.docker("ps", "-q", "-a"), "");
    for (const target of [
      h2.addresses.ipv4,
      h2.addresses.ipv6,
      lab.internet.addresses.ipv4,
      lab.internet.addresses.ipv6,
    ]) {
      await h1.mustExec(["ping", "-c", "1", "-W", "2", target]);
    }
    await lab.internet.mustExec(["ping", "-c", "1", "-W", "2", h1.addresses.ipv4]);
    await h1.docker("run", "-d", "--name", "long", "busybox", "sleep", "1000");
    await lab.route("10.77.0.0/16", h1);
    await h1.mustExec(["ip", "addr", "add", "10.77.0.1/32", "dev", "lo"]);
    await lab.lan.mustExec(["ping", "-c", "1", "-W", "2", "10.77.0.1"]);
    assert.deepEqual(await machineState(), before);

    assert.equal(await down(lab.name), true);
    assert.deepEqual(await traces(lab.name), []);
    assert.equal(await down(lab.name), false);
    assert.deepEqual(await machineState(), before);
  });

  it("is found again by another process, and is not made twice", async () => {
    const options = { name: name("again"), hosts: 1, agent: false, docker: false } as const;
    await using lab = await up(options);
    await assert.rejects(up(options), /it is there already/);
    const settings = ["net.ipv4.ip_forward", "net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.eth0.rp_filter"];
    const values = await lab.host(1).mustExec(["busybox", "sysctl", "-n", ...settings]);
    assert.equal(values, "0\n1\n0\n", "a fresh kernel's, not this machine's");
    const found = await find(lab.name);
    await found.host(1).startEngine();
    assert.match(await lab.host(1).docker("version", "--format", "{{.Server.Version}}"), /^\d+\./);
    const summary = (await list()).find((each) => each.name === lab.name);
    assert.deepEqual(
      summary?.machines.map(({ name, docker }) => [name, docker]),
      [
        ["h1", true],
        ["router", undefined],
        ["lan", undefined],
        ["internet", undefined],
      ],
    );
    assert.throws(() => found.machine("h2"), /it has h1, router, lan, internet/);
  });

  it("keeps labs apart that run side by side", async () => {
    const start = (suffix: string): Promise<Lab> => up({ name: name(suffix), hosts: 1, agent: false });
    const labs = await Promise.all([start("left"), start("right")]);
    try {
      const [left, right] = labs.map((lab) => lab.host(1));
      await left?.docker("run", "-d", "--name", "only-left", "busybox", "sleep", "1000");
      await left?.mustExec(["sh", "-c", "echo left > /etc/only-left"]);
      assert.equal(await right?.docker("ps", "-aq"), "");
      assert.equal((await right?.exec(["cat", "/etc/only-left"]))?.code, 1);
      assert.equal(existsSync("/etc/only-left"), false);
      await down(name("right"));
      assert.equal(await left?.docker("inspect", "-f", "{{.State.Running}}", "only-left"), "true");
    } finally {
      for (const lab of labs) await down(lab.name);
    }
    assert.deepEqual(await traces(name("left")), []);
  });

  it("runs Docker 26.1 and lets dockerd die and come back under its containers", async () => {
    await using lab = await up({
      name: name("new"),
      hosts: 1,
      engine: "26.1",
      docker: { liveRestore: true },
      agent: false,
    });
    const host = lab.host(1);
    assert.match(
      await host.docker("version", "--format", "{{.Client.Version}} {{.Server.Version}}"),
      /^26\.1\S* 26\.1/,
    );
    await host.docker("run", "-d", "--name", "survivor", "busybox", "sleep", "1000");
    const pid = await host.docker("inspect", "-f", "{{.State.Pid}}", "survivor");
    await host.stopEngine("SIGKILL");
    assert.equal((await host.exec(["docker", "ps"])).code, 1);
    await host.startEngine({ liveRestore: true });
    assert.equal(await host.docker("inspect", "-f", "{{.State.Pid}} {{.State.Running}}", "survivor"), `${pid} true`);
    await assert.rejects(host.startEngine(), /it runs/);
  });

  it("is taken down whole after a kill -9 at any moment of its start, or of its processes", async () => {
    for (const wait of [40, 120, 250, 400, 600, 900]) {
      const lab = name(`kill${wait}`);
      const child = fork(join(import.meta.dirname, "start-lab.ts"), [lab], { stdio: "ignore" });
      await sleep(250 + wait);
      child.kill("SIGKILL");
      await down(lab);
      assert.deepEqual(await traces(lab), [], `after ${wait} ms`);
    }
    const lab = await up({ name: name("dead"), hosts: 1, agent: false });
    await lab.host(1).docker("run", "-d", "busybox", "sleep", "1000");
    await lab.host(1).stopEngine("SIGKILL");
    process.kill(lab.host(1).holder.pid, "SIGKILL");
    process.kill(lab.router.holder.pid, "SIGKILL");
    await down(lab.name);
    assert.deepEqual(await traces(lab.name), []);
  });

  it("refuses a name or a number of hosts that cannot be", async () => {
    for (const bad of ["", "../x", "a/b", "a b", "-x", "x".repeat(33), "$(id)"]) {
      await assert.rejects(up({ name: bad }), /Cannot start lab/);
      await assert.rejects(down(bad), /Cannot end lab/);
    }
    for (const hosts of [0, -1, 65, 1.5, Number.NaN]) await assert.rejects(up({ hosts }), /1 to 64/);
  });
});
