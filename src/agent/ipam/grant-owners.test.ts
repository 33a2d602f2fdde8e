import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULTS, Host, pool } from "../../../tests/store/address-fixture.ts";
import { networkRecord } from "../../../tests/store/records.ts";
import type { BindAsk, PoolGrant } from "../addresses.ts";
import { freeTag } from "./grant-owners.ts";

const GATEWAY = "com.docker.network.gateway";
const ask = ({ pool, data }: PoolGrant, family: 4 | 6 = 4): BindAsk => ({ family, pool, gateway: data[GATEWAY] ?? "" });
const guess = ({ pool }: PoolGrant): BindAsk => ({ family: 4, pool });

/** CreateNetwork, as the plugin does it. */
function create(host: Host, id: string, asks: readonly BindAsk[], pools?: readonly string[]): string[] {
  return host.state.change(() => {
    const ids = host.addresses.bind(id, asks, pools);
    host.state.putNetwork({ ...networkRecord(id), ipv4Pools: ids });
    return ids;
  });
}

const request = (host: Host) => host.addresses.requestPool({ family: 4 });

describe("whose a grant is", () => {
  it("is known from the mark that the answer carries, in whatever order networks are made", async () => {
    await using host = await Host.with([...DEFAULTS, pool("other", "10.77.0.0/24", { assignmentMode: "Manual" })]);
    const grants = await Promise.all([request(host), request(host), request(host)]);
    assert.equal(new Set(grants.map(({ data }) => data[GATEWAY])).size, 3);
    for (const { data } of grants) assert.match(data[GATEWAY] ?? "", /^0\.0\.0\.0\/\d+$/);
    const [a, b, c] = grants;
    assert.deepEqual(create(host, "c", [ask(c)]), [c.poolId]);
    assert.deepEqual(create(host, "a", [ask(a)], ["other"]), [a.poolId]);
    assert.deepEqual(create(host, "b", [ask(b)]), [b.poolId]);
    assert.match(await host.addresses.request({ poolId: a.poolId }), /^10\.77\.0\./);
    assert.match(await host.addresses.request({ poolId: b.poolId }), /^10\.65\./);
    assert.equal((await request(host)).data[GATEWAY], "0.0.0.0/0", "marks are used again");
    const six = await Promise.all([1, 2].map(() => host.addresses.requestPool({ family: 6 })));
    assert.deepEqual(
      six.map(({ data }) => data[GATEWAY]),
      ["::/0", "::/1"],
    );
  });

  it("runs out of marks before it runs out of networks, and then guesses", async () => {
    assert.equal(freeTag(4, new Set(Array.from({ length: 33 }, (_, i) => i))), 0);
    assert.equal(freeTag(6, new Set(Array.from({ length: 33 }, (_, i) => i))), 33);
    await using host = await Host.with();
    const grants: PoolGrant[] = [];
    for (let i = 0; i < 40; i++) grants.push(await request(host));
    const ids = grants.map((grant, i) => create(host, `n${i}`, [ask(grant)])[0]);
    assert.equal(new Set(ids).size, 40);
  });

  it("is corrected by the first endpoint where it was guessed wrong, with what the network's options ask for", async () => {
    await using host = await Host.with([...DEFAULTS, pool("other", "10.77.0.0/24", { assignmentMode: "Manual" })]);
    const [a, b] = [await request(host), await request(host)];
    // Docker makes b first, and its engine brings no mark back: we take the older grant.
    assert.deepEqual(create(host, "b", [guess(b)], ["other"]), [a.poolId]);
    assert.deepEqual(create(host, "a", [guess(a)]), [b.poolId]);
    const first = await host.addresses.request({ poolId: a.poolId });
    assert.match(first, /^10\.77/, "wrong, as nobody can know better yet");
    host.endpoint("e1", "a", first);
    assert.deepEqual(host.state.networks.get("a")?.ipv4Pools, [a.poolId]);
    assert.deepEqual(host.state.networks.get("b")?.ipv4Pools, [b.poolId]);
    assert.match(await host.addresses.request({ poolId: a.poolId }), /^10\.65/);
    assert.match(await host.addresses.request({ poolId: b.poolId }), /^10\.77/);
    assert.deepEqual(
      new Set(host.addresses.inUse().map(({ poolId, networkId }) => `${poolId} ${networkId}`)),
      new Set([`${a.poolId} a`, `${b.poolId} b`]),
    );
    assert.equal((await host.addresses.check()).filter(({ kind }) => kind !== "address-leaked").length, 0);
  });

  it("is found out where Docker gives the wrong one back with another network", async () => {
    await using host = await Host.with();
    const [a, b] = [await request(host), await request(host)];
    create(host, "b", [guess(b)]);
    create(host, "a", [guess(a)]);
    await host.addresses.releasePool(a.poolId);
    host.state.removeNetwork("a");
    const given = await host.addresses.request({ poolId: b.poolId, address: "10.65.9.9" });
    assert.equal(given, "10.65.9.9/32");
    assert.equal(host.addresses.inUse()[0]?.networkId, "b", "given out, not only kept free");
    assert.deepEqual(host.state.networks.get("b")?.ipv4Pools, [b.poolId]);
    host.clock += 3_600_000;
    const live = new Map([["10.65.9.9", { networkId: "b" }]]);
    assert.deepEqual((await host.addresses.reconcile(live, host.addresses.mark())).collected, []);
  });

  it("is known from the network's record where the grant was lost", async () => {
    await using host = await Host.with();
    const a = await request(host);
    create(host, "a", [ask(a)]);
    host.state.ipam.grants.delete(a.poolId);
    await host.restart();
    assert.equal(await host.addresses.request({ poolId: a.poolId, address: "10.65.9.9" }), "10.65.9.9/32");
    assert.equal(host.addresses.inUse()[0]?.networkId, "a");
  });
});
