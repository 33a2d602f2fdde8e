import assert from "node:assert/strict";
import { lstat, mkdir, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { Docker, id, PluginHost, post } from "../../../tests/plugin/plugin-fixture.ts";
import { DriverError } from "../../drivers/error.ts";
import { pluginCalls } from "./calls.ts";
import { MAX_BODY, PluginServer } from "./server.ts";

describe("the plugin on its socket", () => {
  let plugin: PluginHost;

  /** Hooks at the top of a file would be those of every file: all tests run in one process. */
  function fresh(): void {
    beforeEach(async () => {
      plugin = await PluginHost.start();
    });
    afterEach(() => plugin[Symbol.asyncDispose]());
  }

  /** Every call that has arguments, with good ones. */
  const CALLS: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ["NetworkDriver.CreateNetwork", { NetworkID: id(1), Options: {}, IPv4Data: [], IPv6Data: [] }],
    ["NetworkDriver.DeleteNetwork", { NetworkID: id(1) }],
    [
      "NetworkDriver.CreateEndpoint",
      { NetworkID: id(1), EndpointID: id(2), Options: {}, Interface: { Address: "10.65.0.1/32" } },
    ],
    ["NetworkDriver.DeleteEndpoint", { NetworkID: id(1), EndpointID: id(2) }],
    ["NetworkDriver.Join", { NetworkID: id(1), EndpointID: id(2), SandboxKey: "/netns/1", Options: {} }],
    ["NetworkDriver.Leave", { NetworkID: id(1), EndpointID: id(2) }],
    [
      "IpamDriver.RequestPool",
      { AddressSpace: "manx-local", Pool: "10.65.1.0/24", SubPool: "", Options: {}, V6: false },
    ],
    ["IpamDriver.ReleasePool", { PoolID: "4;id=0123456789abcdef" }],
    ["IpamDriver.RequestAddress", { PoolID: "4;id=0123456789abcdef", Address: "", Options: {} }],
    ["IpamDriver.ReleaseAddress", { PoolID: "4;id=0123456789abcdef", Address: "10.65.0.1" }],
  ];

  const HOSTILE: readonly string[] = [
    "",
    "$(touch /tmp/owned)",
    "'; drop table endpoints; --",
    '"; flush ruleset; add table x',
    "a\nb\u0000c",
    "../../etc/passwd",
    "__proto__",
    "constructor",
    "\u202egnp.exe",
    "\ud800",
    "x".repeat(100_000),
    "%s%n%d",
  ];

  const WRONG: readonly unknown[] = [1, -1, 1e308, true, [], ["x"], { x: 1 }, [[[]]], "x"];

  /** Nothing was crashed, nothing was kept. */
  async function unharmed(): Promise<void> {
    assert.deepEqual(await plugin.ok("IpamDriver.GetCapabilities"), {
      RequiresMACAddress: false,
      RequiresRequestReplay: false,
    });
    assert.equal(plugin.host.state.networks.size, 0);
    assert.equal(plugin.host.state.endpoints.size, 0);
    assert.equal({}.constructor, Object);
    assert.ok(!plugin.logged.some((line) => line.startsWith("error:")), plugin.logged.join("\n"));
  }

  describe("the plugin's socket", () => {
    fresh();
    it("belongs to its owner alone", async () => {
      assert.equal((await lstat(plugin.socketPath)).mode & 0o777, 0o600);
    });

    const start = (): Promise<PluginServer> =>
      PluginServer.start({
        socketPath: plugin.socketPath,
        calls: pluginCalls(plugin.context),
        log: plugin.context.log,
      });

    it("refuses to take the place of a living agent", async () => {
      await assert.rejects(start(), (error) => error instanceof DriverError && error.code === "exists");
      await plugin.ok("Plugin.Activate");
    });

    it("replaces what a killed agent left", async () => {
      await plugin.server?.[Symbol.asyncDispose]();
      const folder = dirname(plugin.socketPath);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      // A bound socket whose process ended leaves a file that nobody listens at.
      const script = `require("node:net").createServer().listen(${JSON.stringify(plugin.socketPath)}, () => process.kill(process.pid, "SIGKILL"))`;
      const { spawnSync } = await import("node:child_process");
      spawnSync(process.execPath, ["-e", script]);
      assert.ok((await lstat(plugin.socketPath)).isSocket());
      await plugin.listen();
      await plugin.ok("Plugin.Activate");
      assert.equal((await lstat(plugin.socketPath)).mode & 0o777, 0o600);
    });

    it("does not remove what is not a socket", async () => {
      await plugin.server?.[Symbol.asyncDispose]();
      await writeFile(plugin.socketPath, "precious");
      await assert.rejects(start(), /not a socket/);
    });
  });

  describe("HTTP", () => {
    fresh();
    it("needs no content type, and takes a call without content where there are no arguments", async () => {
      assert.equal((await post(plugin.socketPath, "Plugin.Activate", "")).status, 200);
      assert.equal((await post(plugin.socketPath, "Plugin.Activate", "{}")).status, 200);
      assert.equal((await post(plugin.socketPath, "Plugin.Activate", "null")).body["Err"] === undefined, false);
    });

    it("answers 404 to a call of the future, 405 to another method", async () => {
      assert.equal((await post(plugin.socketPath, "NetworkDriver.Teleport", "{}")).status, 404);
      assert.equal((await post(plugin.socketPath, "__proto__", "{}")).status, 404);
      assert.equal((await post(plugin.socketPath, "NetworkDriver.Join?x=1", "{}")).status, 404);
      assert.equal((await post(plugin.socketPath, "NetworkDriver.Join", "", "GET")).status, 405);
    });

    it("answers many calls on one connection, in order", async () => {
      const text = await raw((socket) => {
        const one = "POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n";
        socket.write(one + one + one.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n"));
      });
      assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3);
    });

    it("keeps an idle connection open: Docker may be about to use it", async () => {
      const socket = connect(plugin.socketPath);
      const one = "POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n";
      const text: string[] = [];
      socket.on("data", (chunk: Buffer) => text.push(chunk.toString()));
      socket.write(one);
      await new Promise((resolve) => setTimeout(resolve, 300)); // longer than the body's limit here
      assert.ok(!/keep-alive: timeout/i.test(text.join("")));
      socket.write(one);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(text.join("").match(/HTTP\/1\.1 200/g)?.length, 2);
      socket.destroy();
    });

    it("does not wait for ever for the rest of a message", async () => {
      const text = await raw((socket) =>
        socket.write("POST /NetworkDriver.Join HTTP/1.1\r\nHost: \r\nContent-Length: 9\r\n\r\n{"),
      );
      assert.match(text, /^HTTP\/1\.1 408.*took too long/s);
      await unharmed();
    });

    it("has room for a container that publishes every port", () => {
      const ports = Array.from({ length: 65_535 }, (_, index) => index + 1);
      const message = {
        "com.docker.network.endpoint.exposedports": ports.map((Port) => ({ Proto: 17, Port })),
        "com.docker.network.portmap": ports.map((Port) => {
          return { Proto: 17, IP: "", Port, HostIP: "192.168.100.100", HostPort: Port, HostPortEnd: Port };
        }),
      };
      assert.ok(JSON.stringify(message).length < MAX_BODY);
    });

    it("refuses more than its limit, announced or not", async () => {
      const big = `{"PoolID":"${"x".repeat(1024 * 1024)}"}`;
      assert.equal((await post(plugin.socketPath, "IpamDriver.ReleasePool", big)).status, 413);
      const text = await raw((socket) => {
        socket.write("POST /IpamDriver.ReleasePool HTTP/1.1\r\nHost: \r\nTransfer-Encoding: chunked\r\n\r\n");
        const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
        for (let i = 0; i < 20; i++) socket.write(chunk);
      });
      assert.match(text, /^HTTP\/1\.1 413/);
      await unharmed();
    });

    it("answers a client that has shut its own side, and not half a message", async () => {
      const one = "POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n";
      assert.match(await raw((socket) => socket.end(one)), /^HTTP\/1\.1 200/);
      const half = "POST /NetworkDriver.Join HTTP/1.1\r\nHost: \r\nContent-Length: 9\r\n\r\n{";
      assert.match(await raw((socket) => socket.end(half)), /^(HTTP\/1\.1 400|$)/);
      await unharmed();
    });

    it("does not take one message for two", async () => {
      const both =
        "POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
      assert.match(await raw((socket) => socket.write(both)), /^HTTP\/1\.1 400/);
    });

    it("listens again where somebody removed the socket, and keeps the call under way", async () => {
      const docker = new Docker(plugin);
      const net = await docker.createNetwork(1, "apps");
      let finish = (): void => {};
      plugin.settle = () => new Promise((resolve) => (finish = resolve));
      const started = docker.start(docker.createContainer("web", net), net);
      while (![...plugin.host.state.endpoints.values()].some(({ joined }) => joined))
        await new Promise((resolve) => setTimeout(resolve, 1));
      await rm(plugin.socketPath);
      await assert.rejects(plugin.call("Plugin.Activate"), /ENOENT/);
      await plugin.server?.listen();
      assert.equal((await plugin.call("Plugin.Activate")).status, 200);
      finish();
      await started;
      await assert.rejects(async () => plugin.server?.listen(), /another agent runs/);
    });

    it("outlives garbage on the socket", async () => {
      for (const bytes of [
        "\u0000\u0001\u0002\r\n\r\n",
        "GET",
        "POST / HTTP/9.9\r\n\r\n",
        `POST /${"x".repeat(1e5)} HTTP/1.1\r\n\r\n`,
      ])
        await raw((socket) => socket.end(bytes));
      await unharmed();
    });

    it("refuses bytes that are not UTF-8", async () => {
      const reply = await post(plugin.socketPath, "IpamDriver.ReleasePool", Buffer.from([0x22, 0xff, 0xfe, 0x22]));
      assert.equal(reply.status, 400);
    });
  });

  /** What the server says to some bytes, until it closes (or half a second). */
  function raw(speak: (socket: Socket) => void): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(plugin.socketPath);
      let text = "";
      const done = (): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(text);
      };
      const timer = setTimeout(done, 500);
      socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
      socket.on("error", done);
      socket.on("close", done);
      speak(socket);
    });
  }

  describe("messages", () => {
    fresh();
    for (const [name, good] of CALLS) {
      it(`${name} without its content is refused with a sentence`, async () => {
        for (const body of ["", " ", "{}"]) {
          const { status, body: answer } = await plugin.call(name, body);
          assert.equal(status, 200);
          // Nothing is nothing to give back.
          const idle = ["IpamDriver.ReleasePool", "IpamDriver.ReleaseAddress"].includes(name);
          if (!idle) assert.match(String(answer["Err"]), /without its content/);
        }
        await unharmed();
      });

      it(`${name} outlives what is not its JSON`, async () => {
        for (const body of ["{", "[]", "null", "1", '"x"', "{'a':1}", '{"NetworkID":', "\ufeff{}", "NaN"])
          assert.equal((await plugin.call(name, body)).status, 200, body);
        await unharmed();
      });

      it(`${name} names the field that has the wrong type`, async () => {
        for (const field of Object.keys(good)) {
          for (const wrong of WRONG) {
            const { body } = await plugin.call(name, { ...good, [field]: wrong });
            if (
              typeof wrong !== typeof good[field] &&
              "Err" in body &&
              !/Manx does not know|no such ID|address space/.test(String(body["Err"]))
            )
              assert.match(
                String(body["Err"]),
                new RegExp(`${field}|no address|neither`),
                `${field}=${JSON.stringify(wrong)}`,
              );
          }
        }
        assert.equal(plugin.host.state.endpoints.size, 0);
        assert.ok(!plugin.logged.some((line) => line.startsWith("error:")), plugin.logged.join("\n"));
      });

      it(`${name} takes hostile text for text`, async () => {
        for (const field of Object.keys(good).filter((key) => typeof good[key] === "string"))
          for (const hostile of HOSTILE) {
            const { status, body } = await plugin.call(name, { ...good, [field]: hostile });
            assert.equal(status, 200);
            const sentence = typeof body["Err"] === "string" ? body["Err"] : "";
            assert.ok(sentence.length < 700, `${sentence.length} characters`);
            assert.ok(!/[\p{Cc}\u202a-\u202e]/u.test(sentence), JSON.stringify(sentence));
          }
        assert.equal(plugin.host.state.endpoints.size, 0);
        assert.ok(!plugin.logged.some((line) => line.startsWith("error:")), plugin.logged.join("\n"));
      });
    }

    it("are matched as Go does: without regard to case, the last one wins, null is absent", async () => {
      await new Docker(plugin).createNetwork(1, "apps");
      const body = `{"networkid":"x","NETWORKID":"${id(1)}","endpointID":"${id(2)}","extra":1,"Options":null}`;
      assert.deepEqual(await plugin.ok("NetworkDriver.Leave", body), {});
      assert.match(
        await plugin.refused("NetworkDriver.Leave", `{"NetworkID":"${id(1)}","networkid":"x","EndpointID":"${id(2)}"}`),
        /NetworkID/,
      );
    });

    it("do not reach prototypes", async () => {
      const body = `{"__proto__":{"NetworkID":"${id(1)}"},"constructor":{"prototype":{"x":1}}}`;
      assert.match(await plugin.refused("NetworkDriver.Leave", body), /NetworkID/);
      await unharmed();
    });

    it("are not nested without end", async () => {
      const deep = `{"Options":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
      assert.match(await plugin.refused("NetworkDriver.CreateNetwork", deep), /nested/);
      const inString = `{"NetworkID":"${"[{".repeat(1000)}"}`;
      assert.match(await plugin.refused("NetworkDriver.Leave", inString), /64 hex/);
    });

    it("of any shape get an answer, and leave nothing", async () => {
      const names = [...pluginCalls(plugin.context).keys()].filter((name) => name !== "IpamDriver.RequestPool");
      const fields = ["NetworkID", "EndpointID", "Options", "Interface", "IPv4Data", "PoolID", "Address", "SandboxKey"];
      const message = fc.dictionary(fc.oneof(fc.constantFrom(...fields), fc.string()), fc.jsonValue({ maxDepth: 3 }));
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...names), message, async (name, body) => {
          assert.equal((await plugin.call(name, body)).status, 200);
        }),
        { numRuns: 150 },
      );
      await unharmed();
    });
  });

  describe("stopping", () => {
    fresh();
    it("lets a call under way finish", async () => {
      const docker = new Docker(plugin);
      const net = await docker.createNetwork(1, "apps");
      plugin.settle = () => new Promise((resolve) => setTimeout(resolve, 50));
      const started = docker.start(docker.createContainer("web", net), net);
      while (![...plugin.host.state.endpoints.values()].some(({ joined }) => joined))
        await new Promise((resolve) => setTimeout(resolve, 1));
      const stopped = plugin.server?.[Symbol.asyncDispose]();
      await assert.rejects(started, /ENOENT|ECONNREFUSED|ECONNRESET/); // its next call: nobody listens any more
      await stopped;
      assert.ok([...plugin.host.state.endpoints.values()].every(({ joined }) => joined));
      plugin.server = undefined;
    });
  });
});
