/** What a program of somebody else's does with the package: the entry that it exports, and the description of the API. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
// By the package's own name: as `exports` of package.json says, which is what others can import.
import { ApiError, createClient, UnreachableError } from "manx/client";
import { createApp } from "./app.ts";
import { FakeAgent, fakeFlows } from "./fake-agent.ts";
import { serve } from "./server.ts";

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
}

it("a consumer asks by the typed client, and is refused with stable codes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "manx-consumer-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  const socket = join(folder, "manx.sock");
  const agent = new FakeAgent();
  agent.seen = fakeFlows();
  stack.use(await serve(createApp(agent), socket));
  const client = createClient({ socket });
  const { flows } = await client.flows({ verdict: "deny" });
  assert.deepEqual(
    flows.map(({ destination }) => destination.container),
    ["postgres"],
  );
  assert.match(await client.metrics(), /^# HELP manx_/);
  assert.equal((await client.traffic()).endpoints.length, 3);
  agent.isReady = false;
  assert.equal((await client.readiness()).ready, false);
  await assert.rejects(client.network("nothing"), (error) => error instanceof ApiError && error.code === "not-found");
  const away = createClient({ socket: join(folder, "none.sock") });
  await assert.rejects(away.status(), (error) => error instanceof UnreachableError && error.reason === "not-running");
});

it("the description of the API has every route, with its answer and its refusals", async () => {
  const app = createApp(new FakeAgent());
  const document = (await (await app.request("/openapi.json")).json()) as Document;
  assert.match(document.openapi, /^3\.1/);
  const paths = new Set(
    app.routes
      .filter(({ path }) => !path.includes("*"))
      .map(({ path }) => path.replaceAll(/:([a-z]+)(?:\{[^}]*\})?/gi, "{$1}")),
  );
  paths.delete("/openapi.json");
  assert.deepEqual(
    [...paths].filter((path) => document.paths[path] === undefined),
    [],
  );
  for (const path of ["/metrics", "/healthz", "/readyz", "/v1/traffic", "/v1/flows"])
    assert.deepEqual(
      Object.keys(document.paths[path]?.["get"]?.responses ?? {}).filter((code) => ["200", "503"].includes(code)),
      ["200", "503"],
      path,
    );
});
