import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Origin, Origins } from "../rules/origin.ts";
import { type RuleCount, RuleTotals } from "./rule-traffic.ts";

const rule = (name: string, index: number, action: "Allow" | "Deny"): Origin => ({
  kind: "NetworkPolicy",
  tier: "default",
  namespace: "shop",
  name,
  direction: "ingress",
  rule: index,
  action,
});
const ORIGINS: Origins = new Map<string, Origin>([
  ["p.0", rule("web", 0, "Allow")],
  ["p.1", rule("web", 1, "Deny")],
  ["end", { kind: "end-of-tier", tier: "default", direction: "ingress" }],
  ["spoofed-source", { kind: "fixed", rule: "spoofed-source" }],
  ["endpoint-to-host", { kind: "fixed", rule: "endpoint-to-host" }],
]);
const DROPS = new Set(["p.1", "end", "spoofed-source"]);
const count = (id: string, comment: string | undefined, packets: number): RuleCount => ({
  id,
  comment,
  packets: BigInt(packets),
  bytes: BigInt(packets * 100),
});
const find = (totals: RuleTotals, policy: string, index: string) =>
  totals.rules.find((one) => one.policy === policy && one.rule === index);

describe("traffic by rule", () => {
  it("adds up the rules of the kernel that stand for one rule of a policy", () => {
    const totals = new RuleTotals();
    totals.add([count("1", "p.0", 3), count("2", "p.0", 4), count("3", "p.1", 5)], ORIGINS, DROPS);
    assert.deepEqual(find(totals, "shop/web", "0"), {
      kind: "NetworkPolicy",
      tier: "default",
      policy: "shop/web",
      direction: "ingress",
      rule: "0",
      action: "Allow",
      packets: 7,
      bytes: 700,
    });
  });

  it("never falls when a rule goes, or is made anew", () => {
    const totals = new RuleTotals();
    totals.add([count("1", "p.0", 10), count("2", "p.0", 5)], ORIGINS, DROPS);
    totals.add([count("1", "p.0", 12)], ORIGINS, DROPS); // one of the two went
    assert.equal(find(totals, "shop/web", "0")?.packets, 17);
    totals.add([count("7", "p.0", 2)], ORIGINS, DROPS); // replaced
    assert.equal(find(totals, "shop/web", "0")?.packets, 19);
    totals.add([count("7", "p.0", 1)], ORIGINS, DROPS); // a table of the same handles, after a restart of nftables
    assert.equal(find(totals, "shop/web", "0")?.packets, 20);
  });

  it("counts drops by reason, and only of rules that drop", () => {
    const totals = new RuleTotals();
    const counts = [count("1", "p.1", 2), count("2", "end", 3), count("3", "spoofed-source", 4)];
    totals.add([...counts, count("4", "endpoint-to-host", 50), count("5", "p.0", 60)], ORIGINS, DROPS);
    assert.deepEqual(
      [...totals.drops].sort(([a], [b]) => (a < b ? -1 : 1)),
      [
        ["end-of-tier", 3],
        ["policy", 2],
        ["spoofed-source", 4],
      ],
    );
  });

  it("has a series for so many rules, and one for the rest", () => {
    const many = new Map(Array.from({ length: 50 }, (_, i) => [`q.${i}`, rule(`p${i}`, 0, "Allow")] as const));
    const totals = new RuleTotals(10);
    const counts = [...many.keys()].map((comment, i) => count(String(i), comment, 1));
    totals.add(counts, many, new Set());
    totals.add(
      counts.map((one) => ({ ...one, packets: 2n })),
      many,
      new Set(),
    );
    assert.equal(totals.rules.length, 11);
    assert.equal(totals.rules.find(({ policy }) => policy === "other")?.packets, 80);
    assert.equal(
      totals.rules.reduce((sum, { packets }) => sum + packets, 0),
      100,
    );
  });

  it("passes over what nobody knows", () => {
    const totals = new RuleTotals();
    totals.add([count("1", "gone", 3), count("2", undefined, 4)], ORIGINS, DROPS);
    assert.deepEqual(totals.rules, []);
  });
});
