/** Containers of one network on three hosts: real Docker engines, real etcd, real BIRD, real packets. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { ClusterWorld } from "./cluster-world.ts";

interface Listed {
  readonly container: string;
  readonly host: string;
  readonly network: string;
}

describe("three hosts on one etcd", { timeout: 1_800_000 }, () => {
  let world: ClusterWorld;
  before(async () => {
    world = await ClusterWorld.start("cluster", 3);
  });
  after(() => world[Symbol.asyncDispose]());

  it("a network made on one host is there on all; its containers reach each other, others do not", async () => {
    await world.network("h1", "apps", "--ipv6", "--subnet", "10.77.0.0/16");
    await world.network("h2", "other");
    for (const host of ["h2", "h3"])
      await world.eventually(async () => assert.ok(await world.hasNetwork(host, "apps")));
    await world.eventually(async () => assert.ok(await world.hasNetwork("h3", "other")));
    await world.run("h1/web", "apps");
    await world.run("h2/db", "apps");
    await world.run("h3/stranger", "other");
    await world.eventually(() => world.expectTable({ "h1/web": "- y n", "h2/db": "y - n", "h3/stranger": "n n -" }));
  });

  it("every host shows the containers, networks and hosts of all", async () => {
    for (const host of ["h1", "h3"]) {
      const listed = (await world.manx(host, "ls")) as Listed[];
      assert.deepEqual(listed.map((one) => `${one.host}/${one.container} ${one.network}`).sort(), [
        "h1/web apps",
        "h2/db apps",
        "h3/stranger other",
      ]);
      const networks = (await world.manx(host, "network", "ls")) as { name: string; hosts: string[] }[];
      assert.deepEqual(networks.find(({ name }) => name === "apps")?.hosts, ["h1", "h2"]);
      const nodes = (await world.manx(host, "node", "ls")) as { name: string; state: string; addresses: string[] }[];
      assert.deepEqual(
        nodes.map(({ name, state }) => `${name} ${state}`),
        ["h1 alive", "h2 alive", "h3 alive"],
      );
      assert.ok(nodes[0]?.addresses.includes("10.99.0.11"));
    }
    assert.deepEqual(await world.manx("h1", "ipam", "check"), []);
  });

  it("a policy stored on one host is in force on all, on both sides", async () => {
    const policy = JSON.stringify({
      apiVersion: "projectcalico.org/v3",
      kind: "GlobalNetworkPolicy",
      metadata: { name: "no-web" },
      spec: {
        selector: "manx/container == 'db'",
        types: ["Ingress"],
        ingress: [{ action: "Deny", source: { selector: "manx/container == 'web'" } }],
      },
    });
    await world.host("h3").mustExec(["manx", "apply", "-f", "-"], { input: policy });
    await world.eventually(() => world.expectTable({ "h1/web": "- n n", "h2/db": "y - n", "h3/stranger": "n n -" }));
    await world.host("h2").mustExec(["manx", "delete", "globalnetworkpolicy", "no-web"]);
    await world.eventually(() => world.expectTable({ "h1/web": "- y n", "h2/db": "y - n", "h3/stranger": "n n -" }));
  });

  it("agents that are killed and start again disturb nothing", async () => {
    for (const host of world.lab.hosts) await host.stopAgent("SIGKILL");
    await world.expectTable({ "h1/web": "- y n", "h2/db": "y - n", "h3/stranger": "n n -" });
    for (const host of world.lab.hosts) await world.startAgent(host);
    await world.expectTable({ "h1/web": "- y n", "h2/db": "y - n", "h3/stranger": "n n -" });
  });

  it("--ip in another host's block, and an address that follows its container, are lent", async () => {
    const web = await world.address("h1/web");
    const [a, b, c, d] = web.split(".").map(Number);
    const wanted = [a, b, c, ((d ?? 0) & ~63) + (((d ?? 0) + 20) & 63)].join("."); // in the same block of 64
    assert.equal(await world.run("h3/fixed", "apps", "--ip", wanted), wanted);
    await world.eventually(() => world.expectTable({ "h1/web": "- y y", "h2/db": "y - y", "h3/fixed": "y y -" }));
    await assert.rejects(world.run("h2/thief", "apps", "--ip", wanted), new RegExp(wanted.replaceAll(".", "\\.")));
    await world.host("h2").docker("rm", "-f", "thief");
    await world.host("h1").docker("rm", "-f", "web");
    assert.equal(await world.run("h2/web", "apps"), web);
    await world.eventually(() => world.expectTable({ "h2/web": "- y y", "h2/db": "y - y", "h3/fixed": "y y -" }));
    assert.deepEqual(await world.manx("h1", "ipam", "check"), []);
    const found = (await world.manx("h3", "ipam", "explain", web)) as { owner: string; holder: string };
    assert.deepEqual([found.owner, found.holder], ["h1", "h2"]);
  });

  it("manx bgp diff names the blocks of other hosts that do not arrive", async () => {
    const differences = async (): Promise<string> => (await world.host("h1").exec(["manx", "bgp", "diff"])).stdout;
    const configuration = {
      apiVersion: "projectcalico.org/v3",
      kind: "BGPConfiguration",
      metadata: { name: "default" },
    };
    const input = JSON.stringify({ ...configuration, spec: { nodeToNodeMeshEnabled: false } });
    await world.eventually(async () => assert.match(await differences(), /^$/));
    await world.host("h1").mustExec(["manx", "apply", "-f", "-"], { input });
    await world.eventually(async () =>
      assert.match(await differences(), /10\.77\.\S+ of host h2 .*does not arrive here/),
    );
    await world.host("h1").mustExec(["manx", "delete", "bgpconfiguration", "default"]);
    await world.eventually(async () => assert.match(await differences(), /^$/));
  });

  it("with etcd gone containers start and stop, and all of it is told when etcd is back", async () => {
    await world.stopEtcd();
    await world.run("h2/late", "apps");
    await world.host("h3").docker("rm", "-f", "stranger");
    await world.expectTable({ "h2/db": "- y", "h2/late": "y -" });
    await world.startEtcd();
    await world.eventually(async () => {
      const listed = (await world.manx("h1", "ls")) as Listed[];
      assert.deepEqual(listed.map((one) => `${one.host}/${one.container}`).sort(), [
        "h2/db",
        "h2/late",
        "h2/web",
        "h3/fixed",
      ]);
      await world.expectTable({ "h2/late": "- y", "h3/fixed": "y -" });
    }, 30);
  });

  it("a network that others use stays; unused it goes everywhere, also where the engine was down", async () => {
    await world.host("h1").docker("network", "rm", "apps");
    await world.eventually(async () => assert.ok(await world.hasNetwork("h1", "apps")));
    await world.eventually(async () => {
      const status = (await world.host("h1").exec(["manx", "status"])).stdout;
      assert.match(status, /"apps".*host "h2" \(db.*host "h3" \(fixed/);
    });
    assert.ok(await world.canFetch("h2/db", await world.address("h3/fixed")));
    await world.host("h3").stopEngine();
    await world.host("h2").docker("network", "rm", "other");
    await world.eventually(async () => assert.ok(!(await world.hasNetwork("h1", "other"))));
    await world.host("h3").startEngine();
    await world.eventually(async () => assert.ok(!(await world.hasNetwork("h3", "other"))), 30);
    await world.host("h3").docker("start", "fixed");
  });

  it("a second machine of the same name is refused with a sentence", async () => {
    await world.host("h3").stopAgent();
    await assert.rejects(
      world.startAgent(world.host("h3"), { MANX_HOST: "h1" }),
      /Cannot be host "h1": another machine/,
    );
    // One that still waits for its store ends when it is told to.
    const h3 = world.host("h3");
    const waiting = { MANX_STORE: "http://10.99.0.200:2379", MANX_STATE_FILE: "/tmp/fresh.db" };
    const [file = "", ...args] = h3.commandLine(["manx", "agent"], waiting);
    const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] });
    const said = text(child.stderr);
    await world.eventually(() => Promise.resolve(assert.ok(existsSync(h3.path("/tmp/fresh.db")))));
    for (const pid of h3.agentPids()) process.kill(pid, "SIGTERM");
    assert.match(await said, /told to stop before it was ready/);
    await world.startAgent(h3);
  });

  it("a host that died is forgotten, after the checks, and its blocks are free", async () => {
    await world.host("h3").docker("rm", "-f", "fixed");
    await world.host("h3").stopAgent("SIGKILL");
    const remove = (...more: string[]) => world.host("h1").exec(["manx", "node", "rm", "h3", ...more]);
    assert.match((await remove("--force")).stderr, /its agent lives/);
    await world.eventually(async () => {
      const { stderr } = await remove();
      assert.match(stderr, /10\.99\.0\.13 answers/);
    }, 40);
    await world.host("h3").mustExec(["ip", "link", "set", "eth0", "down"]);
    const { code, stderr } = await remove();
    assert.equal(code, 0, stderr);
    const nodes = (await world.manx("h2", "node", "ls")) as { name: string }[];
    assert.deepEqual(
      nodes.map(({ name }) => name),
      ["h1", "h2"],
    );
    const { pools } = (await world.manx("h1", "ipam", "show")) as { pools: { blocks: { host: string }[] }[] };
    assert.ok(!pools.some(({ blocks }) => blocks.some(({ host }) => host === "h3")));
    await world.expectTable({ "h2/web": "- y", "h2/db": "y -" });
  });
});
