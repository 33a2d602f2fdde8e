import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Endpoint } from "../core/calc/snapshot.ts";
import type { Origin } from "../core/rules/origin.ts";
import { beforePresets, endpointsCalled, unreadableLabel } from "./why.ts";

const endpoint = (network: string, container: string, service?: string): Endpoint => ({
  id: `${network}/${container}`,
  host: "h1",
  namespace: "default",
  container,
  network,
  addresses: [],
  labels: new Map(service === undefined ? [] : [["manx/service", service]]),
  profiles: [],
  ports: [],
  published: [],
});

describe("endpointsCalled", () => {
  const all = [
    endpoint("apps", "web"),
    endpoint("back", "web"),
    endpoint("apps", "shop-web-1", "web"),
    endpoint("apps", "shop-db-1", "db"),
    endpoint("apps", "shop-db-2", "db"),
  ];
  const ids = (text: string) => endpointsCalled(all, text).map(({ id }) => id);

  it("are a container's, of one network or of all", () => {
    assert.deepEqual(ids("web"), ["apps/web", "back/web"]);
    assert.deepEqual(ids("back/web"), ["back/web"]);
    assert.deepEqual(ids("back/shop-db-1"), []);
  });

  it("are a compose service's, where no container has the name", () => {
    assert.deepEqual(ids("db"), ["apps/shop-db-1", "apps/shop-db-2"]);
    assert.deepEqual(ids("apps/db"), []);
  });
});

describe("the remedy against a label that cannot be read", () => {
  const db = (labels: Record<string, string>) => ({
    endpoint: { ...endpoint("apps", "db"), labels: new Map(Object.entries(labels)) },
  });

  it("names it, in its direction only", () => {
    const { endpoint: wrong } = db({ "manx.ports": "http" });
    assert.match(unreadableLabel({ endpoint: wrong }, "ingress") ?? "", /^make db again .*: db manx\.ports: .*http/);
    assert.equal(unreadableLabel({ endpoint: wrong }, "egress"), undefined);
    assert.match(unreadableLabel(db({ "manx.egress": "web ==" }), "egress") ?? "", /db manx\.egress: /);
    assert.equal(unreadableLabel(db({ "manx.ports": "80/tcp" }), "ingress"), undefined);
  });
});

describe("the remedy against manx deny", () => {
  const denied = (name: string, tier = "presets"): Origin => ({
    kind: "GlobalNetworkPolicy",
    tier,
    name,
    direction: "egress",
    rule: 0,
    action: "Deny",
  });
  const remedy = (origin: Origin) => beforePresets(origin, "web", "db", "80/tcp");

  it("is to take it back, with its ports if it has some: manx allow comes after it", () => {
    assert.equal(remedy(denied("deny-web-to-db-out")), "manx deny web db --remove");
    assert.equal(remedy(denied("deny-web-to-db-tcp-80-in")), "manx deny web db 80/tcp --remove");
  });

  it("is to delete both policies where it was made with other words", () => {
    assert.equal(
      remedy(denied("deny-all-to-db-in")),
      "manx delete gnp deny-all-to-db-in deny-all-to-db-out --ignore-missing",
    );
  });

  it("is none where manx allow comes first", () => {
    assert.equal(remedy(denied("isolate-db")), undefined);
    assert.equal(remedy(denied("deny-web-to-db-out", "default")), undefined);
  });
});
