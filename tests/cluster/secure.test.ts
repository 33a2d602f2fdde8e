/**
 * Onto an etcd that somebody else runs, with TLS, client certificates and users, from a host with running containers, killed half way
 * again and again; then a second host, and the names, IPv6 and networks of the two.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Result } from "../../src/drivers/exec.ts";
import { isAlive } from "../../src/drivers/system/processes.ts";
import type { EngineName } from "../../src/lab/engines.ts";
import type { Host } from "../../src/lab/host.ts";
import { type Lab, up } from "../../src/lab/lab.ts";
import { EtcdOfOthers, FILES, PASSWORD } from "./etcd-of-others.ts";

const ENGINE = (process.env["ENGINE"] ?? "26.1") as EngineName;
const CONFIG = "/etc/manx/agent.yaml";
const NETWORK = "shop_default";
const LABELS = { "com.docker.compose.network": "default", "com.docker.compose.project": "shop" };

describe(`an etcd with TLS and users, Docker ${ENGINE}`, { concurrency: 1, timeout: 1_800_000 }, () => {
  let lab: Lab;
  let etcd: EtcdOfOthers;
  let [h1, h2] = [] as unknown as [Host, Host];
  let daemonFile = "";
  let store: readonly string[] = [];

  before(async () => {
    lab = await up({ name: `secure-${process.pid}`, hosts: 2, engine: ENGINE });
    [h1, h2] = [lab.host(1), lab.host(2)];
    etcd = await EtcdOfOthers.start(lab.lan);
    await etcd.give(h1);
    daemonFile = readFileSync(h1.path("/etc/docker/daemon.json"), "utf8");
    store = ["--store", `etcds://${etcd.endpoints}`, ...flags({})];
    const labels = Object.entries(LABELS).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
    await h1.docker("network", "create", "-d", "manx", "--ipam-driver", "manx", "--ipv6", ...labels, NETWORK);
    for (const name of ["web", "walker"]) await start(h1, name);
  });
  after(async () => {
    await etcd?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  function flags(other: Readonly<Record<string, string | undefined>>): string[] {
    const all = { ca: "ca.crt", cert: "client.crt", key: "client.key", user: "manx", "password-file": "password" };
    return Object.entries({ ...all, ...other }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, name === "user" ? value : `${FILES}/${value}`],
    );
  }
  const manx = (host: Host, ...args: readonly string[]): Promise<Result> =>
    host.exec(["manx", ...args], { timeoutMs: 120_000 });
  const must = async (host: Host, ...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await manx(host, ...args);
    assert.equal(code, 0, `manx ${args.join(" ")}\n${stdout}\n${stderr}`);
    return stdout;
  };
  const start = (host: Host, name: string, ...args: readonly string[]): Promise<string> =>
    host.docker("run", "-d", "--name", name, "--network", NETWORK, ...args, "busybox", "httpd", "-f", "-h", "/var");
  const addresses = async (host: Host, name: string): Promise<readonly [string, string]> => {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}";
    const [ipv4 = "", ipv6 = ""] = (await host.docker("inspect", "-f", format, name)).split(" ");
    return [ipv4, ipv6];
  };
  const eventually = async (check: () => Promise<void>, seconds = 20): Promise<void> => {
    for (const end = Date.now() + seconds * 1000; ; await sleep(200))
      try {
        return await check();
      } catch (error) {
        if (Date.now() > end) throw error;
      }
  };

  it("refuses in words what does not open it, and has done nothing", async () => {
    const url = `etcds://${etcd.endpoints}`;
    const cases: readonly (readonly [string, string, Readonly<Record<string, string | undefined>>, RegExp])[] = [
      ["another CA", url, { ca: "other-ca.crt" }, /not signed by the CA that this host was told of/],
      ["no certificate", url, { cert: undefined, key: undefined }, /does not accept this host's certificate/],
      ["an expired certificate", url, { cert: "old.crt", key: "old.key" }, /does not accept this host's certificate/],
      ["an expired server", etcd.expired, {}, /its certificate has expired/],
      ["a wrong password", url, { "password-file": "wrong" }, /no such user with this password/],
      // etcd takes the certificate's name for the user's.
      ["no user", url, { user: undefined, "password-file": undefined }, /needs readwrite on the prefix \/manx\//],
      ["a user without rights", url, { user: "nobody" }, /needs readwrite on the prefix \/manx\//],
      ["a password that all can read", url, { "password-file": "open" }, /others may read it/],
      ["no TLS", url.replace("etcds", "http"), {}, /it may want TLS/],
    ];
    const agent = h1.agentPids();
    const seen: string[] = [];
    for (const [what, where, other, why] of cases) {
      const { code, stdout, stderr } = await manx(h1, "up", "--store", where, ...flags(other));
      if (code === 0 || !why.test(stderr)) seen.push(`${what}: ${code} ${stderr}`);
      assert.ok(!`${stdout}${stderr}`.includes(PASSWORD), what);
    }
    assert.deepEqual(seen, []);
    assert.deepEqual(await etcd.keys(), []);
    assert.ok(!existsSync(h1.path(CONFIG)));
    assert.deepEqual(h1.agentPids(), agent);
  });

  it("takes the host's own store along, however often it is killed half way, and containers keep their traffic", async () => {
    const sets = Array.from({ length: 400 }, (_, i) => ({
      apiVersion: "projectcalico.org/v3",
      kind: "GlobalNetworkSet",
      metadata: { name: `set-${i}` },
      spec: { nets: [`192.0.2.${i % 256}/32`] },
    }));
    for (let i = 0; i < sets.length; i += 100)
      await h1.mustExec(["manx", "apply", "-f", "-"], { input: JSON.stringify(sets.slice(i, i + 100)) });
    const before = await addresses(h1, "web");
    const pid = await h1.docker("inspect", "-f", "{{.State.Pid}}", "walker");
    const ping = h1.exec(["nsenter", "-t", pid, "-n", "ping", "-q", "-i", "0.1", before[0]], { timeoutMs: 300_000 });

    /** Runs the command and kills it when `when` is so. @returns whether it came that far */
    const killed = async (command: string, when: () => boolean): Promise<void> => {
      const [file = "", ...args] = h1.commandLine(["manx", command, ...store]);
      const child = spawn(file, args, { stdio: "ignore" });
      const ended = new Promise((resolve) => child.once("close", resolve));
      const ours = (): number[] => h1.pids((argv) => argv.includes(command) && argv.some((one) => one === "--store"));
      while (!when()) {
        assert.ok(child.exitCode === null, `manx ${command} ended before it was killed`);
        await sleep(1);
      }
      for (const one of ours()) if (isAlive(one)) process.kill(one, "SIGKILL");
      await ended;
    };
    const backups = (): number => {
      const folder = h1.path("/var/lib/manx/backup");
      return existsSync(folder) ? readdirSync(folder).length : 0;
    };
    const written = async (command: string, prefix: string): Promise<void> => {
      const end = new AbortController();
      let seen = false;
      await etcd.watch(prefix, () => (seen = true), end.signal);
      await killed(command, () => seen).finally(() => end.abort());
    };
    await killed("migrate", () => backups() > 0);
    await written("up", "/manx/v1/probe/");
    await written("migrate", "/manx/v1/migration");
    await written("up", "/manx/v1/resources/GlobalNetworkSet/");
    const copied = (await etcd.keys("/manx/v1/resources/GlobalNetworkSet/")).length;
    // What changes after a copy that was cut short: in both directions.
    await must(h1, "delete", "globalnetworkset", "set-0");
    await must(h1, "pool", "add", "10.77.0.0/16", "--name", "kept", "--manual");
    await start(h1, "late");
    const agents = h1.agentPids();
    await killed("migrate", () => !agents.some(isAlive));
    await killed("up", () => existsSync(h1.path(CONFIG)));
    const first = h1.agentPids();
    await killed("migrate", () => h1.agentPids().some((one) => !first.includes(one)));
    await must(h1, "migrate", ...store);
    assert.ok(copied > 0, "it was killed before it had copied anything");
    assert.deepEqual(await etcd.keys("/manx/v1/migration"), []);
    assert.deepEqual(await etcd.keys("/manx/v1/probe/"), []);
    assert.equal((await etcd.keys("/manx/v1/resources/GlobalNetworkSet/")).length, 399);
    assert.match(await must(h1, "pool", "ls"), /kept/);
    assert.deepEqual(await addresses(h1, "web"), before);
    await eventually(async () => assert.deepEqual(JSON.parse(await must(h1, "ipam", "check", "-o", "json")), []));
    const given = await Promise.all(["web", "walker", "late"].map((name) => addresses(h1, name)));
    assert.equal(new Set(given.flat()).size, 6, "an address twice");
    const [late] = await addresses(h1, "late");
    await h1.mustExec(["nsenter", "-t", pid, "-n", "ping", "-c", "1", "-W", "2", late]);
    for (const one of h1.pids(([program]) => program === "ping")) process.kill(one, "SIGINT");
    const { stdout } = await ping;
    assert.match(stdout, / 0% packet loss/);
    const again = await manx(h1, "migrate", ...store);
    assert.match(again.stderr, /this host is on .* already/);
  });

  it("lets a second host in with the same access, and no secret stands anywhere that others read", async () => {
    const line = (await must(h1, "token", "create")).trim();
    await must(h2, "join", line);
    for (const name of ["password", "client.key"])
      assert.equal((await h2.mustExec(["stat", "-c", "%a", `/etc/manx/store/${name}`])).trim(), "600", name);
    await eventually(async () =>
      assert.deepEqual(
        (JSON.parse(await must(h1, "node", "ls", "-o", "json")) as { name: string; state: string }[]).map(
          ({ name, state }) => `${name} ${state}`,
        ),
        ["h1 alive", "h2 alive"],
      ),
    );
    for (const host of [h1, h2]) {
      const told = await Promise.all([
        manx(host, "status", "-o", "json").then(({ stdout }) => stdout),
        manx(host, "token", "ls", "-o", "json").then(({ stdout }) => stdout),
        host.mustExec(["cat", CONFIG]),
        host.log("agent"),
        host.mustExec(["sh", "-c", "cat /var/log/manx/* 2>/dev/null; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]),
      ]);
      for (const text of told) assert.ok(!text.includes(PASSWORD) && !text.includes("PRIVATE KEY"), host.name);
    }
  });

  it("the second host has the project's network with its labels; IPv4 and IPv6 go between the hosts", async () => {
    await eventually(async () => {
      const labels = await h2.docker("network", "inspect", "-f", "{{json .Labels}}", NETWORK);
      assert.deepEqual(JSON.parse(labels), LABELS);
    });
    await start(h2, "db", "--network-alias", "sql");
    const [ipv4, ipv6] = await addresses(h2, "db");
    await eventually(async () => void (await h1.docker("exec", "web", "ping", "-c", "1", "-W", "2", ipv4)));
    await eventually(async () => void (await h1.docker("exec", "web", "ping", "-6", "-c", "1", "-W", "2", ipv6)));
    const [, other] = await addresses(h1, "web");
    await h2.docker("exec", "db", "ping", "-6", "-c", "1", "-W", "2", other);
    // A project of its own on the second host, and one that uses it as external on the first.
    const own = ["--label", "com.docker.compose.network=back", "--label", "com.docker.compose.project=own"];
    await h2.docker("network", "create", "-d", "manx", "--ipam-driver", "manx", ...own, "own_back");
    await eventually(async () => void (await h1.docker("network", "inspect", "own_back")));
    await h2.docker("run", "-d", "--name", "o2", "--network", "own_back", "busybox", "sleep", "1d");
    await h1.docker("run", "-d", "--name", "o1", "--network", "own_back", "busybox", "sleep", "1d");
    const [o2] = await addresses(h2, "o2");
    await eventually(async () => void (await h1.docker("exec", "o1", "ping", "-c", "1", "-W", "2", o2)));
  });

  it("Docker asks Manx for names once it is started anew; stock containers find the other host's", async () => {
    for (const host of [h1, h2]) {
      const { dns } = JSON.parse(readFileSync(host.path("/etc/docker/daemon.json"), "utf8")) as { dns: string[] };
      assert.equal(dns[0], "169.254.1.1");
      await host.stopEngine();
      await host.startEngine();
    }
    for (const name of ["web", "walker"]) await h1.docker("start", name);
    await h2.docker("start", "db");
    const asks = async (name: string, wanted: readonly RegExp[]): Promise<void> =>
      eventually(async () => {
        const { stdout } = await h1.exec(["docker", "exec", "web", "timeout", "8", "nslookup", name]);
        for (const one of wanted) assert.match(stdout, one, name);
      });
    const db = await addresses(h2, "db");
    const both = db.map((one) => new RegExp(`Address: ${one.replaceAll(".", "\\.")}\\n`));
    for (const name of ["db", "sql", `db.${NETWORK}`]) await asks(name, both);
    for (const one of db) await asks(one, [/name = db\.shop_default/]);
    await h1.docker("exec", "web", "ping", "-6", "-c", "1", "-W", "2", "sql");
  });

  it("gives daemon.json back byte for byte when it is uninstalled", async () => {
    await h2.docker("rm", "-f", "db", "o2");
    const before = daemonFile.replaceAll("/h1", "/h2");
    const { code, stdout, stderr } = await manx(h2, "uninstall", "--yes", "--force");
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.equal(readFileSync(h2.path("/etc/docker/daemon.json"), "utf8"), before);
    assert.ok(!existsSync(h2.path("/etc/manx/store/password")), "the password stays");
  });
});
