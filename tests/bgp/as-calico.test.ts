/** What Calico's resources promise where several of them meet, as the other end has it: nodes with nodes, filters, pools, times. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BGPFilterRule } from "../../src/core/model/resources.ts";
import { BirdRouter, type FrrRouter } from "./daemons.ts";
import { eventually, Fabric, type Machine } from "./fabric.ts";
import { BgpHost, type Cluster, NO_CLUSTER } from "./host.ts";
import { BLOCK, frr, has, hostHas, NO_MESH, pair, tor } from "./pair.ts";
import { configuration, filter, node, peer, pool } from "./resources.ts";

/** Milliseconds: long enough for several attempts to connect. */
const STAYS_DOWN = 5000;
const SECOND = "10.65.1.0/26";

/** Two hosts of one cluster on a wire, each with a block of its own. */
function two(fabric: Fabric, change: Partial<Cluster>): readonly [BgpHost, BgpHost] {
  const machines = ["one", "two"].map((name) => fabric.machine(name)) as [Machine, Machine];
  fabric.wire(...machines, ["192.0.2.1/24"], ["192.0.2.2/24"]);
  const cluster = {
    ...NO_CLUSTER,
    nodes: [node("one", { ipv4Address: "192.0.2.1/24" }), node("two", { ipv4Address: "192.0.2.2/24" }, { rr: "true" })],
    pools: [pool("10.65.0.0/16")],
    configurations: NO_MESH,
    ...change,
  };
  const [first, second] = machines.map(
    (machine, i) =>
      new BgpHost(fabric, machine, cluster, {
        blocks: [i === 0 ? BLOCK : SECOND],
        connected: [`192.0.2.${i + 1}/24`],
      }),
  ) as [BgpHost, BgpHost];
  return [first, second];
}

async function startBoth(hosts: readonly BgpHost[]): Promise<void> {
  for (const host of hosts) await host.apply();
}

const SELECTED = { node: "one", peerSelector: "has(rr)" };

describe("two nodes that one BGPPeer joins", () => {
  it("speak, the second by the way back, each at the port of the other", async () => {
    await using fabric = new Fabric();
    const hosts = two(fabric, {
      configurations: [...NO_MESH, configuration({ listenPort: 1790 }, {}, "node.two")],
      peers: [peer("p", SELECTED)],
    });
    await startBoth(hosts);
    await hostHas(hosts[0], `${SECOND} via 192.0.2.2`);
    await hostHas(hosts[1], `${BLOCK} via 192.0.2.1`);
  });

  it("do not, where the way back is to be described by hand", async () => {
    await using fabric = new Fabric();
    const hosts = two(fabric, { peers: [peer("p", { ...SELECTED, reversePeering: "Manual" })] });
    await startBoth(hosts);
    await sleep(STAYS_DOWN);
    assert.deepEqual(hosts[0].machine.fib(), []);
    const back = peer("q", { node: "two", peerIP: "192.0.2.1", asNumber: 64512, reversePeering: "Manual" });
    for (const host of hosts) await host.apply({ peers: [peer("p", { ...SELECTED, reversePeering: "Manual" }), back] });
    await hostHas(hosts[0], `${SECOND} via 192.0.2.2`);
  });

  it("speak where the described end waits: the other one calls", async () => {
    await using fabric = new Fabric();
    const hosts = two(fabric, { peers: [peer("p", SELECTED, { "manx/bgp-passive": "true" })] });
    await startBoth(hosts);
    await hostHas(hosts[0], `${SECOND} via 192.0.2.2`);
  });

  it("speak over eBGP where the described end shows another AS number", async () => {
    await using fabric = new Fabric();
    const hosts = two(fabric, { peers: [peer("p", { ...SELECTED, localASNumber: 65100 })] });
    await startBoth(hosts);
    await hostHas(hosts[1], `${BLOCK} via 192.0.2.1`);
    assert.match(await hosts[1].ask(`show route ${BLOCK} all`), /BGP\.as_path: 65100\n/);
  });

  it("speak where the address is given without the node's AS number", async () => {
    await using fabric = new Fabric();
    const nodes = [
      node("one", { ipv4Address: "192.0.2.1/24" }),
      node("two", { ipv4Address: "192.0.2.2/24", asNumber: 65200 }),
    ];
    const hosts = two(fabric, { nodes, peers: [peer("p", { peerIP: "192.0.2.2" })] });
    await startBoth(hosts);
    await hostHas(hosts[0], `${SECOND} via 192.0.2.2`);
    await hostHas(hosts[1], `${BLOCK} via 192.0.2.1`);
  });

  it("speak with TTL security and a password at both ends", async () => {
    await using fabric = new Fabric();
    const hosts = two(fabric, {
      peers: [peer("p", { ...SELECTED, ttlSecurity: 1, password: { secretKeyRef: { name: "s", key: "k" } } })],
    });
    for (const host of hosts) host.secrets = new Map([["s/k", "pass word"]]);
    await startBoth(hosts);
    await hostHas(hosts[0], `${SECOND} via 192.0.2.2`);
    assert.match(await hosts[1].ask("show protocols all"), /multihop/);
  });
});

describe("TTL security of a link-local peer", () => {
  for (const [what, secured] of [
    ["comes up with one that has it too", true],
    ["does not with one that has not", false],
  ] as const)
    it(what, async () => {
      await using fabric = new Fabric();
      const { host, router } = pair(fabric, {
        peers: [
          peer("tor", { peerIP: "fe80::2", asNumber: 65001, ttlSecurity: 1 }, { "manx/bgp-interface": "to-router" }),
        ],
      });
      host.machine.ip("address add fe80::1/64 dev to-router");
      router.ip("address add fe80::2/64 dev to-host");
      const daemon = new BirdRouter(router);
      daemon.start(
        `router id 192.0.2.2;\nprotocol bgp x { local fe80::2 as 65001; neighbor fe80::1 as 64512; interface "to-host"; ttl security ${secured ? "on" : "off"}; ipv6 { import all; export none; }; }`,
      );
      await host.apply();
      if (secured) await has("BIRD has the block", daemon, "fd65::/122", 6);
      else await sleep(STAYS_DOWN);
      assert.equal((await daemon.table(6)).length, secured ? 1 : 0);
    });
});

describe("what the peer is told of times", () => {
  it("how long it keeps routes, and how often it hears of the host", async () => {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, { peers: [tor({ maxRestartTime: "1m30.4s", keepaliveTime: "7s" })] });
    const daemon = await frr(router, ["neighbor 192.0.2.1 remote-as 64512", "neighbor 192.0.2.1 timers 30 120"]);
    await host.apply();
    await has("FRR has the block", daemon, BLOCK);
    const [said = {}] = Object.values(
      JSON.parse(daemon.vty("show bgp neighbors 192.0.2.1 json")) as Record<string, Record<string, unknown>>,
    );
    const { gracefulRestartInfo: { timers: { receivedRestartTimer = 0 } = {} } = {} } = said as {
      gracefulRestartInfo?: { timers?: { receivedRestartTimer?: number } };
    };
    assert.deepEqual([receivedRestartTimer, said["bgpTimerHoldTimeMsecs"]], [90, 21_000]);
  });
});

describe("several things that decide about one route", () => {
  const accept = (cidr: string): BGPFilterRule => ({ action: "Accept", cidr, matchOperator: "Equal" });
  const reject = (cidr: string): BGPFilterRule => ({ action: "Reject", cidr, matchOperator: "Equal" });
  const THIRD = "10.65.2.0/26";
  const HIDDEN = ["10.66.0.0/26", "10.66.1.0/26"] as const;

  /** What FRR has, and with which communities. */
  async function told(
    names: readonly string[],
    lists: Readonly<Record<string, readonly BGPFilterRule[]>>,
    expected: Readonly<Record<string, string>>,
  ): Promise<void> {
    await using fabric = new Fabric();
    const { host, router } = pair(fabric, {
      peers: [tor({ filters: [...names] })],
      filters: Object.entries(lists).map(([name, rules]) => filter(name, { exportV4: [...rules] })),
      pools: [pool("10.65.0.0/16"), pool("10.66.0.0/16", { disableBGPExport: true })],
      configurations: [
        configuration({
          nodeToNodeMeshEnabled: false,
          prefixAdvertisements: [{ cidr: "10.64.0.0/13", communities: ["65001:7"] }],
        }),
      ],
      blocks: [BLOCK, SECOND, THIRD, ...HIDDEN],
    });
    const daemon: FrrRouter = await frr(router, ["neighbor 192.0.2.1 remote-as 64512"]);
    await host.apply();
    const communities = (prefix: string): string => {
      const { paths = [] } = JSON.parse(daemon.vty(`show bgp ipv4 unicast ${prefix} json`)) as {
        paths?: { community?: { string: string } }[];
      };
      return paths[0]?.community?.string ?? "";
    };
    const table = async (): Promise<Record<string, string>> => {
      const prefixes = (await daemon.table()).filter((prefix) => prefix !== "10.99.0.0/16");
      return Object.fromEntries(prefixes.map((prefix) => [prefix, communities(prefix)]));
    };
    const isSo = async (): Promise<boolean> => JSON.stringify(await table()) === JSON.stringify(expected);
    await eventually("FRR has it", isSo, 30_000).catch(async () => assert.deepEqual(await table(), expected));
    await sleep(300);
    assert.deepEqual(await table(), expected);
  }

  it("without filters: communities on all, and nothing of a pool that is not to be exported", () =>
    told([], {}, { [BLOCK]: "65001:7", [SECOND]: "65001:7", [THIRD]: "65001:7" }));

  it("the first filter that decides, in the order of the peer", () =>
    told(
      ["b", "gone", "a"],
      { a: [accept(BLOCK), reject(SECOND), reject(THIRD)], b: [reject(BLOCK), accept(SECOND)] },
      { [SECOND]: "" },
    ));

  it("what a filter accepts is announced as it is: without communities, and though its pool is not exported", () =>
    told(
      ["a"],
      { a: [accept(BLOCK), accept(HIDDEN[0])] },
      {
        [BLOCK]: "",
        [SECOND]: "65001:7",
        [THIRD]: "65001:7",
        [HIDDEN[0]]: "",
      },
    ));
});

describe("a route reflector", () => {
  it("marks what it passes on with its cluster ID and the originator (RFC 4456)", async () => {
    await using fabric = new Fabric();
    const names = ["host", "left", "right"];
    const machines = names.map((name) => fabric.machine(name)) as [Machine, Machine, Machine];
    fabric.segment(
      "lan",
      machines.map((machine, i) => [machine, [`192.0.2.${i + 1}/24`]]),
    );
    const [machine, left, right] = machines;
    new BirdRouter(left).start(
      "router id 192.0.2.2;\nprotocol static { ipv4; route 10.65.7.0/26 unreachable; }\nprotocol bgp x { local as 64512; neighbor 192.0.2.1 as 64512; ipv4 { import none; next hop self; export all; }; }",
    );
    const daemon = await frr(right, ["neighbor 192.0.2.1 remote-as 64512"], 64512);
    const host = new BgpHost(
      fabric,
      machine,
      {
        ...NO_CLUSTER,
        nodes: [node("host", { ipv4Address: "192.0.2.1/24", routeReflectorClusterID: "1.0.0.7" })],
        pools: [pool("10.65.0.0/16")],
        configurations: NO_MESH,
        peers: [2, 3].map((i) => peer(`p${i}`, { peerIP: `192.0.2.${i}`, asNumber: 64512 })),
      },
      { blocks: [BLOCK], connected: ["192.0.2.1/24"] },
    );
    await host.apply();
    await has("FRR has what is passed on", daemon, "10.65.7.0/26");
    await has("and the block", daemon, BLOCK);
    const path = (prefix: string) =>
      (
        JSON.parse(daemon.vty(`show bgp ipv4 unicast ${prefix} json`)) as {
          paths: { originatorId?: string; clusterList?: { list: string[] }; locPrf?: number }[];
        }
      ).paths[0];
    const passedOn = path("10.65.7.0/26");
    assert.deepEqual([passedOn?.originatorId, passedOn?.clusterList?.list], ["192.0.2.2", ["1.0.0.7"]]);
    assert.deepEqual([path(BLOCK)?.originatorId, path(BLOCK)?.locPrf], [undefined, 100]);
  });
});
