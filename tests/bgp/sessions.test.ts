/** Each setting of a session against another program, BIRD, FRR or GoBGP: its own table and its own words are looked at. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { explainSession } from "../../src/core/bgp/status.ts";
import { BGPPeerSpec } from "../../src/core/model/bgp.ts";
import { withLastWords } from "../../src/drivers/bird/log.ts";
import { parseSessions } from "../../src/drivers/bird/protocols.ts";
import { BirdRouter, FrrRouter, GoBgpRouter } from "./daemons.ts";
import { eventually, Fabric, type Machine } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { BLOCK, frr, HOST, has, hostHas, NO_MESH, OWN, POOLS, pair, type Spec, tor } from "./pair.ts";
import { configuration, node, peer } from "./resources.ts";

/** Milliseconds: long enough for several attempts to connect. */
const STAYS_DOWN = 5000;

describe("TTL security (RFC 5082)", () => {
  it("comes up with a neighbour of one hop that has it too", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { peers: [tor({ ttlSecurity: 1 })] });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512", "neighbor 192.0.2.1 ttl-security hops 1"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    await hostHas(host, "10.99.0.0/16");
  });

  it("does not with one whose packets could have come from afar", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { peers: [tor({ ttlSecurity: 1 })] });
    // FRR sends eBGP with a TTL of 1: what arrives is not 255.
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512"]);
    await host.apply();
    await sleep(STAYS_DOWN);
    assert.deepEqual(await daemon.table(), ["10.99.0.0/16"]);
    assert.deepEqual(host.machine.fib(), []);
  });
});

describe("a peer several hops away", () => {
  /** host -- middle -- router */
  function chain(fabric: Fabric, spec: Spec): { host: BgpHost; router: Machine } {
    const [left, middle, router] = ["host", "middle", "router"].map((name) => fabric.machine(name)) as [
      Machine,
      Machine,
      Machine,
    ];
    fabric.wire(left, middle, ["192.0.2.1/24"], ["192.0.2.254/24"]);
    fabric.wire(middle, router, ["198.51.100.254/24"], ["198.51.100.2/24"]);
    router.ip("route add 192.0.2.0/24 via 198.51.100.254");
    const cluster = { ...NO_CLUSTER, nodes: [HOST], pools: POOLS, configurations: NO_MESH };
    const peers = [peer("far", { peerIP: "198.51.100.2", asNumber: 65001, ...spec })];
    return { host: new BgpHost(fabric, left, { ...cluster, peers }, { ...OWN, connected: ["192.0.2.1/24"] }), router };
  }

  it("is reached through the gateway that reachableBy names", async () => {
    await using fabric = new Fabric();
    const { host, router } = chain(fabric, { reachableBy: "192.0.2.254" });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512", "neighbor 192.0.2.1 ebgp-multihop 2"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    await hostHas(host, "10.99.0.0/16 via 192.0.2.254");
  });

  it("is reached by the host's own routes, with GoBGP at the other end", async () => {
    await using fabric = new Fabric();
    const { host, router } = chain(fabric, {});
    host.machine.ip("route add 198.51.100.0/24 via 192.0.2.254");
    const daemon = new GoBgpRouter(router);
    await daemon.start([
      "[global.config]",
      "  as = 65001",
      '  router-id = "198.51.100.2"',
      "[[neighbors]]",
      "  [neighbors.config]",
      '    neighbor-address = "192.0.2.1"',
      "    peer-as = 64512",
      "  [neighbors.ebgp-multihop.config]",
      "    enabled = true",
      "    multihop-ttl = 4",
    ]);
    daemon.announce("10.99.0.0/16");
    await host.apply();
    await has("GoBGP has the block", daemon, BLOCK);
    await hostHas(host, "10.99.0.0/16 via 192.0.2.254");
  });

  it("can have TTL security for two hops, and not for one", async () => {
    await using fabric = new Fabric();
    const { host, router } = chain(fabric, { reachableBy: "192.0.2.254", ttlSecurity: 2 });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512", "neighbor 192.0.2.1 ttl-security hops 2"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    await host.apply({
      peers: [peer("far", { peerIP: "198.51.100.2", asNumber: 65001, reachableBy: "192.0.2.254", ttlSecurity: 1 })],
    });
    await eventually("FRR has lost it", async () => !(await daemon.table()).includes(BLOCK), 30_000);
    await sleep(STAYS_DOWN);
    assert.deepEqual(await daemon.table(), ["10.99.0.0/16"]);
  });
});

describe("who calls", () => {
  it("a passive host waits for the router's call", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { peers: [tor({}, { "manx/bgp-passive": "true" })] });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    const [{ portForeign } = { portForeign: 0 }] = Object.values(
      JSON.parse(daemon.vty("show bgp neighbors 192.0.2.1 json")) as Record<string, { portForeign: number }>,
    );
    assert.equal(portForeign, 179, "FRR called the host, and not the other way around");
  });

  it("a passive host never calls", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { peers: [tor({}, { "manx/bgp-passive": "true" })] });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512", "neighbor 192.0.2.1 passive"]);
    await host.apply();
    await sleep(STAYS_DOWN);
    assert.deepEqual(await daemon.table(), ["10.99.0.0/16"]);
  });

  it("whoever calls from a range is a peer, whatever its AS; nobody else is", async () => {
    await using fabric = new Fabric();
    const machines = ["host", "frr", "gobgp", "stranger"].map((name) => fabric.machine(name));
    const [left, one, two, stranger] = machines as [Machine, Machine, Machine, Machine];
    fabric.segment("lan", [
      [left, ["192.0.2.1/24"]],
      [one, ["192.0.2.130/24"]],
      [two, ["192.0.2.131/24"]],
      [stranger, ["192.0.2.9/24"]],
    ]);
    const host = new BgpHost(
      fabric,
      left,
      {
        ...NO_CLUSTER,
        nodes: [HOST],
        pools: POOLS,
        configurations: NO_MESH,
        peers: [peer("racks", {}, { "manx/bgp-range": "192.0.2.128/25" })],
      },
      { ...OWN, connected: ["192.0.2.1/24"] },
    );
    await host.apply();
    const first = await frr(one, ["neighbor 192.0.2.1 remote-as 64512"], 65001);
    const third = await frr(stranger, ["neighbor 192.0.2.1 remote-as 64512"], 65003);
    const second = new GoBgpRouter(two);
    await second.start([
      "[global.config]",
      "  as = 65002",
      '  router-id = "192.0.2.131"',
      "[[neighbors]]",
      "  [neighbors.config]",
      '    neighbor-address = "192.0.2.1"',
      "    peer-as = 64512",
    ]);
    await has("FRR has the block", first, BLOCK);
    await has("GoBGP has the block", second, BLOCK);
    await sleep(2000);
    assert.deepEqual(await third.table(), ["10.99.0.0/16"]);
  });
});

describe("addresses and ports", () => {
  /** The host has two addresses on the wire; the node's own is the second one. */
  const NODE = node("host", { ipv4Address: "192.0.2.11/24" });
  const two = { nodes: [NODE], connected: ["192.0.2.1/24", "192.0.2.11/24"] };

  it("UseNodeIP comes from the node's address, None from the one that the kernel takes", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { ...two, peers: [tor({})] });
    host.machine.ip("address add 192.0.2.11/24 dev to-router");
    const daemon = await frr(router, [
      "neighbor 192.0.2.11 remote-as 64512",
      "neighbor 192.0.2.11 passive",
      "neighbor 192.0.2.1 remote-as 64512",
      "neighbor 192.0.2.1 passive",
    ]);
    const established = (address: string): boolean => {
      const answer = daemon.vty(`show bgp neighbors ${address} json`);
      return Object.values(JSON.parse(answer) as Record<string, { bgpState: string }>)[0]?.bgpState === "Established";
    };
    await host.apply();
    await eventually("from the node's address", () => established("192.0.2.11"), 30_000);
    assert.equal(established("192.0.2.1"), false);
    await host.apply({ peers: [tor({ sourceAddress: "None" })] });
    await eventually("from the kernel's choice", () => established("192.0.2.1"), 30_000);
  });

  it("bindMode NodeIP listens at the node's address only", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      ...two,
      peers: [tor({})],
      configurations: [configuration({ nodeToNodeMeshEnabled: false, bindMode: "NodeIP" })],
    });
    host.machine.ip("address add 192.0.2.11/24 dev to-router");
    const daemon = await frr(router, ["neighbor 192.0.2.11 remote-as 64512"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    const listening = host.machine.run("ss", "-Hltn", "sport = :179").trim().split("\n");
    assert.deepEqual(
      listening.map((line) => line.split(/ +/)[3]?.replace(/%.*:/, ":")),
      ["192.0.2.11:179"],
    );
  });

  it("a peer's port, and a port of the host's own", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      peers: [tor({ peerIP: "192.0.2.2:1790" })],
      configurations: [configuration({ nodeToNodeMeshEnabled: false, listenPort: 1791 })],
    });
    const daemon = new BirdRouter(router);
    daemon.start(
      "router id 192.0.2.2;\nprotocol bgp x { local port 1790 as 65001; neighbor 192.0.2.1 port 1791 as 64512; passive on; ipv4 { import all; export all; }; }",
    );
    await host.apply();
    await has("BIRD has the block", daemon, BLOCK);
    assert.match(host.machine.run("ss", "-Hltn"), /:1791 /);
    // The router calls the host's port as well.
    await daemon.ask("disable x");
    router.run("sh", "-c", `sed -i 's/passive on;/connect delay time 1;/' ${router.folder}/router.conf`);
    await host.apply({ peers: [tor({ peerIP: "192.0.2.2:1790" }, { "manx/bgp-passive": "true" })] });
    await daemon.ask("configure");
    await daemon.ask("enable x");
    await has("BIRD has it again", daemon, BLOCK);
  });
});

describe("what a peer refuses", () => {
  /** What `manx bgp status` says of the session once the router has done this to it. */
  const said = async (fabric: Fabric, command: readonly string[], expected: RegExp): Promise<void> => {
    const { host, router } = pair(fabric, { peers: [tor({})], blocks: [BLOCK, "10.65.1.0/26", "10.65.2.0/26"] });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    daemon.vty(["configure terminal", "router bgp 65001", ...command].join("\n"));
    const [session] = host.state.sessions;
    assert.ok(session !== undefined);
    let last = "";
    await eventually(`it says ${expected.source}`, async () => {
      const report = parseSessions(await host.bird.ask("show protocols all")).get(session.name);
      const full = report && withLastWords(report, session.name, await host.bird.log());
      last = explainSession(session, full, { md5Failures: false }).text;
      return expected.test(last);
    }).catch(() => assert.match(last, expected));
  };

  it("too many prefixes", async () => {
    await using fabric = new Fabric();
    const limit = ["address-family ipv4 unicast", "neighbor 192.0.2.1 maximum-prefix 2"];
    await said(fabric, limit, /refuses what this host announces: more prefixes than it allows a neighbour$/);
  });

  it("the session, by hand", async () => {
    await using fabric = new Fabric();
    await said(fabric, ["neighbor 192.0.2.1 shutdown"], /switched off by hand at the peer$/);
  });

  it("the session, as a neighbour that it no longer has", async () => {
    await using fabric = new Fabric();
    await said(fabric, ["no neighbor 192.0.2.1"], /(taken this host out of its configuration|hangs up at once.*)$/);
  });
});

describe("AS numbers", () => {
  const pathOf = (daemon: FrrRouter, prefix: string): string | undefined => {
    const { paths = [] } = JSON.parse(daemon.vty(`show bgp ipv4 unicast ${prefix} json`)) as {
      paths?: { aspath: { string: string } }[];
    };
    return paths[0]?.aspath.string;
  };

  it("localASNumber is what the peer sees, in the session and in the path", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { peers: [tor({ localASNumber: 65100 })] });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 65100"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    assert.equal(pathOf(daemon, BLOCK), "65100");
  });

  it("32 bits, written with a dot, on both sides", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      nodes: [node("host", { ipv4Address: "192.0.2.1/24", asNumber: "1.10" })],
      peers: [tor(BGPPeerSpec.parse({ peerIP: "192.0.2.2", asNumber: "2.20" }))],
    });
    const daemon = await frr(router, [`neighbor 192.0.2.1 remote-as ${65536 + 10}`], 2 * 65536 + 20);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    assert.equal(pathOf(daemon, BLOCK), "65546");
    await hostHas(host, "10.99.0.0/16");
  });

  it("a path with the host's own AS comes in as often as numAllowedLocalASNumbers says", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { peers: [tor({})] });
    const daemon = new BirdRouter(router);
    daemon.start(`router id 192.0.2.2;
      protocol static { ipv4; route 10.99.0.0/16 unreachable; route 10.98.0.0/16 unreachable; route 10.97.0.0/16 unreachable; }
      protocol bgp x { local as 65001; neighbor 192.0.2.1 as 64512; ipv4 { import all; export filter {
        if net = 10.98.0.0/16 then bgp_path.prepend(64512);
        if net = 10.97.0.0/16 then { bgp_path.prepend(64512); bgp_path.prepend(64512); }
        accept; }; }; }`);
    const taken = (): string =>
      host.machine
        .fib()
        .map((line) => line.split("/")[0])
        .join();
    await host.apply();
    await eventually("without it none", () => taken() === "10.99.0.0", 30_000);
    await host.apply({ peers: [tor({ numAllowedLocalASNumbers: 1 })] });
    await eventually("one", () => taken() === "10.98.0.0,10.99.0.0", 30_000);
    await host.apply({ peers: [tor({ numAllowedLocalASNumbers: 2 })] });
    await eventually("two", () => taken() === "10.97.0.0,10.98.0.0,10.99.0.0", 30_000);
  });
});
