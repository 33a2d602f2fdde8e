/** With which settings, with Calico as the judge (calico.test.ts). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge, NO_MESH, type Row, RR_AS, reflected, secret, three, threeV4 } from "../../../tests/bgp/calico.ts";
import { configuration, filter, node, peer } from "../../../tests/bgp/resources.ts";
import type { BGPConfiguration } from "../model/resources.ts";
import { deriveBgp } from "./derive.ts";

judge("Calico's settings are ours:", [
  [
    "explicit_peering/keepnexthop: over eBGP only",
    {
      nodes: reflected(),
      configurations: [configuration(RR_AS)],
      peers: [
        peer("tor", { peerIP: "172.19.4.87", asNumber: 64533, nodeSelector: "has(rr)", keepOriginalNextHop: true }),
        peer("ibgp", { peerIP: "172.19.4.88", asNumber: 64532, nodeSelector: "has(rr)", keepOriginalNextHop: true }),
      ],
    },
    ["node 172.19.4.87 as 64533 next hop keep", "node 172.19.4.88 as 64532 rr client"],
  ],
  [
    "next_hop_mode/route_reflectors",
    {
      nodes: three({}, { rr: "true" }),
      peers: [
        peer("a", { peerIP: "10.225.0.4", asNumber: 65515, nextHopMode: "Keep", nodeSelector: "has(rr)" }),
        peer("b", { peerIP: "10.225.0.5", asNumber: 64512, nextHopMode: "Self", nodeSelector: "has(rr)" }),
        peer("c", { peerIP: "ffee::10", asNumber: 65515, nextHopMode: "Auto", nodeSelector: "has(rr)" }),
      ],
    },
    ["node 10.225.0.4 as 65515 next hop keep", "node 10.225.0.5 as 64512 next hop self", "node ffee::10 as 65515"],
  ],
  ...["m", "n1"].map(
    (host): Row => [
      `what is said of a peerSelector counts at both ends, at ${host}`,
      {
        host,
        nodes: threeV4().slice(0, 2),
        peers: [
          peer("p", {
            node: "m",
            peerSelector: "!has(rr)",
            nextHopMode: "Self",
            ttlSecurity: 1,
            maxRestartTime: "10s",
            keepaliveTime: "1m",
            password: secret("k"),
            filters: ["f", "g"],
          }),
        ],
        filters: [filter("f", {}), filter("g", {})],
      },
      [
        `node 10.192.0.${host === "m" ? 3 : 2} as 64512 ttl 1 next hop self restart 10 keepalive 60 filters f,g password k`,
      ],
    ],
  ),
  ...[
    ["m", "global 2001::104 as 64567 local as 65001 passive"],
    ["n2", "node 2001::102 as 65001"], // in Calico this end expects 64567, and the session never comes up
  ].map(
    ([host = "", expected = ""]): Row => [
      `explicit_peering/local-as-global-ipv6, at ${host}`,
      {
        host,
        nodes: three().filter(({ metadata }) => metadata.name !== "n1"),
        configurations: [configuration({ ...NO_MESH, asNumber: 64567 })],
        peers: [peer("p", { peerIP: "2001::104", asNumber: 64567, localASNumber: 65001 })],
      },
      [expected],
    ],
  ),
  [
    "explicit_peering/local-as: the other end does without",
    {
      host: "n1",
      peers: [peer("1", { node: "m", peerIP: "10.192.0.3", asNumber: 64512, numAllowedLocalASNumbers: 1 })],
    },
    ["node 10.192.0.2 as 64512"],
  ],
  [
    "sourceaddr_gracefulrestart",
    {
      peers: [
        peer("1", { node: "m", peerIP: "10.192.0.3", asNumber: 64512, sourceAddress: "None", maxRestartTime: "90.5s" }),
      ],
    },
    ["node 10.192.0.3 as 64512 no source restart 91"],
  ],
  [
    "reachable_by/global_peers",
    {
      nodes: three(),
      peers: [
        peer("a", { peerIP: "10.225.0.4", asNumber: 65515, reachableBy: "10.224.0.1", keepOriginalNextHop: true }),
        peer("b", { peerIP: "ffee::10", asNumber: 65515, reachableBy: "ffee::1:1" }),
      ],
    },
    ["global 10.225.0.4 as 65515 next hop keep via 10.224.0.1", "global ffee::10 as 65515 via ffee::1:1"],
  ],
  [
    "a gateway is of this end only (Calico gives it to the other end as well, where its network need not be)",
    {
      host: "n1",
      peers: [peer("a", { node: "m", peerIP: "10.192.0.3", asNumber: 64512, reachableBy: "10.224.0.1" })],
    },
    ["node 10.192.0.2 as 64512"],
  ],
  [
    "ttl_security/global",
    {
      peers: [
        peer("a", { peerIP: "10.225.0.4", asNumber: 1, ttlSecurity: 64 }),
        peer("b", { peerIP: "10.225.0.5", asNumber: 1, ttlSecurity: 0 }),
      ],
    },
    ["global 10.225.0.4 as 1 ttl 64", "global 10.225.0.5 as 1"],
  ],
  [
    "idle_peers: of a global and a node's own peer of one address the global one counts",
    {
      nodes: threeV4().slice(0, 2),
      peers: [
        peer("node-specific", { node: "m", peerSelector: "all()", ttlSecurity: 1 }),
        peer("zz-global", { peerSelector: "all()" }),
      ],
    },
    ["global 10.192.0.3 as 64512 passive"],
  ],
  ...[
    ["Auto", ["node 10.192.0.3 as 64512", "node 10.192.0.4 as 64512"]],
    ["Manual", []],
  ].map(
    ([reversePeering, expected]): Row => [
      `reverse_peering/${String(reversePeering)}`,
      {
        nodes: threeV4().map((one, i) => ({
          ...one,
          metadata: { ...one.metadata, labels: i === 0 ? { rr: "true" } : {} },
        })),
        peers: [
          peer("p", { nodeSelector: "all()", peerSelector: "rr == 'true'", reversePeering: reversePeering as "Auto" }),
        ],
      },
      expected as string[],
    ],
  ),
  [
    "a peering that is written out counts before the way back of another",
    {
      nodes: threeV4().slice(0, 2),
      peers: [
        peer("a", { node: "n1", peerSelector: "all()", ttlSecurity: 1 }),
        peer("b", { node: "m", peerIP: "10.192.0.3", asNumber: 64512, ttlSecurity: 2 }),
      ],
    },
    ["node 10.192.0.3 as 64512 ttl 2"],
  ],
  [
    "password: each peer its own, also for the way back",
    {
      host: "n1",
      peers: [
        peer("1", { nodeSelector: "all()", peerIP: "10.192.0.3", asNumber: 64512, password: secret("a") }),
        peer("2", { node: "n1", peerIP: "10.24.10.10", asNumber: 64512, password: secret("c") }),
      ],
    },
    [
      "node 10.192.0.2 as 64512 password a",
      "node 10.192.0.4 as 64512 password a",
      "node 10.24.10.10 as 64512 password c",
    ],
  ],
  [
    "bgpfilter/node_mesh: the mesh has none, whatever filters there are",
    { nodes: threeV4().slice(0, 2), configurations: [], filters: [filter("f", { importV4: [{ action: "Reject" }] })] },
    ["mesh 10.192.0.3 as 64512 passive"],
  ],
  [
    "bgpfilter/multi_filter, bgpfilter/non_existent_filter: in the order of the peer, without those that are not there",
    {
      peers: [peer("p", { peerIP: "10.9.9.9", asNumber: 64517, filters: ["two", "gone", "one"] })],
      filters: [filter("one", {}), filter("two", {})],
    },
    ["global 10.9.9.9 as 64517 filters two,one"],
  ],
  [
    "an IPv4 address that is written as an IPv6 one",
    { peers: [peer("p", { peerIP: "::ffff:10.9.9.9", asNumber: 1 }), peer("q", { peerIP: "10.9.9.9", asNumber: 2 })] },
    ["global 10.9.9.9 as 1"],
  ],
  [
    "mesh and peer of one address: one session, as the BGPPeer says (Calico writes both)",
    {
      nodes: threeV4().slice(0, 2),
      configurations: [],
      peers: [peer("p", { node: "m", peerIP: "10.192.0.3", asNumber: 64512 })],
    },
    ["node 10.192.0.3 as 64512"],
  ],
  [
    "two nodes of one address are one (and none of them speaks with itself)",
    { nodes: [...threeV4().slice(0, 2), node("copy", { ipv4Address: "10.192.0.2" })], configurations: [] },
    ["mesh 10.192.0.3 as 64512 passive"],
  ],
]);

describe("Calico's prefixes", () => {
  const advertised = (...configurations: readonly BGPConfiguration[]) =>
    deriveBgp({
      host: "m",
      nodes: threeV4(),
      configurations,
      peers: [],
      filters: [],
      pools: [],
      blocks: [],
      lent: [],
      services: [],
      connected: [],
    }).routes.communities.map(({ cidr, communities }) => [cidr.family, communities.join(" ")]);
  const ALL = configuration({
    communities: [
      { name: "standard", value: "100:6532" },
      { name: "large", value: "100:555:107" },
    ],
    prefixAdvertisements: [
      { cidr: "192.168.0.0/16", communities: ["standard", "5663:12", "large"] },
      { cidr: "fd00:96::/112", communities: ["large", "large", "nobody"] },
    ],
  });
  /** [what, the BGPConfigurations, family and communities] */
  const rows: readonly (readonly [string, readonly BGPConfiguration[], readonly (readonly [number, string])[]])[] = [
    [
      "mesh/communities",
      [ALL],
      [
        [4, "100:6532 5663:12 100:555:107"],
        [6, "100:555:107"],
      ],
    ],
    [
      "mesh/communities/step2: the node's own, instead of those of all, in both families",
      [
        ALL,
        configuration(
          { prefixAdvertisements: [{ cidr: "192.168.0.0/16", communities: ["1:1", "1:1"] }] },
          {},
          "node.m",
        ),
      ],
      [[4, "1:1"]],
    ],
    [
      "names are those beside the advertisement",
      [
        ALL,
        configuration(
          {
            communities: [{ name: "large", value: "50:50:5364" }],
            prefixAdvertisements: [{ cidr: "192.168.0.0/16", communities: ["large", "standard"] }],
          },
          {},
          "node.m",
        ),
      ],
      [[4, "50:50:5364"]],
    ],
    [
      "of another node: none",
      [configuration({ prefixAdvertisements: ALL.spec.prefixAdvertisements ?? [] }, {}, "node.n1")],
      [],
    ],
  ];
  for (const [what, configurations, expected] of rows)
    it(what, () => {
      assert.deepEqual(advertised(...configurations), expected);
    });
});
