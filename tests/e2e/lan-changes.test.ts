/** A LAN that changes under its containers: one that moves to another host of the cluster, and a router with another IPv6 prefix. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Host, Machine } from "../../src/lab/host.ts";
import { World } from "./world.ts";

interface Prefix {
  readonly prefix: string;
  /** Seconds; 0: on its way out. */
  readonly preferred: number;
}

/** Router advertisements (RFC 4861) by BIRD, from now on with these prefixes. */
async function advertise(router: Machine, prefixes: readonly Prefix[]): Promise<void> {
  for (const { prefix } of prefixes)
    await router.exec(["ip", "addr", "add", prefix.replace("::/", "::1/"), "dev", "wire", "nodad"]);
  const lines = prefixes.map(
    ({ prefix, preferred }) => `prefix ${prefix} { valid lifetime 7200; preferred lifetime ${preferred}; };`,
  );
  const config = `router id 10.99.0.1;\nprotocol device {}\nprotocol radv { interface "wire" { min ra interval 3; max ra interval 4; min delay 3; prefix fd99::/64 { skip; }; ${lines.join(" ")} }; }\n`;
  await router.mustExec(["sh", "-c", "cat > /tmp/radv-$1.conf", "write", router.holder.pid.toString()], {
    input: config,
  });
  const [conf, socket] = ["conf", "ctl"].map((end) => `/tmp/radv-${router.holder.pid}.${end}`) as [string, string];
  const running = await router.exec(["birdc", "-s", socket, "configure"]);
  if (running.code !== 0) await router.mustExec(["bird", "-c", conf, "-s", socket]);
}

const macOf = async (machine: Machine): Promise<string> =>
  /link\/ether ([0-9a-f:]+)/.exec(await machine.mustExec(["ip", "link", "show", "eth0"]))?.[1] ?? "";

describe("LAN mode while the LAN changes", { timeout: 1_800_000 }, () => {
  let world: World;
  let lan: Machine;
  let hosts: readonly Host[];
  const [OLD, NEW] = ["2001:db8:a::/64", "2001:db8:b::/64"];
  const page = ["busybox", "httpd", "-f", "-p", "80", "-h", "/etc"];
  const fetches = async (address: string): Promise<boolean> => world.fetches(lan, address);

  before(async () => {
    world = await World.start("lan-changes", { hosts: 2, store: "etcd" });
    ({ lan } = world.lab);
    ({ hosts } = world.lab);
    for (const machine of [...hosts, lan])
      await machine.mustExec(["ip", "addr", "del", `${machine.addresses.ipv6}/64`, "dev", "eth0"]);
    await advertise(world.lab.router, [{ prefix: OLD, preferred: 3600 }]);
    for (const machine of [...hosts, lan])
      await world.eventually(async () => {
        assert.match(await machine.mustExec(["ip", "-6", "addr", "show", "eth0"]), /2001:db8:a:/);
      }, 20);
  });
  after(async () => {
    // The router has the machine's own file system.
    const files = ["conf", "ctl"].map((end) => `/tmp/radv-${world?.lab.router.holder.pid}.${end}`);
    await world?.lab.router.exec(["rm", "-f", ...files]);
    await world?.[Symbol.asyncDispose]();
  });

  it("takes everybody on the LAN along when a container moves to another host", async () => {
    const [one, two] = hosts as [Host, Host];
    // An address that the interface has just got is no address before it was looked for elsewhere (RFC 4862 section 5.4).
    await world.eventually(async () => {
      const ready = await one.mustExec(["ip", "-6", "addr", "show", "dev", "eth0", "-tentative"]);
      assert.match(ready, /2001:db8:a:/);
    }, 20);
    let [four, six] = ["", ""];
    await world.eventually(async () => {
      const pools = JSON.parse(await one.mustExec(["manx", "lan", "enable", "-o", "json"])) as { cidr: string }[];
      [four = "", six = ""] = pools.map(({ cidr }) => cidr);
      assert.match(six, /^2001:db8:a:/);
    }, 20);
    await world.network("lan", "--ipv6", "--subnet", four, "--subnet", six);
    await world.eventually(async () => void (await two.docker("network", "inspect", "lan")), 30);
    const [ipv4, ipv6] = [four.replace(/\d+\/.*/, "198"), six.replace(/\/.*/, "77")] as [string, string];
    const run = ["run", "-d", "--name", "web", "--network", "lan", "-p", "80", "--ip", ipv4, "--ip6", ipv6, ...page];
    for (const host of [one, two]) {
      await host.docker(...run);
      const mac = await macOf(host);
      for (const address of [ipv4, ipv6]) {
        await world.eventually(async () => assert.ok(await fetches(address), `${host.name}: ${address}`));
        assert.match(
          await lan.mustExec(["ip", "neigh", "show", address]),
          new RegExp(mac),
          `${address} is on ${host.name}`,
        );
        for (const each of hosts) assert.ok(await world.canFetch(each, address), `${each.name} reaches ${address}`);
      }
      await host.docker("rm", "-f", "web");
    }
    // Its owner does not pass it off as free meanwhile, and says who has it.
    const { stderr } = await one.exec(["docker", ...run]);
    assert.match(stderr, /198: host "h2", to which it is lent until it needs it no more, has it/);
    await one.docker("network", "rm", "lan");
  });

  it("follows the router to another IPv6 prefix", async () => {
    const [host] = hosts as [Host, Host];
    const addressOf = async (name: string): Promise<string> => world.address(name, 6, "six");
    await world.network("six", "--ipv6", "--ipam-opt", "pool=lan,lan6");
    await host.docker("run", "-d", "--name", "old", "--network", "six", "-p", "80", ...page);
    const old = await addressOf("old");
    assert.match(old, /^2001:db8:a:0:6d61:6e78:/);
    assert.ok(await fetches(old));
    await advertise(world.lab.router, [
      { prefix: OLD, preferred: 0 },
      { prefix: NEW, preferred: 3600 },
    ]);
    await world.eventually(async () => {
      assert.match(
        await host.mustExec(["manx", "lan", "status"]),
        /2001:db8:b:0:6d61:6e78::?.* on, follows the prefix/,
      );
    }, 60);
    assert.ok(await fetches(old), "what runs is answered for as long as the old prefix is there");
    await host.docker("run", "-d", "--name", "new", "--network", "six", "-p", "80", ...page);
    const now = await addressOf("new");
    assert.match(now, /^2001:db8:b:0:6d61:6e78:/);
    assert.ok(await fetches(now));
    await host.docker("restart", "-t", "0", "old");
    const after = await addressOf("old");
    assert.match(after, /^2001:db8:b:0:6d61:6e78:/);
    await world.eventually(async () => assert.ok(await fetches(after)));
    // The old prefix goes from the LAN for good.
    await advertise(world.lab.router, [{ prefix: NEW, preferred: 3600 }]);
    await world.lab.router.mustExec(["ip", "addr", "del", "2001:db8:a::1/64", "dev", "wire"]);
    for (const machine of [...hosts, lan])
      await machine.mustExec([
        "sh",
        "-c",
        "ip -6 addr show dev eth0 | awk '/2001:db8:a:/{print $2}' | xargs -n1 -I% ip addr del % dev eth0; ip -6 route del 2001:db8:a::/64 dev eth0; true",
      ]);
    await world.eventually(async () => {
      assert.doesNotMatch(await host.mustExec(["manx", "lan", "status"]), /2001:db8:a:/);
    }, 90);
    assert.doesNotMatch(await host.mustExec(["ip", "-6", "neigh", "show", "proxy"]), /2001:db8:a:/);
  });
});
