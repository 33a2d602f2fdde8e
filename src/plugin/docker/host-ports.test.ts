import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Docker, PluginHost } from "../../../tests/plugin/plugin-fixture.ts";
import { probePort } from "./host-ports.ts";

const PORTMAP = "com.docker.network.portmap";

interface Ask {
  readonly port?: number;
  readonly host?: number;
  readonly end?: number;
  readonly ip?: string;
  readonly proto?: number;
}

const publish = (...asks: readonly Ask[]) => ({
  [PORTMAP]: asks.map(({ port = 80, host = 0, end = host, ip = "", proto = 6 }) => ({
    Proto: proto,
    Port: port,
    HostIP: ip,
    HostPort: host,
    HostPortEnd: end,
  })),
});

describe("published ports", () => {
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

  const published = async (net: string, name: string, options: Record<string, unknown>, sandbox?: string) => {
    const container = docker.createContainer(name, net);
    const started = await docker.start(container, net, { options, ...(sandbox !== undefined && { sandbox }) });
    return plugin.host.state.endpoints.get(started.endpoint)?.published;
  };

  describe("-p on publish=address", () => {
    fresh();
    it("opens the container's own port, whatever the host's", async () => {
      const net = await docker.createNetwork(1, "apps");
      const open = [{ protocol: "TCP", port: 80 }];
      assert.deepEqual(await published(net, "a", publish({ host: 8080 })), open);
      assert.deepEqual(await published(net, "b", publish({ host: 8080 }, { host: 8081 })), open, "no conflict: no NAT");
      assert.deepEqual(await published(net, "c", publish({})), open);
      assert.deepEqual(await published(net, "d", {}), []);
    });

    it("opens nothing for a port that is bound to the host's loopback", async () => {
      const net = await docker.createNetwork(1, "apps");
      assert.deepEqual(await published(net, "a", publish({ host: 8080, ip: "127.0.0.1" }, { host: 1, ip: "::1" })), []);
    });
  });

  describe("-p on publish=off", () => {
    fresh();
    it("is refused with a sentence, and nothing is left", async () => {
      const net = await docker.createNetwork(1, "apps", { options: { publish: "off" } });
      await assert.rejects(published(net, "a", publish({ host: 8080 })), /publish=off/);
      assert.equal(plugin.host.state.endpoints.size, 0);
      assert.deepEqual(await published(net, "b", {}), []);
    });
  });

  describe("-p on publish=host", () => {
    fresh();
    let net: string;
    beforeEach(async () => {
      net = await docker.createNetwork(1, "apps", { options: { publish: "host" } });
    });

    it("gives the host's port to the container", async () => {
      assert.deepEqual(await published(net, "a", publish({ host: 8080 })), [
        { protocol: "TCP", port: 80, host: { address: "", port: 8080 } },
      ]);
      assert.deepEqual(await published(net, "b", publish({ host: 8080, proto: 17 })), [
        { protocol: "UDP", port: 80, host: { address: "", port: 8080 } },
      ]);
    });

    it("keeps addresses of the host apart, and any from each", async () => {
      await published(net, "a", publish({ host: 8080, ip: "127.0.0.1" }));
      await published(net, "b", publish({ host: 8080, ip: "127.0.0.2" }));
      await assert.rejects(published(net, "c", publish({ host: 8080 })), /container "a" has 8080/);
      await assert.rejects(published(net, "d", publish({ host: 8080, ip: "127.0.0.2" })), /container "b" has 8080/);
      assert.deepEqual(plugin.host.state.endpoints.size, 2);
    });

    it("is refused where a program on the host listens, naming how to find it", async () => {
      plugin.takenPorts.add(8080);
      await assert.rejects(
        published(net, "a", publish({ host: 8080 })),
        /TCP port 8080.*program on this host.*ss -tlnp/,
      );
    });

    it("takes the first free of a range, and says when none is", async () => {
      plugin.takenPorts.add(8000);
      const range = publish({ host: 8000, end: 8002 });
      assert.equal((await published(net, "a", range))?.[0]?.host?.port, 8001);
      assert.equal((await published(net, "b", range))?.[0]?.host?.port, 8002);
      await assert.rejects(published(net, "c", range), /8000-8002/);
    });

    it("finds a free port where the user names none, and two for two", async () => {
      const ports = (await published(net, "a", publish({}, { port: 81 })))?.map(({ host }) => host?.port);
      assert.deepEqual(ports, [49153, 49154]);
    });

    it("gives the port free with the container", async () => {
      const a = docker.createContainer("a", net);
      const started = await docker.start(a, net, { options: publish({ host: 8080 }) });
      await docker.stop(a, net, started);
      await published(net, "b", publish({ host: 8080 }));
    });

    it("leads to the first interface of a container with several", async () => {
      const second = await docker.createNetwork(2, "more", { options: { publish: "host" } });
      const options = publish({ host: 8080 });
      assert.equal((await published(net, "a", options, "/netns/1"))?.[0]?.host?.port, 8080);
      assert.deepEqual(await published(second, "a", options, "/netns/1"), [{ protocol: "TCP", port: 80 }]);
      await assert.rejects(published(second, "b", options, "/netns/2"), /container "a" has 8080/);
    });

    it("opens nothing on the other interfaces of a container whose port is on the host's loopback", async () => {
      const second = await docker.createNetwork(2, "more", { options: { publish: "host" } });
      for (const [ip, sandbox] of [
        ["127.0.0.1", "/netns/1"],
        ["::1", "/netns/2"],
      ] as const) {
        const options = publish({ host: 8080, ip });
        assert.deepEqual(await published(net, ip, options, sandbox), [
          { protocol: "TCP", port: 80, host: { address: ip, port: 8080 } },
        ]);
        assert.deepEqual(await published(second, ip, options, sandbox), []);
      }
    });

    it("tells the ports in their order", async () => {
      const ports = await published(net, "a", publish({ port: 82 }, { port: 80 }, { port: 81 }));
      assert.deepEqual(
        ports?.map(({ port }) => port),
        [80, 81, 82],
      );
    });
  });

  describe("probePort", () => {
    fresh();
    it("sees who listens on this host", async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      assert.equal(await probePort("TCP", "", port), "taken");
      assert.equal(await probePort("TCP", "127.0.0.1", port), "taken");
      assert.equal(await probePort("UDP", "", port), "free");
      server.close();
      await once(server, "close");
      assert.equal(await probePort("TCP", "", port), "free");
      const socket = createSocket("udp4").bind(0, "127.0.0.1");
      await once(socket, "listening");
      assert.equal(await probePort("UDP", "127.0.0.1", socket.address().port), "taken");
      socket.close();
      assert.equal(await probePort("TCP", "192.0.2.77", 8080), "not-ours");
      assert.equal(await probePort("SCTP", "", 8080), "free");
    });
  });
});
