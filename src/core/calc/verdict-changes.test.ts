import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GlobalNetworkPolicy, HostEndpoint, PolicyRule } from "../model/resources.ts";
import type { Endpoint, Snapshot } from "./snapshot.ts";
import { type VerdictReport, verdictChanges } from "./verdict-changes.ts";

function endpoint(number: number, role: string, host = "h1"): Endpoint {
  const name = `${role}-${number}`;
  return {
    id: number.toString(16).padStart(64, "0").split("").reverse().join(""),
    host,
    namespace: "default",
    container: name,
    network: "apps",
    addresses: [`10.65.${number >> 8}.${number & 255}`],
    labels: new Map([
      ["role", role],
      ["manx/container", name],
    ]),
    profiles: ["apps"],
    ports: [],
    published: [],
  };
}

function policy(...ingress: PolicyRule[]): GlobalNetworkPolicy {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: { name: "db" },
    spec: { tier: "default", selector: 'role == "db"', types: ["Ingress"], ingress },
  };
}

const allow = (port: number): PolicyRule => ({
  action: "Allow",
  protocol: "TCP",
  source: { selector: 'role == "web"' },
  destination: { ports: [port] },
});

function snapshot(endpoints: readonly Endpoint[], policies: readonly GlobalNetworkPolicy[]): Snapshot {
  const spec = {
    pools: [],
    families: [4],
    publish: "address",
    isolation: "network",
    internal: false,
    sticky: true,
  } as const;
  return {
    host: "h1",
    nodes: [],
    pools: [],
    reservations: [],
    blocks: [],
    networks: [{ apiVersion: "manx/v1", kind: "Network", metadata: { name: "apps" }, spec }],
    endpoints,
    policies,
    stagedPolicies: [],
    tiers: [],
    profiles: [],
    networkSets: [],
    hostEndpoints: [],
    hostInterfaces: [],
    settings: { endpointToHost: "restricted", guardForwarding: [] },
  };
}

function ask(endpoints: readonly Endpoint[], old: GlobalNetworkPolicy[], now: GlobalNetworkPolicy[]): VerdictReport {
  return drive(verdictChanges(snapshot(endpoints, old), snapshot(endpoints, now), [...old, ...now]));
}

function drive(work: ReturnType<typeof verdictChanges>): VerdictReport {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

const rows = ({ changes }: VerdictReport): string[] =>
  changes.map(
    ({ from, to, flows, before, after }) => `${from.join("+")} ${to.join("+")} ${flows.join(", ")}: ${before} ${after}`,
  );

describe("changes of verdicts", () => {
  const some = [endpoint(1, "web"), endpoint(2, "web", "h2"), endpoint(3, "db"), endpoint(4, "db", "h2")];

  it("are those between endpoints of all hosts, alike ones together", () => {
    assert.deepEqual(rows(ask(some, [policy(allow(80))], [policy(allow(81))])), [
      "web-1+web-2 db-3+db-4 tcp 80: allow deny",
      "web-1+web-2 db-3+db-4 tcp 81: deny allow",
    ]);
  });

  it("name the network of a container that is on several", () => {
    const twice = [endpoint(1, "web"), { ...endpoint(5, "web"), network: "back", labels: endpoint(1, "web").labels }];
    const { changes } = ask([...twice, endpoint(3, "db")], [policy(allow(80))], [policy(allow(81))]);
    assert.deepEqual(
      changes.flatMap(({ from }) => from).filter((name) => name.includes("/")),
      ["apps/web-1", "apps/web-1"],
    );
  });

  it("name what no policy names, and what endpoints of one kind say to each other", () => {
    assert.deepEqual(rows(ask(some, [], [policy(allow(80))])), [
      "web-1+web-2 db-3+db-4 other tcp, other udp, icmp: allow deny",
      "db-3+db-4 db-3+db-4 tcp 80, other tcp, other udp, icmp: allow deny",
    ]);
  });

  it("are none where the policies say the same in other words", () => {
    const twice = policy(allow(80), allow(80));
    assert.deepEqual(ask(some, [policy(allow(80))], [twice]), { changes: [], complete: true });
  });

  it("are those between containers and the internet, in both directions", () => {
    const out: GlobalNetworkPolicy = {
      ...policy(),
      spec: {
        tier: "default",
        selector: 'role == "db"',
        types: ["Egress"],
        egress: [{ action: "Deny", protocol: "TCP" }],
      },
    };
    assert.deepEqual(rows(ask([endpoint(3, "db")], [], [out])), [
      "db-3 internet other tcp: allow deny",
      "db-3 internet other udp, icmp: allow deny",
    ]);
    const open = policy({ action: "Allow", protocol: "TCP", destination: { ports: [80] } });
    assert.deepEqual(rows(ask([endpoint(3, "db")], [], [open])), ["internet db-3 tcp 80: deny allow"]);
  });

  describe("of this host", () => {
    const guarded = (interfaceName: string): HostEndpoint => ({
      apiVersion: "projectcalico.org/v3",
      kind: "HostEndpoint",
      metadata: { name: interfaceName === "*" ? "all" : interfaceName, labels: { role: "host" } },
      spec: { node: "h1", interfaceName },
    });
    const policies = [
      {
        ...policy(),
        spec: {
          tier: "default",
          selector: 'role == "host"',
          types: ["Ingress"],
          ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: [443] } }],
        },
      } satisfies GlobalNetworkPolicy,
    ];
    const outside = { uplink: "eth0", addresses: ["10.99.0.11"] };
    const change = (before: readonly HostEndpoint[], after: readonly HostEndpoint[]): string[] => {
      const [old, now] = [before, after].map((hostEndpoints) => ({ ...snapshot([], policies), hostEndpoints }));
      assert.ok(old !== undefined && now !== undefined);
      return rows(drive(verdictChanges(old, now, policies, outside)));
    };

    it("are what its host endpoint closes, but for failsafe ports", () => {
      assert.deepEqual(change([], [guarded("eth0")]), [
        "internet host h1 other tcp, other udp, icmp: allow deny",
        "host h1 internet tcp 443, other tcp, other udp, icmp: allow deny",
      ]);
      assert.deepEqual(change([guarded("*")], []), [
        "internet host h1 other tcp, other udp, icmp: deny allow",
        "host h1 internet tcp 443, other tcp, other udp, icmp: deny allow",
      ]);
    });

    it("name the interface where it is not the one of the default route", () => {
      assert.deepEqual(change([], [guarded("eth1")]), [
        "internet by eth1 host h1 other tcp, other udp, icmp: allow deny",
        "host h1 internet by eth1 tcp 443, other tcp, other udp, icmp: allow deny",
      ]);
    });
  });

  it("of a thousand endpoints cost what their kinds cost", () => {
    const many = Array.from({ length: 1000 }, (_, i) => endpoint(i + 1, i % 2 === 0 ? "web" : "db"));
    const { changes, complete } = ask(many, [policy(allow(80))], [policy(allow(81))]);
    assert.deepEqual([changes.length, complete, changes[0]?.from.length], [2, true, 500]);
  });

  it("stop where there are too many kinds, and say so", () => {
    const many = Array.from({ length: 400 }, (_, i) => endpoint(i + 1, `r${i}`));
    const each = many.map(({ labels }, i): GlobalNetworkPolicy => {
      const one = policy(allow(80));
      return {
        ...one,
        metadata: { name: `p${i}` },
        spec: { ...one.spec, selector: `role == "${labels.get("role")}"` },
      };
    });
    assert.equal(ask(many, [], each).complete, false);
  });
});
