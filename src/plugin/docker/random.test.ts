/**
 * Random sequences of Docker's calls: in order and out of it, repeated, cut off, with the agent killed in between. The model beside it
 * knows only what Docker was answered; whatever happens, the records must agree with it.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { id, PluginHost } from "../../../tests/plugin/plugin-fixture.ts";
import { EngineReconcile } from "./reconcile.ts";

type Step =
  | { readonly kind: "pool"; readonly network: number }
  | { readonly kind: "create"; readonly network: number }
  | { readonly kind: "delete"; readonly network: number }
  | { readonly kind: "request"; readonly network: number; readonly explicit: number }
  | { readonly kind: "release"; readonly network: number; readonly address: number }
  | { readonly kind: "endpoint"; readonly network: number; readonly endpoint: number; readonly address: number }
  | { readonly kind: "join"; readonly network: number; readonly endpoint: number; readonly sandbox: number }
  | { readonly kind: "leave"; readonly network: number; readonly endpoint: number }
  | { readonly kind: "remove"; readonly network: number; readonly endpoint: number }
  | { readonly kind: "empty"; readonly call: number }
  | { readonly kind: "kill" };

const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
const network = small(2);
const endpoint = small(4);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("pool" as const), network }),
  fc.record({ kind: fc.constant("create" as const), network }),
  { arbitrary: fc.record({ kind: fc.constant("delete" as const), network }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant("request" as const), network, explicit: small(8) }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant("release" as const), network, address: small(5) }), weight: 2 },
  {
    arbitrary: fc.record({ kind: fc.constant("endpoint" as const), network, endpoint, address: small(5) }),
    weight: 4,
  },
  { arbitrary: fc.record({ kind: fc.constant("join" as const), network, endpoint, sandbox: small(1) }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant("leave" as const), network, endpoint }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant("remove" as const), network, endpoint }), weight: 2 },
  fc.record({ kind: fc.constant("empty" as const), call: small(20) }),
  fc.record({ kind: fc.constant("kill" as const) }),
);

/** What Docker knows: only from the answers. */
class Model {
  readonly pools = new Map<number, { PoolID: string; Pool: string }>();
  readonly created = new Set<number>();
  /** Given out and not given back. */
  readonly held: { network: number; poolId: string; address: string }[] = [];
}

const NETWORKS = 0x100;
const ENDPOINTS = 0x200;

async function perform(plugin: PluginHost, model: Model, one: Step): Promise<void> {
  const net = "network" in one ? id(NETWORKS + one.network) : "";
  const both = "endpoint" in one ? { NetworkID: net, EndpointID: id(ENDPOINTS + one.endpoint) } : {};
  switch (one.kind) {
    case "pool": {
      if (model.pools.has(one.network)) return;
      const Pool = `10.65.${one.network}.0/24`;
      const ask = { AddressSpace: "manx-local", Pool, SubPool: "", Options: {}, V6: false };
      model.pools.set(
        one.network,
        (await plugin.ok("IpamDriver.RequestPool", ask)) as { PoolID: string; Pool: string },
      );
      return;
    }
    case "create": {
      const Pool = model.pools.get(one.network)?.Pool ?? "10.65.99.0/24";
      const IPv4Data = [{ AddressSpace: "manx-local", Pool }];
      const { body } = await plugin.call("NetworkDriver.CreateNetwork", { NetworkID: net, Options: {}, IPv4Data });
      if (!("Err" in body)) model.created.add(one.network);
      return;
    }
    case "delete":
      // In Docker's order: no endpoints any more, addresses and pools first.
      for (let e = 0; e <= 4; e++) {
        const gone = { NetworkID: net, EndpointID: id(ENDPOINTS + e) };
        await plugin.ok("NetworkDriver.DeleteEndpoint", gone);
      }
      for (const held of model.held.filter((h) => h.network === one.network))
        await plugin.ok("IpamDriver.ReleaseAddress", { PoolID: held.poolId, Address: held.address });
      drop(model, (h) => h.network === one.network);
      if (model.pools.has(one.network))
        await plugin.ok("IpamDriver.ReleasePool", { PoolID: model.pools.get(one.network)?.PoolID });
      model.pools.delete(one.network);
      model.created.delete(one.network);
      await plugin.ok("NetworkDriver.DeleteNetwork", { NetworkID: net });
      return;
    case "request": {
      const pool = model.pools.get(one.network);
      if (pool === undefined) return;
      const Address = one.explicit > 4 && model.created.has(one.network) ? `10.65.${one.network}.${one.explicit}` : "";
      const { body } = await plugin.call("IpamDriver.RequestAddress", { PoolID: pool.PoolID, Address, Options: {} });
      if ("Err" in body) return;
      const address = String(body["Address"]).replace("/32", "");
      assert.ok(!model.held.some((h) => h.address === address), `${address} was given twice`);
      model.held.push({ network: one.network, poolId: pool.PoolID, address });
      return;
    }
    case "release": {
      const held = model.held.at(one.address);
      if (held === undefined || isOnEndpoint(plugin, held.address)) return;
      drop(model, (h) => h === held);
      await plugin.ok("IpamDriver.ReleaseAddress", { PoolID: held.poolId, Address: held.address });
      await plugin.ok("IpamDriver.ReleaseAddress", { PoolID: held.poolId, Address: held.address });
      return;
    }
    case "endpoint": {
      const held = model.held.filter((h) => h.network === one.network).at(one.address);
      const Interface = { Address: held === undefined ? "" : `${held.address}/32`, AddressIPv6: "", MacAddress: "" };
      await plugin.call("NetworkDriver.CreateEndpoint", { ...both, Options: {}, Interface });
      return;
    }
    case "join":
      await plugin.call("NetworkDriver.Join", { ...both, SandboxKey: `/netns/${one.sandbox}`, Options: {} });
      return;
    case "leave":
      await plugin.ok("NetworkDriver.Leave", both);
      return;
    case "remove":
      await plugin.ok("NetworkDriver.DeleteEndpoint", both);
      return;
    case "empty": {
      const names = ["CreateNetwork", "CreateEndpoint", "Join", "Leave", "DeleteEndpoint", "DeleteNetwork"];
      await plugin.call(`NetworkDriver.${names[one.call % names.length]}`, "");
      return;
    }
    case "kill":
      await plugin.restart();
  }
}

function drop(model: Model, which: (held: Model["held"][number]) => boolean): void {
  for (let i = model.held.length - 1; i >= 0; i--)
    if (which(model.held[i] as Model["held"][number])) model.held.splice(i, 1);
}

function isOnEndpoint(plugin: PluginHost, address: string): boolean {
  return [...plugin.host.state.endpoints.values()].some(({ addresses }) => addresses.includes(address));
}

function invariants(plugin: PluginHost, model: Model): void {
  const { state, addresses } = plugin.host;
  const given = addresses.inUse().map(({ address }) => address);
  assert.deepEqual(
    given.toSorted(),
    model.held.map(({ address }) => address).toSorted(),
    "given out is what Docker holds",
  );
  const onEndpoints = [...state.endpoints.values()].flatMap((e) => e.addresses);
  assert.equal(new Set(onEndpoints).size, onEndpoints.length, "one address, one endpoint");
  for (const address of onEndpoints) assert.ok(given.includes(address), `${address} is on an endpoint but free`);
  const hops = [...state.endpoints.values()].filter((e) => e.joined).map((e) => `${e.sandbox} ${e.gatewayIndex}`);
  assert.equal(new Set(hops).size, hops.length, "one next hop, one interface");
  for (const e of state.endpoints.values()) {
    assert.ok(state.networks.has(e.networkId), "no endpoint without its network");
    assert.equal(e.joined, e.gatewayIndex !== undefined && e.sandbox !== undefined);
  }
  assert.deepEqual(
    [...state.networks.keys()].toSorted(),
    [...model.created].map((n) => id(NETWORKS + n)).toSorted(),
    "the networks are those that Docker was told of",
  );
  assert.ok(!plugin.logged.some((line) => line.startsWith("error:")), plugin.logged.join("\n"));
}

describe("random calls", () => {
  it("never crash the plugin, give an address twice, or lose one", { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
        await using plugin = await PluginHost.start();
        const model = new Model();
        for (const one of steps) {
          await perform(plugin, model, one);
          invariants(plugin, model);
        }
        // Docker forgets everything: after two looks nothing is left.
        const reconcile = new EngineReconcile(plugin.context, () => Promise.reject(new Error("nobody runs")));
        for (let look = 0; look < 3; look++) {
          plugin.clock += 700_000;
          plugin.host.clock += 700_000;
          await reconcile.run(new AbortController().signal);
        }
        assert.deepEqual([plugin.host.state.networks.size, plugin.host.state.endpoints.size], [0, 0]);
        assert.deepEqual(plugin.host.addresses.inUse(), []);
      }),
      { numRuns: 25 },
    );
  });
});
