/** Three hosts with etcd on each, made by the commands that users type; etcd freezes, dies and comes back while containers start. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Result } from "../../src/drivers/exec.ts";
import type { Host } from "../../src/lab/host.ts";
import { type Lab, up } from "../../src/lab/lab.ts";

/** docs/cluster.md, "Loss of quorum", from its own data, without systemd. */
const ALONE = `set -e
sed '$a force-new-cluster: true' /etc/manx/etcd.yaml >/run/etcd-alone.yaml
etcd --config-file /run/etcd-alone.yaml >/run/etcd-alone.log 2>&1 & pid=$!
until ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /var/lib/manx/pki/ca.crt \\
  --cert /var/lib/manx/pki/agent.crt --key /var/lib/manx/pki/agent.key endpoint health; do sleep 0.5; done
kill $pid; wait $pid || true`;

const isEtcd = (argv: readonly string[]): boolean => (argv[0] ?? "").endsWith("/etcd");

describe("three hosts on etcd", { concurrency: 1 }, () => {
  let lab: Lab;
  let [h1, h2, h3] = [] as unknown as [Host, Host, Host];

  before(async () => {
    lab = await up({ name: `st${process.pid}`, hosts: 3 });
    [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];
  });
  after(() => lab?.[Symbol.asyncDispose]());

  const manx = (host: Host, ...args: readonly string[]): Promise<Result> =>
    host.exec(["manx", ...args], { timeoutMs: 240_000 });
  const must = async (host: Host, ...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await manx(host, ...args);
    assert.equal(code, 0, `manx ${args.join(" ")}\n${stdout}\n${stderr}`);
    return stdout;
  };
  const storeOf = async (host: Host): Promise<{ state: string; summary: string; why?: string }> => {
    const { stdout } = await manx(host, "status", "-o", "json");
    const { components } = JSON.parse(stdout) as { components: { name: string; state: string; summary: string }[] };
    return components.find(({ name }) => name === "store") as { state: string; summary: string };
  };
  const eventually = async (check: () => Promise<void>, seconds: number): Promise<void> => {
    for (const end = Date.now() + seconds * 1000; ; await sleep(250))
      try {
        return await check();
      } catch (error) {
        if (Date.now() > end) throw error;
      }
  };
  const signal = (hosts: readonly Host[], name: NodeJS.Signals): void => {
    for (const host of hosts) for (const pid of host.pids(isEtcd)) process.kill(pid, name);
  };
  const run = async (host: Host, name: string): Promise<string> => {
    await host.docker("run", "-d", "--name", name, "--network", "apps", "busybox", "sleep", "1d");
    return host.docker("inspect", "-f", "{{.NetworkSettings.Networks.apps.IPAddress}}", name);
  };
  /** Its supervisor goes first, or it would start another. */
  const endEtcd = (host: Host, name: NodeJS.Signals): void => {
    const isOfEtcd = (argv: readonly string[]): boolean => argv.includes("/etc/manx/etcd.yaml");
    const supervises = (argv: readonly string[]): boolean => (argv[0] ?? "").endsWith("sh");
    for (const pid of host.pids((argv) => isOfEtcd(argv) && supervises(argv))) process.kill(pid, "SIGKILL");
    for (const pid of host.pids(isOfEtcd)) process.kill(pid, name);
  };
  const etcdctl = (...args: readonly string[]): Promise<string> => {
    const pki = "/var/lib/manx/pki";
    const files = ["--cacert", `${pki}/ca.crt`, "--cert", `${pki}/agent.crt`, "--key", `${pki}/agent.key`];
    const argv = ["etcdctl", "--endpoints", "https://127.0.0.1:2379", ...files, ...args];
    return h1.mustExec(argv, { env: { ETCDCTL_API: "3" } });
  };
  const key = (path: string): Promise<string> => etcdctl("get", "--prefix", path);

  it("a host that is alone lets nobody in, and says what to do", async () => {
    const { code, stderr } = await manx(h1, "token", "create");
    assert.equal(code, 5);
    assert.match(stderr, /manx up --etcd/);
  });

  it("manx up --etcd takes a host with running containers and policies along", async () => {
    await h1.docker("network", "create", "-d", "manx", "--ipam-driver", "manx", "apps");
    const address = await run(h1, "before");
    await must(h1, "pool", "add", "10.77.0.0/16", "--name", "kept", "--manual");
    const out = await must(h1, "up", "--etcd");
    assert.match(out, /the old store is kept: \/var\/lib\/manx\/backup\//);
    assert.match(await must(h1, "pool", "ls"), /kept/);
    assert.ok((await key("/manx/v1/ipam/blocks/")).includes('"host":"h1"'));
    assert.match((await storeOf(h1)).summary, /^etcd, https:\/\/127\.0\.0\.1:2379/);
    assert.equal(await h1.docker("inspect", "-f", "{{.NetworkSettings.Networks.apps.IPAddress}}", "before"), address);
    await h1.mustExec(["ping", "-c", "1", "-W", "2", address]);
    for (const file of ["ca.key", "etcd.key", "agent.key"])
      assert.equal((await h1.mustExec(["stat", "-c", "%a", `/var/lib/manx/pki/${file}`])).trim(), "600", file);
    const { code, stderr } = await h1.exec(["curl", "-sk", "https://127.0.0.1:2379/health"]);
    assert.notEqual(code, 0, `etcd answers who has no certificate: ${stderr}`);
  });

  it("manx join lets a host in once, with a certificate of its own", async () => {
    const line = (await must(h1, "token", "create", "--etcd")).trim();
    // Another one that is open: only then does somebody listen who can say what is wrong.
    const taken = (await must(h1, "token", "create", "--etcd")).trim();
    const tampered = await manx(h2, "join", `${line.slice(0, -6)}AAAAAA`);
    assert.notEqual(tampered.code, 0);
    await must(h2, "join", line, "--etcd");
    const used = await manx(h3, "join", line, "--etcd");
    assert.equal(used.code, 6);
    assert.match(used.stderr, /was used by host "h2"/);
    const bound = (await must(h1, "token", "create", "--host", "other")).trim();
    assert.match((await manx(h3, "join", bound)).stderr, /is for host "other"/);
    await h3.mustExec(["sh", "-c", "mkdir -p /etc/manx && echo 'host: h2' > /etc/manx/agent.yaml"]);
    await h3.stopAgent();
    await h3.startAgent();
    assert.match((await manx(h3, "join", taken, "--etcd")).stderr, /there is a host "h2" already/);
    await h3.mustExec(["rm", "/etc/manx/agent.yaml"]);
    await h3.stopAgent();
    await h3.startAgent();
    await must(h3, "join", taken, "--etcd");
    assert.doesNotMatch(await must(h1, "token", "ls", "-o", "json"), /manx1\.|secret/);
    const certificate = await h3.mustExec([
      "openssl",
      "x509",
      "-in",
      "/var/lib/manx/pki/agent.crt",
      "-noout",
      "-subject",
    ]);
    assert.match(certificate, /CN = h3/);
    await eventually(async () => assert.equal((await storeOf(h3)).state, "ok"), 10);
  });

  it("goes on without the member that its agent was on: killed, or frozen", async () => {
    await eventually(async () => assert.match((await storeOf(h1)).summary, /10\.99\.0\.12.*10\.99\.0\.13/), 30);
    signal([h1], "SIGKILL"); // its supervisor brings it back
    await run(h1, "killed");
    await eventually(async () => void (await must(h1, "pool", "add", "10.78.0.0/16", "--name", "k", "--manual")), 15);
    signal([h1], "SIGSTOP");
    try {
      await eventually(async () => void (await must(h1, "pool", "rm", "k")), 15);
    } finally {
      signal([h1], "SIGCONT");
    }
  });

  it("without a quorum: containers start and stop, policy stays, changes are refused with a sentence", async () => {
    signal([h2, h3], "SIGSTOP");
    await eventually(async () => assert.equal((await storeOf(h1)).state, "failed"), 30);
    const { summary } = await storeOf(h1);
    assert.match(summary, /away since 20\d\d-.*; (nothing waits|waiting)/);
    const refused = await manx(h1, "pool", "add", "10.79.0.0/16", "--name", "never");
    assert.equal(refused.code, 7);
    assert.match(refused.stderr, /the cluster store is away since .*Nothing was changed/);
    const address = await run(h1, "away");
    await h1.mustExec(["ping", "-c", "1", "-W", "2", address]);
    await h1.docker("rm", "-f", "before");
    // A new process has nothing but what is on its disk.
    await h1.stopAgent("SIGKILL");
    const since = /away since (\S+);/.exec(summary)?.[1] ?? "never";
    await eventually(async () => assert.ok((await storeOf(h1)).summary.includes(`away since ${since}`)), 60);
    await h1.mustExec(["ping", "-c", "1", "-W", "2", address]);
    const second = await run(h1, "away2");
    assert.notEqual(second, address);
    await eventually(async () => assert.match((await storeOf(h1)).summary, /waiting to be published/), 10);
    signal([h2, h3], "SIGCONT");
    await eventually(async () => assert.equal((await storeOf(h1)).state, "ok"), 30);
    await eventually(async () => {
      const published = await key("/manx/v1/ipam/published/h1/");
      assert.ok(published.includes(`"${address}"`) && published.includes(`"${second}"`), published);
    }, 20);
    const given = (await must(h1, "ls", "-o", "json")).match(/10\.65\.\d+\.\d+/g) ?? [];
    assert.equal(new Set(given).size, given.length, "an address twice");
  });

  it("manx join --renew: another certificate for the host that the token names, and nothing else changes", async () => {
    const serial = (): Promise<string> =>
      h3.mustExec(["openssl", "x509", "-in", "/var/lib/manx/pki/agent.crt", "-noout", "-serial"]);
    const [before, config] = [await serial(), await h3.mustExec(["cat", "/etc/manx/agent.yaml"])];
    const address = await run(h3, "steady");
    await run(h2, "also"); // a block for each
    const line = (await must(h1, "token", "create", "--host", "h3")).trim();
    assert.match((await manx(h2, "join", line, "--renew")).stderr, /is for host "h3"/);
    await must(h3, "join", line, "--renew");
    assert.notEqual(await serial(), before);
    assert.equal(await h3.mustExec(["cat", "/etc/manx/agent.yaml"]), config);
    assert.equal((await storeOf(h3)).state, "ok");
    await h3.mustExec(["ping", "-c", "1", "-W", "2", address]);
  });

  it("a majority that is lost for good: one member goes on alone, what was given out meanwhile counts, the others come in again", async () => {
    for (const host of [h2, h3]) endEtcd(host, "SIGKILL");
    await eventually(async () => assert.equal((await storeOf(h1)).state, "failed"), 30);
    const [, address] = await Promise.all([run(h1, "alone1"), run(h2, "alone2")]);
    endEtcd(h1, "SIGTERM");
    await h1.mustExec(["sh", "-c", ALONE], { timeoutMs: 60_000 });
    await must(h1, "up", "--etcd");
    for (const host of [h2, h3]) {
      await host.stopAgent(); // its supervisor brings it back
      await eventually(async () => assert.equal((await storeOf(host)).state, "ok"), 60);
    }
    assert.match(await must(h2, "pool", "ls"), /kept/);
    for (const host of [h2, h3]) {
      const line = (await must(h1, "token", "create", "--etcd", "--host", host.name)).trim();
      await must(host, "join", line, "--etcd", "--renew");
    }
    const members = await etcdctl("member", "list");
    assert.equal(members.match(/, started, h[123], .*, false$/gm)?.length, 3, members);
    signal([h1], "SIGSTOP"); // the other two are a quorum
    try {
      await eventually(async () => void (await must(h2, "pool", "rm", "kept")), 20);
    } finally {
      signal([h1], "SIGCONT");
    }
    await eventually(async () => assert.deepEqual(JSON.parse(await must(h3, "ipam", "check", "-o", "json")), []), 20);
    await h1.docker("exec", "alone1", "ping", "-c", "1", "-W", "2", address);
  });
});
