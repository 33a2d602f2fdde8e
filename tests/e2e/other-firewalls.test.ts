/** Beside firewalls and networks of others: what Manx lets pass arrives, what it stops stays stopped, and theirs stay as they are. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { World } from "./world.ts";

/** Seconds within which what the kernel tells nobody about is found. */
const GLANCE = 60;

describe("beside other firewalls", () => {
  let world: World;
  const shell = (command: string): Promise<string> => world.host.mustExec(["sh", "-c", command]);
  const overlaps = async (): Promise<boolean> =>
    /overlaps with the route to 10\.65\.77\.0\/24/.test((await world.host.exec(["manx", "status"])).stdout);

  /** Out to the LAN, in by a published port, and not otherwise. */
  const expectAsEver = async (seconds?: number): Promise<void> => {
    const { lan } = world.lab;
    await world.eventually(async () => {
      assert.ok(await world.canPing("web", lan.addresses.ipv4), "out, IPv4");
      assert.ok(await world.canPing("web", lan.addresses.ipv6), "out, IPv6");
      assert.ok(await world.canFetch(lan, await world.address("web", 4)), "in, IPv4");
      assert.ok(await world.canFetch(lan, await world.address("web", 6)), "in, IPv6");
      await world.expectReach("web", "db", true);
    }, seconds);
    assert.ok(!(await world.pings(lan, await world.address("web", 4))));
    await world.expectReach("stranger", "db", false);
  };

  before(async () => {
    world = await World.start("others");
    await world.network("apps", "--ipv6");
    await world.network("other", "--ipv6");
    await world.run("web", "apps", "-p", "80");
    await world.run("db", "apps");
    await world.run("stranger", "other");
    await world.lab.route("10.65.0.0/16", world.host);
    await world.lab.route("fd65:6d61:6e78::/64", world.host);
    await expectAsEver();
  });
  after(() => world?.[Symbol.asyncDispose]());
  afterEach(() => expectAsEver());

  it("passes ufw, which denies what is routed, from when it is switched on and again after a reload", async () => {
    await shell("ufw default deny incoming && ufw default deny routed && ufw --force enable");
    await expectAsEver();
    await shell("ufw reload");
    await expectAsEver();
    assert.match(await shell("ufw status verbose"), /Status: active[^]*deny \(routed\)/);
    await shell("ufw --force disable");
  });

  it("passes a FORWARD that iptables-legacy drops, of which the kernel tells nobody", async () => {
    await shell("iptables-legacy -P FORWARD DROP && ip6tables-legacy -P FORWARD DROP");
    await expectAsEver(GLANCE);
    assert.match(await shell("iptables-legacy -S FORWARD"), /-P FORWARD DROP/);
    await shell("iptables-legacy -P FORWARD ACCEPT && ip6tables-legacy -P FORWARD ACCEPT");
  });

  it("switches forwarding on again that somebody switched off", async () => {
    await shell("busybox sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
    await expectAsEver(GLANCE);
  });

  it("says at its start which pool a route of the host overlaps with", async () => {
    assert.ok(!(await overlaps()));
    await shell("ip route add 10.65.77.0/24 dev eth0");
    await world.host.stopAgent();
    await world.host.startAgent();
    await world.eventually(async () => assert.ok(await overlaps()));
    await shell("ip route del 10.65.77.0/24 dev eth0");
    await world.host.stopAgent();
    await world.host.startAgent();
    assert.ok(!(await overlaps()));
  });
});
