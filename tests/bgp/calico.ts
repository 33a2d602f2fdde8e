/** The clusters of confd's own tests (confd/tests/mock_data) in few words, and their sessions in one line each. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deriveBgp } from "../../src/core/bgp/derive.ts";
import type { Session } from "../../src/core/bgp/state.ts";
import type { BGPConfiguration, BGPFilter, BGPPeer, Node } from "../../src/core/model/resources.ts";
import { configuration, node, peer } from "./resources.ts";

export const NO_MESH = { nodeToNodeMeshEnabled: false };
export const secret = (key: string) => ({ secretKeyRef: { name: "s", key } });

/** Three nodes, 10.192.0.2-4 and 2001::102-104. `more` for the first of them. */
export const three = (more: object = {}, labels: Readonly<Record<string, string>> = {}): Node[] => [
  node("m", { ipv4Address: "10.192.0.2/16", ipv6Address: "2001::102/64", ...more }, labels),
  node("n1", { ipv4Address: "10.192.0.3/16", ipv6Address: "2001::103/64" }),
  node("n2", { ipv4Address: "10.192.0.4/16", ipv6Address: "2001::104/64" }),
];
export const threeV4 = (): Node[] =>
  ["m", "n1", "n2"].map((name, i) => node(name, { ipv4Address: `10.192.0.${i + 2}/16` }));
/** The first is a route reflector. */
export const reflected = (): Node[] => three({ routeReflectorClusterID: "10.0.0.1" }, { rr: "true" });
export const RR_AS = { ...NO_MESH, asNumber: 64532 };
export const EXTERNAL = [
  peer("tor", { peerIP: "172.19.4.87", asNumber: 64533, nodeSelector: "has(rr)" }),
  peer("tor6", { peerIP: "[ac13::57]:50", asNumber: 64533, nodeSelector: "has(rr)" }),
];

export interface Cluster {
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

/** What, the cluster, the sessions of host m or of the one that is named. */
export type Row = readonly [string, Cluster, readonly string[]];

export function judge(title: string, rows: readonly Row[]): void {
  void describe(title, () => {
    for (const [what, cluster, expected] of rows)
      void it(what, () => {
        assert.deepEqual(sessions(cluster).sort(), [...expected].sort());
      });
  });
}
