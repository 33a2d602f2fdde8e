/** What one host publishes of its endpoints, another one knows: after changes, outages, restarts, and values of other versions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { endpointKey, publishEndpoint, readEndpoint } from "../../core/calc/published.ts";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import { JournalTracker } from "../../core/calc/tracker.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import type { Store } from "../../drivers/store/store.ts";
import { EndpointPublisher } from "./endpoint-publisher.ts";
import { RemoteEndpoints } from "./remote-endpoints.ts";
import { sayUsers } from "./users.ts";

function endpoint(host: string, id: string, more: Partial<Endpoint> = {}): Endpoint {
  const base = { host, container: `c${id}`, network: "apps", namespace: "shop", ...more };
  return {
    id,
    addresses: ["10.65.0.2", "fd65::2"],
    labels: new Map([
      ["role", "web"],
      ["manx/container", base.container],
      ["manx/network", base.network],
      ["manx/host", host],
      ["projectcalico.org/namespace", base.namespace],
      ["projectcalico.org/orchestrator", "docker"],
    ]),
    profiles: [base.network],
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
    published: [{ protocol: "TCP", port: 80 }],
    ...base,
  };
}

class Publishing implements AsyncDisposable {
  readonly own = new Map<string, Endpoint>();
  readonly publisher: EndpointPublisher;
  trouble: string | undefined;
  waiting = 0;

  constructor(store: Store, host: string) {
    this.publisher = new EndpointPublisher({
      store,
      host,
      endpoints: () => this.own.values(),
      onTrouble: (why, waiting) => {
        this.trouble = why;
        this.waiting = waiting;
      },
    });
  }

  put(one: Endpoint): void {
    this.own.set(one.id, one);
    this.publisher.look();
  }

  drop(id: string): void {
    this.own.delete(id);
    this.publisher.look();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.publisher[Symbol.asyncDispose]();
  }
}

function follow(store: Store, host: string) {
  const stop = new AbortController();
  const bad: string[] = [];
  const remote = new RemoteEndpoints({
    store,
    host,
    onChange: () => undefined,
    onBadValue: (key, why) => void (why !== undefined && bad.push(key)),
    onTrouble: () => undefined,
  });
  const running = remote.follow(stop.signal);
  return {
    remote,
    bad,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

async function eventually(check: () => void): Promise<void> {
  for (const end = Date.now() + 5000; ; await sleep(2)) {
    try {
      return check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

const ids = (remote: RemoteEndpoints): string[] => [...remote.values()].map(({ id }) => id.replace("@a", "")).sort();

describe("published endpoints", () => {
  it("keep to themselves the ports that only their own host may use", () => {
    const published: Endpoint["published"] = [
      { protocol: "TCP", port: 80, host: { address: "", port: 8080 } },
      { protocol: "TCP", port: 81, host: { address: "127.0.0.1", port: 8081 } },
      { protocol: "TCP", port: 82, host: { address: "::1", port: 8082 } },
    ];
    const read = readEndpoint({ host: "h1", id: "a" }, publishEndpoint(endpoint("h1", "a", { published })));
    assert.deepEqual(read?.published, [{ protocol: "TCP", port: 80 }]);
  });

  it("are read back as they were, without what only their host needs", () => {
    for (const one of [
      endpoint("a", "1"),
      endpoint("a", "2", { container: "", namespace: "default", labels: new Map(), profiles: ["x", "y"] }),
    ]) {
      const { labels, ...rest } = readEndpoint({ host: "a", id: one.id }, publishEndpoint(one)) as Endpoint;
      const { labels: given, ...before } = one;
      assert.deepEqual(rest, before);
      for (const [name, value] of given) assert.equal(labels.get(name), value);
    }
    const local = { interface: "i", peer: "p", mac: "m", mtu: 1, gatewayIndex: 1, joined: true };
    assert.doesNotMatch(publishEndpoint(endpoint("a", "1", { local })), /gatewayIndex/);
  });
  it("of a newer version are read as far as they are understood, of an older one with defaults", () => {
    const newer = JSON.stringify({
      ...JSON.parse(publishEndpoint(endpoint("a", "1"))),
      zone: { x: 1 },
      ports: [{ name: "q", protocol: "QUIC", port: 1 }],
    });
    assert.deepEqual(readEndpoint({ host: "a", id: "1" }, newer)?.ports, []);
    const older = readEndpoint({ host: "a", id: "1" }, '{"network":"apps"}');
    assert.deepEqual([older?.addresses, older?.namespace, older?.profiles], [[], "default", ["apps"]]);
  });
  it("that are no endpoints are left out, whatever they are", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const read = readEndpoint({ host: "a", id: "1" }, text);
        assert.ok(read === undefined || read.network !== "");
      }),
    );
  });
  it("are known to the other hosts, change by change, and gone when they are gone", async () => {
    await using store = new MemoryStore();
    await using a = new Publishing(store, "a");
    await using b = follow(store, "b");
    a.put(endpoint("a", "1"));
    a.put(endpoint("a", "2", { container: "db" }));
    await eventually(() => assert.deepEqual(ids(b.remote), ["1", "2"]));
    assert.equal(sayUsers(b.remote.onNetwork("apps")), 'host "a" (c1, db)');
    a.drop("1");
    await eventually(() => assert.deepEqual(ids(b.remote), ["2"]));
    assert.deepEqual(b.remote.departed.addresses("apps", "c1"), ["10.65.0.2", "fd65::2"]);
    a.drop("2");
    await eventually(() => assert.equal(sayUsers(b.remote.onNetwork("apps")), undefined));
    assert.deepEqual(b.remote.departed.containers("apps"), ["db", "c1"]);
  });
  it("wait while the store is away, are counted, and then all are there; what an earlier life left goes", async () => {
    await using store = new MemoryStore();
    await store.commit({
      ops: [{ kind: "put", key: endpointKey("a", "left"), value: publishEndpoint(endpoint("a", "left")) }],
    });
    await using a = new Publishing(store, "a");
    await using b = follow(store, "b");
    await eventually(() => assert.deepEqual(ids(b.remote), ["left"]));
    store.fail("away");
    for (let i = 0; i < 250; i++) a.put(endpoint("a", String(i)));
    await eventually(() => assert.match(a.trouble ?? "", /away/));
    assert.equal(a.waiting, 250);
    store.fail(undefined);
    await eventually(() => assert.equal(ids(b.remote).length, 250));
    assert.ok(!ids(b.remote).includes("left"));
    assert.equal(a.trouble, undefined);
  });
  it("do not include what this host itself published, and survive a clash of IDs", async () => {
    await using store = new MemoryStore();
    await using a = new Publishing(store, "a");
    await using copy = new Publishing(store, "copy");
    await using b = follow(store, "b");
    await using own = follow(store, "a");
    a.put(endpoint("a", "1"));
    await eventually(() => assert.deepEqual(ids(b.remote), ["1"]));
    copy.put(endpoint("copy", "1"));
    await eventually(() => assert.deepEqual(ids(b.remote), ["1", "1@copy"]));
    assert.deepEqual(
      [...own.remote.values()].map(({ host }) => host),
      ["copy"],
    );
    copy.drop("1");
    await eventually(() => assert.deepEqual(ids(b.remote), ["1"]));
  });
  it("with labels without end do not hold up the others", async () => {
    await using store = new MemoryStore();
    await using a = new Publishing(store, "a");
    await using b = follow(store, "b");
    a.put(endpoint("a", "1", { labels: new Map([["big", "x".repeat(3_000_000)]]) }));
    a.put(endpoint("a", "2"));
    await eventually(() => assert.deepEqual(ids(b.remote), ["1", "2"]));
  });
  it("give who follows each change once, and everything to who missed too much", async () => {
    await using store = new MemoryStore();
    await using a = new Publishing(store, "a");
    await using b = follow(store, "b");
    const tracker = new JournalTracker<Endpoint>();
    const seen = new Map<string, Endpoint>();
    const look = (): number => {
      const { upserts, removed } = tracker.update(b.remote);
      for (const one of removed) seen.delete(one.id);
      for (const one of upserts) seen.set(one.id, one);
      return upserts.length + removed.length;
    };
    for (let i = 0; i < 50; i++) a.put(endpoint("a", String(i)));
    await eventually(() => assert.equal(b.remote.size, 50));
    assert.equal(look(), 50);
    assert.equal(look(), 0);
    a.drop("7");
    a.put(endpoint("a", "8", { container: "other" }));
    await eventually(() => assert.equal(b.remote.size, 49));
    await eventually(() => assert.equal([...b.remote.values()].find(({ id }) => id === "8@a")?.container, "other"));
    assert.equal(look(), 2);
    for (let round = 0; round < 90; round++) {
      for (let i = 0; i < 50; i++) a.own.set(String(i), endpoint("a", String(i), { container: `r${round}` }));
      a.own.set("last", endpoint("a", "last", { container: `r${round}` }));
      a.publisher.look();
      await sleep(0);
    }
    await eventually(() => assert.equal([...b.remote.values()].find(({ id }) => id === "last@a")?.container, "r89"));
    look();
    assert.equal(seen.size, b.remote.size);
    for (const one of b.remote.values()) assert.equal(seen.get(one.id), one);
  });
});
