import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeRtnetlink } from "./fake-rtnetlink.ts";
import { Foreign } from "./foreign.ts";
import { HOST_MAC, LINK_GROUP, ROUTE_PROTOCOL } from "./ownership.ts";
import type { Change, Link, Route } from "./rtnetlink.ts";
import type { NetworkEvent } from "./watch.ts";

const US = 4711;
const ALL = ["gatewayAddresses", "links", "neighbours", "routes"];

interface Host {
  readonly rtnetlink: FakeRtnetlink;
  readonly foreign: Foreign;
  readonly index: number;
  /** Another's change to the link, and the event that it makes. */
  readonly alter: (change: Omit<Change & { kind: "set-link" }, "kind" | "index">) => NetworkEvent;
  readonly now: () => Link;
  readonly parts: (...events: NetworkEvent[]) => string[];
}

/** A host with the link manxweb and our route to 10.65.0.7. */
function host(): Host {
  const rtnetlink = new FakeRtnetlink();
  const pair = { name: "manxweb", mac: HOST_MAC, mtu: 1500, group: LINK_GROUP };
  rtnetlink.addPair({ ...pair, peer: "mxpweb", peerMac: "02:00:00:00:00:01" });
  const index = rtnetlink.link("manxweb")?.index ?? 0;
  rtnetlink.apply([
    { kind: "set-link", index, up: true, generatesAddress: false },
    { kind: "add-address", index, address: "fe80::1/64", scope: "link" },
    { kind: "add-address", index: 1, address: "169.254.1.3/32", scope: "link" },
    { kind: "add-route", route: { destination: "10.65.0.7/32", type: "unicast", protocol: ROUTE_PROTOCOL, index } },
  ]);
  const foreign = new Foreign(rtnetlink, [US]);
  const now = (): Link => {
    const link = rtnetlink.link("manxweb");
    assert.ok(link);
    return link;
  };
  return {
    rtnetlink,
    foreign,
    index,
    now,
    alter: (change) => {
      rtnetlink.apply([{ kind: "set-link", index, ...change }]);
      return link(now());
    },
    parts: (...events) => [...foreign.disturbed(events)].sort(),
  };
}

const link = (link: Link, deleted = false): NetworkEvent => ({ kind: "link", link, by: 0, deleted });
const route = (parts: Partial<Route>, by: number, deleted = false, replaced = false): NetworkEvent => ({
  kind: "route",
  route: { destination: "10.65.0.7/32", type: "unicast", protocol: ROUTE_PROTOCOL, metric: 0, ...parts },
  by,
  deleted,
  replaced,
});
const address = (index: number, address: string, deleted: boolean): NetworkEvent => ({
  kind: "address",
  address: { index, address, scope: "link" },
  by: 0,
  deleted,
});

void describe("foreign changes", () => {
  void it("are none where an engine moves the peer and brings it up", () => {
    const { rtnetlink, now, parts } = host();
    rtnetlink.moveAway("mxpweb");
    assert.deepEqual(parts(link({ ...now(), carrier: true })), []);
  });
  void it("are those to a setting of our link, once", () => {
    const { alter, now, parts } = host();
    assert.deepEqual(parts(alter({ mtu: 1300 })), ["links"]);
    assert.deepEqual(parts(link({ ...now(), carrier: false })), []);
  });
  void it("are a link of ours that goes, with what stood on it", () => {
    const { rtnetlink, alter, now, parts } = host();
    const before = now();
    assert.deepEqual(parts(alter({ up: false })), ["links", "neighbours", "routes"]);
    rtnetlink.deleteLink("manxweb");
    assert.deepEqual(parts(link(before, true)), ["links", "neighbours", "routes"]);
    assert.deepEqual(parts(link(before, true)), []);
  });
  void it("are not what we do ourselves, nor the steps on the way there", () => {
    const { rtnetlink, foreign, index, now, parts } = host();
    const change: Change = { kind: "set-link", index, mtu: 1300, group: 7 };
    rtnetlink.apply([change]);
    foreign.changed([change]);
    assert.deepEqual(parts(link({ ...now(), group: LINK_GROUP }), link(now())), []);
  });
  void it("are not the links that we make and delete", () => {
    const { rtnetlink, foreign, index, now, parts } = host();
    const pair = { name: "manxdb", mac: HOST_MAC, mtu: 1500, group: LINK_GROUP };
    rtnetlink.addPair({ ...pair, peer: "mxpdb", peerMac: "02:00:00:00:00:02" });
    foreign.made("manxdb");
    const db = rtnetlink.link("manxdb");
    assert.ok(db);
    const up: Change = { kind: "set-link", index: db.index, up: true };
    rtnetlink.apply([up]);
    foreign.changed([up]);
    assert.deepEqual(parts(link(db)), []);
    foreign.deletes("manxdb");
    rtnetlink.deleteLink("manxdb");
    assert.deepEqual(parts(link(db), link({ ...db, up: false }), link(db, true)), []);

    const before = now();
    const doom: Change = { kind: "set-link", index, group: 28_025 };
    rtnetlink.apply([doom]);
    foreign.changed([doom]);
    assert.deepEqual(parts(link(before), link(now()), link({ ...now(), up: false }), link(now(), true)), []);
  });
  void it("are a link that comes with our prefix", () => {
    const { rtnetlink, parts } = host();
    const pair = { mac: HOST_MAC, mtu: 1500, group: 0, peerMac: "02:00:00:00:00:02" };
    rtnetlink.addPair({ ...pair, name: "manxnew", peer: "eth7" });
    const event = (name: string): NetworkEvent => link(rtnetlink.link(name) ?? assert.fail());
    assert.deepEqual(parts(event("eth7")), []);
    assert.deepEqual(parts(event("manxnew")), ["links"]);
  });
  void it("are our routes, and others that take their place", () => {
    const { parts } = host();
    assert.deepEqual(parts(route({}, US), route({}, US, true), route({}, US)), []);
    assert.deepEqual(parts(route({ protocol: 4 }, 1, false, true)), ["routes"]);
    assert.deepEqual(parts(route({ protocol: 12, destination: "10.99.0.0/24" }, 1, false, true)), []);
    assert.deepEqual(parts(route({ protocol: 4 }, 1)), []);
    assert.deepEqual(parts(route({}, 1, true)), ["routes"]);
    assert.deepEqual(parts(route({ protocol: 4 }, 1, false, true)), []);
  });
  void it("are addresses of the gateways' range on lo, and IPv6 addresses on our links", () => {
    const { index, foreign, parts } = host();
    assert.deepEqual(parts(address(1, "169.254.1.3/32", true)), ["gatewayAddresses"]);
    assert.deepEqual(parts(address(1, "169.254.1.3/32", true)), []);
    assert.deepEqual(parts(address(1, "169.254.1.9/32", false)), ["gatewayAddresses"]);
    assert.deepEqual(parts(address(1, "169.254.2.3/32", false), address(99, "169.254.1.3/32", false)), []);
    assert.deepEqual(parts(address(index, "fe80::1/64", true)), ["links"]);
    foreign.changed([{ kind: "add-address", index, address: "fe80::1/64", scope: "link" }]);
    assert.deepEqual(parts(address(index, "fe80::1/64", false)), []);
    foreign.changed([{ kind: "delete-address", index: 1, address: "169.254.1.9/32" }]);
    assert.deepEqual(parts(address(1, "169.254.1.9/32", true)), []);
  });
  void it("are permanent neighbours on our links, set or lost", () => {
    const { index: web, parts } = host();
    const neighbour = (index: number, permanent: boolean, deleted = false): NetworkEvent => ({
      kind: "neighbour",
      neighbour: { index, address: "10.65.0.7", mac: "02:00:00:00:00:01", permanent },
      by: 1,
      deleted,
    });
    assert.deepEqual(parts(neighbour(web, false), neighbour(99, true)), []);
    assert.deepEqual(parts(neighbour(web, true)), ["neighbours"]);
    assert.deepEqual(parts(neighbour(web, false)), ["neighbours"]);
    assert.deepEqual(parts(neighbour(web, false, true)), []);
  });
  void it("are everything after an overrun", () => {
    assert.deepEqual(host().parts({ kind: "overrun" }), ALL);
  });
});
