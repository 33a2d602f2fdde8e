import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FlowFilter, matches } from "./filter.ts";
import type { Party, Sighting } from "./flow.ts";
import { Ledger } from "./ledger.ts";
import { Parties } from "./parties.ts";
import { parseLogPrefix, reasonOf } from "./reason.ts";

const web: Party = {
  kind: "endpoint",
  address: "10.65.0.2",
  container: "web",
  network: "apps",
  namespace: "default",
  host: "h1",
};
const outside: Party = { kind: "outside", address: "192.0.2.1" };
const denied = reasonOf({
  kind: "NetworkPolicy",
  tier: "default",
  namespace: "shop",
  name: "db",
  direction: "ingress",
  rule: 1,
  action: "Deny",
});

function seen(given: Partial<Sighting> = {}): Sighting {
  return {
    time: 1_000,
    verdict: "deny",
    family: 4,
    protocol: 6,
    source: web,
    destination: outside,
    sourcePort: 40_000,
    destinationPort: 443,
    reasons: [denied],
    ...given,
  };
}

describe("ledger", () => {
  it("counts what differs in the sender's port only as one flow", () => {
    const ledger = new Ledger();
    ledger.add(seen());
    const flow = ledger.add(seen({ time: 2_000, sourcePort: 40_001 }));
    assert.equal(ledger.size, 1);
    assert.deepEqual([flow.count, flow.first, flow.time, flow.sourcePort], [2, 1_000, 2_000, 40_001]);
  });

  it("keeps apart what differs in an end, the port, the ICMP type, the verdict or the rule", () => {
    const ledger = new Ledger();
    const { destinationPort: _, sourcePort: __, ...ping } = seen({ protocol: 1, icmp: { type: 8, code: 0 } });
    const others: Sighting[] = [
      seen({ destinationPort: 80 }),
      seen({ protocol: 17 }),
      seen({ destination: { kind: "outside", address: "192.0.2.2" } }),
      seen({ verdict: "would-deny" }),
      seen({ reasons: [{ text: "another rule" }] }),
      ping,
      { ...ping, icmp: { type: 0, code: 0 } },
    ];
    for (const one of [seen(), ...others]) ledger.add(one);
    assert.equal(ledger.size, 1 + others.length);
  });

  it("keeps the reasons of a flow that is seen again without them", () => {
    const ledger = new Ledger();
    ledger.add(seen({ verdict: "allow" }));
    assert.deepEqual(ledger.add(seen({ verdict: "allow", reasons: [] })).reasons, [denied]);
  });

  it("lists what was seen last first, and forgets what was not seen for too long", () => {
    const ledger = new Ledger({ maxFlows: 100, keepFor: 1_000 });
    for (const [time, port] of [
      [0, 1],
      [900, 2],
      [950, 1],
      [1_905, 3],
    ] as const)
      ledger.add(seen({ time, destinationPort: port }));
    assert.deepEqual(
      ledger.list(() => true).map(({ destinationPort }) => destinationPort),
      [3, 1],
    );
    assert.equal(ledger.forgotten, 0);
  });

  it("has room for so many: a scan of ports pushes out what was not seen for the longest time, and says so", () => {
    const ledger = new Ledger({ maxFlows: 10, keepFor: 3_600_000 });
    for (let port = 1; port <= 1_000; port++) {
      ledger.add(seen({ destinationPort: port, time: port }));
      ledger.add(seen({ destinationPort: 0, time: port }));
    }
    assert.equal(ledger.size, 10);
    assert.equal(ledger.forgotten, 991);
    assert.ok(ledger.list(({ destinationPort }) => destinationPort === 0).length === 1);
  });
});

describe("filter", () => {
  const flow = { ...seen(), first: 0, count: 1 };
  const rows: readonly (readonly [FlowFilter, boolean])[] = [
    [{}, true],
    [{ from: "web" }, true],
    [{ from: "apps/web" }, true],
    [{ from: "10.65.0.2" }, true],
    [{ from: "other/web" }, false],
    [{ to: "web" }, false],
    [{ to: "internet" }, true],
    [{ to: "192.0.2.1", port: 443, protocol: 6 }, true],
    [{ port: 80 }, false],
    [{ protocol: 17 }, false],
    [{ verdicts: ["deny", "log"] }, true],
    [{ verdicts: ["allow"] }, false],
    [{ policy: "db" }, true],
    [{ policy: "shop/db" }, true],
    [{ policy: "default/db" }, false],
    [{ network: "apps" }, true],
    [{ network: "db" }, false],
    [{ since: 1_000 }, true],
    [{ since: 1_001 }, false],
  ];
  for (const [filter, wanted] of rows)
    it(`${JSON.stringify(filter)} ${wanted ? "takes" : "leaves"} it`, () =>
      assert.equal(matches(flow, filter), wanted));
});

describe("log prefix", () => {
  it("is ours with a verb that we write and an id", () => {
    assert.deepEqual(parseLogPrefix("manx deny pk3.i0 "), { verdict: "deny", id: "pk3.i0" });
    assert.deepEqual(parseLogPrefix("manx staged-deny x "), { verdict: "would-deny", id: "x" });
    for (const text of ["", "manx deny", "manx toString x ", "manx __proto__ x ", "[UFW BLOCK] ", "manx deny a b"])
      assert.equal(parseLogPrefix(text), undefined, text);
  });
});

describe("parties", () => {
  const parties = Parties.of({
    host: "h1",
    own: ["192.168.7.10", "169.254.1.1"],
    nodes: [
      {
        apiVersion: "projectcalico.org/v3",
        kind: "Node",
        metadata: { name: "h2" },
        spec: { bgp: { ipv4Address: "192.168.7.11/24" } },
      },
    ],
    endpoints: [
      {
        id: "a".repeat(64),
        host: "h1",
        namespace: "default",
        container: "web",
        network: "apps",
        addresses: ["10.65.0.2", "fd65::2"],
        labels: new Map(),
        profiles: ["apps"],
        ports: [],
        published: [],
        local: {
          interface: "manxaaa",
          peer: "mxpaaa",
          mac: "02:00:00:00:00:01",
          mtu: 1500,
          gatewayIndex: 1,
          joined: true,
        },
      },
    ],
  });

  it("has names for containers, this host, other hosts, and nobody else", () => {
    assert.deepEqual(parties.of("10.65.0.2"), web);
    assert.deepEqual(parties.of("169.254.1.1"), { kind: "host", address: "169.254.1.1", host: "h1" });
    assert.deepEqual(parties.of("192.168.7.11"), { kind: "host", address: "192.168.7.11", host: "h2" });
    assert.deepEqual(parties.of("192.0.2.1"), outside);
  });

  it("knows whose packet it is by the interface, whatever source it claims", () => {
    assert.deepEqual(parties.sender("192.0.2.1", "manxaaa"), { ...web, address: "192.0.2.1" });
    assert.deepEqual(parties.sender("192.0.2.1", "eth0"), outside);
  });
});
