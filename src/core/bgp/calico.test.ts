/**
 * Who speaks with whom and how, with Calico as the judge: the clusters of confd's own tests (confd/tests/mock_data) and the sessions
 * that it writes for them (compiled_templates). Where the two differ on purpose the row says so.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configuration, filter, node, peer } from "../../../tests/bgp/resources.ts";
import type { BGPConfiguration, BGPFilter, BGPPeer, Node } from "../model/resources.ts";
import { deriveBgp } from "./derive.ts";
import type { Session } from "./state.ts";

const NO_MESH = { nodeToNodeMeshEnabled: false };
const secret = (key: string) => ({ secretKeyRef: { name: "s", key } });

/** Three nodes, 10.192.0.2-4 and 2001::102-104. `more` for the first of them. */
const three = (more: object = {}, labels: Readonly<Record<string, string>> = {}): Node[] => [
  node("m", { ipv4Address: "10.192.0.2/16", ipv6Address: "2001::102/64", ...more }, labels),
  node("n1", { ipv4Address: "10.192.0.3/16", ipv6Address: "2001::103/64" }),
  node("n2", { ipv4Address: "10.192.0.4/16", ipv6Address: "2001::104/64" }),
];
const threeV4 = (): Node[] => ["m", "n1", "n2"].map((name, i) => node(name, { ipv4Address: `10.192.0.${i + 2}/16` }));
/** The first is a route reflector. */
const reflected = (): Node[] => three({ routeReflectorClusterID: "10.0.0.1" }, { rr: "true" });
const RR_AS = { ...NO_MESH, asNumber: 64532 };
const EXTERNAL = [
  peer("tor", { peerIP: "172.19.4.87", asNumber: 64533, nodeSelector: "has(rr)" }),
  peer("tor6", { peerIP: "[ac13::57]:50", asNumber: 64533, nodeSelector: "has(rr)" }),
];

interface Cluster {
  readonly host?: string;
  readonly nodes?: readonly Node[];
  readonly configurations?: readonly BGPConfiguration[];
  readonly peers?: readonly BGPPeer[];
  readonly filters?: readonly BGPFilter[];
}

/** `node 10.192.0.3 port 500 as 64512 ttl 1`, and what else is not as usual. */
function say(session: Session): string {
  const { remote, remotePort, source, ttlSecurity, allowLocalAs, restartTime, keepalive, reachableBy } = session;
  const { filters, password, localAs, localPort } = session;
  const words: readonly (readonly [string, string | number | undefined])[] = [
    [session.kind, remote.kind === "address" ? remote.address : remote.cidr],
    ["port", remotePort === 179 ? undefined : remotePort],
    ["as", session.peerAs],
    ["local as", localAs === 64512 || localAs === 64532 || localAs === 64567 ? undefined : localAs],
    ["at port", localPort === 179 ? undefined : localPort],
    ["no source", source === undefined ? "" : undefined],
    ["passive", session.passive ? "" : undefined],
    ["ttl", ttlSecurity],
    ["next hop", session.nextHop === "auto" ? undefined : session.nextHop],
    ["rr client", session.reflectorClient ? "" : undefined],
    ["allow local as", allowLocalAs],
    ["restart", restartTime],
    ["keepalive", keepalive],
    ["via", reachableBy],
    ["filters", filters.length === 0 ? undefined : filters.join()],
    ["password", password?.key],
  ];
  return words
    .flatMap(([word, value]) => (value === undefined ? [] : value === "" ? [word] : [`${word} ${value}`]))
    .join(" ");
}

function sessions({ host = "m", nodes = threeV4(), configurations, peers = [], filters = [] }: Cluster): string[] {
  const state = deriveBgp({
    host,
    nodes,
    configurations: configurations ?? [configuration(NO_MESH)],
    peers,
    filters,
    pools: [],
    blocks: [],
    lent: [],
    services: [],
    connected: [],
  });
  assert.deepEqual(state.problems, []);
  return state.sessions.map(say);
}

/** [what, the cluster, the sessions of host m or of the one that is named] */
const ROWS: readonly (readonly [string, Cluster, readonly string[]])[] = [
  [
    "mesh: the one with the lesser address calls",
    { configurations: [] },
    ["mesh 10.192.0.3 as 64512 passive", "mesh 10.192.0.4 as 64512 passive"],
  ],
  [
    "mesh, at the last node",
    { host: "n2", configurations: [] },
    ["mesh 10.192.0.2 as 64512", "mesh 10.192.0.3 as 64512"],
  ],
  [
    "mesh: texts are compared, not numbers",
    { nodes: [node("m", { ipv4Address: "10.0.0.9" }), node("n", { ipv4Address: "10.0.0.10" })], configurations: [] },
    ["mesh 10.0.0.10 as 64512"],
  ],
  [
    "mesh/communities/step2: the port of all, and one of its own",
    { configurations: [configuration({ listenPort: 177 }), configuration({ listenPort: 180 }, {}, "node.m")] },
    ["mesh 10.192.0.3 port 177 as 64512 at port 180 passive", "mesh 10.192.0.4 port 177 as 64512 at port 180 passive"],
  ],
  [
    "mesh/communities/step2, at another node",
    {
      host: "n1",
      configurations: [configuration({ listenPort: 177 }), configuration({ listenPort: 180 }, {}, "node.m")],
    },
    ["mesh 10.192.0.2 port 180 as 64512 at port 177", "mesh 10.192.0.4 port 177 as 64512 at port 177 passive"],
  ],
  [
    "mesh/restart-time, mesh/password",
    { configurations: [configuration({ nodeMeshMaxRestartTime: "2m0.4s", nodeMeshPassword: secret("k") })] },
    [
      "mesh 10.192.0.3 as 64512 passive restart 120 password k",
      "mesh 10.192.0.4 as 64512 passive restart 120 password k",
    ],
  ],
  [
    "windows_peerings: a node with an AS number of its own, and a peer of all",
    {
      nodes: [...threeV4().slice(0, 2), node("n2", { ipv4Address: "10.192.0.4/16", asNumber: 64513 })],
      configurations: [configuration({ nodeToNodeMeshEnabled: true, asNumber: 64512 })],
      peers: [peer("p", { peerIP: "10.225.0.4", asNumber: 65515 })],
    },
    ["mesh 10.192.0.3 as 64512 passive", "mesh 10.192.0.4 as 64513 passive", "global 10.225.0.4 as 65515"],
  ],
  [
    "mesh/route-reflector-mesh-enabled: the reflector is a peer, the others are a mesh",
    {
      host: "n1",
      nodes: reflected(),
      configurations: [configuration({ asNumber: 64532 })],
      peers: [...EXTERNAL, peer("others", { nodeSelector: "has(rr)", peerSelector: "!has(rr)" })],
    },
    [
      "mesh 10.192.0.4 as 64532 passive",
      "mesh 2001::104 as 64532 passive",
      "node 10.192.0.2 as 64532",
      "node 2001::102 as 64532",
    ],
  ],
  [
    "explicit_peering/local-as-global: a node by its address is called at its port, another port is another peer",
    {
      nodes: [...threeV4().slice(0, 2), node("n2", { ipv4Address: "10.192.0.1/16" })],
      configurations: [configuration({ ...NO_MESH, asNumber: 64567, listenPort: 150 })],
      peers: [
        peer("1", { peerIP: "10.192.0.3", asNumber: 64567, sourceAddress: "None" }),
        peer("2", { peerIP: "10.192.0.1:166", asNumber: 64567 }),
        peer("3", { peerIP: "10.192.0.1", asNumber: 64567, numAllowedLocalASNumbers: 1 }),
      ],
    },
    [
      "global 10.192.0.1 port 150 as 64567 at port 150 allow local as 1",
      "global 10.192.0.1 port 166 as 64567 at port 150",
      "global 10.192.0.3 port 150 as 64567 at port 150 no source passive",
    ],
  ],
  [
    "explicit_peering/global-external: a stranger is called at 179",
    {
      configurations: [configuration({ ...NO_MESH, asNumber: 64567, listenPort: 150 })],
      peers: [
        peer("2", { peerIP: "10.192.0.9:166", asNumber: 64567 }),
        peer("3", { peerIP: "10.192.0.9", asNumber: 64567 }),
      ],
    },
    ["global 10.192.0.9 as 64567 at port 150", "global 10.192.0.9 port 166 as 64567 at port 150"],
  ],
  [
    "explicit_peering/global-ipv6",
    {
      nodes: three(),
      configurations: [configuration({ ...NO_MESH, asNumber: 64567 })],
      peers: [
        peer("1", { peerIP: "2001::101", asNumber: 64567, sourceAddress: "None" }),
        peer("2", { peerIP: "2001::104", asNumber: 64567 }),
      ],
    },
    ["global 2001::101 as 64567 no source", "global 2001::104 as 64567 passive"],
  ],
  ...[
    ["m", ["node 10.192.0.3 as 64512", "node 10.192.0.4 as 64566"]],
    ["n1", ["node 10.192.0.2 as 64512"]],
    ["n2", []], // it is not of the AS that is asked for
  ].map(([host, expected]): readonly [string, Cluster, readonly string[]] => [
    `explicit_peering/specific_node, at ${String(host)}`,
    {
      host: String(host),
      peers: [
        peer("1", { node: "m", peerIP: "10.192.0.3", asNumber: 64512 }),
        peer("2", { node: "m", peerIP: "10.192.0.4", asNumber: 64566 }),
      ],
    },
    expected as string[],
  ]),
  ...[
    ["m", ["node 10.192.0.3 port 500 as 64512", "node 10.192.0.4 as 64512"]],
    ["n1", ["node 10.192.0.2 as 64512 at port 500"]],
  ].map(([host, expected]): readonly [string, Cluster, readonly string[]] => [
    `explicit_peering/selectors, at ${String(host)}`,
    {
      host: String(host),
      nodes: threeV4().map((one, i) => ({
        ...one,
        metadata: { ...one.metadata, labels: { group: i === 0 ? "one" : "two" } },
      })),
      configurations: [configuration(NO_MESH), configuration({ listenPort: 500 }, {}, "node.n1")],
      peers: [peer("p", { nodeSelector: "group=='one'", peerSelector: "group=='two'" })],
    },
    expected as string[],
  ]),
  [
    "explicit_peering/route_reflector",
    {
      nodes: reflected(),
      configurations: [configuration(RR_AS)],
      peers: [...EXTERNAL, peer("others", { nodeSelector: "has(rr)", peerSelector: "!has(rr)" })],
    },
    [
      "node 10.192.0.3 as 64532 rr client",
      "node 10.192.0.4 as 64532 rr client",
      "node 172.19.4.87 as 64533",
      "node 2001::103 as 64532 rr client",
      "node 2001::104 as 64532 rr client",
      "node ac13::57 port 50 as 64533",
    ],
  ],
  [
    "explicit_peering/route_reflector_v6_by_ip: the way back is of the address's family only",
    { nodes: reflected(), configurations: [configuration(RR_AS)], peers: [peer("others", { peerIP: "2001::102" })] },
    ["node 2001::103 as 64532 rr client", "node 2001::104 as 64532 rr client"],
  ],
  [
    "explicit_peering/route_reflector_v6_by_ip, at the others: no AS number is the node's (Calico writes 0, which BIRD refuses)",
    {
      host: "n1",
      nodes: three({ routeReflectorClusterID: "10.0.0.1", asNumber: 64599 }, { rr: "true" }),
      configurations: [configuration(RR_AS)],
      peers: [peer("others", { peerIP: "2001::102" })],
    },
    ["global 2001::102 as 64599"],
  ],
  [
    "no AS number and no node: the own one",
    { nodes: three({ asNumber: 64599 }), peers: [peer("p", { peerIP: "10.9.9.9" })] },
    ["global 10.9.9.9 as 64599 local as 64599"],
  ],
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
  ...["m", "n1"].map((host): readonly [string, Cluster, readonly string[]] => [
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
  ]),
  ...[
    ["m", "global 2001::104 as 64567 local as 65001 passive"],
    ["n2", "node 2001::102 as 65001"], // in Calico this end expects 64567, and the session never comes up
  ].map(([host = "", expected = ""]): readonly [string, Cluster, readonly string[]] => [
    `explicit_peering/local-as-global-ipv6, at ${host}`,
    {
      host,
      nodes: three().filter(({ metadata }) => metadata.name !== "n1"),
      configurations: [configuration({ ...NO_MESH, asNumber: 64567 })],
      peers: [peer("p", { peerIP: "2001::104", asNumber: 64567, localASNumber: 65001 })],
    },
    [expected],
  ]),
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
  ].map(([reversePeering, expected]): readonly [string, Cluster, readonly string[]] => [
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
  ]),
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
];

describe("Calico's sessions", () => {
  for (const [what, cluster, expected] of ROWS)
    it(what, () => {
      assert.deepEqual(sessions(cluster).sort(), [...expected].sort());
    });
});

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
