/** LAN mode with a real engine: what a machine on the same wire, the host, the router and the internet see of a container. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../src/lab/host.ts";
import { World } from "./world.ts";

const PART = "10.99.0.64/29";
const OWN_ADDRESSES = 8;

/** What a host has of the things that LAN mode touches, as lines without an order. */
async function traces(machine: Machine): Promise<string[]> {
  const sysctls = [
    "net/ipv6/conf/eth0/proxy_ndp",
    "net/ipv6/neigh/eth0/proxy_delay",
    "net/ipv4/neigh/eth0/proxy_delay",
    "net/ipv4/conf/eth0/proxy_arp",
  ].map((path) => `/proc/sys/${path}`);
  const asked = [
    ["ip", "neigh", "show", "proxy"],
    ["ip", "-6", "neigh", "show", "proxy"],
    ["ip", "-4", "route", "show", "table", "all"],
    ["ip", "-6", "route", "show", "table", "all"],
    ["ip", "-o", "addr", "show"],
    ["ip", "rule", "show"],
    ["nft", "list", "ruleset"],
    ["cat", "/proc/net/packet"],
    ["head", "-n", "1", ...sysctls],
  ] as const;
  const answers = await Promise.all(asked.map((argv) => machine.mustExec(argv)));
  const changes = / (packets|bytes) \d+|expires \d+\w+|valid_lft \d+sec preferred_lft \d+sec|ffff[0-9a-f]{12} .*/g;
  const counted = /^table inet manx-connections \{[^]*?^\}$/gm; // who talks, at this moment
  return answers.join("\n").replaceAll(counted, "").replaceAll(changes, "").split("\n").sort();
}

/** Everything of ARP and of neighbour advertisements that the machine hears while `work` runs, one line a packet. */
async function heard(machine: Machine, work: () => Promise<unknown>): Promise<string> {
  const [file = "", ...args] = machine.commandLine([
    "tcpdump",
    "--immediate-mode",
    "-lnei",
    "eth0",
    "arp or (icmp6 and ip6[40] == 136)",
  ]);
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  child.stdout.on("data", (piece: Buffer) => void (out += piece.toString()));
  await new Promise<void>((resolve) => {
    child.stderr.on("data", (piece: Buffer) => {
      if (piece.toString().includes("listening on")) resolve();
    });
  });
  await work();
  await sleep(300);
  child.kill();
  return out;
}

const macOf = async (machine: Machine): Promise<string> =>
  /link\/ether ([0-9a-f:]+)/.exec(await machine.mustExec(["ip", "link", "show", "eth0"]))?.[1] ?? "";

describe("LAN mode with a real engine", { timeout: 1_800_000 }, () => {
  let world: World;
  let untouched: readonly string[] = [];
  let address: { ipv4: string; ipv6: string };
  const manx = (...args: string[]) => world.host.mustExec(["manx", ...args]);
  const lanOf = async (name: string): Promise<{ ipv4: string; ipv6: string }> => {
    const found = (await world.inspect(name)).networks.get("lan");
    assert.ok(found !== undefined);
    return found;
  };
  const fetchesBoth = async (from: string | Machine, { ipv4, ipv6 } = address): Promise<string> =>
    `${await world.fetches(from, ipv4)} ${await world.fetches(from, ipv6)}`;

  before(async () => {
    world = await World.start("lan-mode", { engine: "26.1" });
    await world.host.docker("network", "create", "plain");
    await world.network("apps", "--ipv6");
    await world.run("other", "apps");
    await sleep(500);
    untouched = await traces(world.host);
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("gives a container an address of the LAN's own subnet and says so on the LAN", async () => {
    await manx("lan", "enable", "eth0", PART);
    await manx("lan", "enable", "eth0", "fd99::6d61:6e78:0:0/112");
    await world.network("lan", "--ipv6", "--ipam-opt", "pool=lan,lan6");
    const said = await heard(world.lab.lan, async () => {
      await world.run("web", "lan", "-p", "80");
    });
    address = await lanOf("web");
    assert.match(address.ipv4, /^10\.99\.0\.(6[4-9]|7[01])$/);
    assert.match(address.ipv6, /^fd99::6d61:6e78:0:/);
    const mac = await macOf(world.host);
    const lines = said.split("\n").filter((line) => line.includes(mac));
    const { ipv4, ipv6 } = address;
    assert.ok(
      lines.some(
        (line) =>
          line.includes("ff:ff:ff:ff:ff:ff") && line.includes(`who-has ${ipv4}`) && line.includes(`tell ${ipv4}`),
      ),
      `no gratuitous ARP for ${ipv4} in:\n${said}`,
    );
    assert.ok(
      lines.some((line) => line.includes("> ff02::1") && line.includes(`tgt is ${ipv6}`)),
      `no neighbour advertisement for ${ipv6} in:\n${said}`,
    );
  });

  it("lets the LAN, the host, the router and the internet reach what is published, and nothing else", async () => {
    const { lab, host } = world;
    assert.equal(await fetchesBoth(lab.lan), "true true");
    assert.equal(await fetchesBoth(host), "true true");
    assert.equal(await fetchesBoth(lab.router), "true true");
    assert.equal(await fetchesBoth(lab.internet), "true true");
    for (const to of [address.ipv4, address.ipv6]) {
      assert.ok(await world.canPing(host, to), `the host pings ${to}`);
      assert.ok(!(await world.pings(lab.lan, to)), "what is not published stays closed");
    }
    await world.run("shut", "lan");
    assert.equal(await fetchesBoth(lab.lan, await lanOf("shut")), "false false");
    assert.equal(await fetchesBoth(host, await lanOf("shut")), "true true");
    assert.equal(await fetchesBoth("web", await lanOf("shut")), "true true");
    assert.equal(await fetchesBoth("other"), "true true");
    await world.host.docker("rm", "-f", "shut");
  });

  it("lets policy decide as for any container", async () => {
    const policy = [
      "apiVersion: projectcalico.org/v3",
      "kind: GlobalNetworkPolicy",
      "metadata: {name: printers-only}",
      "spec:",
      "  selector: manx/container == 'web'",
      "  types: [Ingress]",
      "  ingress: [{action: Allow, source: {nets: [10.99.0.1/32]}}, {action: Allow, source: {nets: ['fd99::1/128']}}]",
    ].join("\n");
    await world.host.mustExec(["manx", "apply", "-f", "-"], { input: policy });
    await world.eventually(async () => assert.equal(await fetchesBoth(world.lab.lan), "false false"));
    assert.equal(await fetchesBoth(world.lab.router), "true true");
    await manx("delete", "globalnetworkpolicy", "printers-only");
    await world.eventually(async () => assert.equal(await fetchesBoth(world.lab.lan), "true true"));
  });

  it("lets the container reach the LAN and the internet by its own address", async () => {
    const { lab } = world;
    for (const to of [lab.lan.addresses, lab.router.addresses, lab.internet.addresses]) {
      assert.ok(await world.canPing("web", to.ipv4), `to ${to.ipv4}`);
      assert.ok(await world.canPing("web", to.ipv6), `to ${to.ipv6}`);
    }
    const known = await lab.lan.mustExec(["ip", "neigh", "show"]);
    assert.ok(known.includes(`${address.ipv4} dev eth0 lladdr ${await macOf(world.host)}`), known);
  });

  it("shows where it can be reached from", async () => {
    const listed = await manx("ls");
    assert.match(listed, /web +lan +h1 .*LAN \(80\/tcp\)/);
    assert.match(
      await manx("ls", "web"),
      /LAN +80\/tcp +80\/tcp is open, and h1 answers for its address 10\.99\.0\.\d+ on the LAN/,
    );
    assert.ok((await manx("lan", "status")).includes(`${address.ipv4} web`));
    assert.doesNotMatch(await manx("doctor"), /^(warning|error)/m);
  });

  it("never gives out what a machine of the LAN has, not even one that took it without a word", async () => {
    await world.network("lan-by-name", "--subnet", PART);
    const free = "10.99.0.67";
    const all = Array.from({ length: OWN_ADDRESSES }, (_, i) => `10.99.0.${64 + i}`);
    const taken = all.filter((one) => one !== free && one !== address.ipv4);
    for (const one of taken) await world.lab.lan.mustExec(["ip", "addr", "add", `${one}/32`, "dev", "eth0"]);
    if (address.ipv4 !== free) {
      await world.run("second", "lan");
      assert.equal((await lanOf("second")).ipv4, free);
    }
    const refused = await world.host.exec(["docker", "run", "--rm", "--network", "lan", "busybox", "true"]);
    assert.notEqual(refused.code, 0, "there was none left to give");
    const [named = ""] = taken;
    const run = ["run", "--rm", "--network", "lan-by-name", "--ip", named, "busybox", "true"];
    const byName = await world.host.exec(["docker", ...run]);
    assert.match(
      byName.stderr,
      new RegExp(`${named}.*a machine on the LAN has it \\(MAC ${await macOf(world.lab.lan)}\\)`),
    );
    assert.ok((await manx("lan", "status")).includes(named), "and says who has it");
    for (const one of taken) await world.lab.lan.mustExec(["ip", "addr", "del", `${one}/32`, "dev", "eth0"]);
    await world.host.exec(["docker", "rm", "-f", "second"]);
    await world.host.docker("network", "rm", "lan-by-name");
  });

  it("outlives the agent, a new agent, an interface that goes down, and a flushed neighbour", async () => {
    const { lab, host } = world;
    await host.stopAgent("SIGKILL");
    await lab.lan.mustExec(["ip", "neigh", "flush", "dev", "eth0"]);
    assert.equal(await fetchesBoth(lab.lan), "true true", "without an agent");
    await host.startAgent();
    assert.equal(await fetchesBoth(lab.lan), "true true", "with a new one");
    await host.mustExec(["ip", "link", "set", "eth0", "down"]);
    await host.mustExec(["ip", "link", "set", "eth0", "up"]);
    await host.exec(["ip", "-6", "addr", "add", `${host.addresses.ipv6}/64`, "dev", "eth0", "nodad"]);
    await host.mustExec(["ip", "route", "replace", "default", "via", lab.router.addresses.ipv4]);
    await host.mustExec(["ip", "-6", "route", "replace", "default", "via", lab.router.addresses.ipv6]);
    await lab.lan.mustExec(["ip", "neigh", "flush", "dev", "eth0"]);
    await world.eventually(async () => assert.equal(await fetchesBoth(lab.lan), "true true"));
    await host.docker("restart", "-t", "0", "web");
    assert.deepEqual(await lanOf("web").then(({ ipv4, ipv6 }) => [ipv4, ipv6]), [address.ipv4, address.ipv6]);
    await world.eventually(async () => assert.equal(await fetchesBoth(lab.lan), "true true"));
  });

  it("refuses to end while somebody has an address, and then leaves nothing", async () => {
    const { code, stderr } = await world.host.exec(["manx", "lan", "disable"]);
    assert.notEqual(code, 0);
    assert.match(stderr, /web \(/);
    await world.host.docker("rm", "-f", "web");
    await world.host.docker("network", "rm", "lan");
    await manx("lan", "disable");
    await world.eventually(async () => {
      const now = await traces(world.host);
      assert.deepEqual([...new Set(now).symmetricDifference(new Set(untouched))], []);
      assert.equal(now.length, untouched.length);
    });
    assert.ok(!(await world.pings(world.host, address.ipv4)));
    assert.doesNotMatch(await manx("pool", "ls"), /10\.99\.0|fd99/);
  });
});
