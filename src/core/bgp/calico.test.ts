/**
 * Who speaks with whom, with Calico as the judge: the clusters of confd's own tests and the sessions that it writes for them
 * (compiled_templates). Where the two differ on purpose the row says so.
 */
import {
  EXTERNAL,
  judge,
  NO_MESH,
  type Row,
  RR_AS,
  reflected,
  secret,
  three,
  threeV4,
} from "../../../tests/bgp/calico.ts";
import { configuration, node, peer } from "../../../tests/bgp/resources.ts";

judge("Calico's peers are ours:", [
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
  ].map(
    ([host, expected]): Row => [
      `explicit_peering/specific_node, at ${String(host)}`,
      {
        host: String(host),
        peers: [
          peer("1", { node: "m", peerIP: "10.192.0.3", asNumber: 64512 }),
          peer("2", { node: "m", peerIP: "10.192.0.4", asNumber: 64566 }),
        ],
      },
      expected as string[],
    ],
  ),
  ...[
    ["m", ["node 10.192.0.3 port 500 as 64512", "node 10.192.0.4 as 64512"]],
    ["n1", ["node 10.192.0.2 as 64512 at port 500"]],
  ].map(
    ([host, expected]): Row => [
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
    ],
  ),
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
]);
