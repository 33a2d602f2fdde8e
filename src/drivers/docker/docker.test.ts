import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DriverError } from "../error.ts";
import { EngineClient } from "./engine.ts";
import { type EngineEvent, parseEvent } from "./events.ts";
import { FakeEngine } from "./fake.ts";
import { Inspector } from "./inspect.ts";
import { LockProbe } from "./locks.ts";

const hex = (digit: string): string => digit.repeat(64);

describe("the Docker driver", () => {
  let folder: string;
  let fake: FakeEngine;
  let engine: EngineClient;

  /** Hooks at the top of a file would be those of every file: all tests run in one process. */
  function fresh(): void {
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "manx-docker-"));
      fake = await FakeEngine.start(join(folder, "docker.sock"));
      engine = new EngineClient({
        socketPath: fake.socketPath,
        timeout: 800,
        minDelay: 5,
        maxDelay: 20,
        probeAfter: 60,
      });
    });
    afterEach(async () => {
      await engine[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });
  }

  const withCode = (code: string) => (error: unknown) => {
    assert.ok(error instanceof DriverError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };

  describe("EngineClient", () => {
    fresh();
    it("reads the version", async () => {
      assert.deepEqual(await engine.version(), { version: "20.10.24", apiVersion: "1.41", minApiVersion: "1.12" });
      await engine.ping();
      assert.equal((await engine.info()).liveRestore, false);
    });

    it("lists containers with names, labels and networks, also with labels that are traps", async () => {
      const labels: unknown = JSON.parse('{"__proto__": "x", "constructor": "y", "role": "web"}');
      fake.containers.set(hex("a"), {
        id: hex("a"),
        name: "web.1",
        labels: labels as Record<string, string>,
        networks: { apps: { networkId: hex("1"), endpointId: hex("2") } },
      });
      fake.containers.set(hex("b"), { id: hex("b"), name: "webx1" });
      const [web] = await engine.containers({ names: ["web.1"] });
      assert.equal((await engine.containers({ names: ["web.1"] })).length, 1);
      assert.deepEqual(Object.entries(web?.labels ?? {}).length, 3);
      assert.ok(Object.hasOwn(web?.labels ?? {}, "__proto__"));
      assert.deepEqual(web?.attachments, [{ network: "apps", networkId: hex("1"), endpointId: hex("2") }]);
      assert.equal((await engine.containers()).length, 2);
      const byId = await engine.containers({ ids: [hex("b"), hex("c")] });
      assert.deepEqual(
        byId.map(({ name }) => name),
        ["webx1"],
      );
      assert.deepEqual(await engine.containers({ ids: [] }), []);
    });

    it("reads a network with those that are just joining", async () => {
      fake.networks.set(hex("1"), {
        id: hex("1"),
        name: "apps",
        endpoints: { [`ep-${hex("2")}`]: { Name: "web", EndpointID: hex("2") } },
      });
      fake.networks.set(hex("3"), { id: hex("3"), name: "bridge", driver: "bridge" });
      const network = await engine.network(hex("1"));
      assert.equal(network.name, "apps");
      assert.deepEqual(
        network.endpoints.map(({ container, name }) => [container, name]),
        [[`ep-${hex("2")}`, "web"]],
      );
      assert.deepEqual(
        (await engine.networks("manx")).map(({ name }) => name),
        ["apps"],
      );
      assert.equal((await engine.networks()).length, 2);
    });

    it("says not-found for what is not there", () => assert.rejects(engine.network(hex("9")), withCode("not-found")));

    it("gives up on a frozen engine in time", async () => {
      fake.frozen = true;
      await assert.rejects(engine.containers(), withCode("timeout"));
    });

    it("stops when the caller does, with the caller's reason", async () => {
      fake.frozen = true;
      const reason = new Error("enough");
      const abort = new AbortController();
      const call = engine.containers({}, abort.signal);
      abort.abort(reason);
      await assert.rejects(call, reason);
    });

    it("says that Docker is not running where there is no socket", async () => {
      await using absent = new EngineClient({ socketPath: join(folder, "absent.sock") });
      await assert.rejects(absent.ping(), withCode("unavailable"));
    });

    const refusals: [number, string, string][] = [
      [400, "bad parameter", "invalid"],
      [403, "forbidden", "denied"],
      [403, "error while removing network: network apps id x has active endpoints", "busy"],
      [409, "network with name apps already exists", "exists"],
      [500, "oops", "failed"],
    ];
    for (const [status, message, code] of refusals)
      it(`calls ${status} "${message.slice(0, 30)}" ${code}`, () => {
        fake.failure = { status, message };
        return assert.rejects(engine.networks(), (error) => withCode(code)(error) && String(error).includes(message));
      });
  });

  describe("engineEvents", () => {
    fresh();
    async function collect(count: number, act: (index: number) => void): Promise<EngineEvent[]> {
      const abort = new AbortController();
      const seen: EngineEvent[] = [];
      for await (const event of engine.events(abort.signal)) {
        seen.push(event);
        if (seen.length === count) break;
        act(seen.length);
      }
      abort.abort();
      return seen;
    }

    it("begins with a resync, then tells what happens", async () => {
      const seen = await collect(3, (index) => {
        if (index !== 1) return;
        fake.emit("container", "rename", hex("a"), { name: "new", oldName: "/old" });
        fake.emit("network", "connect", hex("1"), { name: "apps", type: "manx", container: hex("a") });
      });
      assert.deepEqual(seen, [
        { kind: "resync" },
        { kind: "container", action: "rename", id: hex("a"), name: "new", oldName: "old" },
        { kind: "network", action: "connect", id: hex("1"), name: "apps", driver: "manx", container: hex("a") },
      ]);
    });

    it("connects again when the engine goes away, and says that something was missed", async () => {
      const seen = await collect(3, (index) => index === 1 && fake.cut());
      assert.deepEqual(
        seen.map(({ kind }) => kind),
        ["resync", "lost", "resync"],
      );
    });

    it("notices an engine that is frozen with the stream open", async () => {
      const seen = await collect(2, () => {
        fake.frozen = true;
      });
      assert.deepEqual(
        seen.map(({ kind }) => kind),
        ["resync", "lost"],
      );
    });

    it("does not ask an engine that speaks whether it lives", async () => {
      const speaking = setInterval(() => fake.emit("container", "exec_start", hex("a"), { name: "a" }), 10);
      await collect(20, () => {});
      clearInterval(speaking);
      assert.deepEqual(
        fake.requests.filter((line) => line.includes("_ping")),
        [],
      );
    });

    it("outlives lines that are no events, cut in the middle of a character", async () => {
      const seen = await collect(2, () => {
        const event = Buffer.from('{"Type":"container","Action":"die","Actor":{"ID":"x","Attributes":{"name":"é"}}}\n');
        const middle = event.indexOf(0xc3) + 1;
        fake.emitRaw('\n{"oops\nnull\n[]\n{"Type":"container"}\n');
        fake.emitRaw(event.subarray(0, middle));
        setTimeout(() => fake.emitRaw(event.subarray(middle)), 5);
      });
      assert.deepEqual(seen[1], { kind: "container", action: "die", id: "x", name: "é" });
    });

    it("closes its connection when nobody listens any more", async () => {
      await collect(1, () => {});
      for (let i = 0; i < 100 && fake.listening > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(fake.listening, 0);
    });

    it("is not confused by labels, which Docker mixes with its own attributes", () => {
      const line =
        '{"Type":"container","Action":"create","Actor":{"ID":"x","Attributes":{"__proto__":"y","name":"web"}}}';
      assert.deepEqual(parseEvent(line), { kind: "container", action: "create", id: "x", name: "web" });
      assert.equal(parseEvent('{"Type":"container","Action":"x","Actor":{"ID":1}}'), undefined);
      assert.equal(parseEvent('{"Type":"image","Action":"x","Actor":{"ID":"1"}}'), undefined);
    });
  });

  describe("LockProbe", () => {
    fresh();
    it("finds the container that the engine is at work on", async () => {
      await using probe = new LockProbe({ socketPath: fake.socketPath });
      for (const digit of ["a", "b", "c"]) fake.containers.set(hex(digit), { id: hex(digit), name: digit });
      fake.locked.add(hex("b"));
      const ids = [hex("a"), hex("b"), hex("c"), hex("d")];
      assert.deepEqual(await probe.locked(ids, 2000), [hex("b")]);
      const begun = performance.now();
      assert.deepEqual(await probe.locked([hex("b")], 2000), [hex("b")], "alone as well");
      assert.ok(performance.now() - begun < 500, "without waiting for the limit");
      fake.locked.add(hex("c"));
      assert.deepEqual(await probe.locked(ids, 300), [hex("b"), hex("c")]);
      fake.locked.clear();
      assert.deepEqual(await probe.locked(ids, 300), []);
      assert.deepEqual(await probe.locked([hex("a")], 300), []);
      assert.deepEqual(await probe.locked([], 300), []);
    });
  });

  describe("Inspector", () => {
    fresh();
    it("reads the details, and does not wait for ever for a container under work", async () => {
      await using inspector = new Inspector({ socketPath: fake.socketPath, timeout: 1000 });
      fake.containers.set(hex("a"), {
        id: hex("a"),
        name: "web",
        sandboxKey: "/run/netns/x",
        networks: { apps: { gateway: "169.254.1.2" } },
        portBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
      });
      const details = await inspector.inspect(hex("a"));
      assert.equal(details.sandboxKey, "/run/netns/x");
      assert.equal(details.attachments[0]?.gateway, "169.254.1.2");
      assert.deepEqual(details.portBindings.get("80/tcp"), [{ hostIp: "", hostPort: "8080" }]);
      fake.locked.add(hex("a"));
      await assert.rejects(inspector.inspect(hex("a")), withCode("timeout"));
    });
  });
});
