/** BIRD as a child: refused configurations, other daemons in the way, the host's own BIRD. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { deriveBgp } from "../../src/core/bgp/derive.ts";
import { renderBird } from "../../src/core/bgp/render.ts";
import { retireBird } from "../../src/drivers/bird/daemon.ts";
import { ExternalBird } from "../../src/drivers/bird/external.ts";
import { ROUTE_PROTOCOL } from "../../src/drivers/netlink/ownership.ts";
import { isAlive } from "../../src/drivers/system/processes.ts";
import { BirdRouter } from "./daemons.ts";
import { eventually, Fabric } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { node, peer, pool } from "./resources.ts";

const CLUSTER = {
  ...NO_CLUSTER,
  nodes: [node("host", { ipv4Address: "192.0.2.1/24" })],
  pools: [pool("10.65.0.0/16")],
  peers: [peer("tor", { peerIP: "192.0.2.2", asNumber: 65001 })],
};
const OWN = { blocks: ["10.65.0.0/26"], connected: ["192.0.2.1/24"] };

describe("BIRD as a child", () => {
  it("keeps what it has when a configuration is refused; its files are root's alone; in the end nothing is left", async () => {
    await using fabric = new Fabric();
    const host = new BgpHost(fabric, fabric.machine("host"), CLUSTER, OWN);
    await host.apply();
    const { pid } = host;
    const before = await host.ask("show protocols");
    await assert.rejects(
      host.bird.apply("protocol nonsense {}", { ports: [] }),
      /BIRD says bird\.conf:1:\d+ syntax error/,
    );
    assert.equal((await host.ask("show protocols")).split("\n").length, before.split("\n").length);
    const folder = join(host.machine.folder, "bird");
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.equal(statSync(join(folder, "bird.conf")).mode & 0o777, 0o600);
    assert.equal(host.pid, pid);
    await host.bird.stop("router id 1.1.1.1; protocol device {}");
    assert.equal(isAlive(pid), false);
    assert.equal(host.deaths, 0);
  });
});

describe("an agent that is gone for good", () => {
  it("leaves no BIRD and no route", async () => {
    await using fabric = new Fabric();
    const [machine, tor] = [fabric.machine("host"), fabric.machine("tor")];
    fabric.wire(machine, tor, ["192.0.2.1/24"], ["192.0.2.2/24"]);
    new BirdRouter(tor).start(
      "router id 192.0.2.2;\nprotocol static { ipv4; route 10.99.0.0/16 unreachable; }\nprotocol bgp x { local as 65001; neighbor 192.0.2.1 as 64512; ipv4 { import all; export all; }; }",
    );
    const host = new BgpHost(fabric, machine, CLUSTER, OWN);
    await host.apply();
    await eventually("the host has a route", () => machine.fib().length === 1);
    const { pid } = host;
    await retireBird(join(machine.folder, "bird"));
    assert.deepEqual(machine.fib(), []);
    assert.equal(isAlive(pid), false);
  });
});

describe("the host's own BIRD", () => {
  it("takes our sessions from a file that it includes, and gives them up again", async () => {
    await using fabric = new Fabric();
    const [machine, tor] = [fabric.machine("host"), fabric.machine("tor")];
    fabric.wire(machine, tor, ["192.0.2.1/24"], ["192.0.2.2/24"]);
    const router = new BirdRouter(tor);
    router.start(
      "router id 192.0.2.2;\nprotocol bgp x { local as 65001; neighbor 192.0.2.1 as 64512; ipv4 { import all; export none; }; }",
    );
    const file = join(machine.folder, "manx.conf");
    const external = new ExternalBird({ file, sockets: [join(machine.folder, "router.ctl")] });
    fabric.defer(() => external[Symbol.dispose]());
    const input = { ...CLUSTER, ...OWN, host: "host", lent: [], services: [] };
    const options = { logFile: "/dev/null", secrets: new Map(), routeProtocol: ROUTE_PROTOCOL, persist: true };
    const text = renderBird(deriveBgp(input), { ...options, form: "snippet" });
    await assert.rejects(external.apply(text), /Start it with include/);
    machine.ip(`route add blackhole 10.65.0.0/26 proto ${ROUTE_PROTOCOL}`);
    const theirs = new BirdRouter(machine);
    theirs.start(
      `router id 192.0.2.1;\nprotocol kernel { learn; ipv4 { import all; export none; }; }\ninclude "${file}";`,
    );
    assert.equal(await external.apply(text), "reconfigured");
    assert.equal(await external.apply(text), "unchanged");
    await eventually("the router has the block", async () => String(await router.table()) === "10.65.0.0/26");
    await external.stop();
    await eventually("and has it no more", async () => (await router.table()).length === 0);
  });
});
