import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { EngineContainerDetails } from "../../drivers/docker/values.ts";
import { openLocalState } from "../local-state.ts";
import type { EndpointRecord } from "../records.ts";
import { Aliases } from "./aliases.ts";

const NETWORK = "n".repeat(64);
const ID = "c".repeat(64);

const endpoint = (id: string, more: Partial<EndpointRecord> = {}): EndpointRecord => ({
  id,
  networkId: NETWORK,
  addresses: ["10.65.0.1"],
  mac: "02:42:0a:41:00:01",
  driverOptions: {},
  published: [],
  exposedPorts: [],
  joined: true,
  container: { id: ID, name: "web", labels: {} },
  createdAt: "2026-01-01T00:00:00.000Z",
  ...more,
});

const details = (
  ...attachments: readonly { endpointId: string; aliases: readonly string[] }[]
): EngineContainerDetails => ({ id: ID, attachments }) as unknown as EngineContainerDetails;

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("aliases of containers", () => {
  const folders: string[] = [];
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });
  const open = (answers: (() => EngineContainerDetails)[]) => {
    const folder = mkdtempSync(join(tmpdir(), "manx-aliases-"));
    folders.push(folder);
    const state = openLocalState(join(folder, "manx.db"));
    state.putNetwork({
      id: NETWORK,
      name: "apps",
      spec: { families: [4] } as never,
      ipv4Pools: [],
      ipv6Pools: [],
      options: {},
      createdAt: "2026-01-01T00:00:00.000Z",
    });
    const asked: string[] = [];
    const inspect = async (id: string): Promise<EngineContainerDetails> => {
      asked.push(id);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      assert.ok(next !== undefined);
      return next();
    };
    return { state, asked, aliases: new Aliases({ state, inspect, onOutcome: () => {}, pause: () => 2 }) };
  };

  it("are asked for once, of containers that have joined and are known", async () => {
    const { state, asked, aliases } = open([() => details({ endpointId: "e1", aliases: ["www", "www", "shop"] })]);
    using _state = state;
    await using _ = aliases;
    state.putEndpoint(endpoint("e1"));
    state.putEndpoint(endpoint("e2", { joined: false, addresses: ["10.65.0.2"] }));
    aliases.look();
    await until(() => state.endpoints.get("e1")?.aliases !== undefined);
    assert.deepEqual(state.endpoints.get("e1")?.aliases, ["www", "shop"]);
    aliases.look();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(asked, [ID]);
  });

  it("are asked for again while the engine is at work, and until it lists the connection that it told of", async () => {
    const busy = (): never => {
      throw new Error("timeout");
    };
    const { state, asked, aliases } = open([
      busy,
      () => details(),
      () => details({ endpointId: "e1", aliases: ["www"] }),
    ]);
    using _state = state;
    await using _ = aliases;
    state.putEndpoint(endpoint("e1"));
    aliases.look();
    await until(() => state.endpoints.get("e1")?.aliases !== undefined);
    assert.deepEqual(state.endpoints.get("e1")?.aliases, ["www"]);
    assert.equal(asked.length, 3);
  });

  it("are asked for as long as the engine is at work, and no longer than the endpoint is there", async () => {
    const { state, asked, aliases } = open([
      ...Array.from({ length: 30 }, () => () => details()),
      () => details({ endpointId: "e1", aliases: ["www"] }),
      () => details(),
    ]);
    using _state = state;
    await using _ = aliases;
    state.putEndpoint(endpoint("e1"));
    aliases.look();
    await until(() => state.endpoints.get("e1")?.aliases !== undefined);
    state.putEndpoint(endpoint("e2", { container: { id: "d".repeat(64), name: "db", labels: {} } }));
    aliases.look();
    await until(() => asked.length > 33);
    state.removeEndpoint("e2");
    const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));
    await rest();
    const before = asked.length;
    await rest();
    assert.equal(asked.length, before);
  });
});
