/** News of the kernel, and which of them are foreign changes to what is ours. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LinkState, RouteState } from "../../src/core/calc/host-state.ts";
import { Reconciler } from "../../src/core/reconcile/reconciler.ts";
import type { Part } from "../../src/drivers/netlink/foreign.ts";
import { KernelRtnetlink } from "../../src/drivers/netlink/kernel-rtnetlink.ts";
import { LinkTarget } from "../../src/drivers/netlink/link-target.ts";
import { NeighbourTarget } from "../../src/drivers/netlink/neighbour-target.ts";
import { RouteTarget } from "../../src/drivers/netlink/route-target.ts";
import type { Change } from "../../src/drivers/netlink/rtnetlink.ts";
import { type NetworkEvent, watchNetwork } from "../../src/drivers/netlink/watch.ts";
import { Namespace } from "./namespace.ts";

const WEB: LinkState = { peer: "mxpweb", peerMac: "02:00:00:00:00:01", mtu: 1500, gateway6: "fe80::1" };
const signal = new AbortController().signal;

/** Collects until `stop`, which waits for what is wanted, on a busy machine for long, and until no stragglers come any more. */
function collect<T>(
  source: AsyncIterable<T>,
  abort: AbortController,
  isEnough: (items: readonly T[]) => boolean,
): { stop: () => Promise<T[]> } {
  const items: T[] = [];
  const loop = (async (): Promise<void> => {
    for await (const item of source) items.push(item);
  })();
  return {
    stop: async () => {
      for (const end = Date.now() + 20_000; !isEnough(items) && Date.now() < end; ) await sleep(10);
      for (let before = -1; before < items.length; await sleep(100)) before = items.length;
      abort.abort();
      await loop;
      return items;
    },
  };
}

type Enough = (events: readonly NetworkEvent[]) => boolean;

async function events(
  netns: Namespace,
  work: () => void,
  isEnough: Enough,
  receiveBuffer?: number,
): Promise<NetworkEvent[]> {
  const abort = new AbortController();
  const options = { netns: netns.path, ...(receiveBuffer === undefined ? {} : { receiveBuffer }) };
  const { stop } = collect(watchNetwork(options, abort.signal), abort, (seen) => isEnough(seen.flat()));
  try {
    work();
  } finally {
    await stop();
  }
  return (await stop()).flat();
}

type Work = (host: Namespace, container: Namespace, rtnetlink: KernelRtnetlink) => Promise<void> | void;

/** What is foreign of the work, done to a host with one endpoint in force; at least the `wanted` parts are waited for. */
async function foreign(work: Work, wanted: readonly Part[] = []): Promise<Part[]> {
  using host = new Namespace();
  using container = new Namespace();
  using rtnetlink = new KernelRtnetlink(host.path);
  await new LinkTarget(rtnetlink).apply({ upserts: new Map([["manxweb", WEB]]), deletes: new Set() }, signal);
  await setRoutes(rtnetlink);
  const neighbour = new Map([["manxweb 10.65.0.7", { mac: WEB.peerMac }]]);
  await new NeighbourTarget(rtnetlink).apply({ upserts: neighbour, deletes: new Set() }, signal);
  const abort = new AbortController();
  const { stop } = collect(rtnetlink.foreignChanges(abort.signal), abort, (seen) =>
    wanted.every((part) => seen.some((parts) => [...parts].includes(part))),
  );
  try {
    await work(host, container, rtnetlink);
  } finally {
    await stop();
  }
  return [...new Set((await stop()).flatMap((parts) => [...parts]))].sort();
}

async function setRoutes(rtnetlink: KernelRtnetlink): Promise<void> {
  const wanted = new Map<string, RouteState>([
    ["4 10.65.0.7/32", { kind: "link", interface: "manxweb" }],
    ["6 fd65::7/128", { kind: "link", interface: "manxweb" }],
    ["4 10.65.0.0/26", { kind: "blackhole" }],
  ]);
  await new Reconciler(new RouteTarget(rtnetlink)).step(wanted, signal);
}

void describe("news of the kernel", () => {
  void it("tell of links, addresses, routes and neighbours", async () => {
    using netns = new Namespace();
    const work = (): void => {
      netns.ip("link add left type veth peer name right");
      netns.ip("addr add 192.0.2.1/24 dev left");
      netns.ip("link set left up");
      netns.ip("link set right up");
      netns.ip("route add 198.51.100.0/24 dev left proto 109");
      netns.ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev left");
      netns.ip("route del 198.51.100.0/24");
    };
    const all = await events(netns, work, (seen) =>
      seen.some((e) => e.kind === "route" && e.route.protocol === 109 && e.deleted),
    );
    const seen = (of: (event: NetworkEvent) => string | undefined): string[] => all.flatMap((event) => of(event) ?? []);
    assert.ok(seen((e) => (e.kind === "link" ? e.link.name : undefined)).includes("right"));
    assert.ok(seen((e) => (e.kind === "address" ? e.address.address : undefined)).includes("192.0.2.1/24"));
    assert.ok(seen((e) => (e.kind === "neighbour" ? e.neighbour.mac : undefined)).includes("02:00:00:00:00:09"));
    assert.deepEqual(
      seen((e) => (e.kind === "route" && e.route.protocol === 109 ? `${e.route.destination} ${e.deleted}` : undefined)),
      ["198.51.100.0/24 false", "198.51.100.0/24 true"],
    );
  });
  void it("say when some are lost", async () => {
    using netns = new Namespace();
    using rtnetlink = new KernelRtnetlink(netns.path);
    const index = rtnetlink.link("lo")?.index ?? 0;
    const address = (i: number) => `10.0.${i >> 8}.${i & 255}/32`;
    const addMany = (): void => {
      for (let i = 0; i < 500; i++)
        rtnetlink.apply([{ kind: "add-address", index, address: address(i), scope: "link" }]);
    };
    const isLost: Enough = (seen) => seen.some(({ kind }) => kind === "overrun");
    assert.ok(isLost(await events(netns, addMany, isLost, 4096)));
  });
  void it("lose nothing of 10,000 routes at once", async () => {
    using netns = new Namespace();
    netns.ip("link set lo up");
    using rtnetlink = new KernelRtnetlink(netns.path);
    const abort = new AbortController();
    const made = (seen: readonly (readonly NetworkEvent[])[]): number =>
      seen.flat().filter((e) => e.kind === "route" && e.route.protocol === 109 && !e.deleted).length;
    const source = watchNetwork({ netns: netns.path }, abort.signal);
    const { stop } = collect(source, abort, (seen) => made(seen) >= 10_000);
    const changes = Array.from({ length: 10_000 }, (_, i): Change => {
      const destination = `10.${i >> 8}.${i & 255}.0/24`;
      return { kind: "add-route", route: { destination, type: "blackhole", protocol: 109 } };
    });
    const refusals = rtnetlink.apply(changes);
    assert.deepEqual(refusals, []);
    assert.equal(made(await stop()), 10_000);
  });
});

void describe("foreign changes", () => {
  void it("are not what we do", async () => {
    const own: Work = async (_host, _container, rtnetlink) => {
      const links = new LinkTarget(rtnetlink, { reapDelayMs: 1 });
      const db = { ...WEB, peer: "mxpdb", peerMac: "02:00:00:00:00:02" };
      await links.apply({ upserts: new Map([["manxdb", db]]), deletes: new Set() }, signal);
      await setRoutes(rtnetlink);
      await links.apply({ upserts: new Map(), deletes: new Set(["manxdb"]) }, signal);
      await links.settled();
    };
    assert.deepEqual(await foreign(own), []);
  });
  void it("are not what the engine does with the peer, nor other links and routes", async () => {
    const alien: Work = (host, container) => {
      host.ip(`link set mxpweb netns ${container.name}`);
      container.ip("link set mxpweb name eth0");
      container.ip("link set eth0 up");
      host.ip("link add name x type veth peer name y");
      host.ip("link set x up");
      host.ip("route replace 198.51.100.0/24 dev x proto 12");
      host.ip("addr add 169.254.1.9/32 dev x");
    };
    assert.deepEqual(await foreign(alien), []);
  });
  const cases: [string, string, readonly Part[]][] = [
    ["a route of ours deleted", "route del 10.65.0.7/32", ["routes"]],
    ["an IPv6 route of ours deleted", "-6 route del fd65::7/128", ["routes"]],
    ["an alien route in the place of ours", "route replace blackhole 10.65.0.7/32", ["routes"]],
    ["a route with our protocol that we did not make", "route add blackhole 10.9.0.0/24 proto 109", ["routes"]],
    ["our link down", "link set manxweb down", ["links", "neighbours", "routes"]],
    ["our link deleted", "link del manxweb", ["links", "neighbours", "routes"]],
    ["our link's MTU", "link set manxweb mtu 1400", ["links"]],
    ["our link's gateway deleted", "addr del fe80::1/64 dev manxweb", ["links"]],
    ["a gateway on lo", "addr add 169.254.1.77/32 dev lo", ["gatewayAddresses"]],
    ["a neighbour deleted", "neigh del 10.65.0.7 dev manxweb", ["neighbours"]],
  ];
  for (const [title, command, parts] of cases)
    void it(`are ${title}`, async () => {
      assert.deepEqual(await foreign((host) => void host.ip(command), parts), parts);
    });
  void it("leave nothing open where nobody ever asked for them", () => {
    using netns = new Namespace();
    using rtnetlink = new KernelRtnetlink(netns.path);
    const open = (): number => readdirSync("/proc/self/fd").length;
    const before = open();
    const abort = new AbortController();
    rtnetlink.foreignChanges(abort.signal);
    abort.abort();
    assert.equal(open(), before);
  });
});
