/** In a network namespace, with real iptables of both backends and real packets. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { mustRun, run } from "../../src/drivers/exec.ts";
import { Forward } from "../../src/drivers/iptables/forward.ts";
import { endHolder, enterNetwork, type Holder, startHolder } from "../../src/lab/holder.ts";

const lab = `ipt${process.pid}`;
const machines: Holder[] = [];
let host: Holder;
let forward: Forward;

const inside = (holder: Holder, ...argv: readonly string[]): Promise<string> => mustRun(enterNetwork(holder, argv));
const rulesOf = async (): Promise<string> => {
  const nft = (await inside(host, "nft", "list", "ruleset")).replace(/packets \d+ bytes \d+/g, "");
  const legacy = await mustRun([
    "cat",
    `/proc/${host.pid}/net/ip_tables_names`,
    `/proc/${host.pid}/net/ip6_tables_names`,
  ]);
  return nft + legacy;
};

/** Two machines with Manx-like interfaces and a third with another, through the host. */
async function plug(name: string, number: number): Promise<Holder> {
  const machine = await startHolder(lab, name);
  machines.push(machine);
  await inside(host, "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", `${machine.pid}`);
  await inside(host, "ip", "addr", "add", `10.1.${number}.1/24`, "dev", name);
  await inside(host, "ip", "addr", "add", `fd01:${number}::1/64`, "dev", name, "nodad");
  await inside(host, "ip", "link", "set", name, "up");
  await inside(machine, "ip", "addr", "add", `10.1.${number}.2/24`, "dev", "eth0");
  await inside(machine, "ip", "addr", "add", `fd01:${number}::2/64`, "dev", "eth0", "nodad");
  await inside(machine, "ip", "link", "set", "eth0", "up");
  await inside(machine, "ip", "route", "add", "default", "via", `10.1.${number}.1`);
  await inside(machine, "ip", "route", "add", "::/0", "via", `fd01:${number}::1`);
  return machine;
}

async function reaches(from: Holder, address: string): Promise<boolean> {
  return (await run(enterNetwork(from, ["ping", "-n", "-c", "1", "-W", "1", address]))).code === 0;
}

describe("Forward", () => {
  let a: Holder;
  let alien: Holder;

  before(async () => {
    host = await startHolder(lab, "host");
    machines.push(host);
    forward = new Forward({
      run: (argv, options) => run(enterNetwork(host, argv), options),
      procNet: `/proc/${host.pid}/net`,
    });
    await inside(host, "busybox", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
    a = await plug("manxa", 1);
    await plug("manxb", 2);
    alien = await plug("alien", 3);
  });
  after(async () => {
    for (const machine of machines) await endHolder(machine);
  });

  it("leaves a host alone on which nothing decides about forwarding", async () => {
    const empty = await rulesOf();
    assert.equal(await forward.ensure(), 0);
    assert.deepEqual(
      (await forward.look()).map(({ family, backend, accepted, chain }) => [family, backend, accepted, chain]),
      [
        [4, "nft", true, undefined],
        [6, "nft", true, undefined],
      ],
    );
    assert.equal(await rulesOf(), empty);
  });

  for (const backend of ["nft", "legacy"]) {
    it(`lets Manx interfaces through Docker's and ufw's rules, backend ${backend}, and takes it back`, async () => {
      const tool = (family: 4 | 6): string => `${family === 4 ? "iptables" : "ip6tables"}-${backend}`;
      // As Docker 20.10 leaves IPv4, and as ufw leaves IPv6.
      for (const rule of [
        ["-P", "FORWARD", "DROP"],
        ["-N", "DOCKER-USER"],
        ["-A", "DOCKER-USER", "-j", "RETURN"],
        ["-A", "FORWARD", "-j", "DOCKER-USER"],
      ])
        await inside(host, tool(4), ...rule);
      for (const rule of [
        ["-P", "FORWARD", "DROP"],
        ["-N", "ufw6-before-forward"],
        ["-A", "FORWARD", "-j", "ufw6-before-forward"],
      ])
        await inside(host, tool(6), ...rule);
      const untouched = await rulesOf();
      for (const address of ["10.1.2.2", "fd01:2::2"]) assert.equal(await reaches(a, address), false);
      assert.ok((await forward.look()).every(({ backend: kind, accepted }) => accepted === (kind !== backend)));

      const counts = await Promise.all([forward.ensure(), forward.ensure(), forward.ensure()]);
      assert.deepEqual(counts, [4, 0, 0]);
      for (const address of ["10.1.2.2", "fd01:2::2"]) assert.equal(await reaches(a, address), true);
      assert.ok((await forward.look()).every(({ accepted }) => accepted));
      assert.equal(await forward.ensure(), 0);

      await inside(host, tool(4), "-F", "DOCKER-USER");
      assert.equal(await reaches(a, "10.1.2.2"), false);
      assert.equal(await forward.ensure(), 2);
      assert.equal(await reaches(a, "10.1.2.2"), true);
      await inside(host, tool(4), "-A", "DOCKER-USER", "-j", "RETURN");
      assert.equal(await forward.ensure(), 0);

      assert.equal(await forward.remove(), 4);
      assert.equal(await rulesOf(), untouched);
      assert.equal(await forward.remove(), 0);
      await inside(host, tool(4), "-F");
      await inside(host, tool(4), "-X");
      await inside(host, tool(4), "-P", "FORWARD", "ACCEPT");
      await inside(host, tool(6), "-F");
      await inside(host, tool(6), "-P", "FORWARD", "ACCEPT");
      assert.equal(await reaches(alien, "10.1.2.2"), true);
    });
  }

  it("makes one family right though the other cannot be", async () => {
    await inside(host, "iptables-nft", "-P", "FORWARD", "DROP");
    const broken = new Forward({
      run: (argv, options) =>
        argv.some((word) => word.includes("ip6tables"))
          ? run(["false"], options)
          : run(enterNetwork(host, argv), options),
      procNet: `/proc/${host.pid}/net`,
    });
    await assert.rejects(broken.ensure(), /Cannot run ".*ip6tables/);
    assert.equal(await reaches(a, "10.1.2.2"), true);
    assert.equal(await forward.remove(), 2);
  });
});
