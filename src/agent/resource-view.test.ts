/** What the API lists: every stored resource with its version, whichever part of the agent keeps it at hand. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Snapshot } from "../core/calc/snapshot.ts";
import { KINDS } from "../core/model/kinds.ts";
import type { AnyResource } from "../core/model/resources.ts";
import { MemoryStore } from "../drivers/store/memory.ts";
import { ClusterCache, resourceKey } from "./cluster-cache.ts";
import { resources } from "./resource-view.ts";

const make = (kind: string, name: string, annotations?: Record<string, string>): AnyResource =>
  ({
    apiVersion: "projectcalico.org/v3",
    kind,
    metadata: { name, ...(annotations && { annotations }) },
    spec: {},
  }) as unknown as AnyResource;

const STORED = KINDS.filter(({ kind, readOnly }) => !readOnly && kind !== "Network").map(({ kind }) => kind);

/** An agent whose store holds one resource of each kind that is stored, and whose snapshot shows them. */
async function fixture(made: readonly AnyResource[] = []) {
  const store = new MemoryStore();
  const stored = STORED.map((kind) => make(kind, "one"));
  await store.commit({
    ops: stored.map((one) => ({ kind: "put", key: resourceKey(one), value: JSON.stringify(one) })),
  });
  const cluster = await ClusterCache.open(
    { store, onChange: () => {}, onBadValue: () => {}, onTrouble: () => {} },
    AbortSignal.timeout(10_000),
  );
  const snapshot = {
    endpoints: [],
    networks: [],
    nodes: [...cluster.all("Node"), make("Node", "unstored")],
    policies: [...cluster.all("GlobalNetworkPolicy"), ...cluster.all("NetworkPolicy"), ...made],
  } as unknown as Snapshot;
  return { cluster, takeSnapshot: () => snapshot };
}

describe("resources", () => {
  for (const kind of STORED)
    it(`shows the version of each stored ${kind}, so that a change can be based on it`, async () => {
      const agent = await fixture();
      const one = resources(agent, kind).find(({ metadata }) => metadata.name === "one");
      assert.equal(one?.metadata.resourceVersion, String(agent.cluster.revisionOf(make(kind, "one"))));
    });

  it("shows none of what is not stored: a host that has just come, a policy of container labels", async () => {
    const agent = await fixture([make("NetworkPolicy", "one", { "manx/made-from": "container labels" })]);
    const versions = (kind: "Node" | "NetworkPolicy") =>
      resources(agent, kind).map(({ metadata }) => metadata.resourceVersion !== undefined);
    assert.deepEqual(
      [versions("Node"), versions("NetworkPolicy")],
      [
        [true, false],
        [true, false],
      ],
    );
  });

  it("shows what is always there, until somebody stores it", async () => {
    const agent = await fixture();
    const names = (kind: "Tier" | "Profile") => resources(agent, kind).map(({ metadata }) => metadata.name);
    assert.deepEqual(
      [names("Tier"), names("Profile")],
      [
        ["default", "one"],
        ["projectcalico-default-allow", "one"],
      ],
    );
    const stored = make("Tier", "default");
    const withIt = { ...agent, cluster: { all: () => [stored], revisionOf: () => 7 } };
    assert.deepEqual(
      resources(withIt as unknown as typeof agent, "Tier").map(({ metadata }) => metadata.resourceVersion),
      ["7"],
    );
  });
});
