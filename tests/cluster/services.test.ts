/**
 * Service addresses on two hosts behind a router that speaks BGP: real engines, a client behind the router, which is BIRD; and a second
 * router, FRR. What is announced is read from the routers' own kernels, and what arrives from the answers of the containers.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { INTERNET } from "../../src/lab/wire.ts";
import { ClusterWorld, type Place } from "./cluster-world.ts";
import { startFrr } from "./frr.ts";

const API = "198.51.100.10";
const API6 = "2001:db8:5::10";
const ANSWERS =
  "mkdir -p /www/cgi-bin; cd /www/cgi-bin; printf '#!/bin/sh\\necho; hostname; echo $REMOTE_ADDR\\n' > who; chmod +x who; touch /tmp/ok";

/** The router and the client have this machine's own files. */
const FOLDER = mkdtempSync(join(tmpdir(), "manx-services-"));
const ROUTER = `
router id 10.99.0.1;
log "${FOLDER}/bird.log" all;
protocol device {}
protocol kernel { merge paths on; ipv4 { export where source = RTS_BGP; }; }
protocol kernel { merge paths on; ipv6 { export where source = RTS_BGP; }; }
${[11, 12]
  .flatMap((n) => [
    `protocol bgp four${n} { local 10.99.0.1 as 65001; neighbor 10.99.0.${n} as 64512; ipv4 { import all; export none; }; }`,
    `protocol bgp six${n} { local fd99::1 as 65001; neighbor fd99::${n} as 64512; ipv6 { import all; export none; }; }`,
  ])
  .join("\n")}
`;

describe("service addresses on two hosts behind a router", { timeout: 1_800_000 }, () => {
  let world: ClusterWorld;
  const children: ChildProcess[] = [];

  before(async () => {
    world = await ClusterWorld.start("services", 2);
    await world.network("h1", "apps", "--ipv6", "-o", "isolation=off");
    await world.eventually(async () => assert.ok(await world.hasNetwork("h2", "apps")));
    await world.network("h1", "closed", "--ipv6");
    await world.eventually(async () => assert.ok(await world.hasNetwork("h2", "closed")));
    writeFileSync(`${FOLDER}/bird.conf`, ROUTER);
    for (const name of ["ipv4", "ipv6"])
      await run("router", "busybox", "sysctl", "-q", "-w", `net.${name}.fib_multipath_hash_policy=1`);
    await run("router", "bird", "-c", `${FOLDER}/bird.conf`, "-s", `${FOLDER}/bird.ctl`, "-P", `${FOLDER}/bird.pid`);
    await manx("h1", "bgp", "add", "10.99.0.1", "--as", "65001");
    await manx("h1", "bgp", "add", "fd99::1", "--as", "65001");
    await manx("h1", "bgp", "add", "10.99.0.100", "--as", "65002");
  });
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await world?.[Symbol.asyncDispose]();
    rmSync(FOLDER, { recursive: true });
  });

  const run = (machine: string, ...argv: readonly string[]): Promise<string> =>
    world.lab.machine(machine).mustExec(argv);
  const manx = (host: string, ...args: readonly string[]): Promise<string> => run(host, "manx", ...args);

  /** A container that says who it is and who asks, and is healthy while /tmp/ok is there. */
  async function start(place: Place, network: string, ...args: readonly string[]): Promise<void> {
    const [host = "", name = ""] = place.split("/");
    const health = ["--health-cmd", "test -e /tmp/ok", "--health-interval", "2s", "--health-retries", "1"];
    const stop = `trap 'touch /shared/${name}.term; sleep 1; exit 0' TERM; httpd -f -p 80 -h /www & sleep 1000000 & wait $!`;
    mkdirSync(world.host(host).path("/tmp/shared"), { recursive: true });
    const image = [
      "-v",
      "/tmp/shared:/shared",
      "--hostname",
      name,
      "--network",
      network,
      ...health,
      ...args,
      "busybox",
    ];
    await world.host(host).docker("run", "-d", "--name", name, ...image, "sh", "-c", `${ANSWERS}; ${stop}`);
  }

  /** Next hops in a router's own kernel: `10.99.0.11`. */
  async function nextHops(address: string, router = "router"): Promise<string[]> {
    const family = address.includes(":") ? "-6" : "-4";
    const text = await run(router, "ip", family, "-j", "route", "show", `${address}/${family === "-6" ? 128 : 32}`);
    const routes = JSON.parse(text === "" ? "[]" : text) as { gateway?: string; nexthops?: { gateway: string }[] }[];
    return routes
      .flatMap(({ gateway, nexthops = [] }) => [
        ...(gateway === undefined ? [] : [gateway]),
        ...nexthops.map((hop) => hop.gateway),
      ])
      .sort();
  }
  /** Told of these addresses by both routers; FRR, on the machine "lan", speaks IPv4. */
  const onFrr = new Set<string>();
  const hops = (address: string, ...expected: string[]): Promise<void> =>
    world.eventually(async () => {
      assert.deepEqual(await nextHops(address), expected);
      if (onFrr.has(address)) assert.deepEqual(await nextHops(address, "lan"), expected, "FRR");
    }, 30);

  /** Who answers a number of connections of the client's, and whom they see. */
  async function ask(address: string, times: number, from = "internet"): Promise<Map<string, number>> {
    const url = address.includes(":") ? `[${address}]` : address;
    const script = `for i in $(seq ${times}); do curl -s -m 2 http://${url}/cgi-bin/who | tr '\\n' ' '; echo; done`;
    const seen = new Map<string, number>();
    const output = await world.lab.machine(from).mustExec(["bash", "-c", script], { timeoutMs: 300_000 });
    for (const line of output.split("\n"))
      if (line.trim() !== "") seen.set(line.trim(), (seen.get(line.trim()) ?? 0) + 1);
    return seen;
  }
  const names = (seen: ReadonlyMap<string, number>): string[] =>
    [...seen.keys()].map((line) => line.split(" ")[0] ?? "").sort();

  it("several containers on both hosts have one address; the router has a next hop for each host", async () => {
    for (const place of ["h1/a1", "h1/a2", "h2/b1"] as const) await start(place, "apps", "--label", "app=api");
    assert.deepEqual(await nextHops(API), []);
    await manx("h1", "service", "add", "api", "--address", `${API},${API6}`, "--selector", "app == 'api'");
    await hops(API, "10.99.0.11", "10.99.0.12");
    await hops(API6, "fd99::11", "fd99::12");
  });

  it("each of them answers under it, and sees the client's own address", async () => {
    for (const [address, client] of [
      [API, INTERNET.ipv4],
      [API6, INTERNET.ipv6],
    ] as const) {
      const seen = await ask(address, 60);
      assert.deepEqual(names(seen), ["a1", "a2", "b1"], JSON.stringify([...seen]));
      for (const line of seen.keys())
        assert.equal(line.split(" ")[1]?.replace(/[[\]]/g, "").replace("::ffff:", ""), client);
    }
  });

  it("FRR has both hosts as well, with what manx bgp config prints and maximum-paths", async () => {
    await manx("h1", "pool", "add", "192.0.2.0/28", "--name", "vips", "--manual");
    const printed = (await manx("h1", "bgp", "config", "10.99.0.100", "--for", "frr")).split("\n");
    await startFrr(world.lab.lan, [
      ...printed,
      "router bgp 65002",
      " address-family ipv4 unicast",
      "  maximum-paths 16",
    ]);
    onFrr.add(API);
    await hops(API, "10.99.0.11", "10.99.0.12");
  });

  it("containers on other networks and hosts reach it too", async () => {
    await world.run("h2/asker", "apps");
    assert.ok(await world.canFetch("h2/asker", API));
  });

  it("Docker's health check takes a host out, and brings it back", async () => {
    await world.host("h2").docker("exec", "b1", "rm", "/tmp/ok");
    await hops(API, "10.99.0.11");
    await hops(API6, "fd99::11");
    assert.deepEqual(names(await ask(API, 20)), ["a1", "a2"]);
    // From the host without one the way leads to the other host.
    assert.ok(await world.canFetch("h2/asker", API));
    await world.host("h2").docker("exec", "b1", "touch", "/tmp/ok");
    await hops(API, "10.99.0.11", "10.99.0.12");
  });

  it("one of two on a host goes: the host stays, and connections to the other live on", async () => {
    await world.host("h2").docker("exec", "b1", "rm", "/tmp/ok");
    await hops(API, "10.99.0.11");
    // 40 connections that stay; each says a line now and one after the change.
    const program = `
      import socket, sys, time
      def who(s):
          s.sendall(b"hello\\n"); return s.recv(64).decode().strip()
      all = []
      for i in range(40):
          s = socket.create_connection(("${API}", 81), 3); s.settimeout(3); all.append((s, who(s)))
      print("ready", *sorted(set(n for _, n in all)), flush=True)
      sys.stdin.readline()
      for s, n in all:
          try: print(n, "same" if who(s) == n else "other")
          except OSError as e: print(n, "cut")
    `.replaceAll("\n      ", "\n");
    for (const name of ["a1", "a2"])
      await world
        .host("h1")
        .docker("exec", "-d", name, "sh", "-c", "exec nc -ll -p 81 -e sh -c 'while read x; do hostname; done'");
    writeFileSync(`${FOLDER}/many.py`, program);
    const [file = "", ...args] = world.lab.internet.commandLine(["python3", `${FOLDER}/many.py`]);
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    children.push(child);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await world.eventually(() => Promise.resolve(assert.match(output, /ready a1 a2/)));
    await world.host("h1").docker("exec", "a1", "rm", "/tmp/ok");
    await world.eventually(async () => assert.deepEqual(names(await ask(API, 20)), ["a2"]));
    child.stdin.write("\n");
    await new Promise((resolve) => child.once("close", resolve));
    const lines = output.trim().split("\n").slice(1);
    assert.ok(lines.filter((line) => line.startsWith("a2 ")).length > 5, output);
    assert.deepEqual([...new Set(lines.filter((line) => line.startsWith("a2 ")))], ["a2 same"], output);
    await world.host("h1").docker("exec", "a1", "touch", "/tmp/ok");
    await world.host("h2").docker("exec", "b1", "touch", "/tmp/ok");
    await hops(API, "10.99.0.11", "10.99.0.12");
    await world.eventually(async () => assert.deepEqual(names(await ask(API, 40)), ["a1", "a2", "b1"]));
  });

  it("an agent that starts again withdraws nothing and writes nothing", async () => {
    const [file = "", ...args] = world.lab.router.commandLine(["ip", "monitor", "route"]);
    const monitor = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
    children.push(monitor);
    let news = "";
    monitor.stdout.on("data", (chunk: Buffer) => (news += chunk.toString()));
    await sleep(300);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const bucketsBefore = await run("h1", "ip", "nexthop");
      await world.host("h1").stopAgent(signal);
      assert.ok((await ask(API, 10)).size > 0);
      await world.startAgent(world.host("h1"));
      await sleep(1500);
      assert.equal(await run("h1", "ip", "nexthop"), bucketsBefore);
    }
    assert.deepEqual(
      news.split("\n").filter((line) => line.includes(API)),
      [],
    );
    assert.deepEqual(names(await ask(API, 60)), ["a1", "a2", "b1"]);
  });

  it("what somebody takes away comes back", async () => {
    await run("h1", "ip", "nexthop", "flush", "proto", "109");
    await world.eventually(async () => assert.match(await run("h1", "ip", "route", "show", API), /nhid/));
    await hops(API, "10.99.0.11", "10.99.0.12");
  });

  /** When both routers had lost the host, and when the container got its signal. Nanoseconds of one clock. */
  async function stopping(
    container: string,
    stop: () => Promise<unknown>,
  ): Promise<{ withdrawn: bigint; signal: bigint }> {
    const monitors = [world.lab.router, world.lab.lan].map((router) => {
      const [file = "", ...args] = router.commandLine(["ip", "-ts", "monitor", "route"]);
      const monitor = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
      children.push(monitor);
      const heard: string[] = [];
      createInterface(monitor.stdout).on("line", (line) => heard.push(line));
      return { monitor, heard };
    });
    await sleep(300);
    await stop();
    await hops(API, "10.99.0.11");
    await sleep(200);
    // ip-monitor(8), `-ts`: `[2026-01-31T12:00:00.123456] 198.51.100.10 via ...`
    const changes = monitors.map(({ monitor, heard }) => {
      monitor.kill();
      const change = heard.map((line) => /^\[(\S+)\] (.*)/.exec(line)).find((match) => match?.[2]?.includes(API));
      assert.ok(change?.[1] !== undefined, JSON.stringify(heard));
      return Date.parse(change[1]);
    });
    const { mtimeNs } = statSync(world.host("h2").path(`/tmp/shared/${container}.term`), { bigint: true });
    return { withdrawn: BigInt(Math.max(...changes)) * 1_000_000n, signal: mtimeNs };
  }

  it("taken out by hand, a host is withdrawn and the container still answers who comes", async () => {
    await manx("h2", "service", "drain", "b1");
    assert.deepEqual(await nextHops(API), ["10.99.0.11"]);
    assert.match(await run("h2", "ip", "route", "show", API), /metric 512/);
    await manx("h2", "service", "undrain", "b1");
    await hops(API, "10.99.0.11", "10.99.0.12");
  });

  it("with the guard every docker stop waits for the withdrawal", async () => {
    await manx("h2", "service", "guard", "on");
    await sleep(1000); // dockerd reads its file again
    const { withdrawn, signal } = await stopping("b1", () => world.host("h2").docker("stop", "b1"));
    assert.ok(withdrawn < signal, `withdrawn ${signal - withdrawn} ns before the signal`);
    await world.host("h2").docker("start", "b1");
    await hops(API, "10.99.0.11", "10.99.0.12");
    // While its agent is away for a moment, commands wait for it.
    await world.host("h2").stopAgent("SIGKILL");
    const listed = world.host("h2").docker("ps", "-q");
    await world.startAgent(world.host("h2"));
    assert.notEqual(await listed, "");
    await manx("h2", "service", "guard", "off");
    await sleep(1000);
  });

  it("without an agent, a container that ends takes its host's announcement along", async () => {
    await world.host("h2").stopAgent("SIGKILL");
    await world.host("h2").docker("kill", "b1");
    await hops(API, "10.99.0.11");
    await world.startAgent(world.host("h2"));
    await world.host("h2").docker("start", "b1");
    await hops(API, "10.99.0.11", "10.99.0.12");
  });

  it("policy holds for the address as for the container's own", async () => {
    const label = [
      "--label",
      "app=closed",
      "--label",
      `manx.service-address=198.51.100.20`,
      "--label",
      "manx.service-check=tcp:80",
    ];
    await start("h1/c1", "closed", ...label);
    await hops("198.51.100.20", "10.99.0.11");
    assert.deepEqual(names(await ask("198.51.100.20", 2)), []);
    await world.run("h2/friend", "closed");
    await world.eventually(async () => assert.ok(await world.canFetch("h2/friend", "198.51.100.20")));
    assert.equal(await world.fetches("h2/asker", "198.51.100.20"), false);
    assert.match(
      await manx("h2", "why", "asker", "198.51.100.20", "80").catch((error: Error) => error.message),
      /deny|drop|no/i,
    );
    // Where a container may go is said of those who have the address.
    const policy = (selector: string): string =>
      JSON.stringify({
        apiVersion: "projectcalico.org/v3",
        kind: "GlobalNetworkPolicy",
        metadata: { name: "friend" },
        spec: {
          selector: "manx/container == 'friend'",
          types: ["Egress"],
          egress: [{ action: "Allow", destination: { selector } }],
        },
      });
    await world.host("h1").mustExec(["manx", "apply", "-f", "-"], { input: policy("app == 'other'") });
    await world.eventually(async () => assert.equal(await world.fetches("h2/friend", "198.51.100.20"), false));
    await world.host("h1").mustExec(["manx", "apply", "-f", "-"], { input: policy("app == 'closed'") });
    await world.eventually(async () => assert.ok(await world.canFetch("h2/friend", "198.51.100.20")));
    await manx("h1", "delete", "gnp", "friend");
  });

  it("a port that does not answer takes it out", async () => {
    await world.host("h1").docker("exec", "c1", "killall", "httpd");
    await hops("198.51.100.20");
  });

  it("an address of a pool goes and comes with a page of its container", async () => {
    await start("h2/p1", "apps", "--label", "app=page");
    const added = ["add", "page", "--pool", "vips", "--selector", "app == 'page'", "--check", "http:80/well"];
    await manx("h1", "service", ...added, "--interval", "1");
    const services = JSON.parse(await manx("h1", "service", "ls", "-o", "json")) as {
      name: string;
      addresses: string[];
    }[];
    const address = services.find(({ name }) => name === "page")?.addresses[0] ?? "";
    assert.match(address, /^192\.0\.2\.\d+$/);
    onFrr.add(address);
    await world.eventually(async () =>
      assert.match(await run("h2", "docker", "exec", "p1", "ip", "addr"), new RegExp(` ${address}/32 `)),
    );
    assert.deepEqual(await nextHops(address), [], "the page is not there yet");
    await world.host("h2").docker("exec", "p1", "touch", "/www/well");
    await hops(address, "10.99.0.12");
    await world.host("h2").docker("exec", "p1", "rm", "/www/well");
    await hops(address);
    await world.host("h2").docker("exec", "p1", "touch", "/www/well");
    await hops(address, "10.99.0.12");
  });

  it("refuses addresses that somebody has", async () => {
    const address = await world.address("h1/a1");
    for (const taken of [address, API, "198.51.100.20", "10.99.0.11", "127.0.0.1", "224.0.0.5"])
      await assert.rejects(
        manx("h2", "service", "add", "other", "--address", taken, "--selector", "app == 'x'"),
        taken,
      );
  });

  it("manx uninstall takes a host's services along, and the guard, under running containers", async () => {
    await hops(API, "10.99.0.11", "10.99.0.12");
    await manx("h2", "service", "guard", "on");
    await sleep(1000);
    const out = await manx("h2", "uninstall", "--yes", "--force");
    assert.doesNotMatch(out, /left by Manx/);
    await hops(API, "10.99.0.11");
    assert.equal((await run("h2", "ip", "nexthop")).trim(), "");
    for (const family of ["-4", "-6"])
      assert.doesNotMatch(
        await run("h2", "ip", family, "route", "show", "table", "all"),
        /proto 109|198\.51|192\.0\.2/,
      );
    assert.doesNotMatch(await run("h2", "sh", "-c", "cat /etc/docker/daemon.json || true"), /manx-drain/);
    assert.equal((await run("h2", "cat", "/proc/sys/net/ipv4/fib_multipath_hash_policy")).trim(), "0");
    assert.match(await world.host("h2").docker("ps", "--format", "{{.Names}}"), /b1/, "Docker asks nobody any more");
  });

  it("is gone with the service, to the last next hop", async () => {
    await manx("h1", "service", "rm", "api");
    await world.host("h1").docker("rm", "-f", "c1");
    await hops(API);
    await hops(API6);
    await world.eventually(async () => assert.equal((await run("h1", "ip", "nexthop")).trim(), ""));
    assert.equal((await run("h1", "ip", "route", "show", API)).trim(), "");
    await world.eventually(async () =>
      assert.doesNotMatch(
        await world.host("h1").docker("exec", "a1", "ip", "addr"),
        new RegExp(API.replaceAll(".", "\\.")),
      ),
    );
  });
});
