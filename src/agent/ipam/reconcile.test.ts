import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULTS, Host, pool } from "../../../tests/store/address-fixture.ts";
import { networkRecord } from "../../../tests/store/records.ts";

const MINUTE = 60_000;
const bare = (a: string): string => a.replace(/\/.*/, "");

/** Two reconciliations a minute apart, long after everything happened. */
async function twice(host: Host, live: Record<string, string> = {}) {
  const map = new Map(Object.entries(live).map(([a, networkId]) => [bare(a), { networkId }]));
  host.clock += 60 * MINUTE;
  const first = await host.addresses.reconcile(map, host.addresses.mark());
  host.clock += MINUTE;
  const second = await host.addresses.reconcile(map, host.addresses.mark());
  return { first, second };
}

describe("reconcile", () => {
  it("releases an address that nobody has, at the second look, and no other", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    const [dead, live, recorded] = await Promise.all([1, 2, 3].map(() => host.addresses.request({ poolId })));
    host.endpoint("e1", "n1", recorded as string);
    const { first, second } = await twice(host, { [live as string]: "n1" });
    assert.deepEqual([first.released, first.problems], [[], []]);
    assert.deepEqual([second.released, second.problems], [[bare(dead as string)], []]);
    assert.equal(host.addresses.inUse().length, 2);
  });

  it("leaves what was given out after or shortly before the mark, however the wall clock goes", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    host.clock = 60 * MINUTE;
    await host.addresses.request({ poolId });
    for (let i = 0; i < 3; i++) {
      host.clock += 30_000;
      const { released } = await host.addresses.reconcile(new Map(), host.addresses.mark());
      assert.deepEqual(released, []);
    }
    const mark = host.addresses.mark();
    host.clock += 60 * MINUTE;
    assert.deepEqual((await host.addresses.reconcile(new Map(), mark)).released, [], "the mark is what counts");
  });

  it("gives what an earlier process left the same time", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    await host.addresses.request({ poolId });
    host.clock = 100 * MINUTE;
    await host.restart();
    assert.deepEqual((await host.addresses.reconcile(new Map(), host.addresses.mark())).released, []);
    host.clock += MINUTE;
    assert.deepEqual((await host.addresses.reconcile(new Map(), host.addresses.mark())).released, []);
    assert.equal((await twice(host)).second.released.length, 1);
  });

  it("starts to count anew when an address was alive in between", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    const a = bare(await host.addresses.request({ poolId }));
    host.clock = 60 * MINUTE;
    const look = async (alive: boolean) =>
      (await host.addresses.reconcile(new Map(alive ? [[a, { networkId: "n1" }]] : []), host.addresses.mark()))
        .released;
    assert.deepEqual(await look(false), []);
    assert.deepEqual(await look(true), []);
    assert.deepEqual(await look(false), []);
    assert.deepEqual(await look(false), [a]);
  });

  it("takes again what Docker uses and we forgot, in a block of ours or a new one", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    const a = await host.addresses.request({ poolId });
    host.addresses.release(poolId, a);
    const { first } = await twice(host, { [a]: "n1", "10.65.200.7": "n1" });
    assert.deepEqual([...first.adopted].sort(), ["10.65.200.7", bare(a)].sort());
    await assert.rejects(host.addresses.request({ poolId, address: a }), /has it/);
  });

  it("says what it cannot put right", async () => {
    await using host = await Host.with();
    const [one] = [await host.network("n1"), await host.network("n2")];
    const a = await host.addresses.request({ poolId: one });
    const { first } = await twice(host, { [a]: "n2", "192.0.2.1": "n1", "10.65.1.1": "stranger", "fd65::1": "n1" });
    const problems = first.problems.join("\n");
    assert.match(problems, /on the network n2, Manx gave it to the network n1/);
    assert.match(problems, /192\.0\.2\.1: it lies in no IP pool/);
    assert.match(problems, /10\.65\.1\.1 on the network stranger, for which Manx has no pool/);
    assert.match(problems, /fd65::1 on the network n1, for which Manx has no pool/);
  });

  it("collects pool IDs that no network came for, with the pools made for them, but not young ones", async () => {
    await using host = await Host.with();
    const key = "/manx/v1/resources/IPPool/-/subnet-172-20-0-0-24";
    const { poolId } = await host.addresses.requestPool({ family: 4, pool: "172.20.0.0/24" });
    const kept = await host.network("n1", { pool: "172.21.0.0/24" });
    assert.deepEqual((await host.addresses.reconcile(new Map(), host.addresses.mark())).collected, []);
    assert.notEqual(await host.store.get(key), undefined);
    const { first } = await twice(host);
    assert.deepEqual(first.collected, [poolId]);
    assert.equal(await host.store.get(key), undefined);
    assert.deepEqual([...host.state.ipam.grants.all.keys()], [kept]);
    host.state.removeNetwork("n1");
    assert.deepEqual((await twice(host)).first.collected, [kept]);
  });

  it("gives empty blocks back, but not the last one, unless the pool may not be used here any more", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/24", { blockSize: 30 })]);
    const poolId = await host.network("n1");
    const given = await Promise.all(Array.from({ length: 12 }, () => host.addresses.request({ poolId })));
    for (const a of given) host.addresses.release(poolId, a);
    await twice(host);
    assert.equal(host.addresses.blocks().length, 1);
    await host.changePool("a", { disabled: true });
    await twice(host);
    assert.deepEqual(host.addresses.blocks(), []);
    assert.deepEqual((await host.store.list("/manx/v1/ipam/affinities/")).entries, []);
    assert.deepEqual((await host.store.list("/manx/v1/ipam/blocks/")).entries, []);
  });

  it("goes on with the rest when the store is away, and says so", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    await host.addresses.request({ poolId });
    await host.addresses.requestPool({ family: 4, pool: "172.20.0.0/24" });
    (host.store as unknown as { fail(why: string): void }).fail("asleep");
    const { first, second } = await twice(host);
    assert.match(first.problems.join(), /asleep/);
    assert.equal(second.released.length, 1);
  });
});

describe("pools by hand", () => {
  it("adds what overlaps nothing, removes what nobody uses, and says who does", async () => {
    await using host = await Host.with();
    host.routes = ["192.168.0.0/16"];
    await host.addresses.addPool(pool("more", "10.77.0.0/24"));
    await assert.rejects(host.addresses.addPool(pool("more", "10.78.0.0/24")), /there is one of that name/);
    await assert.rejects(host.addresses.addPool(pool("x", "10.77.0.128/25")), /lies in the pool "more"/);
    await assert.rejects(host.addresses.addPool(pool("x", "192.168.7.0/24")), /route 192\.168\.0\.0\/16/);
    await assert.rejects(host.addresses.removePool("none"), /there is none of that name/);
    const { poolId } = await host.addresses.requestPool({ family: 4, options: { pool: "more" } });
    const a = await host.addresses.request({ poolId });
    await assert.rejects(host.addresses.removePool("more"), (error: Error) =>
      error.message.includes(`1 address is in use (${bare(a)})`),
    );
    await host.addresses.request({ poolId });
    host.addresses.release(poolId, a);
    await assert.rejects(host.addresses.removePool("more"), /1 address is in use/);
    await host.addresses.releasePool(poolId);
    await host.addresses.removePool("more");
    assert.deepEqual((await host.store.list("/manx/v1/ipam/blocks/")).entries, []);
    await assert.rejects(host.addresses.requestPool({ family: 4, options: { pool: "more" } }), /does not exist/);
  });

  it("does not remove a pool of which another host has blocks", async () => {
    await using host = await Host.with();
    await using other = new Host("h2", host.store);
    other.pools = host.pools;
    await other.addresses.request({ poolId: await other.network("n1") });
    await assert.rejects(host.addresses.removePool("v4"), /hosts have blocks of it \(h2\)/);
    assert.equal(
      JSON.parse((await host.store.get("/manx/v1/resources/IPPool/-/v4"))?.value ?? "").spec.disabled,
      undefined,
    );
  });

  it("makes default pools once, clear of the host's routes, and never again", async () => {
    await using host = new Host();
    host.routes = ["10.65.0.0/24"];
    const notes = await host.addresses.installDefaultPools();
    assert.match(notes.join(), /The default IPv4 pool is 10\.66\.0\.0\/16/);
    assert.equal((await host.store.list("/manx/v1/resources/IPPool/")).entries.length, 2);
    await host.addresses.removePool("default-ipv4");
    await host.addresses.removePool("default-ipv6");
    assert.deepEqual(await host.addresses.installDefaultPools(), []);
    assert.equal((await host.store.list("/manx/v1/resources/IPPool/")).entries.length, 0);
  });
});

describe("check", () => {
  it("finds nothing wrong with a host that is well", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    const a = await host.addresses.request({ poolId });
    host.endpoint("e1", "n1", a);
    assert.deepEqual(await host.addresses.check(new Map([[bare(a), { networkId: "n1" }]])), []);
    await host.restart();
    assert.deepEqual(await host.addresses.check(), []);
  });

  it("finds each kind of disagreement", async () => {
    await using host = await Host.with([...DEFAULTS, pool("twin", "10.65.4.0/24"), pool("gone", "10.80.0.0/24")]);
    host.routes = ["10.65.4.0/24"];
    const poolId = await host.network("n1", { family: 6 });
    const named = await host.addresses.requestPool({ family: 4, options: { pool: "gone" } });
    const leaked = await host.addresses.request({ poolId: named.poolId });
    host.pools = host.pools.filter(({ metadata }) => metadata.name !== "gone");
    await host.network("n2");
    const six = await host.addresses.request({ poolId });
    host.endpoint("e1", "n2", six, "10.65.99.1");
    host.endpoint("e2", "n1", six);
    host.state.putNetwork({ ...networkRecord("n3"), ipv4Pools: ["4;id=0000000000000000"] });
    const put = (key: string, value: object) =>
      host.store.commit({ ops: [{ kind: "put", key: `/manx/v1/ipam/${key}`, value: JSON.stringify(value) }] });
    await put("affinities/h1/10.65.1.0-26", { pool: "v4", state: "pending" });
    await put("blocks/10.65.2.0-26", { pool: "v4", host: "h1" });
    await put("blocks/10.65.2.32-27", { pool: "v4", host: "h2" });
    const [block] = (await host.store.list("/manx/v1/ipam/blocks/10.80")).entries;
    await host.store.commit({
      ops: [{ kind: "put", key: block?.key ?? "", value: JSON.stringify({ pool: "gone", host: "h2" }) }],
    });
    const found = await host.addresses.check(new Map([["10.65.50.1", { networkId: "n1" }]]));
    assert.deepEqual([...new Set(found.map(({ kind }) => kind))].sort(), [
      "address-leaked",
      "address-not-given",
      "address-of-another-network",
      "address-twice",
      "address-unknown",
      "block-not-known",
      "block-not-owned",
      "block-without-pool",
      "blocks-overlap",
      "claim-unfinished",
      "grant-without-network",
      "network-without-grant",
      "pool-overlaps-route",
      "pools-overlap",
    ]);
    assert.equal(found.find(({ kind }) => kind === "address-leaked")?.subject, bare(leaked));
  });
});
