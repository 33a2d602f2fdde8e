/** Every match and every operation of a BGPFilter: which routes pass is read from the peer's own table, or from the host's kernel. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BGPFilterOperation, BGPFilterRule } from "../../src/core/model/resources.ts";
import { BirdRouter, FrrRouter } from "./daemons.ts";
import { eventually, Fabric, type Machine } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { configuration, filter, node, peer, pool } from "./resources.ts";

type Match = Omit<BGPFilterRule, "action" | "operations">;

const SIX = "2001:db8:90::/48";
/** What the router on the host's other side announces. Where it is nothing else, the path is 65001. */
const REMOTE = ["10.90.0.0/16", "10.90.1.0/24", "10.90.1.128/25", "10.91.0.0/16", "10.92.0.0/16", "10.93.0.0/16"];
const [WIDE, MIDDLE, NARROW, STANDARD, LARGE, LONG] = REMOTE as [string, string, string, string, string, string];
const UPSTREAM = `router id 198.51.100.2;
  protocol static { ipv4; ${REMOTE.map((prefix) => `route ${prefix} unreachable;`).join(" ")} }
  protocol static { ipv6; route ${SIX} unreachable; route 2001:db8:91::/48 unreachable; }
  protocol bgp x { local as 65001; neighbor 198.51.100.1 as 64512;
    ipv4 { import none; export filter {
      if net = ${STANDARD} then bgp_community.add((666, 1));
      if net = ${LARGE} then bgp_large_community.add((65001, 1, 2));
      if net = ${LONG} then { bgp_path.prepend(65103); bgp_path.prepend(65102); }
      accept; }; };
    ipv6 { import none; extended next hop on; next hop address 2001:db8:2::2; export all; }; }`;
const BLOCKS = ["10.65.0.0/26", "10.65.1.0/26"];
const [FIRST, SECOND] = BLOCKS as [string, string];

/** upstream (BIRD, AS 65001) -- host -- downstream (FRR, AS 65002, or the host's own) */
class Line implements AsyncDisposable {
  readonly fabric = new Fabric();
  readonly host: BgpHost;
  readonly #downstream: Machine;
  readonly frr: FrrRouter;

  constructor() {
    const [upstream, left, downstream] = ["up", "host", "down"].map((name) => this.fabric.machine(name)) as [
      Machine,
      Machine,
      Machine,
    ];
    this.fabric.wire(left, upstream, ["198.51.100.1/24", "2001:db8:2::1/64"], ["198.51.100.2/24", "2001:db8:2::2/64"]);
    this.fabric.wire(left, downstream, ["192.0.2.1/24"], ["192.0.2.2/24"]);
    new BirdRouter(upstream).start(UPSTREAM);
    const cluster = {
      ...NO_CLUSTER,
      nodes: [node("host", { ipv4Address: "198.51.100.1/24", ipv6Address: "2001:db8:2::1/64" })],
      configurations: [configuration({ nodeToNodeMeshEnabled: false })],
      pools: [pool("10.65.0.0/16")],
    };
    const connected = ["198.51.100.1/24", "192.0.2.1/24", "2001:db8:2::1/64"];
    this.host = new BgpHost(this.fabric, left, cluster, { blocks: BLOCKS, connected });
    this.#downstream = downstream;
    this.frr = new FrrRouter(downstream);
  }

  async start(asNumber: number): Promise<void> {
    await this.frr.start([
      `router bgp ${asNumber}`,
      " bgp router-id 192.0.2.2",
      " no bgp ebgp-requires-policy",
      " timers bgp connect 2",
      " neighbor 192.0.2.1 remote-as 64512",
    ]);
    await this.filters(asNumber, [], []);
  }

  /** `up`: rules for what comes from upstream; `down`: for what goes downstream. */
  async filters(
    asNumber: number,
    up: readonly BGPFilterRule[],
    down: readonly BGPFilterRule[],
    six = up.filter(({ cidr }) => cidr === undefined),
  ): Promise<void> {
    await this.host.apply({
      peers: [
        peer("up", { peerIP: "198.51.100.2", asNumber: 65001, filters: ["up"] }, { "manx/bgp-families": "ipv4, ipv6" }),
        peer("down", { peerIP: "192.0.2.2", asNumber, filters: ["down"], sourceAddress: "None" }),
      ],
      filters: [filter("up", { importV4: [...up], importV6: [...six] }), filter("down", { exportV4: [...down] })],
    });
  }

  taken(family: 4 | 6 = 4): string[] {
    return this.host.machine.fib(family).flatMap((line) => line.split(" ")[0] ?? []);
  }

  path(prefix: string): { path: string; standard: string; large: string; preference: number | undefined } {
    const { paths = [] } = JSON.parse(this.frr.vty(`show bgp ipv4 unicast ${prefix} json`)) as {
      paths?: {
        aspath: { string: string };
        community?: { string: string };
        largeCommunity?: { string: string };
        locPrf?: number;
      }[];
    };
    const [found] = paths;
    return {
      path: found?.aspath.string ?? "none",
      standard: found?.community?.string ?? "",
      large: found?.largeCommunity?.string ?? "",
      preference: found?.locPrf,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#downstream;
    await this.fabric[Symbol.asyncDispose]();
  }
}

const accept = (match: Match = {}, operations: readonly BGPFilterOperation[] = []): BGPFilterRule => ({
  ...match,
  action: "Accept",
  ...(operations.length === 0 ? {} : { operations: [...operations] }),
});
const REST: BGPFilterRule = { action: "Reject" };

/** Becomes so, and stays so. */
async function settles(look: () => Promise<readonly string[]> | readonly string[], expected: readonly string[]) {
  const want = [...expected].sort().join();
  let last = "";
  const isSo = async (): Promise<boolean> => {
    last = [...(await look())].sort().join();
    return last === want;
  };
  await eventually(want, isSo).catch(() => assert.equal(last, want));
  await sleep(150);
  assert.ok(await isSo(), `it does not stay so: ${last}`);
}

describe("a BGPFilter's import rules", () => {
  let line: Line;
  before(async () => {
    line = new Line();
    await line.start(65002);
  });
  after(() => line[Symbol.asyncDispose]());

  const rows: readonly (readonly [string, Match, readonly string[]])[] = [
    ["without a condition: all", {}, REMOTE],
    ["cidr Equal", { cidr: WIDE, matchOperator: "Equal" }, [WIDE]],
    ["cidr NotEqual", { cidr: WIDE, matchOperator: "NotEqual" }, REMOTE.filter((prefix) => prefix !== WIDE)],
    ["cidr In", { cidr: WIDE, matchOperator: "In" }, [WIDE, MIDDLE, NARROW]],
    ["cidr NotIn", { cidr: WIDE, matchOperator: "NotIn" }, [STANDARD, LARGE, LONG]],
    ["prefixLength from", { cidr: WIDE, matchOperator: "In", prefixLength: { min: 24 } }, [MIDDLE, NARROW]],
    ["prefixLength to", { cidr: WIDE, matchOperator: "In", prefixLength: { max: 24 } }, [WIDE, MIDDLE]],
    ["prefixLength from and to", { cidr: WIDE, matchOperator: "In", prefixLength: { min: 20, max: 24 } }, [MIDDLE]],
    [
      "prefixLength with NotIn",
      { cidr: WIDE, matchOperator: "NotIn", prefixLength: { min: 20, max: 24 } },
      REMOTE.filter((prefix) => prefix !== MIDDLE),
    ],
    ["prefixLength below the cidr's own", { cidr: MIDDLE, matchOperator: "In", prefixLength: { max: 16 } }, []],
    ["prefixLength with Equal", { cidr: WIDE, matchOperator: "Equal", prefixLength: { max: 24 } }, [WIDE]],
    ["prefixLength that leaves nothing equal", { cidr: WIDE, matchOperator: "Equal", prefixLength: { min: 24 } }, []],
    ["a standard community", { communities: { values: ["666:1"] } }, [STANDARD]],
    ["another one", { communities: { values: ["666:2"] } }, []],
    ["a large community", { communities: { values: ["65001:1:2"] } }, [LARGE]],
    ["asPathPrefix of one", { asPathPrefix: [65001] }, REMOTE],
    ["asPathPrefix of two", { asPathPrefix: [65001, 65102] }, [LONG]],
    ["asPathPrefix of three", { asPathPrefix: [65001, 65102, 65103] }, [LONG]],
    ["asPathPrefix that is only in the middle", { asPathPrefix: [65102] }, []],
    ["peerType eBGP", { peerType: "eBGP" }, REMOTE],
    ["peerType iBGP", { peerType: "iBGP" }, []],
    ["source RemotePeers", { source: "RemotePeers" }, REMOTE],
    ["priority that nobody set", { priority: 1024 }, REMOTE],
    ["priority", { priority: 512 }, []],
    [
      "several conditions: all must hold",
      { cidr: "10.90.0.0/15", matchOperator: "In", communities: { values: ["666:1"] } },
      [STANDARD],
    ],
  ];
  for (const [index, [what, match, expected]] of rows.entries())
    it(what, async () => {
      if (rows[index - 1]?.[2].join() === expected.join()) {
        await line.filters(65002, [REST], [], [REST]);
        await settles(() => line.taken(), []);
      }
      await line.filters(65002, [accept(match), REST], [], [REST]);
      await settles(() => line.taken(), expected);
    });

  it("IPv6 has rules of its own", async () => {
    await line.filters(65002, [REST], [], [accept({ cidr: SIX, matchOperator: "Equal" }), REST]);
    await settles(() => line.taken(6), [SIX]);
    await settles(() => line.taken(), []);
    await line.filters(65002, [REST], [], [accept({ cidr: SIX, matchOperator: "NotIn" }), REST]);
    await settles(() => line.taken(6), ["2001:db8:91::/48"]);
  });

  it("the first rule that matches decides; what none matches is accepted", async () => {
    await line.filters(
      65002,
      [accept({ cidr: MIDDLE, matchOperator: "Equal" }), { action: "Reject", cidr: WIDE, matchOperator: "In" }],
      [],
    );
    await settles(() => line.taken(), [MIDDLE, STANDARD, LARGE, LONG]);
  });

  it("setPriority is the kernel's metric", async () => {
    const set = [{ setPriority: { value: 500 } }];
    await line.filters(65002, [accept({ cidr: WIDE, matchOperator: "Equal" }, set), accept()], []);
    await eventually("the kernel has it", () =>
      line.host.machine.fib().some((row) => row.startsWith(WIDE) && row.includes("metric 500")),
    );
    assert.ok(line.host.machine.fib().some((row) => row.startsWith(MIDDLE) && row.includes("metric 1025")));
  });
});

describe("a BGPFilter's export rules", () => {
  let line: Line;
  const own = (): Promise<string[]> => line.frr.table();
  const set = [accept({ cidr: WIDE, matchOperator: "Equal" }, [{ setPriority: { value: 512 } }]), accept()];
  before(async () => {
    line = new Line();
    await line.start(65002);
  });
  after(() => line[Symbol.asyncDispose]());

  const rows: readonly (readonly [string, Match, readonly string[]])[] = [
    ["without a condition: all, as a rule that accepts others' routes is there", {}, [...BLOCKS, ...REMOTE]],
    ["cidr Equal", { cidr: FIRST, matchOperator: "Equal" }, [FIRST]],
    ["cidr NotEqual", { cidr: FIRST, matchOperator: "NotEqual" }, [SECOND, ...REMOTE]],
    ["cidr In", { cidr: "10.65.0.0/16", matchOperator: "In" }, BLOCKS],
    ["cidr NotIn", { cidr: "10.65.0.0/16", matchOperator: "NotIn" }, REMOTE],
    ["prefixLength", { cidr: "10.0.0.0/8", matchOperator: "In", prefixLength: { min: 25 } }, [...BLOCKS, NARROW]],
    ["source RemotePeers", { source: "RemotePeers" }, REMOTE],
    ["interface", { interface: "to-up" }, REMOTE],
    ["interface by pattern", { interface: "to-*" }, REMOTE],
    ["another interface", { interface: "eth*" }, []],
    ["peerType eBGP", { peerType: "eBGP" }, [...BLOCKS, ...REMOTE]],
    ["peerType iBGP", { peerType: "iBGP" }, []],
    ["a standard community", { communities: { values: ["666:1"] } }, [STANDARD]],
    ["a large community", { communities: { values: ["65001:1:2"] } }, [LARGE]],
    ["asPathPrefix", { asPathPrefix: [65001, 65102] }, [LONG]],
    ["priority", { priority: 512 }, [WIDE]],
  ];
  const transit = accept({ source: "RemotePeers", cidr: "10.255.0.0/16", matchOperator: "Equal" });
  for (const [index, [what, match, expected]] of rows.entries())
    it(what, async () => {
      if (rows[index - 1]?.[2].join() === expected.join()) {
        await line.filters(65002, set, [REST]);
        await settles(own, []);
      }
      await line.filters(65002, set, [transit, accept(match), REST]);
      await settles(own, expected);
    });

  it("changes what it accepts, in order", async () => {
    await line.filters(65002, set, [
      accept({ cidr: FIRST, matchOperator: "Equal" }, [
        { addCommunity: { value: "65000:1" } },
        { addCommunity: { value: "4200000000:1:2" } },
        { prependASPath: { prefix: [64512, 64999] } },
        { addCommunity: { value: "65000:2" } },
      ]),
    ]);
    await eventually("FRR sees it", () => line.path(FIRST).standard !== "");
    assert.deepEqual(line.path(FIRST), {
      path: "64512 64512 64999",
      standard: "65000:1 65000:2",
      large: "4200000000:1:2",
      preference: undefined,
    });
    assert.deepEqual(line.path(SECOND), { path: "64512", standard: "", large: "", preference: undefined });
  });
});

describe("a BGPFilter's export rules to a peer of the same AS", () => {
  it("peerType tells, and a priority goes along as Calico writes it", async () => {
    await using line = new Line();
    await line.start(64512);
    await line.filters(
      64512,
      [],
      [
        accept({ peerType: "iBGP", cidr: FIRST, matchOperator: "Equal" }, [{ setPriority: { value: 512 } }]),
        { action: "Reject", peerType: "iBGP" },
      ],
    );
    await settles(() => line.frr.table(), [FIRST]);
    assert.equal(line.path(FIRST).preference, 2_147_483_647 - 512);
    await line.filters(64512, [], [{ action: "Reject", peerType: "eBGP" }]);
    await settles(() => line.frr.table(), BLOCKS);
  });
});
