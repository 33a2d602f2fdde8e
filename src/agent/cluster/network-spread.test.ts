/** Several hosts, one store, engines in memory: the same networks everywhere, whoever makes and removes them, and when. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CreateNetwork, Engine } from "../../drivers/docker/engine.ts";
import type { EngineContainer, EngineNetwork } from "../../drivers/docker/values.ts";
import { DriverError } from "../../drivers/error.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import { planNetworks } from "./network-plan.ts";
import { definitionOf, type NetworkRecord } from "./network-record.ts";
import { NetworkSpread } from "./network-spread.ts";

class Host implements AsyncDisposable {
  readonly name: string;
  readonly networks = new Map<string, EngineNetwork>();
  readonly containers: EngineContainer[] = [];
  readonly meta = new Map<string, string>();
  readonly said = new Map<string, string>();
  users: string | undefined;
  down = false;
  spread: NetworkSpread;
  readonly #store: MemoryStore;
  #stop = new AbortController();
  #running: Promise<void>;

  constructor(name: string, store: MemoryStore) {
    this.name = name;
    this.#store = store;
    this.spread = this.#make();
    this.#running = this.spread.run(this.#stop.signal);
  }

  #make(): NetworkSpread {
    const say = (kind: string) => (network: string, why: string | undefined) => {
      if (why === undefined) this.said.delete(`${kind} ${network}`);
      else this.said.set(`${kind} ${network}`, why);
    };
    return new NetworkSpread({
      state: {
        meta: (key) => this.meta.get(key),
        setMeta: (key, value) => void (value === undefined ? this.meta.delete(key) : this.meta.set(key, value)),
        change: (work) => work(),
        endpoints: new Map(),
      },
      store: this.#store,
      engine: this.#engine(),
      host: this.name,
      usedElsewhere: () => this.users,
      ready: () => true,
      onChange: () => undefined,
      onConflict: say("conflict"),
      onKept: say("kept"),
      onTrouble: say("trouble"),
      log: () => undefined,
    });
  }

  #engine(): Engine {
    const check = (): void => {
      if (this.down) throw new DriverError("unavailable", "Cannot reach Docker");
    };
    return {
      networks: async () => {
        check();
        return [...this.networks.values()];
      },
      containers: async () => {
        check();
        return this.containers;
      },
      createNetwork: async (asked: CreateNetwork) => {
        check();
        return this.#create(asked);
      },
      removeNetwork: async (id: string) => {
        check();
        this.rm(this.networks.get(id)?.name ?? "");
      },
    } as unknown as Engine;
  }

  #create(asked: CreateNetwork): string {
    if (this.has(asked.name)) throw new DriverError("exists", `network with name ${asked.name} already exists`);
    const id = randomUUID();
    this.networks.set(id, {
      id,
      name: asked.name,
      driver: "manx",
      scope: "local",
      created: "",
      internal: asked.internal ?? false,
      enableIPv4: asked.ipv4 ?? true,
      enableIPv6: asked.ipv6 ?? false,
      options: asked.options ?? {},
      labels: asked.labels ?? {},
      ipamDriver: "manx",
      ipamOptions: asked.ipamOptions ?? {},
      ipamConfig: (asked.pools ?? [{ subnet: "0.0.0.0/0" }]).map((pool) => {
        return { ipRange: "", gateway: "0.0.0.0/3", auxAddresses: {}, ...pool };
      }),
      endpoints: [],
    });
    return id;
  }

  /** `docker network create`. */
  create(name: string, more: Partial<CreateNetwork> = {}): void {
    this.#create({ name, driver: "manx", ...more });
    this.spread.look();
  }

  /** `docker network rm`. */
  rm(name: string): void {
    const found = this.find(name);
    if (this.containers.some(({ attachments, state }) => state === "running" && attachments[0]?.network === name))
      throw new DriverError("busy", "has active endpoints");
    if (found === undefined) return;
    this.networks.delete(found.id);
    this.spread.removed(found.id);
    this.spread.look();
  }

  find(name: string): EngineNetwork | undefined {
    return [...this.networks.values()].find((network) => network.name === name);
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  run(name: string, network: string, state = "running"): void {
    const attachments = [{ network, networkId: this.find(network)?.id ?? "", endpointId: "" }];
    this.containers.push({ id: name, name, image: "", labels: {}, state, created: 0, attachments });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  start(): void {
    this.#stop = new AbortController();
    this.spread = this.#make();
    this.#running = this.spread.run(this.#stop.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function hosts(...names: string[]) {
  const store = new MemoryStore();
  const all = names.map((name) => new Host(name, store));
  return {
    store,
    all,
    async [Symbol.asyncDispose]() {
      for (const host of all) await host.stop();
      await store[Symbol.asyncDispose]();
    },
  };
}

async function eventually(check: () => void): Promise<void> {
  for (const end = Date.now() + 5000; ; await sleep(5)) {
    try {
      return check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

const settled = (): Promise<void> => sleep(60);

describe("networks of a cluster", () => {
  it("come to be and go on all hosts, with all that was said of them", async () => {
    await using cluster = await hosts("a", "b", "c");
    const [a, b, c] = cluster.all as [Host, Host, Host];
    const more = {
      ipv6: true,
      internal: true,
      options: { mtu: "1400" },
      ipamOptions: { ipv4: "on" },
      labels: { "com.docker.compose.network": "apps" },
      pools: [
        { subnet: "10.77.0.0/24", ipRange: "10.77.0.0/25", gateway: "10.77.0.1", auxAddresses: { x: "10.77.0.9" } },
      ],
    };
    a.create("apps", more);
    await eventually(() => assert.ok(b.has("apps") && c.has("apps")));
    for (const host of [b, c]) {
      assert.deepEqual(definitionOf(host.find("apps") as EngineNetwork), definitionOf(a.find("apps") as EngineNetwork));
      assert.deepEqual(host.find("apps")?.labels, more.labels);
    }
    b.rm("apps");
    await eventually(() => assert.ok(!a.has("apps") && !b.has("apps") && !c.has("apps")));
    await settled();
    assert.ok(!cluster.all.some((host) => host.has("apps")));
    assert.deepEqual((await cluster.store.list("/manx/v1/networks/")).entries.length, 1); // which store it is
  });
  it("with everywhere=no stay where they are", async () => {
    await using cluster = await hosts("a", "b");
    const [a, b] = cluster.all as [Host, Host];
    a.create("mine", { options: { everywhere: "no" } });
    a.create("ours");
    await eventually(() => assert.ok(b.has("ours")));
    assert.ok(!b.has("mine"));
  });
  it("made on two hosts at once with equal options are one", async () => {
    await using cluster = await hosts("a", "b", "c");
    const [a, b, c] = cluster.all as [Host, Host, Host];
    a.create("apps", { options: { mtu: "1400" } });
    b.create("apps", { options: { mtu: "1400", everywhere: "yes" } });
    await eventually(() => assert.ok(c.has("apps")));
    await settled();
    for (const host of cluster.all) assert.deepEqual([...host.said], []);
    c.rm("apps");
    await eventually(() => assert.ok(!a.has("apps") && !b.has("apps")));
  });
  it("made on two hosts at once with other options: the later one is refused, with a sentence, until it is removed", async () => {
    await using cluster = await hosts("a", "b");
    const [a, b] = cluster.all as [Host, Host];
    b.down = true;
    a.create("apps", { options: { mtu: "1400" } });

    await settled();
    b.create("apps", { options: { mtu: "1500" } });
    b.down = false;
    b.spread.look();
    const id = b.find("apps")?.id ?? "";
    await eventually(() => assert.match(b.spread.refusal(id) ?? "", /host "a".*mtu is 1500 here and 1400 there/));
    assert.match(b.said.get("conflict apps") ?? "", /docker network rm apps/);
    b.rm("apps");
    await eventually(() => assert.equal(b.find("apps")?.options["mtu"], "1400"));
    assert.equal(b.said.size, 0);
  });
  it("that other hosts use are kept, and it is said who uses them", async () => {
    await using cluster = await hosts("a", "b");
    const [a, b] = cluster.all as [Host, Host];
    a.create("apps");
    await eventually(() => assert.ok(b.has("apps")));
    b.run("web", "apps");
    a.users = 'host "b" (web)';
    a.rm("apps");
    await eventually(() => assert.match(a.said.get("kept apps") ?? "", /host "b" \(web\)/));
    await eventually(() => assert.ok(a.has("apps")));
    assert.ok(b.has("apps"));
    a.users = undefined;
    b.containers.pop();
    a.rm("apps");
    await eventually(() => assert.ok(!b.has("apps")));
    assert.equal(a.said.size, 0);
  });
  it("are kept where a stopped container is on one, of which the others know nothing", async () => {
    await using cluster = await hosts("a", "b");
    const [a, b] = cluster.all as [Host, Host];
    a.create("apps");
    await eventually(() => assert.ok(b.has("apps")));
    b.run("web", "apps", "exited");
    a.rm("apps");
    await eventually(() => assert.match(b.said.get("kept apps") ?? "", /web/));
    await eventually(() => assert.ok(a.has("apps")));
  });
  it("are caught up with after an engine, an agent or the store was away", async () => {
    await using cluster = await hosts("a", "b", "c");
    const [a, b, c] = cluster.all as [Host, Host, Host];
    a.create("old");
    await eventually(() => assert.ok(b.has("old") && c.has("old")));
    b.down = true;
    await c.stop();
    a.rm("old");
    a.create("new");
    await settled();
    c.start();
    b.down = false;
    b.spread.look();
    await eventually(() => {
      for (const host of [b, c])
        assert.deepEqual(
          [...host.networks.values()].map(({ name }) => name),
          ["new"],
        );
    });
    cluster.store.fail("away");
    a.create("later");
    a.rm("new");
    await settled();
    cluster.store.fail(undefined);
    for (const host of cluster.all) host.spread.look();
    await eventually(() => {
      for (const host of cluster.all)
        assert.deepEqual(
          [...host.networks.values()].map(({ name }) => name),
          ["later"],
        );
    });
  });
  it("are made again where an engine has lost them, and do not go with it", async () => {
    await using cluster = await hosts("a", "b");
    const [a, b] = cluster.all as [Host, Host];
    a.create("apps");
    await eventually(() => assert.ok(b.has("apps")));
    b.networks.clear(); // its data folder was wiped
    b.spread.look();
    await eventually(() => assert.ok(b.has("apps")));
    assert.ok(a.has("apps"));
  });
  it("are told to a store that was lost and begun anew", async () => {
    const store = new MemoryStore();
    const fresh = new MemoryStore();
    const a = new Host("a", store);
    a.create("apps");
    await eventually(() => assert.ok(a.meta.get("cluster-networks")?.includes("apps") === true));
    await a.stop();
    const again = new Host("a", fresh);
    for (const [key, value] of a.meta) again.meta.set(key, value);
    for (const [id, network] of a.networks) again.networks.set(id, network);
    again.spread.look();
    await eventually(() => assert.equal(again.spread.records.length, 1));
    assert.ok(again.has("apps"));
    await again.stop();
    for (const one of [store, fresh]) await one[Symbol.asyncDispose]();
  });
  it("made anew after a removal are another one: a late removal of the first does not touch it", () => {
    const definition = { internal: false, ipv4: true, ipv6: false, options: {}, ipamOptions: {}, pools: [] };
    const record: NetworkRecord = { name: "n", uid: "second", definition, labels: {}, madeOn: "b", madeAt: "" };
    const known = [{ id: "1", name: "n", uid: "first", removed: true }];
    const records = new Map([["n", record]]);
    assert.deepEqual(planNetworks({ here: [], records, known, usedElsewhere: () => undefined }), [
      { do: "forget", id: "1" },
      { do: "create", record },
    ]);
  });
});
