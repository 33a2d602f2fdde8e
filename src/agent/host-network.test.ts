import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DriverError } from "../drivers/error.ts";
import { FakeRtnetlink } from "../drivers/netlink/fake-rtnetlink.ts";
import type { Route, RouteFilter } from "../drivers/netlink/rtnetlink.ts";
import { HostNetwork } from "./host-network.ts";

/** A kernel whose routes change faster than they can be read (NLM_F_DUMP_INTR, again and again). */
class Restless extends FakeRtnetlink {
  error: Error | undefined;
  route: Route | undefined;

  override routes(filter: RouteFilter): readonly Route[] {
    if (this.error !== undefined) throw this.error;
    const more = this.route !== undefined && filter.family === 4 ? [this.route] : [];
    return [...super.routes(filter), ...more];
  }
}

describe("the host's network", () => {
  it("stays what it was while the kernel is too restless to be read", () => {
    const kernel = new Restless();
    const network = new HostNetwork("h1", kernel);
    const before = network.node;
    kernel.error = new DriverError("busy", "Cannot list routes: they keep changing");
    assert.equal(network.refresh(), false);
    assert.equal(network.node, before);
    assert.deepEqual(network.routes, []);
    kernel.error = undefined;
    assert.equal(network.refresh(), false);
  });

  it("tells of a route that came after the last look", () => {
    const kernel = new Restless();
    const network = new HostNetwork("h1", kernel);
    kernel.route = { type: "unicast", destination: "10.77.0.0/16", protocol: 2, metric: 0 };
    assert.deepEqual([network.routes, network.routesNow()], [[], ["10.77.0.0/16"]]);
    kernel.error = new DriverError("busy", "Cannot list routes: they keep changing");
    assert.deepEqual(network.routesNow(), []);
  });

  it("hides no other trouble", () => {
    const kernel = new Restless();
    const network = new HostNetwork("h1", kernel);
    kernel.error = new DriverError("denied", "Cannot list routes: not permitted");
    assert.throws(() => network.refresh(), /not permitted/);
  });

  it("cannot be guessed at the start", () => {
    const kernel = new Restless();
    kernel.error = new DriverError("busy", "Cannot list routes: they keep changing");
    assert.throws(() => new HostNetwork("h1", kernel), /keep changing/);
  });
});
