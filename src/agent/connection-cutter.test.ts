import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { derive } from "../core/calc/derive.ts";
import { Deriver } from "../core/calc/deriver.ts";
import type { HostState } from "../core/calc/host-state.ts";
import type { Endpoint, Snapshot } from "../core/calc/snapshot.ts";
import type { GlobalNetworkPolicy } from "../core/model/resources.ts";
import type { Connection, Tuple } from "../drivers/conntrack/conntrack.ts";
import { FakeConntrack } from "../drivers/conntrack/fake-conntrack.ts";
import { ConnectionCutter } from "./connection-cutter.ts";

const WEB = endpoint(1, "web");
const DB = endpoint(2, "db");
const HOST = "192.0.2.1";
const AROUND = { hostAddresses: [HOST], uplink: "eth0" };

function endpoint(number: number, name: string): Endpoint {
  return {
    id: String(number).repeat(64),
    host: "h1",
    namespace: "default",
    container: name,
    network: "apps",
    addresses: [`10.65.0.${number}`],
    labels: new Map([["role", name]]),
    profiles: ["apps"],
    ports: [],
    published: [],
    local: {
      interface: `manx${number}`,
      peer: `mxp${number}`,
      mac: `02:00:00:00:00:0${number}`,
      mtu: 1500,
      gatewayIndex: 1,
      joined: true,
    },
  };
}

function policy(role: string, ...ports: number[]): GlobalNetworkPolicy {
  const allow = { action: "Allow", protocol: "TCP", source: { selector: `role == "${role}"` } } as const;
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: { name: "db" },
    spec: {
      tier: "default",
      selector: 'role == "db"',
      types: ["Ingress"],
      ingress: [{ ...allow, destination: { ports } }],
    },
  };
}

function snapshot(parts: Partial<Snapshot> = {}): Snapshot {
  const spec = { pools: [], families: [4], publish: "host", isolation: "off", internal: false, sticky: true } as const;
  return {
    host: "h1",
    nodes: [],
    pools: [],
    reservations: [],
    blocks: ["10.65.0.0/26"],
    networks: [{ apiVersion: "manx/v1", kind: "Network", metadata: { name: "apps" }, spec }],
    endpoints: [WEB, DB],
    policies: [],
    stagedPolicies: [],
    tiers: [],
    profiles: [],
    networkSets: [],
    hostEndpoints: [],
    hostInterfaces: [],
    settings: { endpointToHost: "restricted", guardForwarding: [] },
    ...parts,
  };
}

let ids = 0;

/** A TCP connection; `to`: where destination NAT leads it. */
function connection(source: string, destination: string, destinationPort: number, to?: string): Connection {
  const original: Tuple = { source, destination, protocol: 6, sourcePort: 40_000, destinationPort };
  const [address = destination, port = destinationPort] = to?.split(":") ?? [];
  return {
    family: 4,
    id: ++ids,
    original,
    reply: { source: address, destination: source, protocol: 6, sourcePort: Number(port), destinationPort: 40_000 },
    zone: 0,
    mark: 0,
    answered: true,
    assured: true,
    sourceNat: false,
    destinationNat: to !== undefined,
  };
}

const texts = (conntrack: FakeConntrack): string[] =>
  [...conntrack.connections.values()].map(({ original: o }) => `${o.source} ${o.destination}:${o.destinationPort}`);

/** Table, cutter, and how many entries were looked at closer. */
function world(connections: readonly Connection[]) {
  const conntrack = new FakeConntrack();
  for (const one of connections) conntrack.begin(one);
  let listed = 0;
  const cutter = new ConnectionCutter({
    conntrack: {
      list: async (select) => {
        listed++;
        return await conntrack.list(select);
      },
      cut: (some) => conntrack.cut(some),
      cutTurned: (some) => conntrack.cutTurned(some),
    },
    surroundings: () => AROUND,
    onCut: () => {},
    onOutcome: (error) => assert.fail(String(error)),
  });
  const follow = async (state: HostState): Promise<void> => {
    cutter.follow(state);
    await cutter.settle();
  };
  return { conntrack, cutter, follow, listed: () => listed };
}

/** All that does not wait for a timer. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => void setImmediate(resolve));
};

describe("the cutter of connections", () => {
  it("cuts what a policy forbids and leaves what it allows", async () => {
    const { conntrack, cutter, follow } = world([
      connection("10.65.0.1", "10.65.0.2", 80),
      connection("10.65.0.1", "10.65.0.2", 81),
      connection(HOST, "10.65.0.2", 81),
      connection("10.65.0.1", "198.51.100.7", 443),
      connection("198.51.100.7", "203.0.113.9", 22),
    ]);
    using _ = cutter;
    const deriver = new Deriver();
    await follow(deriver.derive(snapshot()));
    assert.equal(conntrack.connections.size, 5);
    await follow(deriver.derive(snapshot({ policies: [policy("web", 80)] })));
    assert.deepEqual(texts(conntrack), [
      "10.65.0.1 10.65.0.2:80",
      "192.0.2.1 10.65.0.2:81",
      "10.65.0.1 198.51.100.7:443",
      "198.51.100.7 203.0.113.9:22",
    ]);
  });

  it("judges everything when it knows nothing of what was in force before", async () => {
    const { conntrack, cutter, follow } = world([connection("10.65.0.1", "10.65.0.2", 81)]);
    using _ = cutter;
    await follow(derive(snapshot({ policies: [policy("web", 80)] })));
    assert.equal(conntrack.connections.size, 0);
  });

  it("judges translated connections by where they lead", async () => {
    const { conntrack, cutter, follow } = world([
      connection("198.51.100.7", HOST, 8080, "10.65.0.2:80"),
      connection("198.51.100.7", HOST, 8081, "10.65.0.2:81"),
      connection("198.51.100.7", HOST, 8082, "172.17.0.2:80"),
    ]);
    using _ = cutter;
    const open = {
      ...policy("web", 80).spec,
      ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: [80] } }],
    } as const;
    await follow(derive(snapshot({ policies: [{ ...policy("web"), spec: open }] })));
    assert.deepEqual(texts(conntrack), [`198.51.100.7 ${HOST}:8080`, `198.51.100.7 ${HOST}:8082`]);
  });

  it("cuts what an endpoint that left had, and judges what the next one with its address has", async () => {
    const { conntrack, cutter, follow } = world([
      connection("10.65.0.1", "10.65.0.2", 80),
      connection("10.65.0.1", "198.51.100.7", 443),
    ]);
    using _ = cutter;
    const deriver = new Deriver();
    await follow(deriver.derive(snapshot()));
    await follow(deriver.derive(snapshot({ endpoints: [WEB] })));
    assert.deepEqual(texts(conntrack), ["10.65.0.1 198.51.100.7:443"]);
  });

  it("looks once for the connections of many that left, and at once where another one has the address", async () => {
    const { conntrack, cutter, follow, listed } = world([
      connection("10.65.0.1", "10.65.0.2", 80),
      connection("10.65.0.1", "198.51.100.7", 443),
    ]);
    using _ = cutter;
    const deriver = new Deriver();
    await follow(deriver.derive(snapshot()));
    cutter.follow(deriver.derive(snapshot({ endpoints: [WEB] })));
    await turns();
    assert.equal(listed(), 1);
    cutter.follow(deriver.derive(snapshot({ endpoints: [WEB, { ...endpoint(3, "db"), addresses: DB.addresses }] })));
    await turns();
    assert.equal(listed(), 2);
    cutter.follow(deriver.derive(snapshot({ endpoints: [WEB] })));
    cutter.follow(deriver.derive(snapshot({ endpoints: [] })));
    await turns();
    assert.equal(listed(), 2);
    await cutter.settle();
    assert.equal(listed(), 3);
    assert.deepEqual(texts(conntrack), []);
  });

  it("takes what its master is allowed for allowed", async () => {
    const data = {
      ...connection("10.65.0.2", "10.65.0.1", 45_678),
      master: connection("10.65.0.1", "10.65.0.2", 21).original,
    };
    for (const [port, left] of [
      [21, 1],
      [22, 0],
    ] as const) {
      const { conntrack, cutter, follow } = world([data]);
      using _ = cutter;
      await follow(derive(snapshot({ policies: [policy("web", port)] })));
      assert.equal(conntrack.connections.size, left);
    }
  });

  it("does not look at the table where a change can only open", async () => {
    const { cutter, follow, listed } = world([]);
    using _ = cutter;
    const deriver = new Deriver();
    const closed = { ...snapshot().networks[0], spec: { ...snapshot().networks[0]?.spec, isolation: "network" } };
    const networks = [closed] as Snapshot["networks"];
    await follow(deriver.derive(snapshot({ networks })));
    assert.equal(listed(), 1);
    await follow(deriver.derive(snapshot({ networks, endpoints: [WEB, DB, { ...endpoint(3, "new") }] })));
    assert.equal(listed(), 1);
  });

  it("tries again where the table could not be read, by the state of then", async () => {
    let broken = true;
    const conntrack = new FakeConntrack();
    conntrack.begin(connection("10.65.0.1", "10.65.0.2", 81));
    const outcomes: unknown[] = [];
    using cutter = new ConnectionCutter({
      conntrack: {
        list: (select) => (broken ? Promise.reject(new Error("no memory")) : conntrack.list(select)),
        cut: (some) => conntrack.cut(some),
        cutTurned: (some) => conntrack.cutTurned(some),
      },
      surroundings: () => AROUND,
      onCut: () => {},
      onOutcome: (error) => outcomes.push(error),
    });
    cutter.follow(derive(snapshot({ policies: [policy("web", 80)] })));
    await assert.rejects(cutter.settle(), /no memory/);
    broken = false;
    await cutter.settle();
    assert.equal(conntrack.connections.size, 0);
    assert.equal(outcomes.length, 2);
  });
});
