import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Docker, PluginHost } from "../../../tests/plugin/plugin-fixture.ts";
import { Inspector } from "../../drivers/docker/inspect.ts";
import { DriverError } from "../../drivers/error.ts";
import { EngineReconcile, type EngineReport } from "./reconcile.ts";

describe("EngineReconcile", () => {
  let plugin: PluginHost;
  let docker: Docker;
  let inspector: Inspector;
  let reconcile: EngineReconcile;

  /** Hooks at the top of a file would be those of every file: all tests run in one process. */
  function fresh(): void {
    beforeEach(async () => {
      plugin = await PluginHost.start();
      docker = new Docker(plugin);
      inspector = new Inspector({ socketPath: plugin.engine.socketPath, timeout: 1000 });
      reconcile = new EngineReconcile(plugin.context, inspector.inspect);
    });
    afterEach(async () => {
      await inspector[Symbol.asyncDispose]();
      await plugin[Symbol.asyncDispose]();
    });
  }

  const { signal } = new AbortController();

  /** Two looks that agree, long after the last call. */
  async function twice(): Promise<EngineReport> {
    for (let i = 0; i < 2; i++) pass(300_000);
    await reconcile.run(signal);
    pass(6000);
    return reconcile.run(signal);
  }

  function pass(milliseconds: number): void {
    plugin.clock += milliseconds;
    plugin.host.clock += milliseconds;
  }

  const inUse = (): string[] => plugin.host.addresses.inUse().map(({ address }) => address);

  describe("what Docker forgot", () => {
    fresh();
    it("is removed, and its addresses are free again", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      await docker.start(web, net, { options: { addresses: "10.65.0.77" } });
      assert.equal(inUse().length, 2);
      docker.forget(web, net); // a stop while the plugin was away
      const { removed, problems } = await twice();
      assert.deepEqual([removed, problems], [["web"], []]);
      assert.equal(plugin.host.state.endpoints.size, 0);
      assert.deepEqual(inUse(), []);
    });

    it("takes a network along, with its endpoints and addresses", async () => {
      const net = await docker.createNetwork(1, "apps");
      await docker.start(docker.createContainer("web", net), net);
      plugin.engine.networks.delete(net);
      assert.deepEqual((await twice()).removed, ["apps"]);
      assert.equal(plugin.host.state.networks.size, 0);
      assert.deepEqual(inUse(), []);
    });

    it("comes back to its name: the sticky address outlives it", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      const first = await docker.start(web, net);
      docker.forget(web, net);
      await twice();
      assert.deepEqual((await docker.start(web, net)).addresses, first.addresses);
    });
  });

  describe("nothing is concluded", () => {
    fresh();
    it("from one look", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      await docker.start(web, net);
      pass(300_000);
      docker.forget(web, net);
      assert.deepEqual((await reconcile.run(signal)).removed, []);
      assert.deepEqual((await reconcile.run(signal)).removed, [], "two looks at once are one look");
      assert.equal(plugin.host.state.endpoints.size, 1);
    });

    it("from an engine that does not answer, or breaks off in the middle", async () => {
      const net = await docker.createNetwork(1, "apps");
      await docker.start(docker.createContainer("web", net), net);
      for (const trouble of ["frozen", "failing"]) {
        plugin.engine.frozen = trouble === "frozen";
        plugin.engine.failure = trouble === "failing" ? { status: 500, message: "no" } : undefined;
        await assert.rejects(twice(), (error) => error instanceof DriverError);
      }
      assert.equal(plugin.host.state.endpoints.size, 1);
    });

    it("about what is young: a slow start is between two of Docker's calls", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      await docker.start(web, net);
      docker.forget(web, net);
      await reconcile.run(signal);
      pass(6000);
      const { removed, open } = await reconcile.run(signal);
      assert.deepEqual([removed, open], [[], true]);
    });

    it("about what a call is being answered for", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      const { endpoint } = await docker.start(web, net);
      docker.forget(web, net);
      let finish = (): void => {};
      const call = plugin.context.inFlight.run(endpoint, () => new Promise<void>((resolve) => (finish = resolve)));
      const { removed, open } = await twice();
      assert.deepEqual([removed, open], [[], true]);
      finish();
      await call;
      assert.deepEqual((await twice()).removed, ["web"]);
    });

    it("about an endpoint that changed while Docker was asked", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      const { endpoint } = await docker.start(web, net);
      pass(300_000);
      docker.forget(web, net);
      await reconcile.run(signal);
      pass(6000);
      const look = reconcile.run(signal);
      const record = plugin.host.state.endpoints.get(endpoint);
      if (record !== undefined) plugin.host.state.putEndpoint({ ...record, mac: "02:00:00:00:00:09" });
      assert.deepEqual((await look).removed, []);
    });

    it("about what is right", async () => {
      const net = await docker.createNetwork(1, "apps", { ipv6: true });
      await docker.start(docker.createContainer("web", net), net);
      const before = [...plugin.host.state.endpoints.values()];
      const { removed, adopted, corrected, problems, addresses, open } = await twice();
      assert.deepEqual([removed, adopted, corrected, problems], [[], [], [], []]);
      assert.equal(open, false);
      assert.deepEqual([addresses.released, addresses.adopted, addresses.problems], [[], [], []]);
      assert.deepEqual([...plugin.host.state.endpoints.values()], before);
    });
  });

  describe("what we forgot", () => {
    fresh();
    it("is adopted as Docker has it: the state file was lost", async () => {
      const options = { publish: "host", mtu: "1400" };
      const net = await docker.createNetwork(1, "apps", { ipv6: true, options });
      const web = docker.createContainer("web", net, { role: "web" });
      const { endpoint, addresses } = await docker.start(web, net);
      const container = plugin.engine.containers.get(web);
      assert.ok(container);
      plugin.engine.containers.set(web, {
        ...container,
        sandboxKey: "/netns/1",
        portBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
        networks: { apps: { networkId: net, endpointId: endpoint, gateway: "169.254.1.3", gateway6: "fe80::3" } },
      });
      const had = addresses.map(({ Address }) => Address.replace(/\/.*/, ""));
      const { state } = plugin.host;
      state.change(() => {
        state.removeEndpoint(endpoint);
        for (const { PoolID, Address } of addresses) plugin.host.addresses.release(PoolID, Address);
        state.removeNetwork(net);
      });
      for (const { PoolID } of addresses) await plugin.host.addresses.releasePool(PoolID);
      const { adopted, problems } = await twice();
      assert.deepEqual([adopted, problems], [["apps", "web"], []]);
      const network = state.networks.get(net);
      assert.equal(network?.name, "apps");
      assert.equal(network.spec.mtu, 1400);
      assert.deepEqual(network.spec.families, [4, 6]);
      const record = state.endpoints.get(endpoint);
      assert.deepEqual(record?.addresses, had);
      assert.equal(record.gatewayIndex, 3);
      assert.equal(record.joined, true);
      assert.equal(record.sandbox, "/netns/1");
      assert.equal(record.container?.labels["role"], "web");
      assert.deepEqual(record.published, [{ protocol: "TCP", port: 80, host: { address: "", port: 8080 } }]);
      assert.deepEqual(inUse().sort(), had.sort(), "nobody else gets them");
      // Docker goes on with the pool IDs that it remembers; what it gives back by them is found at the next looks.
      await docker.start(docker.createContainer("db", net), net);
      await docker.stop(web, net, { endpoint, addresses, join: {} });
      await twice();
      assert.equal(inUse().length, 2);
    });

    it("has no subnet that Docker shows and ignores: IPv6 without --ipv6", async () => {
      const net = await docker.createNetwork(1, "apps");
      const network = plugin.engine.networks.get(net);
      assert.ok(network);
      plugin.engine.networks.set(net, { ...network, subnets: [{ Subnet: "0.0.0.0/0" }, { Subnet: "fd70::/64" }] });
      plugin.host.state.removeNetwork(net);
      assert.deepEqual((await twice()).adopted, ["apps"]);
      assert.deepEqual(plugin.host.state.networks.get(net)?.spec.families, [4]);
    });

    it("is reported where Docker cannot tell enough", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      const { endpoint } = await docker.start(web, net);
      plugin.host.state.removeEndpoint(endpoint);
      const { problems } = await twice();
      assert.match(problems[0] ?? "", /"web" on "apps".*Restart the container/);
    });

    it("is not adopted while it joins", async () => {
      const net = await docker.createNetwork(1, "apps");
      const network = plugin.engine.networks.get(net);
      assert.ok(network);
      const endpoints = { [`ep-${"a".repeat(64)}`]: { Name: "web", EndpointID: "a".repeat(64) } };
      plugin.engine.networks.set(net, { ...network, endpoints });
      const { adopted, problems } = await twice();
      assert.deepEqual([adopted, problems], [[], []]);
    });
  });

  describe("who it is", () => {
    fresh();
    it("is corrected where an event was missed", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net, { role: "web" });
      plugin.engine.failure = { status: 500, message: "no" };
      const { endpoint } = await docker.start(web, net);
      plugin.engine.failure = undefined;
      assert.equal(plugin.host.state.endpoints.get(endpoint)?.container, undefined);
      assert.deepEqual((await reconcile.run(signal)).corrected, [endpoint]);
      assert.equal(plugin.host.state.endpoints.get(endpoint)?.container?.labels["role"], "web");
      assert.equal(plugin.host.state.networks.get(net)?.name, "apps");
    });
  });
});
