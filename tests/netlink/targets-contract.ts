/** What the targets of src/drivers/netlink must do, on the kernel and on the fake alike: the fake refuses what the kernel refuses. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LinkState, RouteState, ServiceRoute } from "../../src/core/calc/host-state.ts";
import { Reconciler, type Target } from "../../src/core/reconcile/reconciler.ts";
import { GatewayAddressTarget } from "../../src/drivers/netlink/gateway-address-target.ts";
import { LinkTarget } from "../../src/drivers/netlink/link-target.ts";
import { NeighbourTarget } from "../../src/drivers/netlink/neighbour-target.ts";
import { HOST_MAC, LINK_GROUP, ROUTE_PROTOCOL } from "../../src/drivers/netlink/ownership.ts";
import { ProxyTarget } from "../../src/drivers/netlink/proxy-target.ts";
import { RouteTarget } from "../../src/drivers/netlink/route-target.ts";
import type { Change, Link, Rtnetlink } from "../../src/drivers/netlink/rtnetlink.ts";
import { ServiceTarget } from "../../src/drivers/netlink/service-target.ts";

export interface World extends Disposable {
  readonly rtnetlink: Rtnetlink;
  /** What the engine does with the peer: into a namespace of a container. */
  moveAway(link: string): void;
  addBridge(name: string): void;
}

const WEB = { peer: "mxpweb", peerMac: "02:00:00:00:00:01", mtu: 1400, gateway6: "fe80::a" };
const DB = { peer: "mxpdb", peerMac: "02:00:00:00:00:02", mtu: 1500 };
const signal = new AbortController().signal;

const upsert = <V>(entries: Record<string, V>): { upserts: Map<string, V>; deletes: Set<string> } => ({
  upserts: new Map(Object.entries(entries)),
  deletes: new Set(),
});
const remove = <V>(...keys: string[]): { upserts: Map<string, V>; deletes: Set<string> } => ({
  upserts: new Map(),
  deletes: new Set(keys),
});
const sorted = (map: ReadonlyMap<string, unknown>): string[] => [...map.keys()].sort();

function linkOf(rtnetlink: Rtnetlink, name: string): Link {
  const link = rtnetlink.link(name);
  assert.ok(link, `there is no link ${name}`);
  return link;
}

function must(rtnetlink: Rtnetlink, ...changes: Change[]): void {
  assert.deepEqual(rtnetlink.apply(changes), []);
}

/** Links that a HostState would have: manxweb and manxdb, with their peers in containers. */
async function twoLinks(world: World): Promise<void> {
  await new LinkTarget(world.rtnetlink).apply(upsert<LinkState>({ manxweb: WEB, manxdb: DB }), signal);
  world.moveAway("mxpweb");
  world.moveAway("mxpdb");
}

/** Desired twice: the second step must find nothing to do, also for a fresh process. */
async function settles<V>(target: () => Target<string, V>, desired: Record<string, V>): Promise<void> {
  const wanted = new Map(Object.entries(desired));
  await new Reconciler(target()).step(wanted, signal);
  const { upserts, deletes } = await new Reconciler(target()).step(wanted, signal);
  assert.deepEqual([sorted(upserts), [...deletes]], [[], []]);
}

export function targetsContract(name: string, open: () => World): void {
  const check = (title: string, work: (world: World) => Promise<void>): void => {
    void it(title, { timeout: 60_000 }, async () => {
      using world = open();
      await work(world);
    });
  };
  void describe(`links: ${name}`, () => links(check));
  void describe(`routes: ${name}`, () => routes(check));
  void describe(`services: ${name}`, () => services(check));
  void describe(`neighbours: ${name}`, () => neighbours(check));
  void describe(`proxies: ${name}`, () => proxies(check));
  void describe(`gateway addresses: ${name}`, () => gateways(check));
  void describe(`rtnetlink: ${name}`, () => refusals(check));
}

function services(check: Check): void {
  const API = "4 203.0.113.10/32";
  const API6 = "6 2001:db8::10/128";
  const web = { interface: "manxweb", weight: 256 };
  const db = { interface: "manxdb", weight: 256 };
  const both = { announced: true, hops: [db, web] };
  const metrics = ({ rtnetlink }: World): number[] =>
    rtnetlink.routes({ family: 4, protocol: ROUTE_PROTOCOL }).map(({ metric }) => metric);

  check("leads to several containers, and says so to a fresh process", async (world) => {
    await twoLinks(world);
    await settles(() => new ServiceTarget(world.rtnetlink), { [API]: both, [API6]: { announced: true, hops: [web] } });
    assert.deepEqual(
      await new ServiceTarget(world.rtnetlink).list(),
      new Map([
        [API, both],
        [API6, { announced: true, hops: [web] }],
      ]),
    );
    const groups = world.rtnetlink.nexthops().filter(({ members }) => members !== undefined);
    assert.deepEqual(
      groups.map(({ resilient, members = [] }) => [resilient, members.length]),
      [
        [true, 2],
        [true, 1],
      ],
    );
    assert.deepEqual(sorted(await new RouteTarget(world.rtnetlink).list()), [], "they are none of RouteTarget's");
  });
  check("keeps the group when members come, go or are to end", async (world) => {
    await twoLinks(world);
    const target = (): Target<string, ServiceRoute> => new ServiceTarget(world.rtnetlink);
    await settles(target, { [API]: both });
    const group = (): number | undefined => world.rtnetlink.routes({ family: 4, protocol: ROUTE_PROTOCOL })[0]?.nexthop;
    const before = group();
    for (const hops of [[web], [{ ...db, weight: 1 }, web], [db, web]]) {
      await settles(target, { [API]: { announced: true, hops } });
      assert.equal(group(), before);
    }
  });
  check("tells an announced route from a silent one by its metric", async (world) => {
    await twoLinks(world);
    await settles(() => new ServiceTarget(world.rtnetlink), { [API]: both });
    assert.deepEqual(metrics(world), [0]);
    await settles(() => new ServiceTarget(world.rtnetlink), { [API]: { ...both, announced: false } });
    assert.deepEqual(metrics(world), [512]);
    await settles(() => new ServiceTarget(world.rtnetlink), { [API]: both });
    assert.deepEqual(metrics(world), [0]);
  });
  check("a container's next hop goes with its interface, and the route with the last", async (world) => {
    await twoLinks(world);
    await settles(() => new ServiceTarget(world.rtnetlink), { [API]: both });
    world.rtnetlink.deleteLink("manxdb");
    assert.deepEqual(
      await new ServiceTarget(world.rtnetlink).list(),
      new Map([[API, { announced: true, hops: [web] }]]),
    );
    world.rtnetlink.deleteLink("manxweb");
    assert.deepEqual(await new ServiceTarget(world.rtnetlink).list(), new Map());
    assert.deepEqual(world.rtnetlink.nexthops(), []);
  });
  check("takes away what an earlier run left, and nothing of others", async (world) => {
    await twoLinks(world);
    const { index } = linkOf(world.rtnetlink, "manxweb");
    must(world.rtnetlink, { kind: "set-nexthop", id: 7, family: 4, index, protocol: 4 });
    must(world.rtnetlink, { kind: "set-nexthop", id: 8, family: 4, index, protocol: ROUTE_PROTOCOL });
    const silent = {
      destination: "203.0.113.9/32",
      type: "unicast",
      protocol: ROUTE_PROTOCOL,
      metric: 77,
      nexthop: 8,
    } as const;
    must(world.rtnetlink, { kind: "add-route", route: silent });
    await settles(() => new ServiceTarget(world.rtnetlink), { [API]: both });
    await settles(() => new ServiceTarget(world.rtnetlink), {});
    assert.deepEqual(
      world.rtnetlink.nexthops().map(({ id }) => id),
      [7],
    );
    assert.deepEqual(metrics(world), []);
  });
  check("refuses to take the place of a route of somebody else, and does the rest", async (world) => {
    await twoLinks(world);
    const { index } = linkOf(world.rtnetlink, "manxweb");
    must(world.rtnetlink, {
      kind: "add-route",
      route: { destination: "203.0.113.10/32", type: "unicast", protocol: 4, index },
    });
    const target = new ServiceTarget(world.rtnetlink);
    await assert.rejects(target.apply(upsert({ [API]: both, "4 203.0.113.11/32": both }), signal), { code: "exists" });
    assert.deepEqual(sorted(await target.list()), ["4 203.0.113.11/32"]);
  });
}

function proxies(check: Check): void {
  check("answers for what it is told, on any link, and says so to a fresh process", async (world) => {
    world.addBridge("lan0");
    const desired = { "lan0 192.168.7.70": null, "lan0 2001:db8::70": null };
    await settles(() => new ProxyTarget(world.rtnetlink), desired);
    assert.deepEqual(sorted(await new ProxyTarget(world.rtnetlink).list()), sorted(new Map(Object.entries(desired))));
    assert.deepEqual(world.rtnetlink.neighbours(), []);
    await settles(() => new ProxyTarget(world.rtnetlink), {});
    assert.deepEqual(world.rtnetlink.proxies(), []);
  });
  check("leaves those of others alone", async (world) => {
    world.addBridge("lan0");
    const { index } = linkOf(world.rtnetlink, "lan0");
    must(world.rtnetlink, { kind: "set-proxy", index, address: "192.168.7.71", protocol: 0 });
    await settles(() => new ProxyTarget(world.rtnetlink), { "lan0 192.168.7.70": null });
    await settles(() => new ProxyTarget(world.rtnetlink), {});
    assert.deepEqual(world.rtnetlink.proxies(), [{ index, address: "192.168.7.71", protocol: 0 }]);
  });
  check("loses them with the link being up, and says what it cannot do but does the rest", async (world) => {
    world.addBridge("lan0");
    const { index } = linkOf(world.rtnetlink, "lan0");
    must(world.rtnetlink, { kind: "set-link", index, up: true });
    const target = new ProxyTarget(world.rtnetlink);
    await assert.rejects(target.apply(upsert<null>({ "gone 192.168.7.1": null, "lan0 192.168.7.70": null }), signal), {
      code: "not-found",
      message: /no interface "gone"/,
    });
    assert.deepEqual(sorted(await target.list()), ["lan0 192.168.7.70"]);
    must(world.rtnetlink, { kind: "set-link", index, up: false });
    assert.deepEqual(sorted(await target.list()), []);
    await target.apply(remove<null>("lan0 192.168.7.70", "gone 192.168.7.1"), signal);
  });
}

type Check = (title: string, work: (world: World) => Promise<void>) => void;

function links(check: Check): void {
  check("makes a pair with both ends right", async ({ rtnetlink }) => {
    await new LinkTarget(rtnetlink).apply(upsert<LinkState>({ manxweb: WEB }), signal);
    const host = linkOf(rtnetlink, "manxweb");
    const peer = linkOf(rtnetlink, "mxpweb");
    assert.deepEqual(
      [host.mac, host.mtu, host.up, host.group, host.kind, host.generatesAddress, host.peerAway, host.peerIndex],
      [HOST_MAC, 1400, true, LINK_GROUP, "veth", false, false, peer.index],
    );
    assert.deepEqual([peer.mac, peer.mtu, peer.peerIndex], [WEB.peerMac, 1400, host.index]);
    assert.deepEqual(rtnetlink.addresses(host.index), [{ index: host.index, address: "fe80::a/64", scope: "link" }]);
  });
  check("an endpoint without IPv6 gets no address at all", async ({ rtnetlink }) => {
    await new LinkTarget(rtnetlink).apply(upsert<LinkState>({ manxdb: DB }), signal);
    assert.deepEqual(rtnetlink.addresses(linkOf(rtnetlink, "manxdb").index), []);
  });
  check("finds nothing to do the second time, before and after the engine took the peer", async (world) => {
    const { rtnetlink } = world;
    const target = (): Target<string, LinkState> => new LinkTarget(rtnetlink);
    await settles(target, { manxweb: WEB, manxdb: DB });
    world.moveAway("mxpweb");
    await settles(target, { manxweb: WEB, manxdb: DB });
    assert.equal(linkOf(rtnetlink, "manxweb").peerAway, true);
  });
  check("spares what nobody wants yet, until it is known that nobody does", async (world) => {
    const { rtnetlink } = world;
    await twoLinks(world);
    const target = new LinkTarget(rtnetlink, { spareUnknown: true });
    const reconciler = new Reconciler<string, LinkState>(target);
    const desired = new Map([["manxdb", DB]]);
    const present = async (): Promise<boolean> => {
      await reconciler.step(desired, signal);
      await target.settled();
      return rtnetlink.link("manxweb") !== undefined;
    };
    assert.equal(await present(), true);
    target.deleteUnknown();
    reconciler.resync();
    assert.equal(await present(), false);
    assert.ok(rtnetlink.link("manxdb"));
  });
  check("repairs what is wrong with the host's side, and keeps the pair", async (world) => {
    const { rtnetlink } = world;
    await twoLinks(world);
    const { index } = linkOf(rtnetlink, "manxweb");
    must(
      rtnetlink,
      { kind: "set-link", index, mtu: 1300, mac: "02:00:00:00:00:77", group: 7, generatesAddress: true },
      { kind: "add-address", index, address: "fe80::bad/64", scope: "link" },
      { kind: "delete-address", index, address: "fe80::a/64" },
    );
    await settles<LinkState>(() => new LinkTarget(rtnetlink), { manxweb: WEB, manxdb: DB });
    const link = linkOf(rtnetlink, "manxweb");
    assert.deepEqual([link.index, link.mtu, link.mac, link.group], [index, 1400, HOST_MAC, LINK_GROUP]);
    assert.deepEqual(
      rtnetlink.addresses(index).map(({ address }) => address),
      ["fe80::a/64"],
    );
  });
  check("gives IPv6 back to a link whose MTU had been too small for it", async (world) => {
    const { rtnetlink } = world;
    await twoLinks(world);
    const { index } = linkOf(rtnetlink, "manxweb");
    must(rtnetlink, { kind: "set-link", index, mtu: 1200 });
    assert.deepEqual(rtnetlink.addresses(index), []);
    await settles<LinkState>(() => new LinkTarget(rtnetlink), { manxweb: WEB, manxdb: DB });
    assert.deepEqual(
      rtnetlink.addresses(index).map(({ address }) => address),
      ["fe80::a/64"],
    );
  });
  check("cannot give a link IPv6 whose MTU is too small for it", async ({ rtnetlink }) => {
    const target = new LinkTarget(rtnetlink);
    await assert.rejects(target.apply(upsert<LinkState>({ manxweb: { ...WEB, mtu: 1279 } }), signal), {
      code: "invalid",
    });
    assert.equal(target.equal(WEB, (await target.list()).get("manxweb") ?? DB), false);
  });
  check("brings a link up again, with its address", async (world) => {
    const { rtnetlink } = world;
    await twoLinks(world);
    must(rtnetlink, { kind: "set-link", index: linkOf(rtnetlink, "manxweb").index, up: false });
    await settles<LinkState>(() => new LinkTarget(rtnetlink), { manxweb: WEB, manxdb: DB });
    assert.equal(linkOf(rtnetlink, "manxweb").up, true);
  });
  check("makes a pair again whose peer, still here, is another's", async ({ rtnetlink }) => {
    const target = (): Target<string, LinkState> => new LinkTarget(rtnetlink);
    await settles(target, { manxweb: WEB });
    const before = linkOf(rtnetlink, "manxweb").index;
    await settles(target, { manxweb: { ...WEB, peerMac: "02:00:00:00:00:33" } });
    await settles(target, { manxweb: { ...WEB, peer: "mxpother", mtu: 1280 } });
    assert.notEqual(linkOf(rtnetlink, "manxweb").index, before);
    assert.equal(linkOf(rtnetlink, "mxpother").mtu, 1280);
    assert.equal(rtnetlink.link("mxpweb"), undefined);
  });
  check("deletes links soon, and lists them no more at once", async (world) => {
    const { rtnetlink } = world;
    await twoLinks(world);
    const target = new LinkTarget(rtnetlink, { reapDelayMs: 1 });
    await target.apply(remove("manxweb", "manxdb", "manxgone"), signal);
    assert.deepEqual(sorted(await target.list()), []);
    await target.settled();
    assert.equal(rtnetlink.link("manxweb"), undefined);
    assert.equal(rtnetlink.link("manxdb"), undefined);
  });
  check("makes a link anew that was doomed a moment ago", async (world) => {
    const { rtnetlink } = world;
    await twoLinks(world);
    const target = new LinkTarget(rtnetlink, { reapDelayMs: 5_000 });
    await target.apply(remove("manxweb"), signal);
    await target.apply(upsert<LinkState>({ manxweb: WEB }), signal);
    await target.settled();
    assert.equal(linkOf(rtnetlink, "manxweb").peerAway, false);
    assert.deepEqual(sorted(await target.list()), ["manxdb", "manxweb"]);
  });
  check("a fresh process finishes what one that died had doomed", async (world) => {
    const { rtnetlink } = world;
    await twoLinks(world);
    must(rtnetlink, { kind: "set-link", index: linkOf(rtnetlink, "manxweb").index, group: 28025 });
    await using target = new LinkTarget(rtnetlink);
    assert.deepEqual(sorted(await target.list()), ["manxdb", "manxweb"]);
    await new Reconciler(target).step(new Map([["manxdb", DB]]), signal);
    await target.settled();
    assert.equal(rtnetlink.link("manxweb"), undefined);
  });
  check("leaves alien links alone, and says when one has the name", async (world) => {
    const { rtnetlink } = world;
    world.addBridge("manxbridge");
    const alien = { name: "veth0", peer: "veth1", group: LINK_GROUP, mtu: 1500 };
    rtnetlink.addPair({ ...alien, mac: "02:00:00:00:00:44", peerMac: "02:00:00:00:00:45" });
    await using target = new LinkTarget(rtnetlink, { reapDelayMs: 1 });
    assert.deepEqual(sorted(await target.list()), []);
    await target.apply(remove("manxbridge", "veth0"), signal);
    await assert.rejects(target.apply(upsert<LinkState>({ manxbridge: WEB }), signal), { code: "exists" });
    await target.settled();
    assert.ok(rtnetlink.link("manxbridge"));
    assert.ok(rtnetlink.link("veth0"));
  });
  check("tries every link and reports those that cannot be", async ({ rtnetlink }) => {
    const target = new LinkTarget(rtnetlink);
    const desired = {
      manxa: { ...DB, mtu: 12 },
      "manx/b": DB,
      manxthisistoolong: DB,
      manxmulti: { ...DB, peerMac: "01:00:00:00:00:01" },
    };
    await assert.rejects(target.apply(upsert<LinkState>({ ...desired, manxweb: WEB }), signal), (error: Error) => {
      for (const name of Object.keys(desired)) assert.match(error.message, new RegExp(`"${name}"`));
      return true;
    });
    assert.deepEqual(sorted(await target.list()), ["manxweb"]);
  });
}

function routes(check: Check): void {
  const toWeb: RouteState = { kind: "link", interface: "manxweb" };
  const toDb: RouteState = { kind: "link", interface: "manxdb" };
  const blackhole: RouteState = { kind: "blackhole" };
  const all: Record<string, RouteState> = {
    "4 10.65.0.7/32": toWeb,
    "6 fd65::7/128": toWeb,
    "4 10.65.0.0/26": blackhole,
    "6 fd65::/122": blackhole,
  };

  check("sets routes of both families, and finds nothing to do the second time", async (world) => {
    await twoLinks(world);
    await settles<RouteState>(() => new RouteTarget(world.rtnetlink), all);
    assert.deepEqual(sorted(await new RouteTarget(world.rtnetlink).list()), Object.keys(all).sort());
  });
  check("moves an address from one link to another, and between kinds", async (world) => {
    await twoLinks(world);
    const target = (): Target<string, RouteState> => new RouteTarget(world.rtnetlink);
    await settles(target, all);
    await settles(target, { ...all, "4 10.65.0.7/32": toDb, "6 fd65::7/128": toDb });
    await settles(target, { ...all, "4 10.65.0.7/32": blackhole, "6 fd65::7/128": blackhole });
    await settles(target, all);
    const listed = await new RouteTarget(world.rtnetlink).list();
    assert.deepEqual(listed.get("6 fd65::7/128"), toWeb);
    assert.equal(listed.size, 4);
  });
  check("prefers the source address that is asked for, and follows its change", async (world) => {
    await twoLinks(world);
    const { rtnetlink } = world;
    const lo = linkOf(rtnetlink, "lo").index;
    must(
      rtnetlink,
      { kind: "add-address", index: lo, address: "192.0.2.1/32", scope: "universe" },
      { kind: "add-address", index: lo, address: "192.0.2.2/32", scope: "universe" },
      { kind: "add-address", index: lo, address: "2001:db8::1/128", scope: "universe" },
    );
    const target = (): RouteTarget => new RouteTarget(rtnetlink);
    await settles<RouteState>(target, {
      "4 10.65.0.7/32": { ...toWeb, source: "192.0.2.1" },
      "6 fd65::7/128": { ...toWeb, source: "2001:db8::1" },
    });
    await settles<RouteState>(target, { "4 10.65.0.7/32": { ...toWeb, source: "192.0.2.2" }, "6 fd65::7/128": toWeb });
    assert.deepEqual((await target().list()).get("4 10.65.0.7/32"), { ...toWeb, source: "192.0.2.2" });
  });
  check("deletes what is ours, and what is gone already", async (world) => {
    await twoLinks(world);
    const target = new RouteTarget(world.rtnetlink);
    await target.apply(upsert(all), signal);
    await target.apply(remove(...Object.keys(all), "4 10.65.9.9/32", "6 fd65::9/128"), signal);
    assert.deepEqual(sorted(await target.list()), []);
  });
  check("loses routes with their link", async (world) => {
    await twoLinks(world);
    const target = new RouteTarget(world.rtnetlink);
    await target.apply(upsert(all), signal);
    world.rtnetlink.deleteLink("manxweb");
    assert.deepEqual(sorted(await target.list()), ["4 10.65.0.0/26", "6 fd65::/122"]);
  });
  check("never takes the place of an alien route, nor deletes one", async (world) => {
    await twoLinks(world);
    const { rtnetlink } = world;
    const { index } = linkOf(rtnetlink, "manxdb");
    const alien = [
      { destination: "10.65.0.7/32", type: "unicast", protocol: 4, index },
      { destination: "fd65::7/128", type: "unicast", protocol: 4, index },
    ] as const;
    must(rtnetlink, ...alien.map((route): Change => ({ kind: "add-route", route })));
    const target = new RouteTarget(rtnetlink);
    await assert.rejects(target.apply(upsert(all), signal), /"4 10.65.0.7\/32".*"6 fd65::7\/128"/s);
    await target.apply(remove("4 10.65.0.7/32", "6 fd65::7/128"), signal);
    assert.deepEqual(sorted(await target.list()), ["4 10.65.0.0/26", "6 fd65::/122"]);
    for (const family of [4, 6] as const) assert.equal(rtnetlink.routes({ family, protocol: 4 }).length, 1);
  });
  check("deletes routes of ours with another metric, as an older version may have left", async (world) => {
    await twoLinks(world);
    const { rtnetlink } = world;
    const { index } = linkOf(rtnetlink, "manxdb");
    for (const destination of ["10.65.0.7/32", "fd65::7/128"])
      must(rtnetlink, {
        kind: "add-route",
        route: { destination, type: "unicast", protocol: ROUTE_PROTOCOL, index, metric: 77 },
      });
    await settles<RouteState>(() => new RouteTarget(rtnetlink), all);
    assert.deepEqual(sorted(await new RouteTarget(rtnetlink).list()), Object.keys(all).sort());
  });
  check("tries every route and reports those that cannot be", async (world) => {
    await twoLinks(world);
    const target = new RouteTarget(world.rtnetlink);
    const bad: Record<string, RouteState> = {
      "4 10.65.0.1/32": { kind: "link", interface: "manxnone" },
      "4 10.65.0.2/32": { ...toWeb, source: "192.0.2.99" },
      "6 fd65::2/128": { ...toWeb, source: "2001:db8::99" },
      "4 10.65.0.3/24": toWeb,
      "4 not an address": toWeb,
      "4 10.65.0.4/33": toWeb,
    };
    await assert.rejects(target.apply(upsert({ ...bad, ...all }), signal), (error: Error) => {
      for (const key of Object.keys(bad).slice(0, 5)) assert.ok(error.message.includes(`"${key}"`), error.message);
      assert.match(error.message, /and 1 more/);
      return true;
    });
    assert.deepEqual(sorted(await target.list()), Object.keys(all).sort());
  });
  check("cannot set a route over a link that is down", async (world) => {
    await twoLinks(world);
    must(world.rtnetlink, { kind: "set-link", index: linkOf(world.rtnetlink, "manxweb").index, up: false });
    await assert.rejects(new RouteTarget(world.rtnetlink).apply(upsert(all), signal), { code: "failed" });
    assert.deepEqual(sorted(await new RouteTarget(world.rtnetlink).list()), ["4 10.65.0.0/26", "6 fd65::/122"]);
  });
}

function neighbours(check: Check): void {
  const all = {
    "manxweb 10.65.0.7": { mac: "02:00:00:00:00:01" },
    "manxweb fd65::7": { mac: "02:00:00:00:00:01" },
    "manxdb 10.65.0.8": { mac: "02:00:00:00:00:02" },
  };
  check("sets neighbours, and finds nothing to do the second time", async (world) => {
    await twoLinks(world);
    await settles(() => new NeighbourTarget(world.rtnetlink), all);
    await settles(() => new NeighbourTarget(world.rtnetlink), {
      ...all,
      "manxweb 10.65.0.7": { mac: "02:00:00:00:00:99" },
    });
  });
  check("deletes neighbours, and those that went with their link", async (world) => {
    await twoLinks(world);
    const target = new NeighbourTarget(world.rtnetlink);
    await target.apply(upsert(all), signal);
    await target.apply(remove("manxweb 10.65.0.7", "manxdb 10.65.9.9", "manxnone 10.65.9.9"), signal);
    assert.deepEqual(sorted(await target.list()), ["manxdb 10.65.0.8", "manxweb fd65::7"]);
    world.rtnetlink.deleteLink("manxweb");
    assert.deepEqual(sorted(await target.list()), ["manxdb 10.65.0.8"]);
    await target.apply(remove("manxweb fd65::7"), signal);
  });
  check("leaves neighbours on alien links alone", async ({ rtnetlink }) => {
    rtnetlink.addPair({
      name: "veth0",
      peer: "veth1",
      group: 0,
      mtu: 1500,
      mac: "02:00:00:00:00:44",
      peerMac: "02:00:00:00:00:45",
    });
    const { index } = linkOf(rtnetlink, "veth0");
    must(
      rtnetlink,
      { kind: "set-link", index, up: true },
      { kind: "set-neighbour", index, address: "192.0.2.1", mac: "02:00:00:00:00:46" },
    );
    assert.deepEqual(sorted(await new NeighbourTarget(rtnetlink).list()), []);
  });
  check("tries every neighbour and reports those that cannot be", async (world) => {
    await twoLinks(world);
    const target = new NeighbourTarget(world.rtnetlink);
    const bad = {
      "manxnone 10.65.0.7": { mac: "02:00:00:00:00:01" },
      "manxweb nonsense": { mac: "02:00:00:00:00:01" },
      "manxweb 10.65.0.9": { mac: "nonsense" },
    };
    await assert.rejects(target.apply(upsert({ ...bad, ...all }), signal), (error: Error) => {
      for (const key of Object.keys(bad)) assert.ok(error.message.includes(`"${key}"`), error.message);
      return true;
    });
    assert.deepEqual(sorted(await target.list()), Object.keys(all).sort());
  });
}

function gateways(check: Check): void {
  const target =
    ({ rtnetlink }: World) =>
    () =>
      new GatewayAddressTarget(rtnetlink);
  check("sets the addresses on lo, and finds nothing to do the second time", async (world) => {
    await settles(target(world), { "169.254.1.1/32": true, "169.254.1.2/32": true });
    await settles(target(world), { "169.254.1.2/32": true, "169.254.1.3/32": true });
    const lo = linkOf(world.rtnetlink, "lo").index;
    assert.deepEqual(
      world.rtnetlink.addresses(lo).filter(({ address }) => address.startsWith("169.")),
      [
        { index: lo, address: "169.254.1.2/32", scope: "link" },
        { index: lo, address: "169.254.1.3/32", scope: "link" },
      ],
    );
  });
  check("leaves every other address on lo alone", async (world) => {
    const index = linkOf(world.rtnetlink, "lo").index;
    const alien = ["127.0.0.9/8", "192.0.2.1/32", "169.254.2.1/32", "fd00::1/128"];
    must(
      world.rtnetlink,
      ...alien.map((address): Change => ({ kind: "add-address", index, address, scope: "universe" })),
    );
    await settles(target(world), { "169.254.1.1/32": true });
    await settles(target(world), {});
    const left = world.rtnetlink.addresses(index).map(({ address }) => address);
    assert.deepEqual(
      alien.filter((address) => !left.includes(address)),
      [],
    );
    assert.deepEqual(
      left.filter((address) => address.startsWith("169.254.1.")),
      [],
    );
  });
  check("makes an address again that has the wrong scope or length", async (world) => {
    const index = linkOf(world.rtnetlink, "lo").index;
    must(
      world.rtnetlink,
      { kind: "add-address", index, address: "169.254.1.1/32", scope: "universe" },
      { kind: "add-address", index, address: "169.254.1.7/24", scope: "link" },
    );
    await settles(target(world), { "169.254.1.1/32": true });
    assert.equal(world.rtnetlink.addresses(index).find(({ address }) => address === "169.254.1.1/32")?.scope, "link");
  });
  check("deletes what is gone already, refuses what is not a gateway, and still does the rest", async (world) => {
    await target(world)().apply(remove("169.254.1.9/32"), signal);
    const bad = upsert<true>({ "10.0.0.1/32": true, "169.254.1.999/32": true, "169.254.1.4/32": true });
    await assert.rejects(target(world)().apply(bad, signal), { code: "invalid" });
    assert.deepEqual(sorted(await target(world)().list()), ["169.254.1.4/32"]);
  });
}

/** Where a target passes the kernel's word on, the fake must say the same. */
function refusals(check: Check): void {
  const cases: [string, (index: number) => Change, string | undefined][] = [
    ["a link that is not there", () => ({ kind: "set-link", index: 9999, up: true }), "ENODEV"],
    ["an MTU below 68", (index) => ({ kind: "set-link", index, mtu: 60 }), "EINVAL"],
    ["an MTU above 65535", (index) => ({ kind: "set-link", index, mtu: 70_000 }), "EINVAL"],
    ["a multicast MAC", (index) => ({ kind: "set-link", index, mac: "01:00:00:00:00:01" }), "EADDRNOTAVAIL"],
    ["a name that is taken", (index) => ({ kind: "set-link", index, name: "lo" }), "EEXIST"],
    ["an address twice", (index) => ({ kind: "add-address", index, address: "fe80::a/64", scope: "link" }), "EEXIST"],
    [
      "an address that is not there",
      (index) => ({ kind: "delete-address", index, address: "10.0.0.1/32" }),
      "EADDRNOTAVAIL",
    ],
    [
      "an address on no link",
      () => ({ kind: "add-address", index: 9999, address: "10.0.0.1/32", scope: "link" }),
      "ENODEV",
    ],
    ["a route over no link", () => newRoute({ index: 9999 }), "ENODEV"],
    ["a route to nowhere", () => newRoute({}), "ENODEV"],
    ["host bits in a destination", (index) => newRoute({ index, destination: "10.65.0.9/24" }), "EINVAL"],
    ["a source that is not ours", (index) => newRoute({ index, source: "192.0.2.1" }), "EINVAL"],
    ["a route that is not there", () => ({ kind: "delete-route", destination: "10.9.9.9/32", protocol: 109 }), "ESRCH"],
    [
      "an IPv6 route that is not there",
      () => ({ kind: "delete-route", destination: "fd99::9/128", protocol: 109 }),
      "ESRCH",
    ],
    ["a neighbour that is not there", (index) => ({ kind: "delete-neighbour", index, address: "10.9.9.9" }), "ENOENT"],
    [
      "a neighbour on no link",
      () => ({ kind: "set-neighbour", index: 9999, address: "10.9.9.9", mac: WEB.peerMac }),
      "ENODEV",
    ],
    ["a good route", (index) => newRoute({ index }), undefined],
  ];
  for (const [title, change, errno] of cases) {
    check(`${errno ?? "nothing"} for ${title}`, async (world) => {
      await twoLinks(world);
      const refusals = world.rtnetlink.apply([change(linkOf(world.rtnetlink, "manxweb").index)]);
      assert.deepEqual(
        refusals.map(({ error }) => error.errno),
        errno === undefined ? [] : [errno],
      );
    });
  }
  check("each change of many is tried", async (world) => {
    await twoLinks(world);
    const { index } = linkOf(world.rtnetlink, "manxweb");
    const changes = Array.from({ length: 300 }, (_, i) =>
      newRoute({ index: i % 3 === 0 ? 9999 : index, destination: `10.66.${i >> 8}.${i & 255}/32` }),
    );
    const refused = world.rtnetlink.apply(changes).map(({ index }) => index);
    assert.deepEqual(
      refused,
      changes.flatMap((_, i) => (i % 3 === 0 ? [i] : [])),
    );
    assert.equal(world.rtnetlink.routes({ family: 4, protocol: 109 }).length, 200);
  });
  check("names that are taken or impossible make no pair", async (world) => {
    await twoLinks(world);
    const pair = { name: "a0", peer: "a1", mac: WEB.peerMac, peerMac: DB.peerMac, mtu: 1500, group: 0 };
    for (const [parts, code] of [
      [{ name: "manxweb" }, "exists"],
      [{ peer: "manxweb" }, "exists"],
      [{ name: "a/b" }, "invalid"],
      [{ name: "" }, "invalid"],
      [{ peer: "sixteencharacter" }, "invalid"],
      [{ name: ".." }, "invalid"],
    ] as const)
      assert.throws(() => world.rtnetlink.addPair({ ...pair, ...parts }), { code }, JSON.stringify(parts));
    assert.equal(world.rtnetlink.link("a0"), undefined);
    assert.throws(() => world.rtnetlink.deleteLink("a0"), { code: "not-found" });
  });
}

function newRoute(parts: { index?: number; destination?: string; source?: string }): Change {
  return { kind: "add-route", route: { destination: "10.65.0.9/32", type: "unicast", protocol: 109, ...parts } };
}
