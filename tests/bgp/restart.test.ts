/** Nothing is withdrawn by a BIRD that dies, nor by an agent that dies or is replaced: packets flow on, and the router's table says so. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BirdRouter, KERNEL } from "./daemons.ts";
import { eventually, Fabric, kill, type Machine } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { PingStream } from "./ping.ts";
import { node, peer, pool } from "./resources.ts";

const ROUTER = `router id 192.0.2.2;
protocol static { ipv4; route 10.99.0.0/16 blackhole; }
${KERNEL}
protocol bgp host { local as 65001; neighbor 192.0.2.1 as 64512; graceful restart on; ipv4 { import all; export where source = RTS_STATIC; }; }`;

function wired(fabric: Fabric): { host: Machine; router: Machine; bird: BirdRouter } {
  const [host, router] = [fabric.machine("host"), fabric.machine("router")];
  fabric.wire(host, router, ["192.0.2.1/24"], ["192.0.2.2/24"]);
  const bird = new BirdRouter(router);
  bird.start(ROUTER);
  return { host, router, bird };
}

/** A container of the host: a machine with an address out of the block. */
function container(fabric: Fabric, host: Machine, address: string): void {
  const inside = fabric.machine("box");
  fabric.wire(host, inside, [], [`${address}/32`]);
  host.run("sysctl", "-qw", "net.ipv4.conf.to-box.proxy_arp=1");
  host.ip(`route add ${address}/32 dev to-box proto 109`);
  inside.ip("route add default dev to-host");
}

describe("a BIRD that is killed", () => {
  it("loses not one of a thousand packets a second, and the router keeps the route all the time", async () => {
    await using fabric = new Fabric();
    const { host: machine, router, bird } = wired(fabric);
    const host = new BgpHost(
      fabric,
      machine,
      {
        ...NO_CLUSTER,
        nodes: [node("host", { ipv4Address: "192.0.2.1/24" })],
        pools: [pool("10.65.0.0/16")],
        peers: [peer("tor", { peerIP: "192.0.2.2", asNumber: 65001 })],
      },
      { blocks: ["10.65.0.0/26"], connected: ["192.0.2.1/24"] },
    );
    container(fabric, machine, "10.65.0.5");
    await host.apply();
    await eventually("the router has the block", () => router.fib().some((line) => line.startsWith("10.65.0.0/26")));
    await eventually("the host has the router's network", () => machine.fib().length === 1);
    await eventually("a packet comes through", () => router.run("ping", "-c", "1", "-W", "1", "10.65.0.5") !== "");
    const pings = new PingStream(router, "10.65.0.5");
    const before = await bird.ask("show route 10.65.0.0/26");
    await sleep(300);
    const first = host.pid;
    kill(first);
    await eventually("its end is noticed", () => host.deaths === 1);
    await host.apply();
    assert.notEqual(host.pid, first);
    const name = "host";
    await eventually(
      "the session is up again",
      async () =>
        (await bird.sessions()).get(name)?.state === "Established" &&
        (await host.ask("show protocols")).includes("Established"),
    );
    await sleep(500);
    const { sent, received } = await pings.stop();
    assert.ok(sent > 500, `${sent} packets sent`);
    assert.equal(received, sent);
    assert.equal(before.length, (await bird.ask("show route 10.65.0.0/26")).length);
    assert.equal(machine.fib().length, 1);
    // A router that had withdrawn the route would have counted it.
    const stats = (await bird.ask("show protocols all host")).find(({ text }) => text.includes("Import withdraws"));
    assert.match(stats?.text ?? "", /Import withdraws: +0 /);
  });
});

describe("an agent", () => {
  const AGENT = join(import.meta.dirname, "../../bin/manx");
  const started = async (machine: Machine): Promise<() => number[]> => {
    const at = (name: string): string => join(machine.folder, name);
    mkdirSync(at("run"), { recursive: true });
    const env = {
      ...process.env,
      MANX_HOST: "host",
      MANX_STATE_FILE: at("manx.db"),
      MANX_SOCKET: at("run/manx.sock"),
      MANX_PLUGIN_SOCKET: at("run/plugin.sock"),
      MANX_DOCKER_SOCKET: at("run/no-docker.sock"),
      NODE_TEST_CONTEXT: undefined,
    };
    const log = openSync(at("agent.log"), "a");
    const [file, ...args] = [...machine.within, AGENT, "agent"];
    spawn(file, args, { env, stdio: ["ignore", log, log], detached: true }).unref();
    await eventually(
      "the agent answers",
      () => post(at("run/plugin.sock"), "/Plugin.Activate", {}).then(() => true),
      60_000,
    ).catch((error: unknown) => assert.fail(`${String(error)}: ${readFileSync(at("agent.log"), "utf8")}`));
    return () =>
      machine
        .run("sh", "-c", "pgrep -f '[c]li/main.ts agent' || true") // none is an exit status of 1
        .split("\n")
        .flatMap((line) => (line === "" || !namespaceHas(machine, Number(line)) ? [] : [Number(line)]));
  };

  it("that is killed, and one that is replaced, lose nothing either; the BIRD is the same one", async () => {
    await using fabric = new Fabric();
    const { host, router, bird } = wired(fabric);
    const pids = await started(host);
    const plugin = join(host.folder, "run/plugin.sock");
    const manx = (...words: readonly string[]): string =>
      host.run("env", `MANX_SOCKET=${join(host.folder, "run/manx.sock")}`, AGENT, ...words);
    const { PoolID } = await post(plugin, "/IpamDriver.RequestPool", {
      AddressSpace: "manx-local",
      Pool: "",
      SubPool: "",
      Options: {},
      V6: false,
    });
    const { Address } = await post(plugin, "/IpamDriver.RequestAddress", { PoolID, Address: "", Options: {} });
    const address = String(Address).replace(/\/.*/, "");
    host.ip(`address add ${address}/32 dev lo`); // somebody who answers; how containers fare is the engine tests' matter
    manx("bgp", "add", "192.0.2.2", "--as", "65001");
    await eventually("the router has a block", () => router.fib().some((line) => line.includes("192.0.2.1")), 40_000);
    const [block = ""] = await bird.table();
    assert.match(manx("bgp", "status", "-o", "json"), /"health": ?"up"/);
    assert.match(manx("bgp", "config", "192.0.2.2", "--for", "bird"), /neighbor 192\.0\.2\.1 as 64512/);
    assert.match(manx("bgp", "diff"), /^$/);
    const birdPid = readFileSync(join(host.folder, "run/bird/bird.pid"), "utf8");
    const since = (await bird.sessions()).get("host")?.since;
    const pings = new PingStream(router, address);
    await sleep(300);
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      for (const pid of pids()) kill(pid, signal);
      await eventually("the agent is gone", () => pids().length === 0);
      await started(host);
    }
    await eventually(
      "the new agent has the session",
      () => manx("bgp", "status", "-o", "json").includes('"up"'),
      30_000,
    );
    const { sent, received } = await pings.stop();
    assert.ok(sent > 500, `${sent} packets sent`);
    assert.equal(received, sent);
    assert.equal(readFileSync(join(host.folder, "run/bird/bird.pid"), "utf8"), birdPid);
    assert.equal((await bird.sessions()).get("host")?.since, since);
    assert.deepEqual(await bird.table(), [block]);
    for (const pid of pids()) kill(pid, "SIGTERM");
    await eventually("the agent is gone", () => pids().length === 0);
  });
});

function namespaceHas(machine: Machine, pid: number): boolean {
  return machine.run("ip", "netns", "pids", machine.namespace).split("\n").includes(String(pid));
}

function post(socketPath: string, path: string, body: unknown): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const ask = request({ socketPath, path, method: "POST", agent: false }, (answer) => {
      let text = "";
      answer.on("data", (piece: Buffer) => void (text += piece.toString()));
      answer.once("end", () => {
        const parsed = JSON.parse(text) as Record<string, unknown>;
        if (answer.statusCode === 200) resolve(parsed);
        else reject(new Error(text));
      });
    });
    ask.once("error", reject);
    ask.end(JSON.stringify(body));
  });
}
