import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Docker, PluginHost, type Started } from "../../../tests/plugin/plugin-fixture.ts";

describe("sticky addresses", () => {
  let plugin: PluginHost;
  let docker: Docker;

  /** Hooks at the top of a file would be those of every file: all tests run in one process. */
  function fresh(): void {
    beforeEach(async () => {
      plugin = await PluginHost.start();
      docker = new Docker(plugin);
    });
    afterEach(() => plugin[Symbol.asyncDispose]());
  }

  const addressesOf = ({ addresses }: Started): string[] => addresses.map(({ Address }) => Address);

  /** Runs and ends one container after the other, all alive at once in between. */
  async function runAll(net: string, names: readonly string[]): Promise<Map<string, string[]>> {
    const had = new Map<string, string[]>();
    const all = [];
    for (const name of names) {
      const container = docker.createContainer(name, net);
      const started = await docker.start(container, net);
      had.set(name, addressesOf(started));
      all.push([container, started] as const);
    }
    for (const [container, started] of all) {
      await docker.stop(container, net, started);
      plugin.engine.containers.delete(container);
    }
    return had;
  }

  describe("a container that comes back under its name", () => {
    fresh();
    it("gets its addresses back, both families, whatever else was there", async () => {
      const net = await docker.createNetwork(1, "apps", { ipv6: true });
      const had = await runAll(net, ["a", "b", "c", "d"]);
      for (const name of ["c", "a", "d", "b"]) {
        const container = docker.createContainer(name, net);
        assert.deepEqual(addressesOf(await docker.start(container, net)), had.get(name), name);
      }
    });

    it("is looked for once for both families", async () => {
      const net = await docker.createNetwork(1, "apps", { ipv6: true });
      await runAll(net, ["a"]);
      plugin.engine.requests.length = 0;
      await docker.start(docker.createContainer("a", net), net);
      assert.equal(plugin.engine.requests.filter((line) => line.includes("/containers/a/json")).length, 1);
    });

    it("gets them back after the agent was restarted, and by docker restart", async () => {
      const net = await docker.createNetwork(1, "apps");
      const a = docker.createContainer("a", net);
      const b = docker.createContainer("b", net);
      const first = await docker.start(a, net);
      const other = await docker.start(b, net);
      await plugin.restart();
      await docker.stop(a, net, first);
      await docker.stop(b, net, other);
      assert.deepEqual(addressesOf(await docker.start(b, net)), addressesOf(other));
      assert.deepEqual(addressesOf(await docker.start(a, net)), addressesOf(first));
    });

    it("gets another while somebody else has it", async () => {
      const net = await docker.createNetwork(1, "apps");
      const had = await runAll(net, ["a"]);
      const [address = ""] = had.get("a") ?? [];
      await docker.start(docker.createContainer("thief", net), net, { ip: address.replace("/32", "") });
      const back = addressesOf(await docker.start(docker.createContainer("a", net), net));
      assert.notEqual(back[0], address);
    });

    it("does not on sticky=off", async () => {
      const net = await docker.createNetwork(1, "apps", { options: { sticky: "off" } });
      const had = await runAll(net, ["a"]);
      assert.deepEqual(plugin.host.addresses.rememberedNames(net), []);
      const back = addressesOf(await docker.start(docker.createContainer("a", net), net));
      assert.notDeepEqual(back, had.get("a"), "longest released first");
    });

    it("does on one network and not by what it had on another", async () => {
      const one = await docker.createNetwork(1, "one");
      const two = await docker.createNetwork(2, "two");
      const had = await runAll(one, ["a"]);
      const container = docker.createContainer("a", two);
      assert.notDeepEqual(addressesOf(await docker.start(container, two)), had.get("a"));
    });
  });

  describe("a new name", () => {
    fresh();
    it("does not get what a stopped container will want back", async () => {
      const net = await docker.createNetwork(1, "apps");
      const old = docker.createContainer("old", net);
      const started = await docker.start(old, net);
      await docker.stop(old, net, started);
      const fresh = await docker.start(docker.createContainer("fresh", net), net);
      assert.notDeepEqual(addressesOf(fresh), addressesOf(started));
      assert.deepEqual(addressesOf(await docker.start(old, net)), addressesOf(started));
    });

    it("costs no question to Docker where nobody can come back", async () => {
      const net = await docker.createNetwork(1, "apps");
      await docker.start(docker.createContainer("a", net), net);
      plugin.engine.requests.length = 0;
      await docker.start(docker.createContainer("b", net), net);
      assert.deepEqual(
        plugin.engine.requests.filter((line) => !line.includes("%5E%2Fb%24")).map((line) => line.split("?")[0]),
        [`GET /networks/${net}`],
      );
    });
  });

  describe("containers started side by side", () => {
    fresh();

    /** All are under work at once; Docker asks for them in this order. */
    async function together(net: string, names: readonly string[], order: readonly string[]): Promise<string[]> {
      const containers = new Map(names.map((name) => [name, docker.createContainer(name, net)]));
      const lockAll = (): void => containers.forEach((container) => plugin.engine.locked.add(container));
      const back: string[] = [];
      for (const name of order) {
        lockAll();
        back.push(...addressesOf(await docker.start(containers.get(name) ?? "", net)));
      }
      plugin.engine.locked.clear();
      return back;
    }

    for (const order of ["abcd", "dcba", "cadb", "bdac"])
      it(`keep their addresses among them, asked for in the order ${order}`, async () => {
        const net = await docker.createNetwork(1, "apps");
        const names = "abcd".split("");
        const had = await runAll(net, names);
        assert.deepEqual(new Set(await together(net, names, order.split(""))), new Set([...had.values()].flat()));
      });
  });

  describe("an engine that does not answer", () => {
    fresh();
    it("costs the old address and a little time, never the start", async () => {
      const net = await docker.createNetwork(1, "apps");
      await runAll(net, ["a"]);
      plugin.engine.frozen = true;
      const begun = performance.now();
      const pool = docker.pools.get(net)?.[0]?.PoolID;
      const answer = await plugin.ok("IpamDriver.RequestAddress", { PoolID: pool, Address: "", Options: {} });
      assert.match(String(answer["Address"]), /^10\.65/);
      assert.ok(performance.now() - begun < 1500);
    });
  });
});
