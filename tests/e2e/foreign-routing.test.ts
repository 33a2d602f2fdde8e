/** A host that already has a routing daemon: it is left alone, named, and Manx works beside it when told how. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { World } from "./world.ts";

const THEIRS = `router id 10.99.0.11;
protocol device {}
protocol direct { ipv4; ipv6; }
protocol kernel { learn; ipv4 { import all; export where source = RTS_BGP; }; }
protocol kernel { learn; ipv6 { import all; export where source = RTS_BGP; }; }
protocol static { ipv4; route 198.51.100.0/24 unreachable; }
`;
const ROUTER = `router id 10.99.0.100;
protocol device {}
protocol bgp host { local as 65001; neighbor 10.99.0.11 as 64512; connect delay time 1; connect retry time 2; error wait time 1, 2; ipv4 { import all; export none; }; }
`;

describe("a host with a routing daemon of its own", { timeout: 1_800_000 }, () => {
  let world: World;
  const manx = (...args: string[]) => world.host.mustExec(["manx", ...args]);
  const write = (path: string, text: string) => world.host.mustExec(["sh", "-c", `cat > ${path}`], { input: text });
  const routerHas = async (): Promise<boolean> =>
    /10\.65\.\d+\.\d+\/26/.test(await world.lab.lan.mustExec(["birdc", "-s", "/tmp/manx-router.ctl", "show", "route"]));
  const pidOf = async (name: string): Promise<string> =>
    (await world.host.exec(["sh", "-c", `pgrep -x ${name} | head -n 1`])).stdout.trim();

  before(async () => {
    world = await World.start("foreign-routing");
    await world.network("apps");
    await world.run("web", "apps");
    await world.lab.lan.mustExec(["sh", "-c", "cat > /tmp/manx-router.conf"], { input: ROUTER });
    await world.lab.lan.mustExec(["bird", "-c", "/tmp/manx-router.conf", "-s", "/tmp/manx-router.ctl"]);
  });
  after(async () => {
    await world?.lab.lan.exec(["rm", "-f", "/tmp/manx-router.conf", "/tmp/manx-router.ctl"]);
    await world?.[Symbol.asyncDispose]();
  });

  it("leaves its BIRD alone, and says what is in the way and what can be done", async () => {
    await world.host.mustExec(["mkdir", "-p", "/run/bird"]);
    await write("/etc/foreign.conf", THEIRS);
    await world.host.mustExec(["bird", "-c", "/etc/foreign.conf", "-s", "/run/bird/bird.ctl"]);
    const theirs = await pidOf("bird");
    await manx("bgp", "add", "10.99.0.100", "--as", "65001");
    await world.eventually(async () => {
      const status = (await world.host.exec(["manx", "status"])).stdout;
      assert.match(status, new RegExp(`another BIRD runs here \\(process ${theirs}\\)`));
      assert.match(status, /MANX_BGP=external/);
    }, 20);
    assert.equal(await pidOf("bird"), theirs);
    assert.match(await world.host.mustExec(["birdc", "show", "route"]), /198\.51\.100\.0\/24/);
    assert.equal(await routerHas(), false);
  });

  it("works through that BIRD when told to, and takes its part out again", async () => {
    const theirs = await pidOf("bird");
    await world.host.stopAgent();
    await world.host.startAgent({ env: { MANX_BGP: "external" } });
    await world.eventually(
      async () => void (await world.host.mustExec(["test", "-s", "/var/lib/manx/bgp/manx.conf"])),
      20,
    );
    await write("/etc/foreign.conf", `${THEIRS}include "/var/lib/manx/bgp/manx.conf";\n`);
    await world.host.mustExec(["birdc", "configure"]);
    await world.eventually(async () => assert.ok(await routerHas()), 40);
    assert.match(await world.host.mustExec(["birdc", "show", "route"]), /198\.51\.100\.0\/24/);
    assert.equal(await pidOf("bird"), theirs);
    await manx("bgp", "rm", "10.99.0.100");
    await world.eventually(async () => assert.equal(await routerHas(), false), 30);
    assert.equal(await pidOf("bird"), theirs);
    await world.host.stopAgent();
    await world.host.mustExec(["kill", theirs]);
  });

  it("leaves FRR at port 179 alone, and works beside it at another port", async () => {
    await world.host.mustExec(["sh", "-c", "mkdir -p /run/frr /etc/frr; chown -R frr:frr /run/frr"]);
    await write("/etc/frr/beside.conf", "router bgp 65010\n bgp router-id 10.99.0.11\n");
    for (const name of ["zebra", "bgpd"])
      await world.host.mustExec([
        `/usr/lib/frr/${name}`,
        "-d",
        "-f",
        "/etc/frr/beside.conf",
        "-i",
        `/run/frr/${name}.pid`,
      ]);
    const theirs = await pidOf("bgpd");
    await world.host.startAgent();
    await manx("bgp", "add", "10.99.0.100", "--as", "65001");
    await world.eventually(async () => {
      const status = (await world.host.exec(["manx", "status"])).stdout;
      assert.match(status, new RegExp(`bgpd \\(process ${theirs}\\) listens at port 179`));
    }, 20);
    const beside = `apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {name: node.h1}\nspec: {listenPort: 1790}\n`;
    await world.host.mustExec(["manx", "apply", "-f", "-"], { input: beside });
    await world.eventually(async () => assert.ok(await routerHas()), 40);
    assert.equal(await pidOf("bgpd"), theirs);
    assert.doesNotMatch((await world.host.exec(["manx", "status"])).stdout, /listens at port/);
  });
});
