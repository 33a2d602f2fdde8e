/** The doctor on a real host: what is broken is seen, and its remedy, typed as it stands, repairs it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../../src/lab/host.ts";
import { type Lab, up } from "../../src/lab/lab.ts";

interface Check {
  readonly id: string;
  readonly state: string;
  readonly remedy?: string;
}

describe("doctor", () => {
  let lab: Lab;
  let host: Host;

  const checks = async (...args: readonly string[]): Promise<readonly Check[]> => {
    const { stdout, stderr } = await host.exec(["manx", "doctor", "-o", "json", ...args]);
    assert.notEqual(stdout, "", stderr);
    return (JSON.parse(stdout) as { checks: Check[] }).checks;
  };
  const bad = async (...args: readonly string[]): Promise<string[]> =>
    (await checks(...args)).filter(({ state }) => state !== "ok" && state !== "unknown").map(({ id }) => id);
  const shell = (command: string): Promise<string> => host.mustExec(["sh", "-c", command]);

  before(async () => {
    lab = await up({ name: `doc${process.pid}`, hosts: 1 });
    host = lab.host(1);
    await host.docker("network", "create", "--ipv6", "-d", "manx", "--ipam-driver", "manx", "apps");
    await host.docker("run", "-d", "--name", "web", "--network", "apps", "busybox", "sleep", "1000");
  });
  after(() => lab?.[Symbol.asyncDispose]());

  it("finds nothing on a host that is well", async () => {
    assert.deepEqual(await bad(), []);
  });

  it("sees a table of somebody that drops, and its remedy lifts it", async () => {
    await shell(
      "nft add table inet strict; nft 'add chain inet strict forward { type filter hook forward priority 0; policy drop; }'",
    );
    const found = (await checks()).find(({ id }) => id === "dropping");
    assert.equal(found?.state, "failed");
    await shell(found?.remedy ?? "false");
    assert.match(await shell("nft list table inet strict"), /iifname "manx\*" accept/);
    assert.deepEqual(await bad(), []);
    await shell("nft delete table inet strict");
    assert.deepEqual(await bad(), []);
  });

  it("sees that Docker's FORWARD stops us, and repairs it", async () => {
    await shell("iptables -F DOCKER-USER");
    await bad("--fix"); // the agent may have been faster
    assert.deepEqual(await bad(), []);
    assert.match(await shell("iptables -S DOCKER-USER"), /-i manx\+ .*ACCEPT/);
  });

  it("sees forwarding switched off, and repairs it", async () => {
    await shell("busybox sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
    await bad("--fix"); // the agent may have been faster
    assert.deepEqual(await bad(), []);
    assert.equal((await shell("cat /proc/sys/net/ipv4/ip_forward")).trim(), "1");
    assert.equal((await shell("cat /proc/sys/net/ipv6/conf/all/forwarding")).trim(), "1");
  });

  it("sees a socket that everybody may open, and IPv6 switched off", async () => {
    await shell("chmod 666 /run/manx/manx.sock");
    assert.deepEqual(await bad(), ["socket"]);
    await shell("chmod 600 /run/manx/manx.sock");
    await shell("busybox sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    assert.ok((await bad()).includes("ipv6"));
    const remedy = (await checks()).find(({ id }) => id === "ipv6")?.remedy ?? "false";
    await shell(`busybox ${remedy}`);
    for (let waited = 0; (await bad()).length > 0 && waited < 40_000; waited += 1000) await sleep(1000);
    assert.deepEqual(await bad(), []);
  });

  it("sees a pool that is full, and its remedy lets containers start again", async () => {
    await shell("manx pool add 10.98.0.0/30 --name tiny --block-size 30");
    await shell("docker network create -d manx --ipam-driver manx --ipam-opt pools=tiny small");
    const start = (name: string): Promise<unknown> =>
      host.docker("run", "-d", "--name", name, "--network", "small", "busybox", "sleep", "1000");
    await Promise.all(["s1", "s2", "s3", "s4"].map(start));
    await assert.rejects(start("s5"), /tiny.*no free block/);
    assert.deepEqual(await bad(), ["exhausted"]);
    await shell("docker rm -f s1 s2 s3 s4 s5 && docker network rm small");
    assert.deepEqual(await bad(), []);
  });

  it("works without an agent, and says that there is none", async () => {
    await host.stopAgent("SIGKILL");
    const found = await bad();
    assert.ok(found.includes("agent") && found.includes("plugin"), found.join());
    await host.startAgent();
    assert.deepEqual(await bad(), []);
  });
});
