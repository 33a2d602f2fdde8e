/** Each state in which a crash can leave a claim or a release, and how the next start deals with it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host, pool } from "../../../tests/store/address-fixture.ts";
import { BLOCKS, claimConfirm, claimPending, releaseBegin } from "../../core/ipam/claim.ts";
import { cidr } from "../../core/net/cidr.ts";
import { resourceKey } from "../cluster-cache.ts";

const POOL = pool("v4", "10.65.0.0/24");
const BLOCK = cidr("10.65.0.64/26");
const MINE = { host: "h1", block: BLOCK, pool: "v4" };

async function poolAt(host: Host) {
  const key = resourceKey(POOL);
  return { key, modRevision: (await host.store.get(key))?.modRevision ?? 0 };
}

const owners = async (host: Host) => (await host.store.list(BLOCKS)).entries.map(({ key }) => key);
const affinities = async (host: Host) =>
  (await host.store.list("/manx/v1/ipam/affinities/")).entries.map(({ key }) => key);

describe("claims after a crash", () => {
  it("pending: is dropped", async () => {
    await using host = await Host.with([POOL]);
    assert.ok((await host.store.commit(claimPending(MINE, await poolAt(host)))).ok);
    assert.deepEqual(await host.addresses.recover(), []);
    assert.deepEqual([await owners(host), await affinities(host)], [[], []]);
  });

  it("pending or releasing: is not in the way of a new claim either", async () => {
    await using host = await Host.with([POOL]);
    const poolId = await host.network("n1");
    const pending = await host.store.commit(claimPending(MINE, await poolAt(host)));
    assert.equal(await host.addresses.request({ poolId, address: "10.65.0.70" }), "10.65.0.70/32");
    host.addresses.release(poolId, "10.65.0.70");
    assert.ok(pending.ok);
  });

  it("confirmed, but not written down here: is taken up", async () => {
    await using host = await Host.with([POOL]);
    const { revision } = await host.store.commit(claimPending(MINE, await poolAt(host)));
    assert.ok((await host.store.commit(claimConfirm(MINE, revision, await poolAt(host)))).ok);
    assert.deepEqual(await host.addresses.recover(), []);
    assert.deepEqual(host.addresses.blocks(), ["10.65.0.64/26"]);
    assert.deepEqual(await host.addresses.check(), []);
  });

  it("releasing: is finished", async () => {
    await using host = await Host.with([POOL]);
    const pending = await host.store.commit(claimPending(MINE, await poolAt(host)));
    const confirmed = await host.store.commit(claimConfirm(MINE, pending.revision, await poolAt(host)));
    assert.ok((await host.store.commit(releaseBegin(MINE, confirmed.revision))).ok);
    assert.deepEqual(await host.addresses.recover(), []);
    assert.deepEqual([await owners(host), await affinities(host), host.addresses.blocks()], [[], [], []]);
  });

  it("the store lost our block: it is claimed again, with what is in it", async () => {
    await using host = await Host.with([POOL]);
    const poolId = await host.network("n1");
    const a = await host.addresses.request({ poolId });
    const lost = [...(await owners(host)), ...(await affinities(host))].map((key) => ({
      kind: "delete" as const,
      key,
    }));
    await host.store.commit({ ops: lost });
    assert.deepEqual(await host.addresses.recover(), []);
    assert.equal((await owners(host)).length, 1);
    assert.equal(`${host.addresses.inUse()[0]?.address}/32`, a);
  });

  it("the store lost our block and gave it to another host: says so, and gives nothing more out of it", async () => {
    await using host = await Host.with([POOL]);
    const poolId = await host.network("n1");
    await host.addresses.request({ poolId });
    const [key] = await owners(host);
    await host.store.commit({
      ops: [{ kind: "put", key: key ?? "", value: JSON.stringify({ pool: "v4", host: "h2" }) }],
    });
    assert.match((await host.addresses.recover()).join(), /Cannot claim the block 10\.65\.0\.\d+\/26 again.*host "h2"/);
    const more = await host.addresses.request({ poolId });
    assert.equal(host.addresses.blocks().length, 2);
    assert.notEqual(more.split(".")[3]?.length, undefined);
    await host.restart();
    const used = host.addresses.inUse().map(({ block }) => block);
    assert.equal(new Set(used).size, 2, "the new address is in the new block");
  });
});

describe("claims at once", () => {
  it("of pools that overlap: one of them comes to be", async () => {
    await using host = await Host.with([]);
    await using other = new Host("h2", host.store);
    const ranges = ["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8", "10.1.2.0/25"];
    const asks = ranges.map((range, i) => (i % 2 === 0 ? host : other).addresses.addPool(pool(`p${i}`, range)));
    const won = (await Promise.allSettled(asks)).filter(({ status }) => status === "fulfilled");
    assert.equal(won.length, 1);
    assert.equal((await host.store.list("/manx/v1/resources/IPPool/")).entries.length, 1);
  });

  it("of the pool of one subnet: it is made once, and serves all", async () => {
    await using first = await Host.with([]);
    const hosts = Array.from({ length: 4 }, (_, i) => new Host(`x${i}`, first.store, { answerMs: 5 }));
    try {
      const ids = await Promise.all(hosts.map((host) => host.network("n1", { pool: "10.7.0.0/24" })));
      assert.equal(ids.length, 4);
      assert.equal((await first.store.list("/manx/v1/resources/IPPool/")).entries.length, 1);
    } finally {
      for (const host of hosts) await host[Symbol.asyncDispose]();
    }
  });

  it("are for one host each, however many hosts want the same block", async () => {
    await using first = await Host.with([pool("v4", "10.65.0.0/28", { blockSize: 30 })]);
    const hosts = Array.from({ length: 6 }, (_, i) => new Host(`x${i}`, first.store, { answerMs: 20 }));
    try {
      for (const host of hosts) host.pools = first.pools;
      const ids = await Promise.all(hosts.map((host) => host.network("n1")));
      const asked = hosts.map((host, i) => host.addresses.request({ poolId: ids[i] as string, address: "10.65.0.5" }));
      const won = (await Promise.allSettled(asked)).filter(({ status }) => status === "fulfilled");
      assert.equal(won.length, 1);
      const all = await Promise.allSettled(
        hosts.map((host, i) => host.addresses.request({ poolId: ids[i] as string })),
      );
      const given = all.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      assert.equal(new Set(given).size, given.length);
      assert.equal((await first.store.list(BLOCKS)).entries.length, 4);
    } finally {
      for (const host of hosts) await host[Symbol.asyncDispose]();
    }
  });

  it("stop when the pool is disabled in the middle", async () => {
    await using host = await Host.with([POOL]);
    const at = await poolAt(host);
    const { revision } = await host.store.commit(claimPending(MINE, at));
    await host.changePool("v4", { disabled: true });
    assert.equal((await host.store.commit(claimConfirm(MINE, revision, at))).ok, false);
    await assert.rejects(host.addresses.requestPool({ family: 4 }), /is disabled/);
  });
});
