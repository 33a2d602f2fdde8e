/** What every Firewall does, the kernel's and the fake one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Chain, NftSet, Rule, Ruleset, Step, Table } from "../../src/core/rules/ir.ts";
import { DriverError } from "../../src/drivers/error.ts";
import type { Firewall, ListedChain, Listing } from "../../src/drivers/nftables/firewall.ts";
import { ruleDigest } from "../../src/drivers/nftables/userdata.ts";
import { accept, drop, everything, map, rule, ruleset, set, table } from "./everything.ts";

export interface Opened extends Disposable {
  readonly firewall: Firewall;
  /** Somebody else removes all our tables. */
  flush(): void;
}

/** Comparable: what is in force, or what should be. */
export function plain(tables: Listing | Ruleset): unknown {
  return Object.fromEntries(
    [...tables].map(([key, { sets, chains }]) => [
      key,
      {
        sets: sorted(sets, ({ key: types, interval, data, counters, elements }) => ({
          key: types,
          interval,
          data: data ?? null,
          counters: counters ?? false,
          elements: sorted(elements, (one) => one),
        })),
        chains: sorted<Chain | ListedChain, unknown>(chains, ({ base, rules }) => ({
          base: base ?? null,
          rules: rules.map((one) => ("steps" in one ? ruleDigest(one) : one.digest)),
        })),
      },
    ]),
  );
}

function sorted<V, W>(entries: ReadonlyMap<string, V>, to: (value: V) => W): [string, W][] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, to(value)]);
}

const jump = (chain: string): Step => ({ kind: "verdict", verdict: { kind: "jump", chain } });
const lookup = (field: (Step & { kind: "match" })["field"], name: string): Step => ({
  kind: "lookup",
  fields: [field],
  set: name,
});
const hooked = (...rules: Rule[]): Chain => ({
  base: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
  rules,
});

/** One inet table with these sets and chains. */
function inet(sets: Record<string, NftSet>, chains: Record<string, Chain>, family: Table["family"] = "inet"): Ruleset {
  return ruleset(table(family, sets, chains));
}

const tcp: Step = { kind: "match", field: "meta l4proto", value: "6" };
const deep = (length: number): Record<string, Chain> =>
  Object.fromEntries(
    Array.from({ length }, (_, i) => [`c${i}`, { rules: i + 1 < length ? [rule(jump(`c${i + 1}`))] : [] }]),
  );

/** Name, ruleset, what the error must say. */
const REFUSED: readonly (readonly [string, Ruleset, RegExp])[] = [
  ["a jump to a chain that is not there", inet({}, { a: { rules: [rule(jump("b"))] } }), /no chain "b"/],
  [
    "a verdict that jumps to a chain that is not there",
    inet({ m: map(["ifname"], "verdict", { x1: { kind: "goto", chain: "b" } }) }, {}),
    /"m".*no chain "b"/,
  ],
  ["a jump to a base chain", inet({}, { a: { rules: [rule(jump("b"))] }, b: hooked() }), /base chain/],
  ["a lookup in a set that is not there", inet({}, { a: { rules: [rule(lookup("ip saddr", "s"))] } }), /no set "s"/],
  [
    "a lookup in a set of another type",
    inet({ s: set(["inet_service"], []) }, { a: { rules: [rule(lookup("ip saddr", "s"))] } }),
    /"s" has keys of inet_service/,
  ],
  [
    "a lookup in a map",
    inet({ s: map(["ipv4_addr"], "verdict", {}) }, { a: { rules: [rule(lookup("ip saddr", "s"))] } }),
    /is a map/,
  ],
  [
    "a verdict map that is a set",
    inet({ s: set(["ipv4_addr"], []) }, { a: { rules: [rule({ kind: "vmap", fields: ["ip saddr"], map: "s" })] } }),
    /no verdicts/,
  ],
  [
    "a dnat through a map without ports",
    inet(
      { s: map(["ipv4_addr"], ["ipv4_addr"], {}) },
      { a: { rules: [rule({ kind: "dnat", family: 4, fields: ["ip saddr"], map: "s" })] } },
    ),
    /does not hold ipv4_addr . inet_service/,
  ],
  [
    "a circle of jumps",
    inet({}, { a: { rules: [rule(jump("b"))] }, b: { rules: [rule(jump("a"))] }, c: hooked(rule(jump("a"))) }),
    /circle/,
  ],
  [
    "a circle through a verdict map",
    inet(
      { m: map(["ifname"], "verdict", { x1: { kind: "jump", chain: "a" } }) },
      { a: { rules: [rule({ kind: "vmap", fields: ["meta iifname"], map: "m" })] }, c: hooked(rule(jump("a"))) },
    ),
    /circle/,
  ],
  ["jumps that go too deep", inet({}, { ...deep(18), top: hooked(rule(jump("c0"))) }), /deep/],
  [
    "overlapping addresses",
    inet({ s: set(["ipv4_addr"], ["10.0.0.0/8", "10.1.0.0/16"], true) }, {}),
    /"s".*"10.1.0.0\/16" overlaps "10.0.0.0\/8"/,
  ],
  [
    "an address inside a range",
    inet({ s: set(["ipv4_addr"], ["10.0.0.1-10.0.0.9", "10.0.0.9"], true) }, {}),
    /overlaps/,
  ],
  ["overlapping ports", inet({ s: set(["inet_service"], ["80-90", "85-95"], true) }, {}), /overlaps/],
  [
    "overlapping concatenations",
    inet({ s: set(["ipv4_addr", "inet_service"], ["10.0.0.0/8 . 80-90", "10.0.0.0/16 . 85-95"], true) }, {}),
    /overlaps/,
  ],
  [
    "overlapping intervals of a map",
    inet({ m: map(["ipv4_addr"], ["mark"], { "10.0.0.0/8": "0x1", "10.1.0.0/16": "0x2" }, true) }, {}),
    /overlaps/,
  ],
  ["an element of another type", inet({ s: set(["ipv4_addr"], ["fe80::1"]) }, {}), /"s".*"fe80::1" is not an IPv4/],
  [
    "an element with too few fields",
    inet({ s: set(["ipv4_addr", "inet_service"], ["10.0.0.1"]) }, {}),
    /has 1 fields; the key has 2/,
  ],
  ["a range in a set of exact keys", inet({ s: set(["ipv4_addr"], ["10.0.0.0/8"]) }, {}), /exact keys only/],
  [
    "an element that is not canonical",
    inet({ s: set(["ipv4_addr"], ["10.0.0.7/32"], true) }, {}),
    /"10.0.0.7\/32" is not/,
  ],
  ["host bits in a prefix", inet({ s: set(["ipv4_addr"], ["10.0.0.7/8"], true) }, {}), /"10.0.0.7\/8" is not/],
  ["an address in a long form", inet({ s: set(["ipv6_addr"], ["fe80:0::1"]) }, {}), /shortest form/],
  [
    "a range that is a prefix",
    inet({ s: set(["ipv4_addr"], ["10.0.0.0-10.0.0.255"], true) }, {}),
    /write 10.0.0.0\/24/,
  ],
  ["a range that ends before it begins", inet({ s: set(["inet_service"], ["90-80"], true) }, {}), /not a port/],
  ["a port of 65536", inet({ s: set(["inet_service"], ["65536"]) }, {}), /0-65535/],
  ["an interface name of 16 bytes", inet({ s: set(["ifname"], ["abcdefghijklmnop"]) }, {}), /interface name/],
  ["an interface name with a quote", inet({ s: set(["ifname"], ['a"b']) }, {}), /interface name/],
  ["a huge element", inet({ s: set(["ifname"], ["x".repeat(1_000_000)]) }, {}), /interface name/],
  [
    "a verdict in a set",
    inet({ s: { key: ["ifname"], interval: false, elements: new Map([["x1", { kind: "accept" }]]) } }, {}),
    /a set holds none/,
  ],
  ["no verdict in a verdict map", inet({ m: map(["ifname"], "verdict", { x1: null }) }, {}), /no verdict/],
  ["map data of another type", inet({ m: map(["ifname"], ["ipv4_addr"], { x1: "80" }) }, {}), /not an IPv4/],
  ["a name that is too long", inet({ ["s".repeat(256)]: set(["ipv4_addr"], []) }, {}), /255/],
  ["a name with a space", inet({}, { "a b": { rules: [] } }), /is not a name/],
  ["an empty name", inet({}, { "": { rules: [] } }), /is not a name/],
  [
    "a key of more than 64 bytes",
    inet(
      {
        s: set(
          Array.from({ length: 5 }, () => "ifname" as const),
          [],
        ),
      },
      {},
    ),
    /64 bytes/,
  ],
  ["a key without fields", inet({ s: set([], []) }, {}), /no fields/],
  [
    "a port without a protocol",
    inet({}, { a: { rules: [rule({ kind: "match", field: "th dport", value: "80" })] } }),
    /needs a match of `meta l4proto`/,
  ],
  [
    "a port of ICMP",
    inet(
      {},
      {
        a: {
          rules: [
            rule(
              { kind: "match", field: "meta l4proto", value: "1" },
              { kind: "match", field: "th dport", value: "80" },
            ),
          ],
        },
      },
    ),
    /no ports/,
  ],
  [
    "two IP versions in one rule",
    inet(
      {},
      {
        a: {
          rules: [
            rule(
              { kind: "match", field: "ip saddr", value: "10.0.0.1" },
              { kind: "match", field: "ip6 saddr", value: "fe80::1" },
            ),
          ],
        },
      },
    ),
    /can never match/,
  ],
  [
    "two protocols in one rule",
    inet({}, { a: { rules: [rule(tcp, { kind: "match", field: "icmp type", value: "8" })] } }),
    /can never match/,
  ],
  [
    "ARP outside its family",
    inet({}, { a: { rules: [rule({ kind: "match", field: "arp operation", value: "1" })] } }),
    /arp family/,
  ],
  [
    "IP in the arp family",
    inet({}, { a: { rules: [rule({ kind: "match", field: "ip saddr", value: "10.0.0.1" })] } }, "arp"),
    /can never match/,
  ],
  ["a comment with a quote", inet({}, { a: { rules: [{ steps: [accept], comment: 'a"; drop' }] } }), /printable ASCII/],
  ["a comment of 101 bytes", inet({}, { a: { rules: [{ steps: [accept], comment: "x".repeat(101) }] } }), /100 bytes/],
  [
    "a log prefix of 128 bytes",
    inet({}, { a: { rules: [rule({ kind: "log", group: 1, prefix: "x".repeat(128) })] } }),
    /127 bytes/,
  ],
  ["a log group of 65536", inet({}, { a: { rules: [rule({ kind: "log", group: 65536, prefix: "x" })] } }), /0-65535/],
  [
    "a table of another name",
    new Map([["inet other", { ...table("inet", {}, {}), name: "other" }]]),
    /only tables named "manx"/,
  ],
  ["a table under a wrong key", new Map([["inet filter", table("inet", {}, {})]]), /only tables named "manx"/],
  [
    "a nat chain in the forward hook",
    inet({}, { a: { base: { type: "nat", hook: "forward", priority: 0, policy: "accept" }, rules: [] } }),
    /chain "a"/,
  ],
  ["masquerade in a filter chain", inet({}, { a: hooked(rule({ kind: "masquerade" })) }), /chain "a"|nftables/],
];

/** `open`: an empty firewall. */
export function firewallContract(name: string, open: () => Opened): void {
  void describe(`${name} firewall`, () => {
    void it("holds what was applied, of every type of set and every step", async () => {
      using opened = open();
      const change = await opened.firewall.apply(everything);
      assert.ok(change.writes > 200);
      assert.deepEqual(plain(await opened.firewall.list()), plain(everything));
    });

    void it("writes nothing when nothing differs, also after reading back", async () => {
      using opened = open();
      await opened.firewall.apply(everything);
      assert.equal((await opened.firewall.apply(everything)).writes, 0);
      assert.equal((await opened.firewall.apply(structuredClone(everything))).writes, 0);
      opened.firewall.resync();
      assert.equal((await opened.firewall.apply(everything)).writes, 0);
    });

    for (const [title, wrong, says] of REFUSED) {
      void it(`refuses ${title}, and keeps what was there`, async () => {
        using opened = open();
        const before = inet({ s: set(["ipv4_addr"], ["10.0.0.1"]) }, { a: { rules: [rule(drop)] } });
        await opened.firewall.apply(before);
        await assert.rejects(opened.firewall.apply(wrong), (error) => {
          assert.ok(error instanceof DriverError, String(error));
          assert.equal(error.code, "invalid", error.message);
          assert.match(error.message, says);
          return true;
        });
        assert.deepEqual(plain(await opened.firewall.list()), plain(before));
        assert.equal((await opened.firewall.apply(before)).writes, 0);
      });
    }

    void it("accepts chains that jump as deep as is allowed", async () => {
      using opened = open();
      await opened.firewall.apply(inet({}, { ...deep(15), top: hooked(rule(jump("c0"))) }));
    });

    void it("writes only the elements that differ", async () => {
      using opened = open();
      const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
      await opened.firewall.apply(inet({ s: set(["ipv4_addr"], keys(500)) }, {}));
      const change = await opened.firewall.apply(inet({ s: set(["ipv4_addr"], [...keys(499), "10.9.9.9"]) }, {}));
      assert.deepEqual([change.addedElements, change.removedElements, change.writes], [1, 1, 2]);
    });

    void it("takes a delta of elements for what it says", async () => {
      using opened = open();
      const before = set(["ipv4_addr"], ["10.0.0.1", "10.0.0.2"]);
      await opened.firewall.apply(inet({ s: before }, {}));
      const elements = new Map([
        ["10.0.0.1", null],
        ["10.0.0.3", null],
      ]);
      const since = { from: before.elements, added: new Map([["10.0.0.3", null]]), removed: new Set(["10.0.0.2"]) };
      const change = await opened.firewall.apply(inet({ s: { ...before, elements, since } }, {}));
      assert.deepEqual([change.addedElements, change.removedElements, change.writes], [1, 1, 2]);
      assert.deepEqual(plain(await opened.firewall.list()), plain(inet({ s: { ...before, elements } }, {})));
    });

    void it("changes the data of an element, and an interval for one that overlaps it", async () => {
      using opened = open();
      const chains = { one: { rules: [] }, two: { rules: [] } };
      const before = inet(
        { m: map(["ipv4_addr"], "verdict", { "10.0.0.0/8": { kind: "jump", chain: "one" } }, true) },
        chains,
      );
      const data = inet(
        { m: map(["ipv4_addr"], "verdict", { "10.0.0.0/8": { kind: "jump", chain: "two" } }, true) },
        chains,
      );
      const wider = inet({ m: map(["ipv4_addr"], "verdict", { "0.0.0.0/0": { kind: "drop" } }, true) }, chains);
      for (const step of [before, data, wider, before]) {
        await opened.firewall.apply(step);
        assert.deepEqual(plain(await opened.firewall.list()), plain(step));
      }
    });

    void it("makes a set anew whose definition changed, with the rules that use it", async () => {
      using opened = open();
      const kept = { steps: [{ kind: "counter" }, drop], comment: "kept" } as const;
      const chains = { f: hooked(rule(lookup("ip saddr", "s"), accept), kept) };
      const steps = [
        inet({ s: set(["ipv4_addr"], ["10.0.0.1"]) }, chains),
        inet({ s: set(["ipv4_addr"], ["10.0.0.0/8"], true) }, chains),
        inet({ s: { ...set(["ipv4_addr"], ["10.0.0.0/8"], true), counters: true } }, chains),
        inet({ s: set(["inet_service"], ["80"]) }, { f: hooked(rule(tcp, lookup("th dport", "s"), accept), kept) }),
      ];
      for (const [i, step] of steps.entries()) {
        const change = await opened.firewall.apply(step);
        assert.deepEqual(plain(await opened.firewall.list()), plain(step));
        if (i > 0)
          assert.deepEqual(
            [change.addedSets, change.removedSets, change.addedRules, change.removedRules],
            [1, 1, 1, 1],
          );
      }
    });

    void it("edits only the rules that differ, wherever they stand", async () => {
      using opened = open();
      const named = (...names: string[]): Ruleset =>
        inet({}, { f: hooked(...names.map((comment): Rule => ({ steps: [accept], comment }))) });
      const steps: readonly (readonly [string, number, number])[] = [
        ["abcdef", 6, 0],
        ["abcXdef", 1, 0],
        ["YabcXdefZ", 2, 0],
        ["YabdefZ", 0, 2],
        ["ZYabdef", 1, 1],
        ["aaabbb", 4, 5],
        ["aabbba", 1, 1],
        ["pqr", 3, 6],
        ["", 0, 3],
        ["1234", 4, 0],
        ["1a2b3c4de", 5, 0],
      ];
      for (const [letters, added, removed] of steps) {
        const wanted = named(...letters.split(""));
        const change = await opened.firewall.apply(wanted);
        assert.deepEqual([letters, change.addedRules, change.removedRules], [letters, added, removed]);
        assert.deepEqual(plain(await opened.firewall.list()), plain(wanted));
      }
    });

    void it("moves a base chain, changes its policy, makes a plain chain of it and back", async () => {
      using opened = open();
      const rules = [rule(drop)];
      const base = { type: "filter", hook: "forward", priority: 0, policy: "accept" } as const;
      for (const chain of [
        { base, rules },
        { base: { ...base, policy: "drop" }, rules },
        { base: { ...base, priority: -400 }, rules },
        { base: { ...base, hook: "input" }, rules },
        { rules },
        { base, rules },
      ] satisfies Chain[]) {
        await opened.firewall.apply(inet({}, { f: chain, other: hooked(rule(accept)) }));
        assert.deepEqual(
          plain(await opened.firewall.list()),
          plain(inet({}, { f: chain, other: hooked(rule(accept)) })),
        );
      }
    });

    void it("removes chains that jump to each other, maps that jump to them, and whole tables", async () => {
      using opened = open();
      await opened.firewall.apply(everything);
      const less = inet({}, { forward: hooked(rule(drop)) });
      await opened.firewall.apply(less);
      assert.deepEqual(plain(await opened.firewall.list()), plain(less));
      await opened.firewall.apply(new Map());
      assert.deepEqual(plain(await opened.firewall.list()), {});
    });

    void it("clears", async () => {
      using opened = open();
      await opened.firewall.apply(everything);
      await opened.firewall.clear();
      assert.deepEqual(plain(await opened.firewall.list()), {});
      assert.ok((await opened.firewall.apply(everything)).writes > 200);
    });

    void it("serves several callers one after another", async () => {
      using opened = open();
      const one = inet({ s: set(["ipv4_addr"], ["10.0.0.1"]) }, {});
      await Promise.all([
        opened.firewall.apply(everything),
        opened.firewall.list(),
        opened.firewall.apply(one),
        opened.firewall.counters(),
      ]);
      assert.deepEqual(plain(await opened.firewall.list()), plain(one));
    });

    void it("does nothing once its signal is aborted", async () => {
      using opened = open();
      await assert.rejects(opened.firewall.apply(everything, AbortSignal.abort()), { name: "AbortError" });
      assert.deepEqual(plain(await opened.firewall.list()), {});
    });

    void it("tells when somebody else changes our tables, and not of our own changes", {
      timeout: 60_000,
    }, async () => {
      using opened = open();
      await opened.firewall.apply(everything);
      const end = new AbortController();
      const changes = opened.firewall.foreignChanges(end.signal)[Symbol.asyncIterator]();
      const next = changes.next();
      await opened.firewall.apply(inet({}, {}));
      const still = new Promise((resolve) => setTimeout(resolve, 50, "silent"));
      assert.equal(await Promise.race([next, still]), "silent");
      opened.flush();
      assert.equal((await next).done, false);
      opened.firewall.resync();
      assert.ok((await opened.firewall.apply(everything)).writes > 200);
      const last = changes.next();
      end.abort();
      assert.equal((await last).done, true);
    });
  });
}
