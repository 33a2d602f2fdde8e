import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createApp } from "./app.ts";
import { ApiError, createClient, UnreachableError } from "./client.ts";
import { FakeAgent } from "./fake-agent.ts";
import { serve } from "./server.ts";

const isUnreachable = (reason: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UnreachableError, String(error));
  assert.equal(error.reason, reason);
  assert.match(error.message, text);
  assert.notEqual(error.remedy, "");
  return true;
};

describe("client and server", () => {
  let folder = "";
  const path = () => join(folder, "manx.sock");
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "manx-api-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("talk over a socket that only its owner can open, and that goes with the server", async () => {
    const agent = new FakeAgent();
    {
      await using server = await serve(createApp(agent), path());
      assert.equal((await stat(server.path)).mode & 0o777, 0o600);
      const client = createClient({ socket: path() });
      assert.equal((await client.endpoints({ network: "db" })).length, 1);
      assert.equal((await client.addPool({ cidr: "10.70.0.0/16" })).name, "10-70-0-0-16");
      assert.equal((await client.removePool("10.70.0.0/16")).cidr, "10.70.0.0/16");
      await assert.rejects(client.network("a/../b"), (error: unknown) => {
        assert.ok(error instanceof ApiError);
        assert.equal(error.code, "not-found");
        assert.match(error.message, /"a\/\.\.\/b"/);
        return true;
      });
    }
    assert.deepEqual(await readdir(folder), []);
  });

  it("say why the agent cannot be asked, and what to do", async () => {
    const client = createClient({ socket: path() });
    await assert.rejects(
      client.version(),
      isUnreachable("not-running", /^Cannot reach the agent at .*: there is no such socket/),
    );
    await writeFile(path(), "");
    await assert.rejects(client.version(), isUnreachable("not-running", /nobody listens there/));
    await assert.rejects(serve(createApp(new FakeAgent()), path()), /something that is no socket is in the way/);
    await rm(path());
    const mute = createServer((socket) => void socket.resume());
    await new Promise<void>((resolve) => mute.listen(path(), resolve));
    await assert.rejects(
      createClient({ socket: path(), timeout: 50 }).version(),
      isUnreachable("timeout", /no answer within/),
    );
    await new Promise((resolve) => mute.close(resolve));
    const liar = createServer(
      (socket) => void socket.resume().end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
    );
    await new Promise<void>((resolve) => liar.listen(path(), resolve));
    await assert.rejects(client.version(), isUnreachable("broken", /its answer is not JSON/));
    await new Promise((resolve) => liar.close(resolve));
  });

  it("replace the socket of a dead agent, not that of a living one", async () => {
    {
      await using _first = await serve(createApp(new FakeAgent()), path());
      await assert.rejects(serve(createApp(new FakeAgent()), path()), /another agent runs/);
    }
    const orphan = createServer();
    await new Promise<void>((resolve) => orphan.listen(path(), resolve));
    const { rename } = await import("node:fs/promises");
    await rename(path(), `${path()}.kept`); // the file outlives the server that would remove it
    await new Promise((resolve) => orphan.close(resolve));
    await rename(`${path()}.kept`, path());
    await using _second = await serve(createApp(new FakeAgent()), path());
    assert.equal((await createClient({ socket: path() }).version()).version, "0.1.0");
  });

  it("stream changes until the watcher stops, and leave nothing behind", async () => {
    const agent = new FakeAgent();
    await using _server = await serve(createApp(agent), path());
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of createClient({ socket: path() }).watch(["pools", "networks"], stop.signal)) {
        seen.push(event.topic);
        if (seen.length === 2) stop.abort();
      }
    })();
    while (agent.watchers === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    agent.emit("pools");
    agent.emit("endpoints");
    agent.emit("networks");
    await reading;
    assert.deepEqual(seen, ["pools", "networks"]);
    while (agent.watchers > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("end a watch with a clear error when the agent goes", async () => {
    const agent = new FakeAgent();
    const server = await serve(createApp(agent), path());
    const reading = (async () => {
      for await (const _ of createClient({ socket: path() }).watch(["pools"], new AbortController().signal)) continue;
    })();
    while (agent.watchers === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await server[Symbol.asyncDispose]();
    await assert.rejects(reading, isUnreachable("broken", /Cannot talk to the agent/));
  });
});
