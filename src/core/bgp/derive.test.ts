import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configuration, filter, node, peer, pool } from "../../../tests/bgp/resources.ts";
import { deriveBgp } from "./derive.ts";
import type { BgpInput, Session } from "./state.ts";

const A = node("a", { ipv4Address: "10.0.0.1/24", ipv6Address: "fd00::1/64" }, { rack: "1" });
const B = node("b", { ipv4Address: "10.0.0.2/24", ipv6Address: "fd00::2/64" }, { rack: "1" });
const C = node("c", { ipv4Address: "10.0.1.3/24" }, { rack: "2" });
const R = node("r", { ipv4Address: "10.0.0.9/24", routeReflectorClusterID: "1.0.0.1" }, { rr: "" });
const NOTHING: BgpInput = {
  host: "a",
  nodes: [A, B, C],
  configurations: [],
  peers: [],
  filters: [],
  pools: [pool("10.65.0.0/16")],
  blocks: [],
  lent: [],
  services: [],
  connected: ["10.0.0.1/24", "fd00::1/64"],
};
const TO_REFLECTORS = peer("rr", { nodeSelector: "!has(rr)", peerSelector: "has(rr)" });

const sessions = (input: Partial<BgpInput>): readonly Session[] => deriveBgp({ ...NOTHING, ...input }).sessions;
const names = (input: Partial<BgpInput>): string[] => sessions(input).map(({ name }) => name);
const only = (input: Partial<BgpInput>): Session => {
  const off = configuration({ nodeToNodeMeshEnabled: false });
  const found = sessions({ configurations: [off], ...input });
  assert.equal(found.length, 1, JSON.stringify(found));
  return found[0] as Session;
};

/** [what, the change, the sessions of host a] */
const WHO: readonly (readonly [string, Partial<BgpInput>, readonly string[]])[] = [
  ["every other node, over each family that both have", {}, ["mesh-10.0.0.2", "mesh-10.0.1.3", "mesh-fd00::2"]],
  ["nobody where there is one node", { nodes: [A] }, []],
  ["nobody where the mesh is off", { configurations: [configuration({ nodeToNodeMeshEnabled: false })] }, []],
  ["no route reflector", { nodes: [A, R] }, []],
  ["nobody, being a route reflector itself", { host: "r", nodes: [A, B, R] }, []],
  ["a global peer as well", { nodes: [A], peers: [peer("p", { peerIP: "10.0.0.254" })] }, ["peer-10.0.0.254"]],
  ["a peer of its own", { nodes: [A], peers: [peer("p", { node: "a", peerIP: "10.9.9.9" })] }, ["peer-10.9.9.9"]],
  ["no peer of another", { nodes: [A], peers: [peer("p", { node: "b", peerIP: "10.9.9.9" })] }, []],
  [
    "a peer by labels",
    { nodes: [A], peers: [peer("p", { nodeSelector: "rack == '1'", peerIP: "10.9.9.9" })] },
    ["peer-10.9.9.9"],
  ],
  [
    "no peer of other labels",
    { nodes: [A], peers: [peer("p", { nodeSelector: "rack == '2'", peerIP: "10.9.9.9" })] },
    [],
  ],
  ["never itself", { nodes: [A], peers: [peer("p", { peerIP: "10.0.0.1" })] }, []],
  ["a route reflector that it selects", { nodes: [A, R], peers: [TO_REFLECTORS] }, ["peer-10.0.0.9"]],
  ["those that select it", { host: "r", nodes: [A, C, R], peers: [TO_REFLECTORS] }, ["peer-10.0.0.1", "peer-10.0.1.3"]],
  [
    "nobody who selects it, if that is to be done by hand",
    { host: "r", nodes: [A, R], peers: [peer("rr", { ...TO_REFLECTORS.spec, reversePeering: "Manual" })] },
    [],
  ],
  [
    "those that name its address",
    { host: "r", nodes: [A, R], peers: [peer("p", { node: "a", peerIP: "10.0.0.9" })] },
    ["peer-10.0.0.1"],
  ],
  [
    "a node once, as the BGPPeer says it",
    { nodes: [A, C], peers: [peer("p", { peerSelector: "rack == '2'" })] },
    ["peer-10.0.1.3"],
  ],
  [
    "two ports of one address apart",
    { nodes: [A], peers: [peer("p", { peerIP: "10.9.9.9" }), peer("q", { peerIP: "10.9.9.9:1790" })] },
    ["peer-10.9.9.9", "peer-10.9.9.9-port-1790"],
  ],
  [
    "the first of two that say the same",
    { nodes: [A], peers: [peer("q", { peerIP: "fd00:0::9" }), peer("p", { peerIP: "fd00::9" })] },
    ["peer-fd00::9"],
  ],
];

describe("a host speaks with", () => {
  for (const [what, input, expected] of WHO)
    it(what, () => {
      assert.deepEqual(names(input), expected);
    });
});

/** [what, the change, what the only session of host a has] */
const HOW: readonly (readonly [string, Partial<BgpInput>, Partial<Session>])[] = [
  [
    "the AS of the peer and its own",
    { peers: [peer("p", { peerIP: "10.9.9.9", asNumber: 65001 })] },
    { peerAs: 65001, localAs: 64512 },
  ],
  [
    "the configured AS",
    {
      configurations: [configuration({ asNumber: 64999, nodeToNodeMeshEnabled: false })],
      peers: [peer("p", { peerIP: "10.9.9.9" })],
    },
    { peerAs: 64999, localAs: 64999 },
  ],
  [
    "the node's own AS, in dots too",
    {
      nodes: [node("a", { ipv4Address: "10.0.0.1", asNumber: "1.10" })],
      peers: [peer("p", { peerIP: "10.9.9.9", asNumber: 5 })],
    },
    { localAs: 65546 },
  ],
  [
    "another AS for one peer",
    { peers: [peer("p", { peerIP: "10.9.9.9", asNumber: 5, localASNumber: 6 })] },
    { localAs: 6 },
  ],
  [
    "at the other end the AS that the first shows",
    { host: "r", nodes: [A, R], peers: [peer("p", { node: "a", peerSelector: "has(rr)", localASNumber: 6 })] },
    { localAs: 64512, peerAs: 6 },
  ],
  ["hops far from its networks", { peers: [peer("p", { peerIP: "10.9.9.9" })] }, { distance: "multihop" }],
  ["none in its networks", { peers: [peer("p", { peerIP: "10.0.0.254" })] }, { distance: "direct" }],
  [
    "TTL security",
    { peers: [peer("p", { peerIP: "10.9.9.9", ttlSecurity: 2 })] },
    { distance: "multihop", ttlSecurity: 2 },
  ],
  ["the node's address", { peers: [peer("p", { peerIP: "10.9.9.9" })] }, { source: "10.0.0.1" }],
  [
    "no address of its own",
    { peers: [peer("p", { peerIP: "10.9.9.9", sourceAddress: "None" })] },
    { source: undefined as never },
  ],
  [
    "the listening ports of both",
    {
      configurations: [
        configuration({ listenPort: 1790, nodeToNodeMeshEnabled: false }),
        configuration({ listenPort: 1791 }, {}, "node.r"),
      ],
      nodes: [A, R],
      peers: [TO_REFLECTORS],
    },
    { localPort: 1790, remotePort: 1791, name: "peer-10.0.0.9-port-1791" },
  ],
  ["one end that waits", { nodes: [A, B], peers: [peer("p", { peerIP: "10.0.0.2" })] }, { passive: true }],
  ["and one that calls", { host: "b", nodes: [A, B], peers: [peer("p", { peerIP: "10.0.0.1" })] }, { passive: false }],
  ["a reflector's client", { host: "r", nodes: [A, R], peers: [TO_REFLECTORS] }, { reflectorClient: true }],
  [
    "no client of the same cluster",
    {
      host: "r",
      nodes: [R, node("s", { ipv4Address: "10.0.0.8", routeReflectorClusterID: "1.0.0.1" }, { rr: "" })],
      peers: [peer("p", { peerSelector: "has(rr)" })],
    },
    { reflectorClient: false },
  ],
  [
    "no client over eBGP",
    { host: "r", nodes: [R], peers: [peer("p", { peerIP: "10.9.9.9", asNumber: 65001 })] },
    { reflectorClient: false },
  ],
  ["next hop self", { peers: [peer("p", { peerIP: "10.9.9.9", nextHopMode: "Self" })] }, { nextHop: "self" }],
  [
    "the old word for Keep, over eBGP",
    { peers: [peer("p", { peerIP: "10.9.9.9", asNumber: 1, keepOriginalNextHop: true })] },
    { nextHop: "keep" },
  ],
  ["and not over iBGP", { peers: [peer("p", { peerIP: "10.9.9.9", keepOriginalNextHop: true })] }, { nextHop: "auto" }],
  [
    "times",
    { peers: [peer("p", { peerIP: "10.9.9.9", maxRestartTime: "1m30s", keepaliveTime: "20s" })] },
    { restartTime: 90, keepalive: 20 },
  ],
  [
    "its own AS in paths",
    { peers: [peer("p", { peerIP: "10.9.9.9", numAllowedLocalASNumbers: 2 })] },
    { allowLocalAs: 2 },
  ],
  [
    "BFD",
    { peers: [peer("p", { peerIP: "10.9.9.9" }, { "manx/bgp-bfd": "50ms x 5" })] },
    { bfd: { intervalMs: 50, multiplier: 5 } },
  ],
  [
    "both families over a link-local address",
    { peers: [peer("p", { peerIP: "fe80::1" }, { "manx/bgp-interface": "eth0" })] },
    { families: [4, 6], distance: "direct", source: undefined as never, name: "peer-fe80::1-on-eth0" },
  ],
  [
    "whoever calls",
    { peers: [peer("p", {}, { "manx/bgp-range": "10.7.0.9/24" })] },
    { remote: { kind: "range", cidr: "10.7.0.0/24" }, peerAs: "external", passive: true, name: "range-10.7.0.0-24" },
  ],
  [
    "filters that are there, in order",
    {
      peers: [peer("p", { peerIP: "10.9.9.9", filters: ["y", "none", "x"] })],
      filters: [filter("x", {}), filter("y", {})],
    },
    { filters: ["y", "x"], transit: false },
  ],
  [
    "transit where a filter asks for it",
    {
      peers: [peer("p", { peerIP: "10.9.9.9", filters: ["x"] })],
      filters: [filter("x", { exportV4: [{ action: "Accept", source: "RemotePeers" }] })],
    },
    { transit: true },
  ],
];

describe("a session has", () => {
  for (const [what, input, expected] of HOW)
    it(what, () => {
      const session = only({ nodes: [A], ...input });
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(session[key as keyof Session], value, key);
    });
});

describe("BGP's state", () => {
  it("has a router ID of the name's where there is no IPv4", () => {
    const of = (name: string) => deriveBgp({ ...NOTHING, host: name, nodes: [node(name, { ipv6Address: "fd00::1" })] });
    assert.match(of("a").routerId, /^\d+\.\d+\.\d+\.\d+$/);
    assert.notEqual(of("a").routerId, of("b").routerId);
  });

  it("refuses what it cannot keep to, and says so", () => {
    const { sessions: found, problems } = deriveBgp({
      ...NOTHING,
      nodes: [A],
      peers: [peer("zero", { peerIP: "10.9.9.9", asNumber: 0 }), peer("link-local", { peerIP: "fe80::1" })],
    });
    assert.deepEqual(found, []);
    assert.deepEqual(
      problems.map(({ path }) => path),
      ["BGPPeer link-local", "BGPPeer zero"],
    );
  });

  it("gives each session a name of its own, whatever its interface is called", () => {
    const peers = [
      peer("p", { peerIP: "fe80::1" }, { "manx/bgp-interface": "a-port-1790" }),
      peer("q", { peerIP: "[fe80::1]:1790" }, { "manx/bgp-interface": "a" }),
    ];
    assert.deepEqual(names({ nodes: [A], peers }), ["peer-fe80::1-on-a-port-1790", "peer-fe80::1-port-1790-on-a"]);
  });

  it("gives prefixes the communities of the node, else those of all", () => {
    const all = configuration({ prefixAdvertisements: [{ cidr: "10.65.0.0/16", communities: ["1:1"] }] });
    const own = configuration(
      {
        communities: [{ name: "x", value: "2:2" }],
        prefixAdvertisements: [{ cidr: "10.65.0.0/16", communities: ["x", "2:2"] }],
      },
      {},
      "node.a",
    );
    const of = (...configurations: (typeof all)[]) =>
      deriveBgp({ ...NOTHING, configurations }).routes.communities[0]?.communities;
    assert.deepEqual([of(all), of(all, own)], [["1:1"], ["2:2"]]);
  });
});
