import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { cidr, contains, covers, formatCidr, overlaps, rangeToCidrs } from "../net/cidr.ts";
import { nextBlock, poolOf, usablePools } from "./choice.ts";
import { defaultPools, makePool, poolConflict, subnetPool, unusable } from "./pools.ts";

const search = { pool: cidr("10.65.0.0/16"), blockSize: 26, taken: [], reserved: [], host: "h1" };

describe("choice of a block", () => {
  it("begins where the host's name says, goes on from there, and round", () => {
    const first = nextBlock(search);
    assert.ok(first);
    assert.deepEqual(nextBlock(search), first);
    const starts = new Set(
      Array.from({ length: 50 }, (_, i) => formatCidr(nextBlock({ ...search, host: `h${i}` }) ?? first)),
    );
    assert.ok(starts.size > 40, `${starts.size} different starts of 50`);
    const second = nextBlock({ ...search, taken: [first] });
    assert.equal(second?.value, first.value + 64n);
    const end = { family: 4 as const, first: first.value, last: cidr("10.65.255.255").value };
    assert.equal(formatCidr(nextBlock({ ...search, taken: rangeToCidrs(end) }) ?? first), "10.65.0.0/26");
  });

  it("leaves alone what blocks of another size hold, of a former pool with the same addresses", () => {
    const small = { ...search, pool: cidr("10.65.0.0/25"), blockSize: 28, taken: [cidr("10.65.0.0/26")] };
    const found = new Set<string>();
    for (let taken = small.taken; ; ) {
      const block = nextBlock({ ...small, taken });
      if (block === undefined) break;
      found.add(formatCidr(block));
      taken = [...taken, block];
    }
    assert.deepEqual([...found].sort(), ["10.65.0.112/28", "10.65.0.64/28", "10.65.0.80/28", "10.65.0.96/28"]);
    assert.equal(
      nextBlock({ ...search, pool: cidr("10.65.0.0/26"), taken: [cidr("10.65.0.32/28")] }),
      undefined,
      "a larger one does not fit around it",
    );
  });

  it("is quick in a pool of 2^58 blocks, of which half is reserved", () => {
    const v6 = { ...search, pool: cidr("fd65::/64"), blockSize: 122, reserved: [cidr("fd65::/65")] };
    for (const host of ["a", "b", "c", "d"]) {
      const found = nextBlock({ ...v6, host });
      assert.ok(found !== undefined && covers(cidr("fd65::8000:0:0:0/65"), found));
    }
  });

  it("finds a free block exactly when a slow look finds one, and never one that is taken or useless", () => {
    const blocks = fc.uniqueArray(fc.nat(15), { maxLength: 16 });
    const reserved = fc.array(fc.record({ at: fc.nat(255), length: fc.integer({ min: 26, max: 32 }) }), {
      maxLength: 4,
    });
    const within = fc.option(fc.record({ at: fc.nat(255), length: fc.integer({ min: 24, max: 32 }) }), {
      nil: undefined,
    });
    const at = (n: number, length: number) => cidr(`10.9.0.${n}/${length}`);
    fc.assert(
      fc.property(blocks, reserved, within, fc.string(), (taken, kept, area, host) => {
        const all = Array.from({ length: 16 }, (_, i) => at(i * 16, 28));
        const ask = {
          pool: cidr("10.9.0.0/24"),
          blockSize: 28,
          taken: taken.map((i) => all[i] ?? at(0, 28)),
          reserved: kept.map((k) => at(k.at, k.length)),
          host,
          ...(area !== undefined && { within: at(area.at, area.length) }),
        };
        const useless = (block: (typeof all)[number]): boolean =>
          Array.from({ length: 16 }, (_, i) => ({ family: 4 as const, value: block.value + BigInt(i) })).every(
            (a) =>
              [ask.within].some((w) => w !== undefined && !contains(w, a)) || ask.reserved.some((r) => contains(r, a)),
          );
        const good = all.filter(
          (block, i) =>
            !taken.includes(i) && !useless(block) && (ask.within === undefined || overlaps(ask.within, block)),
        );
        const found = nextBlock(ask);
        if (found === undefined) assert.deepEqual(good, []);
        else
          assert.ok(
            good.some((block) => formatCidr(block) === formatCidr(found)),
            formatCidr(found),
          );
      }),
      { numRuns: 500 },
    );
  });
});

describe("choice of pools", () => {
  const pools = [
    makePool("a", cidr("10.1.0.0/16")),
    makePool("off", cidr("10.2.0.0/16"), { disabled: true }),
    makePool("rack", cidr("10.3.0.0/16"), { nodeSelector: "rack == '1'" }),
    makePool("manual", cidr("10.4.0.0/16"), { assignmentMode: "Manual" }),
    makePool("tunnel", cidr("10.5.0.0/16"), { allowedUses: ["Tunnel"] }),
    makePool("shop", cidr("10.6.0.0/16"), { namespaceSelector: "name == 'shop'" }),
    makePool("balancer", cidr("10.7.0.0/16"), { allowedUses: ["LoadBalancer"], assignmentMode: "Manual" }),
    makePool("six", cidr("fd01::/64")),
  ].map(poolOf);
  const names = (ask: Parameters<typeof usablePools>[1], rack = false): string =>
    usablePools(pools, ask, (s) => rack || s === "all()")
      .usable.map((p) => p.name)
      .join();

  const table: readonly (readonly [string, string, string])[] = [
    ["any pool that is enabled, automatic, for workloads and for this host", names({ family: 4 }), "a"],
    ["also those whose selector matches this host", names({ family: 4 }, true), "a,rack"],
    ["only those of the family", names({ family: 6 }), "six"],
    [
      "named ones whatever their selector and mode, in the order named",
      names({ family: 4, names: ["shop", "manual", "rack", "a", "a"] }),
      "shop,manual,rack,a",
    ],
    [
      "named ones not when disabled, for tunnels, of another family or missing",
      names({ family: 4, names: ["off", "tunnel", "balancer", "six", "none"] }),
      "",
    ],
    ["only those around the subnet", names({ family: 4, within: cidr("10.3.1.0/24") }, true), "rack"],
  ];
  for (const [what, got, want] of table) it(`serves ${what}`, () => assert.equal(got, want));
});

describe("pools", () => {
  it("default ones are the first that overlap no route; default routes do not count", () => {
    const of = (routes: string[]) => defaultPools(routes).pools.map(({ spec }) => spec.cidr);
    assert.deepEqual(of(["0.0.0.0/0", "::/0", "192.168.1.0/24"]), ["10.65.0.0/16", "fd65:6d61:6e78::/64"]);
    assert.deepEqual(of(["10.65.3.0/24", "fd65:6d61::/32"]), ["10.66.0.0/16"]);
    assert.deepEqual(of(["10.0.0.0/8", "fd65:6d61:6e78::1/128"]), ["172.28.0.0/16", "fd65:6d61:6e78:1::/64"]);
    assert.deepEqual(of(["10.0.0.0/8", "172.16.0.0/12"]), ["192.168.128.0/17", "fd65:6d61:6e78::/64"]);
    const { pools, notes } = defaultPools(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd65:6d61:6e78::/64"]);
    assert.deepEqual(
      pools.map(({ spec }) => spec.cidr),
      ["fd65:6d61:6e78:1::/64"],
    );
    assert.match(notes[0] ?? "", /No default IPv4 pool.*manx pool add/);
    assert.match(
      notes[1] ?? "",
      /is fd65:6d61:6e78:1::\/64, because fd65:6d61:6e78::\/64 overlaps this host's route fd65/,
    );
    assert.ok(defaultPools([]).pools.every(({ spec }) => spec.natOutgoing === true));
  });

  it("refuses what no container can have, and what overlaps", () => {
    for (const bad of [
      "127.0.0.0/8",
      "0.0.0.0/0",
      "169.254.1.0/24",
      "192.0.0.8/32",
      "239.0.0.0/8",
      "255.255.255.255/32",
      "::/0",
      "::1/128",
      "fe80::/64",
      "ff02::/16",
      "::ffff:10.0.0.0/104",
    ])
      assert.notEqual(unusable(cidr(bad)), undefined, bad);
    for (const good of ["10.0.0.0/8", "100.64.0.0/10", "192.0.2.0/24", "fd00::/8", "2001:db8::/32"])
      assert.equal(unusable(cidr(good)), undefined, good);
    const others = [makePool("a", cidr("10.1.0.0/16"))];
    assert.match(poolConflict(cidr("10.1.2.0/24"), others, []) ?? "", /lies in the pool "a" \(10\.1\.0\.0\/16\)/);
    assert.match(poolConflict(cidr("10.0.0.0/8"), others, []) ?? "", /overlaps the pool "a"/);
    assert.match(poolConflict(cidr("10.2.0.0/16"), others, ["10.0.0.0/8"]) ?? "", /route 10\.0\.0\.0\/8/);
    assert.equal(poolConflict(cidr("10.2.0.0/16"), others, ["0.0.0.0/0", "10.3.0.0/16", "nonsense"]), undefined);
  });

  it("names a subnet's pool so that it is a name, and no two alike", () => {
    const names = [
      "10.1.0.0/16",
      "10.10.0.0/16",
      "fd00::/64",
      "fd00:0:0:1::/64",
      "2001:db8:1234:5678:9abc:def0:1234:0/112",
    ].map((s) => subnetPool(cidr(s)).metadata.name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  });
});
