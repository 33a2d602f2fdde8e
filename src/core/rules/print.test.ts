import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Rule, Ruleset } from "./ir.ts";
import { printRule, printRuleset } from "./print.ts";

const example: Ruleset = new Map([
  [
    "inet manx",
    {
      family: "inet",
      name: "manx",
      sets: new Map([
        [
          "sources",
          { key: ["ifname", "ipv4_addr"], interval: false, elements: new Map([["manx1 . 10.65.0.7", null]]) },
        ],
        [
          "from-endpoint",
          {
            key: ["ifname"],
            interval: true,
            data: "verdict",
            counters: true,
            elements: new Map([
              ["manx*", { kind: "drop" }],
              ["eth0", { kind: "goto", chain: "one" }],
            ]),
          },
        ],
      ]),
      chains: new Map([
        ["one", { rules: [] }],
        [
          "forward-from",
          {
            base: { type: "filter", hook: "forward", priority: -10, policy: "drop" },
            rules: [
              { steps: [{ kind: "vmap", fields: ["meta iifname"], map: "from-endpoint" }] },
              {
                steps: [
                  { kind: "lookup", fields: ["meta iifname", "ip saddr"], set: "sources", negate: true },
                  { kind: "counter" },
                ],
                comment: "spoofed-source",
              },
            ],
          },
        ],
      ]),
    },
  ],
]);

const TEXT = `table inet manx {
	set sources {
		type ifname . ipv4_addr
		elements = {
			"manx1" . 10.65.0.7
		}
	}

	map from-endpoint {
		type ifname : verdict
		flags interval
		counter
		elements = {
			"manx*" : drop,
			"eth0" : goto one
		}
	}

	chain one {
	}

	chain forward-from {
		type filter hook forward priority -10; policy drop;
		meta iifname vmap @from-endpoint
		meta iifname . ip saddr != @sources counter comment "spoofed-source"
	}
}
`;

/** Steps, and how nft(8) writes them. */
const STEPS: readonly (readonly [Rule["steps"], string])[] = [
  [[{ kind: "match", field: "meta iifname", value: "manx*", negate: true }], 'meta iifname != "manx*"'],
  [[{ kind: "match", field: "th dport", value: "80-90" }], "th dport 80-90"],
  [[{ kind: "ct-state", states: ["new", "invalid"], negate: true }], "ct state ! new,invalid"],
  [[{ kind: "tcp-flags", mask: 23, value: 2, negate: true }], "tcp flags & 23 != 2"],
  [[{ kind: "mark", mask: 0x10, value: 0x10 }], "meta mark & 0x00000010 == 0x00000010"],
  [[{ kind: "set-mark", value: 0x1234, mask: 0xff00 }], "meta mark set meta mark & 0xffff00ff | 0x00001200"],
  [[{ kind: "set-mark", value: 1, mask: 0xffffffff }], "meta mark set 0x00000001"],
  [[{ kind: "log", group: 3, prefix: "manx deny x " }], 'log prefix "manx deny x " group 3 snaplen 128'],
  [
    [{ kind: "dnat", family: 6, fields: ["meta l4proto", "th dport"], map: "m" }],
    "dnat ip6 to meta l4proto . th dport map @m",
  ],
  [[{ kind: "fib-local", address: "daddr", negate: true }], "fib daddr type != local"],
];

describe("a ruleset as text", () => {
  it("is what people would write", () => assert.equal(printRuleset(example), TEXT));
  for (const [steps, text] of STEPS) it(`has \`${text}\``, () => assert.equal(printRule({ steps }), text));

  it("has no text for what would end a quotation or a name", () => {
    for (const comment of ['a" accept', "a\nb", "a\\", "\u007f"])
      assert.throws(() => printRule({ steps: [], comment }), RangeError);
    for (const set of ["a b", "", "a}", "1a", "@a", "a;b"])
      assert.throws(() => printRule({ steps: [{ kind: "lookup", fields: ["ip saddr"], set }] }), RangeError);
  });

  it("writes another field where an old nft(8) does not know `icmpv6 taddr`", () => {
    const rule: Rule = { steps: [{ kind: "lookup", fields: ["meta iifname", "icmpv6 taddr"], set: "s" }] };
    assert.equal(printRule(rule), "meta iifname . icmpv6 taddr @s");
    assert.equal(printRule(rule, { withoutTargetAddress: true }), "meta iifname . ip6 daddr @s");
  });
});
