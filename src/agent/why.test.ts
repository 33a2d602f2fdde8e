import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Endpoint } from "../core/calc/snapshot.ts";
import { endpointsCalled } from "./why.ts";

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
