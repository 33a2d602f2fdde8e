import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeRtnetlink } from "./fake-rtnetlink.ts";
import { Foreign } from "./foreign.ts";
import { HOST_MAC, LINK_GROUP, ROUTE_PROTOCOL } from "./ownership.ts";
import type { Link, Route } from "./rtnetlink.ts";
import type { NetworkEvent } from "./watch.ts";

const US = 4711;
const ALL = ["gatewayAddresses", "links", "neighbours", "routes"];

interface Judge {
  readonly link: Link;
  readonly parts: (...events: NetworkEvent[]) => string[];
}

/** A host with the link manxweb and our route to 10.65.0.7. */
function judge(): Judge {
  const rtnetlink = new FakeRtnetlink();
  const pair = { name: "manxweb", mac: HOST_MAC, mtu: 1500, group: LINK_GROUP };
  rtnetlink.addPair({ ...pair, peer: "mxpweb", peerMac: "02:00:00:00:00:01" });
  const index = rtnetlink.link("manxweb")?.index ?? 0;
  rtnetlink.apply([
    { kind: "set-link", index, up: true, generatesAddress: false },
    { kind: "add-route", route: { destination: "10.65.0.7/32", type: "unicast", protocol: ROUTE_PROTOCOL, index } },
  ]);
  const foreign = new Foreign(rtnetlink, [US]);
  const link = rtnetlink.link("manxweb");
  assert.ok(link);
  return { link, parts: (...events) => [...foreign.disturbed(events)].sort() };
}

const link = (link: Link, by = 0, deleted = false): NetworkEvent => ({ kind: "link", link, by, deleted });
const route = (parts: Partial<Route>, by = 0, deleted = false, replaced = false): NetworkEvent => ({
  kind: "route",
  route: { destination: "10.65.0.7/32", type: "unicast", protocol: ROUTE_PROTOCOL, metric: 0, ...parts },
  by,
  deleted,
  replaced,
});

describe("foreign changes", () => {
  it("are none where an engine moves the peer and brings it up", () => {
    const { link: web, parts } = judge();
    assert.deepEqual(parts(link({ ...web, peerAway: true, carrier: true })), []);
  });
  it("are those to a setting of our link, once", () => {
    const { link: web, parts } = judge();
    assert.deepEqual(parts(link({ ...web, mtu: 1300 })), ["links"]);
    assert.deepEqual(parts(link({ ...web, mtu: 1300, carrier: true })), []);
  });
  it("are a link of ours that goes, with what stood on it", () => {
    const { link: web, parts } = judge();
    assert.deepEqual(parts(link({ ...web, up: false })), ["links", "neighbours", "routes"]);
    assert.deepEqual(parts(link(web, 0, true)), ["links", "neighbours", "routes"]);
    assert.deepEqual(parts(link(web, 0, true)), []);
  });
  it("are not what we do ourselves, nor its late consequences", () => {
    const { link: web, parts } = judge();
    assert.deepEqual(parts(link({ ...web, mtu: 1300 }, US), link({ ...web, mtu: 1300 })), []);
    const doomed = { ...web, mtu: 1300, group: 28_025 };
    assert.deepEqual(parts(link(doomed, US), link({ ...doomed, up: false }), link(doomed, 0, true)), []);
  });
  it("are a link that takes our name", () => {
    const { link: web, parts } = judge();
    assert.deepEqual(parts(link({ ...web, index: 99, name: "eth7" })), []);
    assert.deepEqual(parts(link({ ...web, index: 99, name: "manxnew" })), ["links"]);
  });
  it("are our routes, and others that take their place", () => {
    const { parts } = judge();
    assert.deepEqual(parts(route({}, 1, true)), ["routes"]);
    assert.deepEqual(parts(route({}, US)), []);
    assert.deepEqual(parts(route({ protocol: 4 }, 1, false, true)), ["routes"]);
    assert.deepEqual(parts(route({ protocol: 12, destination: "10.99.0.0/24" }, 1, false, true)), []);
    assert.deepEqual(parts(route({ protocol: 4 }, 1)), []);
  });
  it("are addresses of the gateways' range on lo, and IPv6 addresses on our links", () => {
    const { link: web, parts } = judge();
    const address = (index: number, address: string): NetworkEvent => ({
      kind: "address",
      address: { index, address, scope: "link" },
      by: 1,
      deleted: true,
    });
    assert.deepEqual(parts(address(1, "169.254.1.3/32")), ["gatewayAddresses"]);
    assert.deepEqual(parts(address(1, "169.254.2.3/32"), address(5, "169.254.1.3/32")), []);
    assert.deepEqual(parts(address(web.index, "fe80::1/64")), ["links"]);
  });
  it("are permanent neighbours on our links", () => {
    const { link: web, parts } = judge();
    const neighbour = (index: number, permanent: boolean): NetworkEvent => ({
      kind: "neighbour",
      neighbour: { index, address: "10.65.0.7", mac: "02:00:00:00:00:01", permanent },
      by: 1,
      deleted: true,
    });
    assert.deepEqual(parts(neighbour(web.index, true)), ["neighbours"]);
    assert.deepEqual(parts(neighbour(web.index, false), neighbour(99, true)), []);
  });
  it("are everything after an overrun", () => {
    assert.deepEqual(judge().parts({ kind: "overrun" }), ALL);
  });
});
