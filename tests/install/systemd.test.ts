/** The same under a real systemd: the unit, its place in the boot, its end. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../../src/install/service.ts";
import { type Lab, up } from "../../src/lab/lab.ts";
import { SystemdHost } from "./systemd-host.ts";

/** As docs/cluster.md has it. */
const RESTORE = `set -e
export ETCDCTL_API=3
mv /var/lib/manx/etcd /var/lib/manx/etcd.before
value() { sed -n "s/^$1: //p" /etc/manx/etcd.yaml; }
etcdctl snapshot restore /root/manx.snapshot --data-dir /var/lib/manx/etcd --name "$(value name)" \\
  --initial-advertise-peer-urls "$(value initial-advertise-peer-urls)" \\
  --initial-cluster "$(value name)=$(value initial-advertise-peer-urls)"`;

describe("with systemd", () => {
  let lab: Lab;
  let host: SystemdHost;

  const property = (unit: string, name: string): Promise<string> =>
    host.mustExec("systemctl", "show", "--value", "-p", name, unit);
  const eventually = async (what: string, check: () => Promise<boolean>): Promise<void> => {
    for (let waited = 0; waited < 30_000; waited += 200) {
      if (await check()) return;
      await sleep(200);
    }
    assert.fail(`never: ${what}`);
  };

  before(async () => {
    lab = await up({ name: `sd${process.pid}`, hosts: 1, docker: false, agent: false });
    host = new SystemdHost(lab.host(1));
    await host.boot();
  });
  after(() => lab?.[Symbol.asyncDispose]());

  it("installs a service that systemd accepts, and demonstrates", async () => {
    const { code, stdout } = await host.exec(`${ROOT}/quickstart`, "--yes");
    assert.equal(code, 0, stdout);
    assert.match(stdout, /write \/etc\/systemd\/system\/manx\.service/);
    assert.match(await host.mustExec("cat", "/etc/docker/daemon.json"), /"169\.254\.1\.1"/);
    assert.equal(await host.mustExec("systemctl", "is-active", "manx", "docker"), "active\nactive");
    assert.equal(await host.mustExec("systemctl", "is-enabled", "manx"), "enabled");
    assert.equal((await host.exec("systemd-analyze", "verify", "manx.service")).stderr, "");
  });

  it("starts the agent again when it is killed, and containers go on", async () => {
    await host.mustExec("docker", "network", "create", "--ipv6", "-d", "manx", "--ipam-driver", "manx", "apps");
    const run = ["docker", "run", "-d", "--restart", "always", "--network", "apps", "--name"];
    await host.mustExec(...run, "web", "manx/box", "httpd", "-f", "-h", "/var/www");
    const pid = await property("manx", "MainPID");
    await host.mustExec("systemctl", "kill", "-s", "KILL", "manx");
    await eventually("the agent is back", async () => {
      return (await property("manx", "ActiveState")) === "active" && (await property("manx", "MainPID")) !== pid;
    });
    const address = await host.mustExec(
      "docker",
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.apps.IPAddress}}",
      "web",
    );
    await host.mustExec("busybox", "ping", "-c", "1", "-W", "2", address);
  });

  it("is there before Docker after a power loss, and the container has its address and answers", async () => {
    const format = "{{.NetworkSettings.Networks.apps.IPAddress}}";
    const address = await host.mustExec("docker", "inspect", "-f", format, "web");
    await host.powerOff();
    await host.boot("docker.service"); // which wants manx.service
    const [agent, docker] = await Promise.all(
      ["manx", "docker"].map((unit) => property(unit, "ActiveEnterTimestampMonotonic")),
    );
    assert.ok(Number(agent) > 0 && Number(agent) < Number(docker), `${agent} is not before ${docker}`);
    await eventually("the container runs", async () => {
      return (await host.exec("docker", "inspect", "-f", "{{.State.Running}}", "web")).stdout.trim() === "true";
    });
    assert.equal(await host.mustExec("docker", "inspect", "-f", format, "web"), address);
    await host.mustExec("busybox", "ping", "-c", "1", "-W", "2", address);
  });

  it("manx up --etcd: etcd is a unit beside it, that comes back, renews its certificates and is restored from a snapshot", async () => {
    const manx = (...args: readonly string[]): Promise<string> => host.mustExec(`${ROOT}/bin/manx`, ...args);
    const pki = "/var/lib/manx/pki";
    const etcdctl = (...args: readonly string[]): Promise<string> => {
      const files = ["--cacert", `${pki}/ca.crt`, "--cert", `${pki}/agent.crt`, "--key", `${pki}/agent.key`];
      return host.mustExec(
        "env",
        "ETCDCTL_API=3",
        "etcdctl",
        "--endpoints",
        "https://127.0.0.1:2379",
        ...files,
        ...args,
      );
    };
    const storeIsWell = (): Promise<void> =>
      eventually("the store is well", async () => {
        const { stdout } = await host.exec(`${ROOT}/bin/manx`, "status", "-o", "json");
        if (!stdout.startsWith("{")) return false;
        const { components } = JSON.parse(stdout) as { components: { name: string; state: string }[] };
        return components.some(({ name, state }) => name === "store" && state === "ok");
      });
    await manx("up", "--etcd");
    assert.equal(await host.mustExec("systemctl", "is-active", "manx-etcd", "manx"), "active\nactive");
    assert.equal(await host.mustExec("systemctl", "is-enabled", "manx-etcd"), "enabled");
    assert.equal((await host.exec("systemd-analyze", "verify", "manx-etcd.service")).stderr, "");
    const pid = await property("manx-etcd", "MainPID");
    await host.mustExec("systemctl", "kill", "-s", "KILL", "manx-etcd");
    await eventually("etcd is back", async () => {
      return (
        (await property("manx-etcd", "ActiveState")) === "active" && (await property("manx-etcd", "MainPID")) !== pid
      );
    });
    await storeIsWell();

    const serial = (): Promise<string> =>
      host.mustExec(
        "sh",
        "-c",
        "openssl s_client -connect 127.0.0.1:2379 </dev/null 2>/dev/null | openssl x509 -noout -serial",
      );
    const old = await serial();
    const running = await property("manx-etcd", "MainPID");
    await manx("up", "--etcd");
    assert.notEqual(await serial(), old, "etcd shows its old certificate");
    assert.equal(await property("manx-etcd", "MainPID"), running, "etcd was started anew");

    // docs/cluster.md, "Loss of quorum", without data.
    await manx("pool", "add", "10.77.0.0/16", "--name", "kept", "--manual");
    await etcdctl("snapshot", "save", "/root/manx.snapshot");
    await manx("pool", "rm", "kept");
    const address = await host.mustExec(
      "docker",
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.apps.IPAddress}}",
      "web",
    );
    await host.mustExec("systemctl", "stop", "manx-etcd");
    await host.mustExec("docker", "run", "-d", "--name", "late", "--network", "apps", "manx/box", "sleep", "1d");
    await host.mustExec("sh", "-c", RESTORE);
    await host.mustExec("systemctl", "start", "manx-etcd");
    await host.mustExec("systemctl", "restart", "manx");
    await storeIsWell();
    assert.match(await manx("pool", "ls"), /kept/);
    assert.match(await manx("ls"), /late/);
    assert.deepEqual(JSON.parse(await manx("ipam", "check", "-o", "json")), []);
    await host.mustExec("busybox", "ping", "-c", "1", "-W", "2", address);
    await host.mustExec("docker", "rm", "-f", "late");
  });

  it("goes with its unit when it is uninstalled", async () => {
    const { code, stdout } = await host.exec(`${ROOT}/bin/manx`, "uninstall", "--yes", "--force");
    assert.equal(code, 0, stdout);
    assert.doesNotMatch(stdout, /left by Manx/);
    for (const unit of ["manx", "manx-etcd"]) assert.equal((await host.exec("systemctl", "cat", unit)).code, 1);
    assert.equal((await host.exec("test", "-e", "/etc/docker/daemon.json")).code, 1, "there was none before");
    assert.equal(await host.mustExec("systemctl", "is-active", "docker"), "active");
    assert.equal(await host.mustExec("docker", "inspect", "-f", "{{.State.Running}}", "web"), "true");
    assert.doesNotMatch(await host.mustExec("ls", "-R", "/etc/systemd/system"), /manx.*\.service/);
  });
});
