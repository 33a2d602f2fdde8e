/** Routers that people have: what `manx bgp config` prints is given to the real daemons, and their own tables are looked at. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DIALECTS, type DialectName } from "../../src/core/bgp/dialects/dialects.ts";
import type { Neighbor, Router } from "../../src/core/bgp/dialects/router.ts";
import { explainSession, type SessionReport } from "../../src/core/bgp/status.ts";
import { withLastWords } from "../../src/drivers/bird/log.ts";
import { parseSessions } from "../../src/drivers/bird/protocols.ts";
import { BirdRouter, type Daemon, FrrRouter, GoBgpRouter, KERNEL } from "./daemons.ts";
import { eventually, Fabric, type Machine } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { configuration, filter, node, peer, pool } from "./resources.ts";

const HOST = node("host", { ipv4Address: "192.0.2.1/24", ipv6Address: "2001:db8::1/64" });
const POOLS = [pool("10.65.0.0/16"), pool("fd65::/64")];
const OWN = { blocks: ["10.65.0.0/26", "fd65::/122"], connected: ["192.0.2.1/24", "2001:db8::1/64"] };
const SECRET = "correct horse; battery }";

/** A host, and a router on the same wire with a network of its own behind it. */
function pair(
  fabric: Fabric,
  config: Partial<ConstructorParameters<typeof BgpHost>[2]>,
): { host: BgpHost; machine: Machine } {
  const [left, machine] = [fabric.machine("host"), fabric.machine("router")];
  fabric.wire(left, machine, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]);
  const host = new BgpHost(fabric, left, { ...NO_CLUSTER, nodes: [HOST], pools: POOLS, ...config }, OWN);
  host.secrets = new Map([["tor/password", SECRET]]);
  return { host, machine };
}

function router(more: Partial<Router> = {}): Router {
  return {
    asNumber: 65001,
    address: "192.0.2.2",
    port: 179,
    password: "tor/password",
    multihop: false,
    families: [4],
    pools: POOLS.map(({ spec }) => spec.cidr),
    neighbors: [{ name: "host", address: "192.0.2.1", asNumber: 64512, port: 179, passive: false }],
    ...more,
  };
}

const text = (name: DialectName, of: Router): string[] =>
  DIALECTS[name].render(of).map((line) => line.replace("PASSWORD-tor-password", SECRET.replaceAll(" ", "_")));

/** What the router's own shell says, asked as `manx bgp config` says; its sockets are not where a router has them. */
function taken(machine: Machine, name: DialectName): string {
  const of = router();
  const [program = "", ...words] = DIALECTS[name].taken?.(of.neighbors[0] as Neighbor, of) ?? [];
  const socket: Partial<Record<DialectName, readonly string[]>> = {
    bird: ["-s", join(machine.folder, "router.ctl")],
    frr: ["--vty_socket", join(machine.folder, "frr")],
  };
  return machine.run(program, ...(socket[name] ?? []), ...words);
}

const stateOf = async ({ bird }: BgpHost, name: string): Promise<SessionReport | undefined> => {
  const report = parseSessions(await bird.ask("show protocols all")).get(name);
  return report === undefined ? undefined : withLastWords(report, name, await bird.log());
};

describe("a top-of-rack router, with a password", () => {
  const starts: Readonly<Record<"bird" | "frr" | "gobgp", (machine: Machine) => Promise<Daemon>>> = {
    bird: (machine) => {
      const bird = new BirdRouter(machine);
      const config = text("bird", router()).join("\n");
      bird.start(`router id 192.0.2.2;\nprotocol static { ipv4; route 10.99.0.0/16 blackhole; }\n${KERNEL}${config}`);
      return Promise.resolve(bird);
    },
    frr: async (machine) => {
      const frr = new FrrRouter(machine);
      const own = [
        "router bgp 65001",
        " no bgp network import-check",
        " address-family ipv4 unicast",
        "  network 10.99.0.0/16",
      ];
      await frr.start([...text("frr", router()), ...own]);
      return frr;
    },
    gobgp: async (machine) => {
      const gobgp = new GoBgpRouter(machine);
      await gobgp.start(text("gobgp", router()));
      gobgp.announce("10.99.0.0/16");
      return gobgp;
    },
  };
  for (const name of ["bird", "frr", "gobgp"] as const)
    it(`on ${name} has the host's block and nothing else of it, and the host has what it says`, async () => {
      await using fabric = new Fabric();
      const { host, machine } = pair(fabric, {
        peers: [
          peer("tor", {
            peerIP: "192.0.2.2",
            asNumber: 65001,
            password: { secretKeyRef: { name: "tor", key: "password" } },
          }),
        ],
      });
      host.secrets = new Map([["tor/password", SECRET.replaceAll(" ", "_")]]);
      host.machine.ip("route add 198.51.100.0/24 via 192.0.2.200");
      const daemon = await starts[name](machine);
      await host.apply();
      await eventually("the router has the block", async () => (await daemon.table()).includes("10.65.0.0/26"));
      assert.match(taken(machine, name), /10\.65\.0\.0\/26/, "the command that shows what it took");
      const announced = (await daemon.table()).filter((prefix) => prefix !== "10.99.0.0/16");
      assert.deepEqual(announced, ["10.65.0.0/26"]);
      await eventually("the host has the router's network", () =>
        host.machine.fib().some((line) => line.startsWith("10.99.0.0/16 via 192.0.2.2")),
      );
      await host.apply({ blocks: ["10.65.0.0/26", "10.65.64.0/26"] });
      await eventually("the router hears of a new block", async () => (await daemon.table()).includes("10.65.64.0/26"));
      host.machine.ip("route del blackhole 10.65.64.0/26 proto 109");
      await eventually("and of its end", async () => !(await daemon.table()).includes("10.65.64.0/26"));
    });
});

describe("one session over a link-local address", () => {
  it("carries IPv4 with IPv6 next hops, and IPv6, with FRR", async () => {
    await using fabric = new Fabric();
    const { host, machine } = pair(fabric, { configurations: [configuration({ nodeToNodeMeshEnabled: false })] });
    const frr = new FrrRouter(machine);
    machine.ip("address add fe80::2/64 dev to-host");
    await frr.start([
      "router bgp 65001",
      " no bgp ebgp-requires-policy",
      " no bgp network import-check",
      " bgp router-id 192.0.2.2",
      " neighbor fe80::1 remote-as 64512",
      " neighbor fe80::1 interface to-host",
      " neighbor fe80::1 capability extended-nexthop",
      " address-family ipv4 unicast",
      "  network 10.99.0.0/16",
      " exit-address-family",
      " address-family ipv6 unicast",
      "  neighbor fe80::1 activate",
    ]);
    const peers = [peer("tor", { peerIP: "fe80::2", asNumber: 65001 }, { "manx/bgp-interface": "to-router" })];
    host.machine.ip("address add fe80::1/64 dev to-router");
    await host.apply({ peers });
    await eventually(
      "FRR has both blocks",
      async () => (await frr.table(4)).includes("10.65.0.0/26") && (await frr.table(6)).includes("fd65::/122"),
    );
    await eventually("the host has the route by an IPv6 next hop", () =>
      host.machine.fib().some((line) => line.startsWith("10.99.0.0/16 via inet6 ")),
    );
  });
});

describe("a session that does not come up says why", () => {
  const cases: readonly (readonly [string, Parameters<typeof peer>[1], string, RegExp])[] = [
    ["nobody listens", {}, "", /connection refused, nothing listens on port 179 of 192\.0\.2\.2$/],
    ["the router has another AS", {}, "local as 65100;", /^\w+: wrong AS: the peer says 65100, expected is 65001$/],
    [
      "the router expects another AS",
      {},
      "local as 65001; neighbor 192.0.2.1 as 65555;",
      /^\w+: wrong AS: the peer does not expect 64512/,
    ],
  ];
  for (const [what, spec, lines, expected] of cases)
    it(what, async () => {
      await using fabric = new Fabric();
      const { host, machine } = pair(fabric, {
        peers: [peer("tor", { peerIP: "192.0.2.2", asNumber: 65001, ...spec })],
      });
      const rest = lines.includes("neighbor") ? lines : `${lines} neighbor 192.0.2.1 as 64512;`;
      if (lines !== "")
        new BirdRouter(machine).start(
          `router id 192.0.2.2;\nprotocol bgp x { ${rest} passive on; ipv4 { import all; export all; }; }`,
        );
      await host.apply();
      const [session] = host.state.sessions;
      assert.ok(session !== undefined);
      let last = "";
      await eventually(`it says ${expected.source}`, async () => {
        last = explainSession(session, await stateOf(host, session.name), { md5Failures: false }).text;
        return expected.test(last);
      }).catch((error: unknown) => assert.fail(`${String(error)}; it says "${last}"`));
    });

  it("the peer does not offer a family", async () => {
    await using fabric = new Fabric();
    const annotations = { "manx/bgp-families": "ipv4, ipv6" };
    const { host, machine } = pair(fabric, {
      peers: [peer("tor", { peerIP: "192.0.2.2", asNumber: 65001 }, annotations)],
    });
    new BirdRouter(machine).start(
      "router id 192.0.2.2;\nprotocol bgp x { local as 65001; neighbor 192.0.2.1 as 64512; ipv4 { import all; export all; }; }",
    );
    await host.apply();
    const [session] = host.state.sessions;
    assert.ok(session !== undefined);
    await eventually("it says so", async () =>
      explainSession(session, await stateOf(host, session.name), { md5Failures: false }).text.endsWith(
        "family IPv6 not negotiated: the peer does not offer it",
      ),
    );
  });

  it("the password is another one: the kernel counts it, nothing is established", async () => {
    await using fabric = new Fabric();
    const { host, machine } = pair(fabric, {
      peers: [
        peer("tor", {
          peerIP: "192.0.2.2",
          asNumber: 65001,
          password: { secretKeyRef: { name: "tor", key: "password" } },
        }),
      ],
    });
    new BirdRouter(machine).start(
      'router id 192.0.2.2;\nprotocol bgp x { local as 65001; neighbor 192.0.2.1 as 64512; connect delay time 1; password "wrong"; ipv4 { import all; export all; }; }',
    );
    await host.apply();
    await eventually("wrong signatures arrive", () =>
      /TCPMD5Failure +[1-9]/.test(host.machine.run("nstat", "-az", "TcpExtTCPMD5Failure")),
    );
    const [session] = host.state.sessions;
    assert.ok(session !== undefined);
    const report = await stateOf(host, session.name);
    assert.notEqual(report?.state, "Established");
    assert.match(
      explainSession(session, report, { md5Failures: true }).text,
      /MD5 mismatch: 192\.0\.2\.2 has another password, or none$/,
    );
  });
});

describe("filters", () => {
  it("decide what the router hears and what the host takes, as its own table shows", async () => {
    await using fabric = new Fabric();
    const { host, machine } = pair(fabric, {
      configurations: [
        configuration({
          communities: [{ name: "rack", value: "65001:7" }],
          prefixAdvertisements: [{ cidr: "10.65.0.0/16", communities: ["rack", "65001:1:2"] }],
        }),
      ],
      peers: [peer("tor", { peerIP: "192.0.2.2", asNumber: 65001, filters: ["f"] })],
      filters: [
        filter("f", {
          exportV4: [
            { action: "Reject", cidr: "10.65.2.0/24", matchOperator: "In" },
            {
              action: "Accept",
              cidr: "10.65.1.0/26",
              matchOperator: "Equal",
              operations: [{ prependASPath: { prefix: [64512, 64999] } }, { addCommunity: { value: "1:2" } }],
            },
          ],
          importV4: [
            { action: "Reject", communities: { values: ["666:1"] } },
            { action: "Reject", asPathPrefix: [65001, 65002] },
            {
              action: "Accept",
              cidr: "10.90.0.0/16",
              matchOperator: "In",
              prefixLength: { min: 20, max: 24 },
              operations: [{ setPriority: { value: 500 } }],
            },
            { action: "Reject", cidr: "10.90.0.0/16", matchOperator: "In" },
          ],
        }),
      ],
      pools: [...POOLS, pool("10.67.0.0/16", { disableBGPExport: true })],
    });
    const bird = new BirdRouter(machine);
    bird.start(`router id 192.0.2.2;
      protocol static { ipv4; route 10.90.1.0/24 blackhole; route 10.90.0.0/16 blackhole; route 10.91.0.0/16 blackhole; route 10.92.0.0/16 blackhole; route 10.93.0.0/16 blackhole; }
      protocol bgp x { local as 65001; neighbor 192.0.2.1 as 64512; ipv4 { import all; export filter {
        if net = 10.91.0.0/16 then bgp_community.add((666, 1));
        if net = 10.92.0.0/16 then bgp_path.prepend(65002);
        accept; }; }; }`);
    await host.apply({ blocks: ["10.65.0.0/26", "10.65.1.0/26", "10.65.2.0/26", "10.67.0.0/26"] });
    await eventually("the router has two blocks", async () => (await bird.table()).length === 2);
    assert.deepEqual(await bird.table(), ["10.65.0.0/26", "10.65.1.0/26"]);
    const seen = (await bird.ask("show route all")).map((line) => line.text.trim()).join("\n");
    assert.match(
      seen,
      /BGP\.as_path: 64512 64512 64999\nBGP\.next_hop: 192\.0\.2\.1\nBGP\.local_pref: 100\nBGP\.community: \(1,2\)/,
    );
    assert.match(seen, /BGP\.community: \(65001,7\)\nBGP\.large_community: \(65001, 1, 2\)/);
    await eventually("the host has two routes", () => host.machine.fib().length === 2);
    const metrics = host.machine.fib().map((line) => [line.split(" ")[0], / metric (\d+)/.exec(line)?.[1]]);
    assert.deepEqual(metrics, [
      ["10.90.1.0/24", "500"],
      ["10.93.0.0/16", "1025"],
    ]);
  });
});
