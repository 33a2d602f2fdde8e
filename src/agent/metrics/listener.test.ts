import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { FakeAgent } from "../../api/fake-agent.ts";
import { serveMetrics } from "./listener.ts";

/** A port that nobody had a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

void describe("the listener for Prometheus", () => {
  void it("is scraped over HTTP, says whether the agent is ready, and has nothing else", async () => {
    const agent = new FakeAgent();
    const errors: unknown[] = [];
    const port = await freePort();
    const at = `http://127.0.0.1:${port}`;
    {
      await using _server = await serveMetrics(agent, { address: "127.0.0.1", port }, (error) => errors.push(error));
      const scrape = await fetch(`${at}/metrics`);
      assert.equal(scrape.status, 200);
      assert.equal(scrape.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
      assert.match(await scrape.text(), /^manx_endpoints 3$/m);
      const health = (await (await fetch(`${at}/healthz`)).json()) as { status: string };
      assert.equal(health.status, "ok");
      assert.equal((await fetch(`${at}/readyz`)).status, 200);
      agent.isReady = false;
      const notReady = await fetch(`${at}/readyz`);
      assert.equal(notReady.status, 503);
      assert.match(await notReady.text(), /the firewall is not in force/);
      for (const path of ["/", "/v1/status", "/v1/flows", "/openapi.json"])
        assert.equal((await fetch(at + path)).status, 404, path);
      for (const method of ["POST", "PUT", "DELETE"])
        assert.equal((await fetch(`${at}/metrics`, { method })).status, 404, method);
      agent.failure = new Error("a secret inside");
      const failed = await fetch(`${at}/metrics`);
      assert.deepEqual([failed.status, await failed.text()], [500, "Cannot tell: see the agent's log\n"]);
      assert.equal(errors.length, 1);
      await assert.rejects(
        serveMetrics(agent, { address: "127.0.0.1", port }, () => {}),
        /Cannot serve metrics on/,
      );
    }
    await assert.rejects(fetch(`${at}/metrics`));
  });
});
