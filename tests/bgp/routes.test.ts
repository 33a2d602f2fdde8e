/** What goes over a session and how, as another program has it in its table: next hops, several ways, IPv6, communities. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BirdRouter, GoBgpRouter } from "./daemons.ts";
import { eventually, Fabric, type Machine } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { BLOCK, frr, HOST, has, hostHas, NO_MESH, OWN, POOLS, pair, type Spec, tor } from "./pair.ts";
import { configuration, filter, node, peer } from "./resources.ts";

describe("next hops", () => {
  /** A host between two routers on one segment; it passes on what the left one says, and the right one tells by which next hop. */
  const nextHop = async (spec: Spec): Promise<string> => {
    await using fabric = new Fabric();
    const machines = ["host", "left", "right"].map((name) => fabric.machine(name)) as [Machine, Machine, Machine];
    fabric.segment(
      "lan",
      machines.map((machine, i) => [machine, [`192.0.2.${i + 1}/24`]]),
    );
    const [machine, left, right] = machines;
    new BirdRouter(left).start(
      "router id 192.0.2.2;\nprotocol static { ipv4; route 10.98.0.0/16 unreachable; }\nprotocol bgp x { local as 65001; neighbor 192.0.2.1 as 64512; ipv4 { import none; export all; }; }",
    );
    const daemon = await frr(right, ["neighbor 192.0.2.1 remote-as 64512"], 65002);
    const pass = filter("pass", { exportV4: [{ action: "Accept", source: "RemotePeers" }] });
    const host = new BgpHost(
      fabric,
      machine,
      {
        ...NO_CLUSTER,
        nodes: [HOST],
        pools: POOLS,
        configurations: NO_MESH,
        filters: [pass],
        peers: [tor({}), peer("right", { peerIP: "192.0.2.3", asNumber: 65002, filters: ["pass"], ...spec })],
      },
      { ...OWN, connected: ["192.0.2.1/24"] },
    );
    await host.apply();
    await has("FRR has what was passed on", daemon, "10.98.0.0/16");
    const { paths = [] } = JSON.parse(daemon.vty("show bgp ipv4 unicast 10.98.0.0/16 json")) as {
      paths?: { nexthops: { ip: string }[] }[];
    };
    return paths[0]?.nexthops[0]?.ip ?? "none";
  };
  const rows: readonly (readonly [string, Spec, string])[] = [
    ["Auto leaves a next hop that the peer can reach itself (RFC 4271 section 5.1.3)", {}, "192.0.2.2"],
    ["Self puts the host in its place", { nextHopMode: "Self" }, "192.0.2.1"],
    ["Keep leaves it", { nextHopMode: "Keep" }, "192.0.2.2"],
    ["keepOriginalNextHop does as well", { keepOriginalNextHop: true }, "192.0.2.2"],
  ];
  for (const [what, spec, expected] of rows)
    it(what, async () => {
      assert.equal(await nextHop(spec), expected);
    });
});

describe("several ways at once", () => {
  it("a route reflector passes them all on with add-path (RFC 7911), and the host gives them to its kernel", async () => {
    await using fabric = new Fabric();
    const names = ["host", "left", "right", "client"];
    const machines = names.map((name) => fabric.machine(name)) as [Machine, Machine, Machine, Machine];
    fabric.segment(
      "lan",
      machines.map((machine, i) => [machine, [`192.0.2.${i + 1}/24`]]),
    );
    const [machine, left, right, client] = machines;
    for (const [i, each] of [left, right].entries())
      new BirdRouter(each).start(
        `router id 192.0.2.${i + 2};\nprotocol static { ipv4; route 10.65.7.0/26 unreachable; }\nprotocol bgp x { local as 64512; neighbor 192.0.2.1 as 64512; ipv4 { import none; next hop self; export all; }; }`,
      );
    const daemon = await frr(client, ["neighbor 192.0.2.1 remote-as 64512"], 64512);
    const host = new BgpHost(
      fabric,
      machine,
      {
        ...NO_CLUSTER,
        nodes: [node("host", { ipv4Address: "192.0.2.1/24", routeReflectorClusterID: "1.0.0.1" })],
        pools: POOLS,
        configurations: NO_MESH,
        peers: [2, 3, 4].map((i) => peer(`p${i}`, { peerIP: `192.0.2.${i}`, asNumber: 64512 })),
      },
      { ...OWN, connected: ["192.0.2.1/24"] },
    );
    await host.apply();
    await eventually(
      "FRR has both ways",
      () => {
        const { paths = [] } = JSON.parse(daemon.vty("show bgp ipv4 unicast 10.65.7.0/26 json")) as {
          paths?: { nexthops: { ip: string }[] }[];
        };
        return (
          paths.length === 2 &&
          ["192.0.2.2", "192.0.2.3"].every((ip) => paths.some(({ nexthops }) => nexthops[0]?.ip === ip))
        );
      },
      30_000,
    );
    await eventually("so has the host's kernel", () =>
      /nexthop via 192\.0\.2\.2 .*nexthop via 192\.0\.2\.3 /s.test(machine.ip("route show 10.65.7.0/26")),
    );
  });
});

describe("IPv6", () => {
  const SIX = node("host", { ipv6Address: "2001:db8::1/64" });

  it("alone is enough: a host without an IPv4 address, with FRR", async () => {
    await using fabric = new Fabric();
    const [left, router] = [fabric.machine("host"), fabric.machine("router")];
    fabric.wire(left, router, ["2001:db8::1/64"], ["2001:db8::2/64"]);
    const daemon = await frr(router, [
      "no bgp default ipv4-unicast",
      "neighbor 2001:db8::1 remote-as 64512",
      "address-family ipv6 unicast",
      " neighbor 2001:db8::1 activate",
      " network 2001:db8:99::/48",
      "exit-address-family",
    ]);
    const host = new BgpHost(
      fabric,
      left,
      {
        ...NO_CLUSTER,
        nodes: [SIX],
        pools: POOLS,
        configurations: NO_MESH,
        peers: [peer("tor", { peerIP: "2001:db8::2", asNumber: 65001 })],
      },
      { blocks: ["fd65::/122"], connected: ["2001:db8::1/64"] },
    );
    await host.apply();
    await has("FRR has the block", daemon, "fd65::/122", 6);
    assert.deepEqual(await daemon.table(6), ["2001:db8:99::/48", "fd65::/122"]);
    await hostHas(host, "2001:db8:99::/48 via fe80:", 6);
  });

  it("carries IPv4 too, with IPv6 next hops (RFC 8950), with GoBGP", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      nodes: [SIX],
      peers: [peer("tor", { peerIP: "2001:db8::2", asNumber: 65001 }, { "manx/bgp-families": "ipv4, ipv6" })],
    });
    const daemon = new GoBgpRouter(router);
    await daemon.start([
      "[global.config]",
      "  as = 65001",
      '  router-id = "192.0.2.2"',
      "[[neighbors]]",
      "  [neighbors.config]",
      '    neighbor-address = "2001:db8::1"',
      "    peer-as = 64512",
      ...["ipv4-unicast", "ipv6-unicast"].flatMap((name) => [
        "  [[neighbors.afi-safis]]",
        "    [neighbors.afi-safis.config]",
        `      afi-safi-name = "${name}"`,
      ]),
    ]);
    await host.apply();
    await has("GoBGP has the IPv4 block", daemon, BLOCK, 4);
    await has("and the IPv6 block", daemon, "fd65::/122", 6);
  });

  it("carries IPv4 too, with IPv6 next hops (RFC 8950), with FRR, whose route the host's kernel takes", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      nodes: [SIX],
      peers: [peer("tor", { peerIP: "2001:db8::2", asNumber: 65001 }, { "manx/bgp-families": "ipv4, ipv6" })],
    });
    const daemon = await frr(router, [
      "neighbor 2001:db8::1 remote-as 64512",
      "neighbor 2001:db8::1 capability extended-nexthop",
      "address-family ipv6 unicast",
      " neighbor 2001:db8::1 activate",
      "exit-address-family",
    ]);
    await host.apply();
    await has("FRR has the IPv4 block", daemon, BLOCK, 4);
    await has("and the IPv6 block", daemon, "fd65::/122", 6);
    // FRR says both of its addresses; on one wire the link-local one is used (RFC 2545 section 3).
    await hostHas(host, "10.99.0.0/16 via inet6 fe80:");
  });

  it("link-local peers need no other address on the wire, with BIRD", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      peers: [peer("tor", { peerIP: "fe80::2", asNumber: 65001 }, { "manx/bgp-interface": "to-router" })],
    });
    host.machine.ip("address add fe80::1/64 dev to-router");
    router.ip("address add fe80::2/64 dev to-host");
    const daemon = new BirdRouter(router);
    daemon.start(
      'router id 192.0.2.2;\nprotocol static { ipv6; route 2001:db8:99::/48 unreachable; }\nprotocol bgp x { local fe80::2 as 65001; neighbor fe80::1 as 64512; interface "to-host"; ipv4 { extended next hop on; import all; export none; }; ipv6 { import all; export all; }; }',
    );
    await host.apply();
    await has("BIRD has the IPv4 block", daemon, BLOCK, 4);
    await has("and the IPv6 block", daemon, "fd65::/122", 6);
    await hostHas(host, "2001:db8:99::/48 via fe80::2 dev to-router", 6);
  });
});

describe("what is announced", () => {
  it("one prefix a block, however many containers are in it, with standard and large communities", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      peers: [tor({})],
      configurations: [
        configuration({
          nodeToNodeMeshEnabled: false,
          communities: [{ name: "red", value: "65001:7" }],
          prefixAdvertisements: [
            { cidr: "10.65.0.0/26", communities: ["red", "4200000000:1:2"] },
            { cidr: "10.65.0.0/16", communities: ["65001:8"] },
          ],
        }),
      ],
      blocks: [BLOCK, "10.65.1.0/26"],
    });
    for (let i = 1; i < 20; i++) host.machine.ip(`route add 10.65.0.${i}/32 dev to-router proto 109`);
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512"]);
    await host.apply();
    await has("FRR has the block", daemon, "10.65.1.0/26");
    assert.deepEqual(await daemon.table(), [BLOCK, "10.65.1.0/26", "10.99.0.0/16"]);
    const communities = (prefix: string): readonly (string | undefined)[] => {
      const { paths = [] } = JSON.parse(daemon.vty(`show bgp ipv4 unicast ${prefix} json`)) as {
        paths?: { community?: { string: string }; largeCommunity?: { string: string } }[];
      };
      return [paths[0]?.community?.string, paths[0]?.largeCommunity?.string];
    };
    assert.deepEqual(communities(BLOCK), ["65001:7 65001:8", "4200000000:1:2"]);
    assert.deepEqual(communities("10.65.1.0/26"), ["65001:8", undefined]);
  });
});
