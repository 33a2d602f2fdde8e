/** ./quickstart and manx uninstall on a machine of a lab: it has what a fresh one has, but for the packages. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Result } from "../../src/drivers/exec.ts";
import { ROOT } from "../../src/install/service.ts";
import { compareSnapshots, type Snapshot } from "../../src/install/snapshot.ts";
import type { Host } from "../../src/lab/host.ts";
import { type Lab, up } from "../../src/lab/lab.ts";

describe("quickstart and uninstall", () => {
  let lab: Lab;
  let host: Host;
  let fresh: Snapshot;

  const quickstart = (...args: readonly string[]): Promise<Result> =>
    host.exec([`${ROOT}/quickstart`, ...args], { timeoutMs: 300_000 });
  const manx = (...args: readonly string[]): Promise<Result> =>
    host.exec(["/usr/local/bin/manx", ...args], { timeoutMs: 300_000 });
  const snapshot = async (): Promise<Snapshot> => {
    const code = `const { takeSnapshot } = await import("${ROOT}/src/install/snapshot.ts");
      process.stdout.write(JSON.stringify(await takeSnapshot()))`;
    return JSON.parse(await host.mustExec([process.execPath, "--input-type=module", "-e", code])) as Snapshot;
  };
  const changes = async (): Promise<string[]> =>
    compareSnapshots(fresh, await snapshot(), { docker: false, packages: [] }).map(({ what }) => what);

  before(async () => {
    lab = await up({ name: `qs${process.pid}`, hosts: 1, docker: false, agent: false });
    host = lab.host(1);
    fresh = await snapshot();
  });
  after(() => lab?.[Symbol.asyncDispose]());

  it("prints every change and makes none in a dry run", async () => {
    const { code, stdout } = await quickstart("--dry-run");
    assert.equal(code, 0);
    for (const line of [
      "write /var/lib/manx/snapshot.json",
      "link /usr/local/bin/manx",
      "Start the agent",
      "Start Docker",
    ]) {
      assert.ok(stdout.includes(line), `${line} is not in\n${stdout}`);
    }
    assert.deepEqual(await changes(), []);
    assert.equal(await host.mustExec(["ls", "-A", "/var/lib/manx"]), "");
  });

  it("refuses wrong arguments, and a machine where it cannot ask", async () => {
    assert.equal((await quickstart("--what; id")).code, 2);
    const { code, stdout } = await quickstart();
    assert.equal(code, 3);
    assert.match(stdout, /Cannot ask.*--yes/);
    assert.deepEqual(await changes(), []);
  });

  it("refuses to overwrite a manx that is not its own", async () => {
    await host.mustExec(["cp", "/bin/true", "/usr/local/bin/manx"]);
    const { code, stdout } = await quickstart("--yes");
    assert.equal(code, 1);
    assert.match(stdout, /\/usr\/local\/bin\/manx is there and is no link of ours/);
    await host.mustExec(["rm", "/usr/local/bin/manx"]);
    assert.deepEqual(await changes(), []);
  });

  it("installs, and shows who reaches whom as measured in both families", async () => {
    const { code, stdout } = await quickstart("--yes");
    assert.equal(code, 0, stdout);
    const table = stdout
      .split("\n")
      .filter((line) => /^ {2}(red.|blue.|this host) .*(IPv4|no|-)/.test(line) && !line.includes("10."));
    assert.deepEqual(
      table.map((line) => line.trim().split(/ {2,}/)),
      [
        ["red1", "-", "IPv4 IPv6", "no", "IPv4 IPv6"],
        ["red2", "IPv4 IPv6", "-", "no", "IPv4 IPv6"],
        ["blue1", "no", "no", "-", "IPv4 IPv6"],
        ["blue2", "no", "no", "IPv4 IPv6", "-"],
        ["this host", "IPv4 IPv6", "IPv4 IPv6", "IPv4 IPv6", "IPv4 IPv6"],
      ],
    );
    assert.equal(await host.docker("ps", "-aq"), "");
    assert.equal(await host.docker("network", "ls", "-q", "--filter", "driver=manx"), "");
    assert.equal((await manx("status")).code, 0);
  });

  it("takes its demonstration away when ^C ends it", async () => {
    const begun = `until grep -q "docker run -d --name manx-demo-red2" /tmp/qs; do kill -0 $! || exit 9; sleep .05; done`;
    const run = `${ROOT}/quickstart --yes > /tmp/qs & ${begun}; pkill -INT -P $! -f install/main.ts || kill -INT $!; wait $!`;
    const { code } = await host.exec(["bash", "-c", run], { timeoutMs: 300_000 });
    const said = await host.mustExec(["cat", "/tmp/qs"]);
    assert.equal(code, 130, said);
    assert.match(said, /Interrupted\.\nWhat was done so far stays/);
    assert.equal(await host.docker("ps", "-aq"), "");
    assert.equal(await host.docker("network", "ls", "-q", "--filter", "driver=manx"), "");
  });

  it("has nothing to change when it is run again", async () => {
    const { code, stdout } = await quickstart("--no-demo", "--yes");
    assert.equal(code, 0, stdout);
    // Where somebody works on the source while this runs, the agent is started anew: that is all.
    const [, will = "nothing to change"] = /It will\n([^]*?)\n\n/.exec(stdout) ?? [];
    assert.match(will, /^nothing to change$|^ {2}1\. Start the agent anew, because its code has changed[^]*(?!2\.)/);
  });

  it("supervises the agent: it comes back after a kill, and the container keeps its address", async () => {
    await host.docker("network", "create", "--ipv6", "-d", "manx", "--ipam-driver", "manx", "apps");
    await host.docker("run", "-d", "--name", "web", "--network", "apps", "manx/box", "sleep", "1000");
    const [pid] = host.agentPids();
    await host.stopAgent("SIGKILL");
    for (let waited = 0; host.agentPids().length === 0 && waited < 5000; waited += 50) await sleep(50);
    assert.notEqual(host.agentPids()[0], pid);
    for (let waited = 0; (await manx("ls", "-o", "json")).code !== 0 && waited < 10_000; waited += 200)
      await sleep(200);
    const { stdout } = await manx("ls", "-o", "json");
    assert.equal((JSON.parse(stdout) as { container: string }[])[0]?.container, "web");
  });

  it("says what is wrong in agent.yaml at once, and starts the agent as soon as it is mended", async () => {
    const write = (text: string) =>
      host.mustExec(["sh", "-c", `mkdir -p /etc/manx && echo "${text}" > /etc/manx/agent.yaml`]);
    await write("metrics: 9000");
    await host.stopAgent("SIGKILL");
    // The supervisor tries at once, then after 1, 3, 7, ... seconds.
    for (let waited = 0; host.agentPids().length > 0 && waited < 10_000; waited += 50) await sleep(50);
    const broken = await quickstart("--no-demo", "--yes");
    assert.notEqual(broken.code, 0);
    assert.match(broken.stdout + broken.stderr, /agent\.yaml:1:10 metrics/);
    assert.match((await manx("ls")).stderr, /^Start it: .*\/quickstart --no-demo/m);
    assert.match((await manx("doctor")).stdout, /Mend \/etc\/manx\/agent\.yaml, then: .*\/quickstart --no-demo/);
    await write("metrics: 127.0.0.1:7442");
    const mended = await quickstart("--no-demo", "--yes");
    assert.equal(mended.code, 0, mended.stdout);
    assert.equal((await manx("ls")).code, 0);
    await host.mustExec(["rm", "/etc/manx/agent.yaml"]);
  });

  it("refuses to uninstall under a running container, and changes nothing", async () => {
    const { code, stderr } = await manx("uninstall", "--yes");
    assert.equal(code, 5);
    assert.match(stderr, /containers run on its networks: web/);
    assert.equal((await manx("uninstall")).code, 5);
    assert.equal((await manx("uninstall", "--dry-run")).code, 0);
    assert.equal((await manx("ls")).code, 0);
  });

  it("uninstalls with --force, proves it, and leaves Docker as Docker would be by itself", async () => {
    const { code, stdout } = await host.exec([`${ROOT}/bin/manx`, "uninstall", "--yes", "--force"], {
      timeoutMs: 300_000,
    });
    assert.equal(code, 0, stdout);
    assert.match(stdout, /Manx is removed\. The host equals the snapshot/);
    assert.doesNotMatch(stdout, /left by Manx|by somebody else/);
    assert.equal(await host.docker("inspect", "-f", "{{.State.Running}}", "web"), "true");
    assert.match(await host.mustExec(["iptables", "-S", "FORWARD"]), /-P FORWARD DROP/);
    for (const trace of [
      ["nft", "list", "tables"],
      ["ip", "-o", "link"],
      ["ip", "route", "show", "table", "all"],
      ["ip", "-6", "route", "show", "table", "all"],
      ["ip", "address", "show", "dev", "lo"],
      ["iptables", "-S"],
      ["ps", "-eo", "args"],
      ["ls", "-A", "/run", "/run/docker/plugins", "/usr/local/bin", "/var/log", "/var/cache"],
    ]) {
      const text = (await host.mustExec(trace)).replaceAll(ROOT, "");
      assert.doesNotMatch(text.replace(/manx-lab.*/g, ""), /manx|169\.254\.1\.|proto 109/, trace.join(" "));
    }
    assert.equal((await host.exec(["ls", "-A", "/var/lib/manx"])).stdout, "");
  });

  it("leaves the machine as it was, once Docker is gone as well", async () => {
    await host.stopEngine();
    await host.mustExec(["ip", "link", "del", "docker0"]);
    await host.mustExec(["nft", "flush", "ruleset"]);
    await host.mustExec(["rm", "-rf", "/etc/docker/key.json", "/run/docker"]);
    await host.mustExec(["busybox", "sysctl", "-qw", "net.ipv4.ip_forward=0"]);
    assert.deepEqual(await changes(), []);
    const { code, stdout } = await host.exec([`${ROOT}/bin/manx`, "uninstall", "--yes"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /There was no snapshot/);
  });
});
