import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Docker, PluginHost } from "../../../tests/plugin/plugin-fixture.ts";
import { followEngine } from "./follow.ts";

describe("events", () => {
  let plugin: PluginHost;
  let docker: Docker;
  let abort: AbortController;
  let following: Promise<void>;
  let seen: string[];

  /** Hooks at the top of a file would be those of every file: all tests run in one process. */
  function fresh(): void {
    beforeEach(async () => {
      plugin = await PluginHost.start();
      docker = new Docker(plugin);
      abort = new AbortController();
      seen = [];
      const hooks = {
        onResync: () => seen.push("resync"),
        onLost: () => seen.push("lost"),
        onDoubt: () => seen.push("doubt"),
        onStart: (endpoint: string) => seen.push(`start ${endpoint}`),
      };
      following = followEngine(plugin.context, hooks, abort.signal);
      await until(() => seen.includes("resync") && plugin.engine.listening === 1);
    });
    afterEach(async () => {
      abort.abort();
      await following;
      await plugin[Symbol.asyncDispose]();
    });
  }

  async function until(condition: () => boolean): Promise<void> {
    for (let i = 0; i < 400 && !condition(); i++) await sleep(5);
    assert.ok(condition(), `${condition.toString()}: ${seen.join()} ${plugin.logged.join("\n")}`);
  }

  const containerOf = (endpoint: string) => plugin.host.state.endpoints.get(endpoint)?.container;

  describe("followEngine", () => {
    fresh();
    it("knows which container has which name, through rename and destroy", async () => {
      const { index } = plugin.context;
      await until(() => !index.mayExist("web"));
      plugin.engine.emit("container", "create", "1", { name: "web" });
      await until(() => index.idOf("web") === "1");
      plugin.engine.emit("container", "rename", "1", { name: "old", oldName: "/web" });
      plugin.engine.emit("container", "create", "2", { name: "web" });
      await until(() => index.idOf("web") === "2" && index.idOf("old") === "1");
      assert.deepEqual(index.byCreation(["x", "web", "old"]), ["old", "web", "x"]);
      plugin.engine.emit("container", "destroy", "1", { name: "old" });
      await until(() => !index.mayExist("old") && index.mayExist("web"));
      docker.createContainer("missed", "none");
      plugin.engine.cut();
      await until(() => index.mayExist("missed") && !index.mayExist("web"));
      plugin.engine.failure = { status: 500, message: "no" };
      plugin.engine.cut();
      await until(() => index.mayExist("web"));
    });

    it("learns a network's name", async () => {
      const net = await docker.createNetwork(1, "apps");
      assert.equal(plugin.host.state.networks.get(net)?.name, undefined);
      plugin.engine.emit("network", "create", net, { name: "apps", type: "manx" });
      await until(() => plugin.host.state.networks.get(net)?.name === "apps");
    });

    it("follows a rename, and keeps the address for the new name", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net, { role: "web" });
      const { endpoint, addresses } = await docker.start(web, net);
      const container = plugin.engine.containers.get(web);
      assert.ok(container);
      plugin.engine.containers.set(web, { ...container, name: "front" });
      plugin.engine.emit("container", "rename", web, { name: "front", oldName: "/web" });
      await until(() => containerOf(endpoint)?.name === "front");
      assert.equal(containerOf(endpoint)?.labels["role"], "web");
      assert.deepEqual(
        plugin.host.addresses.remembered(net, "front"),
        addresses.map(({ Address }) => Address.replace(/\/.*/, "")),
      );
    });

    it("asks again for an endpoint whose Join got no answer", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net, { role: "web" });
      plugin.engine.failure = { status: 500, message: "no" };
      const { endpoint } = await docker.start(web, net);
      plugin.engine.failure = undefined;
      plugin.engine.emit("container", "start", web, { name: "web" });
      await until(() => containerOf(endpoint)?.labels["role"] === "web");
    });

    it("tells when a container runs, or was connected", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      const { endpoint } = await docker.start(web, net);
      plugin.engine.emit("container", "start", web, { name: "web" });
      await until(() => seen.includes(`start ${endpoint}`));
      seen.length = 0;
      plugin.engine.emit("network", "connect", net, { name: "apps", type: "manx", container: web });
      await until(() => seen.includes(`start ${endpoint}`));
    });

    it("has doubts where something went without a word to us", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      await docker.start(web, net);
      plugin.engine.emit("container", "destroy", web, { name: "web" });
      await until(() => seen.includes("doubt"));
      seen.length = 0;
      plugin.engine.emit("network", "destroy", net, { name: "apps", type: "manx" });
      await until(() => seen.includes("doubt"));
    });

    it("goes on after an event that could not be followed, and after the engine was away", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      const { endpoint } = await docker.start(web, net);
      plugin.engine.failure = { status: 500, message: "no" };
      plugin.engine.emit("container", "rename", web, { name: "front", oldName: "/web" });
      await until(() => plugin.logged.some((line) => line.includes("could not be followed")));
      plugin.engine.failure = undefined;
      seen.length = 0;
      plugin.engine.cut();
      await until(() => seen.includes("resync"));
      assert.deepEqual(seen, ["lost", "resync"]);
      const container = plugin.engine.containers.get(web);
      assert.ok(container);
      plugin.engine.containers.set(web, { ...container, name: "front" });
      plugin.engine.emit("container", "rename", web, { name: "front", oldName: "/web" });
      await until(() => containerOf(endpoint)?.name === "front");
    });
  });
});
