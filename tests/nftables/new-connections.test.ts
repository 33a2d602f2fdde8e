/** New connections as the kernel counts them, between namespaces of the test's own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CONNECTION_TABLE, MAX_ELEMENTS } from "../../src/drivers/nftables/connection-table.ts";
import {
  type ConnectionNews,
  type NewConnections,
  newConnections,
} from "../../src/drivers/nftables/new-connections.ts";
import { collect as collectFrom } from "../netlink/collect.ts";
import { Namespace } from "../netlink/namespace.ts";

/** Datagrams from a port each, beginning at the first, to so many ports in turn. */
const SENDER = `
  const [to, ...numbers] = process.argv.slice(1);
  const [count, ports, first] = numbers.map(Number);
  const dgram = require("node:dgram");
  let n = 0;
  const next = () => {
    if (n >= count) return;
    const socket = dgram.createSocket(to.includes(":") ? "udp6" : "udp4");
    socket.bind(first + n, () => socket.send("x", 9000 + (n++ % ports), to, () => { socket.close(); next(); }));
  };
  next();
`;

/** A container and its host. */
class Pair implements Disposable {
  readonly host = new Namespace();
  readonly container = new Namespace();
  #nextPort = 20_000;

  constructor() {
    const { host, container } = this;
    host.ip(`link add manxweb type veth peer name eth0 netns ${container.name}`);
    for (const [netns, link, n] of [
      [host, "manxweb", 1],
      [container, "eth0", 2],
    ] as const) {
      netns.ip(`addr add 10.65.0.${n}/24 dev ${link}`);
      netns.ip(`addr add fd65::${n}/64 dev ${link} nodad`);
      netns.ip(`link set ${link} up`);
    }
    host.ip("link set lo up");
  }

  /** Begins so many connections, of as many kinds as there are ports; blocks until they are sent. */
  send(from: Namespace, to: string, count: number, ports = 1): void {
    from.run(process.execPath, "-e", SENDER, to, String(count), String(ports), String(this.#nextPort));
    this.#nextPort += count;
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    this.container[Symbol.dispose]();
  }
}

const connectionsOf = (news: readonly ConnectionNews[]): NewConnections[] =>
  news.flatMap((one) => (one.kind === "new" && one.protocol !== 58 ? [one] : [])); // neighbour discovery comes when it likes
const countOf = (news: readonly ConnectionNews[]): number =>
  connectionsOf(news).reduce((sum, { count }) => sum + count, 0);
const lostOf = (news: readonly ConnectionNews[]): number =>
  news.reduce((sum, one) => sum + (one.kind === "lost" ? one.count : 0), 0);

/** What comes while the work is done, and afterwards until it is enough. */
const collect = (
  pair: Pair,
  work: (seen: readonly ConnectionNews[]) => Promise<void> | void,
  isEnough: (seen: readonly ConnectionNews[]) => boolean,
): Promise<ConnectionNews[]> => collectFrom((signal) => newConnections(signal, pair.host.path), work, isEnough);

void describe("new connections that the kernel counts", () => {
  void it("come with who and how many, in both families, to the host and from it", async () => {
    using pair = new Pair();
    const before = Date.now();
    const news = await collect(
      pair,
      () => {
        pair.send(pair.container, "10.65.0.1", 3);
        pair.send(pair.host, "fd65::2", 2);
        pair.container.run("busybox", "ping", "-c", "1", "-W", "2", "10.65.0.1");
      },
      (seen) => countOf(seen) >= 6,
    );
    const told = new Map<string, number>();
    for (const { source, destination, protocol, destinationPort, icmp, count, time } of connectionsOf(news)) {
      const key = `${source} ${destination} ${protocol} ${destinationPort ?? `${icmp?.type}/${icmp?.code}`}`;
      told.set(key, (told.get(key) ?? 0) + count);
      assert.ok(time >= before - 20 && time <= Date.now(), `${time}`);
    }
    assert.deepEqual(
      told,
      new Map([
        ["10.65.0.2 10.65.0.1 17 9000", 3],
        ["fd65::1 fd65::2 17 9000", 2],
        ["10.65.0.2 10.65.0.1 1 8/0", 1],
      ]),
    );
    assert.ok(connectionsOf(news).every(({ sourcePort, protocol }) => protocol === 1 || (sourcePort ?? 0) > 1024));
  });
  void it("are all there, however they come: none is told twice, none is lost between two readings", async () => {
    using pair = new Pair();
    const [count, ports] = [6_000, 40];
    const news = await collect(
      pair,
      async () => {
        for (let part = 0; part < 6; part++) {
          pair.send(pair.container, "10.65.0.1", count / 6, ports);
          await sleep(400); // a reading between them
        }
      },
      (seen) => countOf(seen) >= count,
    );
    const byPort = new Map<number | undefined, number>();
    for (const one of connectionsOf(news))
      byPort.set(one.destinationPort, (byPort.get(one.destinationPort) ?? 0) + one.count);
    assert.equal(byPort.size, ports);
    assert.deepEqual(new Set(byPort.values()), new Set([count / ports]));
    assert.equal(lostOf(news), 0);
  });
  void it("are told again when they come again after the kernel has forgotten them", async () => {
    using pair = new Pair();
    const news = await collect(
      pair,
      async (seen) => {
        pair.send(pair.container, "10.65.0.1", 1);
        const listed = (): string => pair.host.run("nft", "list", "map", "inet", CONNECTION_TABLE, "connections4");
        for (const end = Date.now() + 20_000; countOf(seen) < 1 && Date.now() < end; ) await sleep(20);
        assert.match(listed(), /10\.65\.0\.2 \. 10\.65\.0\.1 \. udp \. 9000/);
        for (const end = Date.now() + 20_000; listed().includes("10.65.0.2") && Date.now() < end; ) await sleep(100);
        pair.send(pair.container, "10.65.0.1", 1);
      },
      (seen) => countOf(seen) >= 2,
    );
    assert.equal(countOf(news), 2);
  });
  void it("that are dropped behind our rules are not told; their translated ones by who answers", async () => {
    using pair = new Pair();
    pair.host.ip("addr add 192.0.2.1/32 dev lo");
    pair.container.ip("route add 192.0.2.0/24 via 10.65.0.1");
    pair.host.run(
      "nft",
      `table inet t {
        chain i { type filter hook input priority 10; udp dport 9001 drop; };
        chain p { type nat hook prerouting priority -100; ip daddr 192.0.2.9 udp dport 9000 dnat ip to 192.0.2.1:9003; };
        chain s { type nat hook postrouting priority 0; masquerade; };
      }`,
    );
    const news = await collect(
      pair,
      () => {
        pair.send(pair.container, "10.65.0.1", 4, 2);
        pair.send(pair.container, "192.0.2.9", 1);
      },
      (seen) => countOf(seen) >= 3,
    );
    const told = connectionsOf(news).map((one) => `${one.destination}:${one.destinationPort} ${one.count}`);
    assert.deepEqual(told.sort(), ["10.65.0.1:9000 2", "192.0.2.1:9003 1"]);
  });
  void it("for which there is no room are counted as lost", async () => {
    using pair = new Pair();
    const sent = MAX_ELEMENTS + 2_000;
    const news = await collect(
      pair,
      () => pair.send(pair.container, "10.65.0.1", sent, sent),
      (seen) => countOf(seen) + lostOf(seen) >= sent,
    );
    assert.equal(countOf(news) + lostOf(news), sent);
  });
  void it("have one who counts: the next one is told; and nothing is left of it", () => {
    using pair = new Pair();
    const abort = new AbortController();
    newConnections(abort.signal, pair.host.path);
    assert.throws(() => newConnections(abort.signal, pair.host.path), { code: "busy", message: /another process/ });
    assert.match(pair.host.run("nft", "list", "ruleset"), /update @connections6/);
    abort.abort();
    assert.equal(pair.host.run("nft", "list", "ruleset"), "");
  });
});
