import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DEFAULTS, Host, pool } from "../../../tests/store/address-fixture.ts";
import { networkRecord } from "../../../tests/store/records.ts";
import { parseAddress } from "../../core/net/address.ts";
import { cidr, contains } from "../../core/net/cidr.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import type { AddressErrorCode } from "../addresses.ts";
import type { BlockRules } from "./supply.ts";

const refusal = (code: AddressErrorCode, message: RegExp) => ({ name: "AddressError", code, message });
const inside = (range: string, text: string): boolean => {
  const a = parseAddress(text.replace(/\/.*/, ""));
  return a !== undefined && contains(cidr(range), a);
};

async function take(host: Host, poolId: string, count: number): Promise<string[]> {
  const out: string[] = [];
  for (let i = 0; i < count; i++) out.push(await host.addresses.request({ poolId }));
  return out;
}

describe("addresses: pools", () => {
  it("answers without a subnet so that the engine neither compares routes nor asks for a gateway", async () => {
    await using host = await Host.with();
    const v4 = await host.addresses.requestPool({ family: 4 });
    assert.equal(v4.pool, "0.0.0.0/0");
    assert.deepEqual(v4.data, { "com.docker.network.gateway": "0.0.0.0/0" });
    const v6 = await host.addresses.requestPool({ family: 6, pool: "" });
    assert.equal(v6.pool, "fd65::/64");
    assert.deepEqual(v6.data, { "com.docker.network.gateway": "::/0" });
    assert.notEqual((await host.addresses.requestPool({ family: 4 })).poolId, v4.poolId);
  });

  it("uses the pool around a subnet, and only addresses of the subnet", async () => {
    await using host = await Host.with();
    const grant = await host.addresses.requestPool({ family: 4, pool: "10.65.7.16/28" });
    assert.equal(grant.pool, "10.65.7.16/28");
    host.addresses.bind(
      "n1",
      [grant].map(({ pool }) => ({ family: 4, pool })),
    );
    const given = await take(host, grant.poolId, 16);
    assert.equal(new Set(given).size, 16);
    for (const a of given) assert.ok(inside("10.65.7.16/28", a), a);
    await assert.rejects(
      take(host, grant.poolId, 1),
      refusal("exhausted", /from 10\.65\.7\.16\/28: pool "v4" .*no free block/),
    );
  });

  it("makes a pool for a subnet that is apart from all pools, shares it by networks, and removes it with the last", async () => {
    await using host = await Host.with();
    const one = await host.network("n1", { pool: "172.20.0.0/24" });
    const two = await host.network("n2", { pool: "172.20.0.0/24" });
    assert.notEqual(one, two);
    const key = "/manx/v1/resources/IPPool/-/subnet-172-20-0-0-24";
    assert.equal(JSON.parse((await host.store.get(key))?.value ?? "{}").spec.assignmentMode, "Manual");
    const [a, b] = [await take(host, one, 1), await take(host, two, 1)];
    assert.ok(inside("172.20.0.0/24", a[0] as string) && inside("172.20.0.0/24", b[0] as string));
    assert.notDeepEqual(a, b);
    host.addresses.release(one, a[0] as string);
    await host.addresses.releasePool(one);
    assert.notEqual(await host.store.get(key), undefined);
    host.addresses.release(two, b[0] as string);
    await host.addresses.releasePool(two);
    assert.equal(await host.store.get(key), undefined);
    assert.deepEqual((await host.store.list("/manx/v1/ipam/blocks/")).entries, []);
    await host.addresses.releasePool(two);
    await host.network("n3", { pool: "172.20.0.0/16" });
  });

  it("gives nothing of a subnet's pool to networks without a subnet", async () => {
    await using host = await Host.with([]);
    await host.network("n1", { pool: "172.20.0.0/24" });
    await assert.rejects(host.addresses.requestPool({ family: 4 }), refusal("not-found", /there is no IP pool/));
  });

  const refused: readonly (readonly [
    string,
    { pool?: string; subPool?: string; options?: Record<string, string>; family?: 6 },
    AddressErrorCode,
    RegExp,
  ])[] = [
    [
      "a subnet that contains a pool",
      { pool: "10.0.0.0/8" },
      "conflict",
      /"10\.0\.0\.0\/8": it contains the pool "v4"/,
    ],
    [
      "a subnet that overlaps a route",
      { pool: "192.168.1.0/25" },
      "conflict",
      /^Cannot use the subnet "192\.168\.1\.0\/25": it overlaps this host's route 192\.168\.0\.0\/16$/,
    ],
    ["a subnet of another family", { pool: "fd00::/64" }, "invalid", /subnet "fd00::\/64": it is not IPv4/],
    ["a subnet that is none", { pool: "10.1/16" }, "invalid", /subnet "10\.1\/16": it is not a CIDR/],
    ["a subnet that is very long", { pool: `${"1".repeat(10_000)}/16` }, "invalid", /subnet "1{100}"/],
    ["loopback", { pool: "127.0.0.0/16" }, "invalid", /overlaps 127\.0\.0\.0\/8 \(loopback/],
    ["what stands for no IPv4", { pool: "192.0.0.8/32" }, "invalid", /IPv4 dummy/],
    ["multicast", { pool: "ff05::/64", family: 6 }, "invalid", /multicast/],
    ["a pool that is not there", { pool: "nowhere" }, "not-found", /pool "nowhere" does not exist/],
    ["a name that is none", { pool: "a;b" }, "invalid", /not the name of an IP pool/],
    ["a pool of the other family", { pool: "v6" }, "not-found", /pool "v6" is not an IPv4 pool/],
    ["an unknown option", { options: { color: "red" } }, "invalid", /IPAM option "color"/],
    ["both a subnet and a pool", { pool: "10.65.1.0/24", options: { pool: "v4" } }, "invalid", /choose one/],
    ["an ip-range without subnet", { subPool: "10.65.1.0/24" }, "invalid", /without a subnet/],
    [
      "an ip-range outside of its subnet",
      { pool: "10.65.1.0/24", subPool: "10.65.2.0/25" },
      "invalid",
      /lies outside of the subnet/,
    ],
  ];
  it("answers any nonsense with an error of its own, and keeps nothing of it", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    const text = fc.oneof(
      fc.string(),
      fc.ipV4().map((a) => `${a}/24`),
      fc.ipV6(),
      fc.constantFrom(
        "10.65.0.0/16",
        "v4",
        "__proto__",
        "4;id=0123456789abcdef",
        "10.65.0.5",
        "'; DROP TABLE grants; --",
        "a".repeat(100_000),
      ),
    );
    const own = async (work: Promise<unknown>): Promise<void> => {
      await work.catch((error: unknown) => assert.equal((error as Error).name, "AddressError"));
    };
    await fc.assert(
      fc.asyncProperty(text, text, text, fc.constantFrom(4 as const, 6 as const), async (a, b, c, family) => {
        const grants = host.state.ipam.grants.all.size;
        await own(host.addresses.requestPool({ family, pool: a, subPool: b, options: { [c]: a } }));
        assert.equal(host.state.ipam.grants.all.size, grants);
        await own(host.addresses.request({ poolId: a }));
        await own(host.addresses.request({ poolId, address: b, prefer: [a, c] }));
        host.addresses.release(a, b);
        host.addresses.release(poolId, c);
        host.addresses.remember(a, b, c);
        host.addresses.forget(a, b);
        await host.addresses.releasePool(b);
        await host.addresses.reconcile(new Map([[a, { networkId: b }]]), host.addresses.mark());
        assert.throws(() => host.addresses.bind(c, [{ family, pool: a, reserved: [b], gateway: c }], [b]), {
          name: "AddressError",
        });
      }),
      { numRuns: 100 },
    );
  });

  for (const [what, ask, code, message] of refused)
    it(`refuses ${what}`, async () => {
      await using host = await Host.with();
      host.routes = ["0.0.0.0/0", "192.168.0.0/16"];
      await assert.rejects(host.addresses.requestPool({ family: 4, ...ask }), refusal(code, message));
      assert.equal(host.state.ipam.grants.all.size, 0);
    });

  it("binds each network to grants of its own, also where two are made at once", async () => {
    await using host = await Host.with();
    const ask = { family: 4, pool: "10.65.8.0/24" } as const;
    const first = await host.addresses.requestPool(ask);
    const second = await host.addresses.requestPool({ ...ask, subPool: "10.65.8.128/25" });
    await host.addresses.request({ poolId: second.poolId, address: "10.65.8.9" });
    assert.deepEqual(host.addresses.bind("n2", [{ family: 4, pool: ask.pool, reserved: ["10.65.8.9"] }]), [
      second.poolId,
    ]);
    assert.deepEqual(host.addresses.bind("n2", [{ family: 4, pool: ask.pool, reserved: ["10.65.8.9"] }]), [
      second.poolId,
    ]);
    assert.deepEqual(host.addresses.bind("n1", [{ family: 4, pool: ask.pool }]), [first.poolId]);
    for (const id of ["n1", "n2"]) host.state.putNetwork(networkRecord(id));
    assert.throws(
      () => host.addresses.bind("n3", [{ family: 4, pool: ask.pool }]),
      refusal("not-found", /--ipam-driver manx/),
    );
  });

  it("restricts a network to the pools that its options name, or refuses them", async () => {
    await using host = await Host.with([...DEFAULTS, pool("other", "10.77.0.0/24", { nodeSelector: "none()" })]);
    const grant = await host.addresses.requestPool({ family: 4 });
    const bind = (pools: string[]) => host.addresses.bind("n1", [{ family: 4, pool: grant.pool }], pools);
    assert.throws(() => bind(["nowhere"]), /pool "nowhere" does not exist/);
    assert.throws(() => bind(["v6"]), /none of the pools v6 is an IPv4 pool.*ipv4=off/);
    assert.throws(() => bind(["other", "v6"]), /IPv6, which the network does not have/);
    assert.equal(host.state.ipam.grants.all.get(grant.poolId)?.networkId, undefined);
    assert.deepEqual(bind(["other"]), [grant.poolId]);
    assert.ok(inside("10.77.0.0/24", (await take(host, grant.poolId, 1))[0] as string));
  });

  it("takes of the pools that IPAM options name those of the family, and lets no other option overrule them", async () => {
    await using host = await Host.with([...DEFAULTS, pool("other", "10.77.0.0/24", { assignmentMode: "Manual" })]);
    const options = { pool: "other,v6" };
    const v4 = await host.addresses.requestPool({ family: 4, options });
    const v6 = await host.addresses.requestPool({ family: 6, options });
    assert.ok(inside("10.77.0.0/24", (await take(host, v4.poolId, 1))[0] as string));
    assert.ok(inside("fd65::/64", (await take(host, v6.poolId, 1))[0] as string));
    const bind = (pools: string[]) => host.addresses.bind("n1", [{ family: 4, pool: v4.pool }], pools);
    assert.throws(() => bind(["v4"]), /both the IPAM option pool "other" and the pools v4: choose one/);
    assert.deepEqual(bind(["other"]), [v4.poolId]);
  });

  it("makes a grant again from its ID, and refuses IDs that are not ours", async () => {
    await using host = await Host.with();
    const grant = await host.addresses.requestPool({ family: 4, pool: "172.21.0.0/24", subPool: "172.21.0.128/25" });
    await host.addresses.releasePool(grant.poolId);
    host.addresses.release(grant.poolId, "172.21.0.1");
    const again = await host.addresses.request({ poolId: grant.poolId, address: "172.21.0.130" });
    assert.equal(again, "172.21.0.130/32");
    for (const poolId of [
      "",
      "4",
      "4;id=x",
      "4;subnet=10.0.0.1/8;id=0123456789abcdef",
      `4;pools=${"x,".repeat(9000)};id=0123456789abcdef`,
    ])
      await assert.rejects(host.addresses.request({ poolId }), refusal("not-found", /Manx gave out no such ID/));
  });
});

describe("addresses: giving out", () => {
  it("gives /32 and /128, each once, in order, from the first address of the block on", async () => {
    await using host = await Host.with();
    const [v4, v6] = [await host.network("n1"), await host.network("n1", { family: 6 })];
    const given = await take(host, v4, 130);
    assert.equal(new Set(given).size, 130);
    assert.match(given[0] as string, /^10\.65\.\d+\.(0|64|128|192)\/32$/);
    assert.match((await take(host, v6, 1))[0] as string, /^fd65::.*\/128$/);
    assert.equal(host.addresses.inUse().length, 131);
    assert.equal(host.addresses.inUse()[0]?.networkId, "n1");
  });

  it("gives what was released the longest ago, after what was never used", async () => {
    await using host = await Host.with([pool("small", "10.65.0.0/29")]);
    const poolId = await host.network("n1");
    const given = await take(host, poolId, 6);
    for (const at of [3, 1, 4]) host.addresses.release(poolId, given[at] as string);
    const next = await take(host, poolId, 5);
    assert.deepEqual(next.slice(2), [given[3], given[1], given[4]]);
    await assert.rejects(
      take(host, poolId, 1),
      refusal("exhausted", /pool "small" \(10\.65\.0\.0\/29\) has no free block left/),
    );
  });

  it("gives an address asked for, outside of the ip-range too, but not outside of the subnet, and not twice", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1", { pool: "10.65.9.0/24", subPool: "10.65.9.128/25" });
    for (const a of await take(host, poolId, 3)) assert.ok(inside("10.65.9.128/25", a), a);
    assert.equal(await host.addresses.request({ poolId, address: "10.65.9.5" }), "10.65.9.5/32");
    host.endpoint("e1", "n1", "10.65.9.5");
    const again = host.addresses.request({ poolId, address: "10.65.9.5/24" });
    await assert.rejects(
      again,
      refusal("conflict", /address 10\.65\.9\.5: another container on the network "n1" has it/),
    );
    await assert.rejects(
      host.addresses.request({ poolId, address: "10.65.8.5" }),
      refusal("invalid", /outside of the subnet 10\.65\.9\.0\/24/),
    );
    await assert.rejects(host.addresses.request({ poolId, address: "fd65::5" }), refusal("invalid", /is for IPv4/));
    for (const address of ["10.65.9", "10.65.9.7/x", "x".repeat(1000), "010.65.9.7", "10.65.9.7 "])
      await assert.rejects(host.addresses.request({ poolId, address }), refusal("invalid", /is not an IP address/));
  });

  it("keeps gateway and auxiliary addresses free of containers until the network goes", async () => {
    await using host = await Host.with([pool("small", "10.65.0.0/29")]);
    const grant = await host.addresses.requestPool({ family: 4, pool: "10.65.0.0/29" });
    const { poolId } = grant;
    assert.equal(await host.addresses.request({ poolId, address: "10.65.0.1", isGateway: true }), "10.65.0.1/32");
    assert.equal(await host.addresses.request({ poolId, address: "10.65.0.2" }), "10.65.0.2/32");
    assert.equal(await host.addresses.request({ poolId, isGateway: true }), "169.254.1.1/32");
    host.addresses.bind("n1", [{ family: 4, pool: grant.pool, reserved: ["10.65.0.1", "10.65.0.2"] }]);
    host.state.putNetwork(networkRecord("n1"));
    const given = await take(host, poolId, 6);
    assert.ok(!given.includes("10.65.0.1/32") && !given.includes("10.65.0.2/32"));
    await assert.rejects(
      host.addresses.request({ poolId, address: "10.65.0.1" }),
      refusal("conflict", /gateway or auxiliary/),
    );
    host.addresses.release(poolId, "10.65.0.2");
    assert.deepEqual(await take(host, poolId, 1), ["10.65.0.2/32"]);
    host.addresses.release(poolId, "169.254.1.1");
    host.addresses.release(poolId, "0.0.0.0");
    host.addresses.release(poolId, "not an address");
  });

  it("respects reservations for automatic addresses only, and passes over blocks of nothing else", async () => {
    await using host = await Host.with([pool("small", "10.65.0.0/25")]);
    host.reservations = [
      {
        apiVersion: "projectcalico.org/v3",
        kind: "IPReservation",
        metadata: { name: "r" },
        spec: { reservedCIDRs: ["10.65.0.0/26", "10.65.0.64/27", "10.65.0.96/30"] },
      },
    ];
    const poolId = await host.network("n1");
    const given = await take(host, poolId, 28);
    for (const a of given) assert.ok(inside("10.65.0.96/27", a) && !inside("10.65.0.96/30", a), a);
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /has no free block left/));
    assert.equal(await host.addresses.request({ poolId, address: "10.65.0.70" }), "10.65.0.70/32");
    assert.equal(await host.addresses.request({ poolId, address: "10.65.0.7" }), "10.65.0.7/32");
  });

  it("says of each pool why it did not serve", async () => {
    await using host = await Host.with([
      pool("a", "10.65.0.0/30"),
      pool("b", "10.66.0.0/24", { disabled: true }),
      pool("c", "10.67.0.0/24", { nodeSelector: "rack == 'x'" }),
      pool("d", "10.68.0.0/24", { assignmentMode: "Manual" }),
      pool("e", "10.69.0.0/24", { allowedUses: ["Tunnel"] }),
    ]);
    const poolId = await host.network("n1");
    await take(host, poolId, 4);
    await assert.rejects(take(host, poolId, 1), (error: Error) => {
      for (const why of [
        /"a" \(10\.65\.0\.0\/30\) has no free/,
        /"b" is disabled/,
        /"c" is not for this host/,
        /"d" gives addresses only/,
        /"e" is for Tunnel only/,
      ])
        assert.match(error.message, why);
      return true;
    });
  });

  it("goes on to the next pool when one is used up, and stops using one that is disabled", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/30"), pool("b", "10.66.0.0/24")]);
    const poolId = await host.network("n1");
    const given = await take(host, poolId, 5);
    assert.ok(inside("10.66.0.0/24", given[4] as string));
    await host.changePool("b", { disabled: true });
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /"b" is disabled/));
    host.addresses.release(poolId, given[0] as string);
    assert.deepEqual(await take(host, poolId, 1), [given[0]]);
  });

  it("limits the number of blocks where it is told to", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/24", { blockSize: 30 })], {
      rules: () => ({ maxBlocksPerHost: 2 }),
    });
    const poolId = await host.network("n1");
    await take(host, poolId, 8);
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /no further block \(limit 2, maxBlocksPerHost/));
  });

  it("follows the IPAMConfiguration as it changes; an address asked for by value is worth a block whatever it says", async () => {
    let rules: BlockRules = { strictAffinity: true, autoAllocateBlocks: false };
    await using host = await Host.with([pool("a", "10.65.0.0/24", { blockSize: 30 })], { rules: () => rules });
    const poolId = await host.network("n1");
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /no further block \(autoAllocateBlocks/));
    assert.equal(await host.addresses.request({ poolId, address: "10.65.0.9" }), "10.65.0.9/32");
    assert.deepEqual(await take(host, poolId, 3), ["10.65.0.8/32", "10.65.0.10/32", "10.65.0.11/32"]);
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /autoAllocateBlocks/));
    rules = { strictAffinity: true, maxBlocksPerHost: 1 };
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /limit 1/));
    assert.equal(await host.addresses.request({ poolId, address: "10.65.0.17" }), "10.65.0.17/32");
    await take(host, poolId, 3);
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /limit 1/));
    rules = { maxBlocksPerHost: 0 };
    await take(host, poolId, 240);
    assert.equal(host.addresses.blocks().length, 62);
  });

  it("claims no block whose addresses in the range are all reserved, or kept free by a network", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/26", { blockSize: 32 })]);
    host.reservations = [
      {
        apiVersion: "projectcalico.org/v3",
        kind: "IPReservation",
        metadata: { name: "r" },
        spec: { reservedCIDRs: ["10.65.0.16/30", "10.65.0.18/31", "10.65.0.16/29", "fd65::/64"] },
      },
    ];
    const grant = await host.addresses.requestPool({ family: 4, pool: "10.65.0.0/26", subPool: "10.65.0.16/28" });
    const { poolId } = grant;
    for (const address of ["10.65.0.24", "10.65.0.25"])
      await host.addresses.request({ poolId, address, isGateway: true });
    host.addresses.bind("n1", [{ family: 4, pool: grant.pool, reserved: ["10.65.0.24", "10.65.0.25"] }]);
    const given = (await take(host, poolId, 6)).sort();
    assert.deepEqual(
      given,
      [26, 27, 28, 29, 30, 31].map((last) => `10.65.0.${last}/32`),
    );
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /has no free block left there/));
    assert.equal(host.addresses.blocks().length, 6);
  });

  it("serves a hundred asks at once, each with another address, out of few blocks", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    const given = await Promise.all(Array.from({ length: 100 }, () => host.addresses.request({ poolId })));
    assert.equal(new Set(given).size, 100);
    assert.ok(host.addresses.blocks().length <= 3, String(host.addresses.blocks()));
  });

  it("claims the next block before the last one is used up, and starts without the store from what it owns", async () => {
    const store = new MemoryStore();
    await using host = new Host("h1", store);
    for (const one of DEFAULTS) await host.addPool(one);
    const poolId = await host.network("n1");
    await take(host, poolId, 50);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(host.addresses.blocks().length, 2);
    store.fail("it sleeps");
    const given = await take(host, poolId, 78);
    assert.equal(given.length, 78);
    await assert.rejects(take(host, poolId, 1), refusal("unavailable", /Cannot reach the cluster store.*it sleeps/));
    host.addresses.release(poolId, given[0] as string);
    assert.deepEqual(await take(host, poolId, 1), [given[0]]);
    store.fail(undefined);
    await take(host, poolId, 1);
  });
});

describe("addresses: giving back", () => {
  it("releases only to whom it was given, and as often as it is told", async () => {
    await using host = await Host.with();
    const [one, two] = [await host.network("n1"), await host.network("n2")];
    const [a] = await take(host, one, 1);
    host.addresses.release(two, a as string);
    assert.equal(host.addresses.inUse().length, 1);
    host.addresses.release(one, a as string);
    host.addresses.release(one, a as string);
    host.addresses.release("nothing", a as string);
    assert.equal(host.addresses.inUse().length, 0);
  });

  it("keeps an address from others while an endpoint still has it, and frees it when that goes", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/32")]);
    const poolId = await host.network("n1");
    const [a] = await take(host, poolId, 1);
    host.endpoint("e1", "n1", a as string);
    host.addresses.release(poolId, a as string);
    await assert.rejects(take(host, poolId, 1), refusal("exhausted", /no free block/));
    await host.restart();
    host.state.removeEndpoint("e1");
    assert.deepEqual(await take(host, poolId, 1), [a]);
  });

  it("gives all back with the pool ID", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    await take(host, poolId, 3);
    await host.addresses.releasePool(poolId);
    assert.equal(host.addresses.inUse().length, 0);
  });

  it("has everything again after a restart", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1");
    const given = await take(host, poolId, 70);
    host.addresses.release(poolId, given[0] as string);
    host.addresses.remember("n1", "web", given[1] as string);
    const before = host.addresses.inUse();
    await host.restart();
    assert.deepEqual(host.addresses.inUse(), before);
    assert.deepEqual(host.addresses.remembered("n1", "web"), [given[1]?.replace("/32", "")]);
    const more = await take(host, poolId, 57);
    assert.equal(new Set([...more, ...given.slice(1)]).size, 126);
    assert.deepEqual(await host.addresses.recover(), []);
  });
});

describe("addresses: sticky", () => {
  it("gives a container its old address back, and keeps it from others while there are more", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/29")]);
    const poolId = await host.network("n1");
    const given = await take(host, poolId, 8);
    host.addresses.remember("n1", "web", given[0] as string);
    host.addresses.remember("n1", "db", given[1] as string);
    for (const a of given.slice(0, 4)) host.addresses.release(poolId, a);
    assert.deepEqual(await take(host, poolId, 1), [given[2]]);
    const prefer = host.addresses.remembered("n1", "web");
    assert.equal(await host.addresses.request({ poolId, prefer }), given[0]);
    assert.equal(await host.addresses.request({ poolId, prefer }), given[3], "taken meanwhile: any other");
    assert.equal(await host.addresses.request({ poolId }), given[1], "nobody else has one left");
    assert.deepEqual(host.addresses.remembered("n1", "db"), []);
  });

  it("takes of what is kept what was released the longest ago, and never claims a block to keep one", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/28", { blockSize: 30 })]);
    const poolId = await host.network("n1");
    const given = await take(host, poolId, 4);
    for (const [i, a] of given.entries()) host.addresses.remember("n1", `c${i}`, a);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const order = [2, 0, 3, 1].map((i) => given[i] as string);
    for (const a of order) host.addresses.release(poolId, a);
    const blocks = host.addresses.blocks();
    assert.equal(blocks.length, 2, "one ahead of need");
    await take(host, poolId, 4);
    assert.deepEqual(await take(host, poolId, 3), order.slice(0, 3));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(host.addresses.blocks(), blocks);
  });

  it("forgets a container, or a network as a whole", async () => {
    await using host = await Host.with();
    host.addresses.remember("n1", "web", "10.65.0.1");
    host.addresses.remember("n1", "web", "fd65::1/128");
    host.addresses.remember("n1", "db", "10.65.0.2");
    host.addresses.remember("n2", "web", "10.65.0.3");
    assert.deepEqual(host.addresses.remembered("n1", "web"), ["10.65.0.1", "fd65::1"]);
    host.addresses.forget("n1", "web");
    assert.deepEqual(host.addresses.remembered("n1", "web"), []);
    assert.deepEqual(host.addresses.remembered("n1", "db"), ["10.65.0.2"]);
    host.addresses.forget("n1");
    assert.deepEqual(host.addresses.remembered("n1", "db"), []);
    assert.deepEqual(host.addresses.remembered("n2", "web"), ["10.65.0.3"]);
  });

  it("gives the old address back even if its block went back to the pool, unless another host has that now", async () => {
    await using host = await Host.with([pool("a", "10.65.0.0/28", { blockSize: 30 })]);
    const poolId = await host.network("n1");
    const web = await host.addresses.request({ poolId, address: "10.65.0.13" });
    const db = await host.addresses.request({ poolId, address: "10.65.0.9" });
    host.addresses.remember("n1", "web", web);
    host.addresses.remember("n1", "db", db);
    for (const a of [web, db]) host.addresses.release(poolId, a);
    await host.changePool("a", { disabled: true });
    for (let i = 0; i < 2; i++) await host.addresses.reconcile(new Map(), host.addresses.mark());
    assert.deepEqual(host.addresses.blocks(), []);
    await host.changePool("a", { disabled: false });
    await using other = new Host("h2", host.store);
    other.pools = host.pools;
    await other.addresses.request({ poolId: await other.network("n1"), address: "10.65.0.10" });
    assert.equal(await host.addresses.request({ poolId, prefer: host.addresses.remembered("n1", "web") }), web);
    assert.notEqual(await host.addresses.request({ poolId, prefer: host.addresses.remembered("n1", "db") }), db);
    (host.store as MemoryStore).fail("asleep");
    assert.ok(await host.addresses.request({ poolId, prefer: ["10.65.0.1"] }), "another address rather than none");
  });

  it("keeps an address for one container, and one address for a container", async () => {
    await using host = await Host.with();
    host.addresses.remember("n1", "web", "10.65.0.1");
    host.addresses.remember("n1", "db", "10.65.0.1");
    assert.deepEqual(host.addresses.remembered("n1", "web"), []);
    host.addresses.remember("n1", "db", "10.65.0.2");
    assert.deepEqual(host.addresses.remembered("n1", "db"), ["10.65.0.2"]);
    await host.restart();
    host.addresses.remember("n1", "web", "10.65.0.1");
    assert.deepEqual(host.addresses.remembered("n1", "web"), ["10.65.0.1"]);
    assert.deepEqual(host.addresses.remembered("n1", "db"), ["10.65.0.2"]);
  });

  it("ignores memories that are of no use: another family, another pool, outside of the range, nonsense", async () => {
    await using host = await Host.with();
    const poolId = await host.network("n1", { pool: "10.65.9.0/24", subPool: "10.65.9.128/25" });
    const given = await host.addresses.request({
      poolId,
      prefer: ["fd65::1", "10.66.0.1", "10.65.9.1", "x", "", "10.65.8.1/99"],
    });
    assert.ok(inside("10.65.9.128/25", given));
  });
});
