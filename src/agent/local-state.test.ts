import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { openLocalState } from "./local-state.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";

const network = (id: string): NetworkRecord => ({
  id,
  spec: { pools: [], families: [4], publish: "address", isolation: "network", internal: false, sticky: true },
  ipv4Pools: [],
  ipv6Pools: [],
  options: {},
  createdAt: "2026-01-01T00:00:00Z",
});

const endpoint = (id: string, networkId: string): EndpointRecord => ({
  id,
  networkId,
  addresses: ["10.65.0.1"],
  mac: "02:42:00:00:00:01",
  driverOptions: {},
  published: [],
  exposedPorts: [],
  joined: false,
  createdAt: "2026-01-01T00:00:00Z",
});

describe("local state", () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "manx-state-"));
    path = join(directory, "manx.db");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("has everything again after it was closed", () => {
    {
      using state = openLocalState(path);
      state.putNetwork(network("n1"));
      state.putEndpoint(endpoint("e1", "n1"));
      state.putEndpoint({ ...endpoint("e2", "n1"), joined: true });
      state.putEndpoint({ ...endpoint("e1", "n1"), sandbox: "/run/s" });
      state.removeEndpoint("e2");
      state.setMeta("a", "1");
      state.setMeta("b", "2");
      state.setMeta("b", undefined);
    }
    using state = openLocalState(path);
    assert.deepEqual([...state.networks.values()], [network("n1")]);
    assert.deepEqual([...state.endpoints.values()], [{ ...endpoint("e1", "n1"), sandbox: "/run/s" }]);
    assert.equal(state.meta("a"), "1");
    assert.equal(state.meta("b"), undefined);
  });

  it("keeps no endpoint without its network", () => {
    using state = openLocalState(path);
    assert.throws(() => state.putEndpoint(endpoint("e1", "n1")), /network "n1" is not known/);
    state.putNetwork(network("n1"));
    state.putEndpoint(endpoint("e1", "n1"));
    assert.throws(() => state.removeNetwork("n1"), /has 1 endpoint/);
    assert.equal(state.removeEndpoint("e1"), true);
    assert.equal(state.removeNetwork("n1"), true);
    assert.equal(state.removeNetwork("n1"), false);
    assert.equal(state.removeEndpoint("e1"), false);
  });

  it("undoes a change that throws, on disk and in memory, and tells nobody", () => {
    const told: string[] = [];
    {
      using state = openLocalState(path);
      state.putNetwork(network("n1"));
      state.onChange((changed) => told.push([...changed].join()));
      const work = (): void => {
        state.putNetwork({ ...network("n1"), name: "apps" });
        state.putNetwork(network("n2"));
        state.putEndpoint(endpoint("e1", "n2"));
        state.removeNetwork("n1");
        throw new Error("mine");
      };
      assert.throws(() => state.change(work), /mine/);
      assert.deepEqual([...state.networks.values()], [network("n1")]);
      assert.equal(state.endpoints.size, 0);
    }
    assert.deepEqual(told, []);
    using state = openLocalState(path);
    assert.deepEqual([...state.networks.keys()], ["n1"]);
    assert.equal(state.networks.get("n1")?.name, undefined);
  });

  it("undoes only the inner change where the outer one goes on", () => {
    {
      using state = openLocalState(path);
      state.change(() => {
        state.putNetwork(network("n1"));
        const inner = (): void => {
          state.putNetwork(network("n2"));
          state.putNetwork({ ...network("n1"), name: "x" });
          throw new Error("mine");
        };
        assert.throws(() => state.change(inner));
        state.putNetwork(network("n3"));
      });
      assert.deepEqual([...state.networks.keys()], ["n1", "n3"]);
    }
    using state = openLocalState(path);
    assert.deepEqual([...state.networks.keys()], ["n1", "n3"]);
    assert.equal(state.networks.get("n1")?.name, undefined);
  });

  it("tells once a transaction what it touched, after it is done", () => {
    using state = openLocalState(path);
    const told: string[] = [];
    const stop = state.onChange((changed) => {
      told.push([...changed].sort().join());
      assert.ok(state.networks.has("n1"));
    });
    state.change(() => {
      state.putNetwork(network("n1"));
      state.change(() => state.putEndpoint(endpoint("e1", "n1")));
      state.putEndpoint(endpoint("e2", "n1"));
    });
    state.setMeta("a", "1");
    state.removeEndpoint("none");
    stop();
    state.setMeta("a", "2");
    assert.deepEqual(told, ["endpoints,networks", "meta"]);
  });

  it("lets a listener change the state", () => {
    using state = openLocalState(path);
    const told: string[] = [];
    state.onChange((changed) => {
      told.push([...changed].join());
      if (changed.has("networks")) state.setMeta("seen", "1");
    });
    state.putNetwork(network("n1"));
    assert.deepEqual(told, ["networks", "meta"]);
  });

  it("finds the endpoint of an address as a slow look does, through changes and undone changes", () => {
    const step = fc.record({
      id: fc.constantFrom("e1", "e2", "e3"),
      addresses: fc.option(fc.uniqueArray(fc.constantFrom("10.0.0.1", "10.0.0.2", "fd00::1"), { maxLength: 3 })),
      fails: fc.boolean(),
    });
    using state = openLocalState(path);
    state.putNetwork(network("n1"));
    const run = ({ id, addresses, fails }: { id: string; addresses: string[] | null; fails: boolean }): void => {
      if (addresses === null) state.removeEndpoint(id);
      else state.putEndpoint({ ...endpoint(id, "n1"), addresses });
      if (fails) throw new Error("mine");
    };
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 12 }), (transactions) => {
        for (const steps of transactions) {
          try {
            state.change(() => steps.forEach(run));
          } catch (error) {
            assert.equal((error as Error).message, "mine");
          }
          for (const text of ["10.0.0.1", "10.0.0.2", "fd00::1"]) {
            const slow = [...state.endpoints.values()].filter(({ addresses }) => addresses.includes(text));
            const fast = state.endpointsWith(text)[0];
            assert.ok(slow.length === 0 ? fast === undefined : slow.includes(fast as EndpointRecord));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("gives records that nobody can change, and the same object until they do", () => {
    using state = openLocalState(path);
    state.putNetwork(network("n1"));
    const record = state.networks.get("n1") as { name?: string };
    assert.throws(() => (record.name = "x"), TypeError);
    state.setMeta("a", "1");
    assert.equal(state.networks.get("n1"), record);
  });

  it("refuses a file that is not its own, and never makes it anew", () => {
    writeFileSync(path, "x".repeat(10_000));
    assert.throws(() => openLocalState(path), { name: "DriverError", code: "invalid" });
    assert.throws(() => openLocalState(path), { name: "DriverError", code: "invalid" });
  });
});
