/** The same under a real systemd: the unit, its place in the boot, its end. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../../src/install/service.ts";
import { type Lab, up } from "../../src/lab/lab.ts";
import { SystemdHost } from "./systemd-host.ts";

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

  it("goes with its unit when it is uninstalled", async () => {
    const { code, stdout } = await host.exec(`${ROOT}/bin/manx`, "uninstall", "--yes", "--force");
    assert.equal(code, 0, stdout);
    assert.doesNotMatch(stdout, /left by Manx/);
    assert.equal((await host.exec("systemctl", "cat", "manx")).code, 1);
    assert.equal(await host.mustExec("systemctl", "is-active", "docker"), "active");
    assert.equal(await host.mustExec("docker", "inspect", "-f", "{{.State.Running}}", "web"), "true");
    assert.doesNotMatch(await host.mustExec("ls", "-R", "/etc/systemd/system"), /manx\.service/);
  });
});
