import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Docker, PluginHost } from "../../../tests/plugin/plugin-fixture.ts";
import { Inside, type InsideWork } from "./inside.ts";

describe("the inside of a container", () => {
  let plugin: PluginHost;
  let docker: Docker;
  let net: string;
  let done: { id: string; work: InsideWork }[];
  let attempts: string[];
  let ready: boolean;
  let inside: Inside;

  /** Hooks at the top of a file would be those of every file: all tests run in one process. */
  function fresh(): void {
    beforeEach(async () => {
      plugin = await PluginHost.start();
      docker = new Docker(plugin);
      net = await docker.createNetwork(1, "apps");
      done = [];
      attempts = [];
      ready = false;
      inside = new Inside(plugin.context, ({ id }, work) => {
        attempts.push(id);
        if (!ready) return Promise.reject(new Error("no sandbox yet"));
        done.push({ id, work });
        return Promise.resolve();
      });
    });
    afterEach(async () => {
      await inside[Symbol.asyncDispose]();
      await plugin[Symbol.asyncDispose]();
    });
  }

  describe("Inside", () => {
    fresh();
    it("tries until the sandbox is there, and then no more", async () => {
      const web = docker.createContainer("web", net);
      const { endpoint } = await docker.start(web, net, { options: { addresses: "10.65.0.9" } });
      assert.deepEqual(plugin.joined, [endpoint]);
      inside.wake(endpoint);
      inside.wake(endpoint);
      while (attempts.length < 3) await sleep(5);
      ready = true;
      while (done.length === 0) await sleep(5);
      assert.deepEqual(done, [{ id: endpoint, work: { addresses: ["10.65.0.9"] } }]);
      const before = attempts.length;
      await sleep(60);
      assert.equal(attempts.length, before);
    });

    it("has nothing to do for most", async () => {
      const { endpoint } = await docker.start(docker.createContainer("web", net), net);
      inside.wake(endpoint);
      inside.wake("f".repeat(64));
      await sleep(30);
      assert.equal(attempts.length, 0);
    });

    it("gives each interface of a container with several a way out of its own", async () => {
      const other = await docker.createNetwork(2, "other", { ipv6: true });
      const web = docker.createContainer("web", net);
      const sandbox = "/var/run/docker/netns/aaaaaaaaaaaa";
      const first = await docker.start(web, net, { sandbox });
      const second = await docker.start(web, other, { sandbox });
      ready = true;
      inside.wake(second.endpoint);
      while (done.length < 2) await sleep(5);
      const bare = ({ addresses }: typeof first): string[] =>
        addresses.map(({ Address }) => Address.split("/")[0] ?? "");
      const [v4, v6] = bare(second);
      const ways = new Map(done.map(({ id, work }) => [id, work.sourceRoutes]));
      assert.deepEqual(ways.get(first.endpoint)?.routes, [{ source: bare(first)[0], gateway: "169.254.1.1" }]);
      assert.deepEqual(ways.get(second.endpoint)?.routes, [
        { source: v4, gateway: "169.254.1.2" },
        { source: v6, gateway: "fe80::2" },
      ]);
      assert.notEqual(ways.get(first.endpoint)?.table, ways.get(second.endpoint)?.table);
    });

    it("gives up when the container does", async () => {
      const web = docker.createContainer("web", net);
      const started = await docker.start(web, net, { options: { addresses: "10.65.0.9" } });
      inside.wake(started.endpoint);
      while (attempts.length < 2) await sleep(5);
      await plugin.ok("NetworkDriver.Leave", { NetworkID: net, EndpointID: started.endpoint });
      await sleep(40);
      const before = attempts.length;
      await sleep(60);
      assert.equal(attempts.length, before);
    });
  });
});
