import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelPolicies } from "./label-policies.ts";
import { egressRules, parsePorts, peers } from "./policy-words.ts";
import type { Endpoint } from "./snapshot.ts";

let next = 0;
function endpoint(container: string, labels: Record<string, string>, namespace = "default"): Endpoint {
  return {
    id: String(next++).padStart(64, "0"),
    host: "h1",
    namespace,
    container,
    network: "apps",
    addresses: [],
    labels: new Map(Object.entries({ "manx/container": container, ...labels })),
    profiles: ["apps"],
    ports: [],
    published: [],
  };
}

describe("labelPolicies", () => {
  it("makes one policy for the replicas of a service, named after it", () => {
    const labels = { "manx/service": "db", "manx.allow-from": "web, monitoring", "manx.ports": "5432/tcp" };
    const { policies, problems } = labelPolicies([
      endpoint("shop-db-1", labels, "shop"),
      endpoint("shop-db-2", labels, "shop"),
      endpoint("other", {}),
    ]);
    assert.deepEqual(problems, []);
    assert.equal(policies.length, 1);
    const [policy] = policies;
    assert.equal(policy?.metadata.name, "db");
    assert.equal(policy?.metadata.namespace, "shop");
    assert.equal(policy?.spec.selector, 'manx/service == "db"');
    assert.deepEqual(policy?.spec.types, ["Ingress"]);
    assert.deepEqual(policy?.spec.ingress, [
      {
        action: "Allow",
        protocol: "TCP",
        source: {
          selector:
            'manx/service == "web" || manx/container == "web" || manx/service == "monitoring" || manx/container == "monitoring"',
        },
        destination: { ports: [5432] },
      },
    ]);
  });

  it("gives replicas that differ a policy each", () => {
    const { policies } = labelPolicies([
      endpoint("db-1", { "manx/service": "db", "manx.egress": "none" }),
      endpoint("db-2", { "manx/service": "db", "manx.egress": "all" }),
    ]);
    // One of the service would let db-1 go where only db-2 may.
    assert.deepEqual(policies.map(({ metadata }) => metadata.name).sort(), ["db-1", "db-2"]);
  });

  it("tells containers of one name on two hosts apart where their labels differ", () => {
    const twin = (id: string, host: string, from: string): Endpoint => ({
      ...endpoint(id, { "manx.allow-from": from }),
      container: "web",
      host,
    });
    const { policies } = labelPolicies([twin("1", "h1", "all"), twin("2", "h2", "none")]);
    assert.deepEqual(
      policies.map(({ spec }) => [spec.selector, spec.ingress?.length]),
      [
        ['manx/container == "web" && manx/host == "h1"', 1],
        ['manx/container == "web" && manx/host == "h2"', 0],
      ],
    );
    assert.equal(new Set(policies.map(({ metadata }) => metadata.name)).size, 2);
    const same = labelPolicies([twin("1", "h1", "all"), twin("2", "h2", "all")]).policies;
    assert.deepEqual(
      same.map(({ spec }) => spec.selector),
      ['manx/container == "web"'],
    );
  });

  it("gives no policy the name of another", () => {
    const names = (written: string[]) =>
      labelPolicies(
        [endpoint("my_db", { "manx.egress": "none" }), endpoint("my-db", { "manx.egress": "all" })],
        ({ metadata }) => written.includes(metadata.name),
      ).policies.map(({ metadata, spec }) => [metadata.name, spec.selector]);
    const [first, second = []] = names([]);
    assert.deepEqual(first, ["my-db", 'manx/container == "my_db"']);
    assert.match(second[0] ?? "", /^my-db-[0-9a-z]+$/);
    assert.equal(second[1], 'manx/container == "my-db"');
    const [renamed, kept] = names(["my-db"]);
    assert.match(renamed?.[0] ?? "", /^my-db-[0-9a-z]+$/);
    assert.deepEqual(kept, second);
    // Even where somebody has written one of the second choice.
    assert.equal(new Set([...names(["my-db", renamed?.[0] ?? ""]).map(([name]) => name), renamed?.[0]]).size, 3);
  });

  it("lets in the members of each network of a container that says only ports", () => {
    const onBoth = endpoint("web", { "manx.ports": "80" });
    const { policies } = labelPolicies([onBoth, { ...onBoth, id: "other", network: "backend" }]);
    assert.deepEqual(
      policies.map(({ spec }) => spec.ingress?.map(({ source }) => source?.selector)),
      [['manx/network == "apps"', 'manx/network == "backend"']],
    );
  });

  it("closes the direction of a label that it cannot read, and says so", () => {
    const { policies, problems } = labelPolicies([
      endpoint("a", { "manx.egress": "internt)" }),
      endpoint("b", { "manx.allow-from": 'x") || all(', "manx.ports": "80" }),
      endpoint("c", { "manx.ports": "99999" }),
    ]);
    assert.deepEqual(
      policies.map(({ spec }) => [spec.types, spec.ingress ?? spec.egress]),
      [
        [["Egress"], []],
        [["Ingress"], []],
        [["Ingress"], []],
      ],
    );
    assert.deepEqual(
      problems.map(({ path }) => path),
      ["a manx.egress", "b manx.allow-from", "c manx.ports"],
    );
  });
});

describe("policy words", () => {
  it("reads ports, TCP where nothing is said", () => {
    assert.deepEqual(parsePorts("80, 443/tcp,53/udp,8000-8100", ""), {
      ok: true,
      value: [
        { protocol: "TCP", ports: [80, 443, "8000:8100"] },
        { protocol: "UDP", ports: [53] },
      ],
    });
    for (const text of ["", "0", "80/icmp", "80/tcp/udp", "9-8", "http"])
      assert.equal(parsePorts(text, "").ok, false, text);
  });
  it("takes what is outside for nobody's name", () => {
    for (const text of ["internet", "web,internet", "10.0.0.1", "10.0.0.0/8", "fd00::1"])
      assert.equal(peers(text, "").ok, false, text);
    assert.equal(peers("web, my.internet", "").ok, true);
  });
  it("lets the internet in only where it is public", () => {
    const rules = egressRules("internet", "");
    assert.ok(rules.ok);
    assert.ok(rules.value.at(-2)?.destination?.notNets?.includes("192.168.0.0/16"));
    assert.deepEqual(egressRules("none", ""), { ok: true, value: [] });
    assert.equal(egressRules("none, dns", "").ok, false);
    assert.deepEqual(egressRules('role == "db"', ""), {
      ok: true,
      value: [{ action: "Allow", destination: { selector: 'role == "db"' } }],
    });
  });
});
