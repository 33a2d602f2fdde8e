/** What the rule compiler makes of random clusters, put into the kernel: it fits, it is read back, and nft(8) agrees. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { derive } from "../../src/core/calc/derive.ts";
import { printRuleset } from "../../src/core/rules/print.ts";
import { Nftables } from "../../src/drivers/nftables/nftables.ts";
import { anyLimits, anySnapshot } from "../policy/arbitrary.ts";
import { plain } from "./contract.ts";
import { Namespace } from "./namespace.ts";

/** Rules that the nft(8) of Debian 12 cannot write, by their comment: what they read has another name in the text. */
const UNWRITABLE = "foreign-neighbour";

function writable(listing: readonly unknown[]): unknown[] {
  return listing.filter((one) => !JSON.stringify(one).includes(`"comment":"${UNWRITABLE}"`));
}

describe("a compiled ruleset", () => {
  it("goes into the kernel from any other one, is read back, and is what nft(8) makes of its text", {
    timeout: 600_000,
  }, async () => {
    using ours = new Namespace();
    using theirs = new Namespace();
    using driver = Nftables.open({ netns: ours.path });
    await fc.assert(
      fc.asyncProperty(anySnapshot, anyLimits, async (snapshot, limits) => {
        const { ruleset } = derive(snapshot, limits);
        await driver.apply(ruleset);
        assert.deepEqual(plain(await driver.list()), plain(ruleset));
        driver.resync();
        assert.equal((await driver.apply(ruleset)).writes, 0);
        theirs.nft(`flush ruleset\n${printRuleset(ruleset, { withoutTargetAddress: true })}`);
        // In the order of nft(8): what was there before keeps its place in ours.
        assert.deepEqual(sorted(writable(ours.listing())), sorted(writable(theirs.listing())));
      }),
      { numRuns: 60 },
    );
  });
});

/** Sets and chains in any order, rules in theirs: those of one chain stay as they stand, but for matches (`matchesSorted`). */
function sorted(listing: readonly unknown[]): unknown[] {
  const keyed = listing.map(matchesSorted).map((one): [string, unknown] => [place(one), one]);
  return keyed.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, one]) => one);
}

/** Matches next to each other in any order: all of them must hold, and nft(8) moves two that look at the same header together. */
function matchesSorted(one: unknown): unknown {
  const { rule } = one as { rule?: { expr: readonly unknown[] } };
  if (rule === undefined) return one;
  const runs: unknown[][] = [];
  let before = false;
  for (const expr of rule.expr) {
    const isMatch = typeof expr === "object" && expr !== null && "match" in expr;
    if (isMatch && before) runs.at(-1)?.push(expr);
    else runs.push([expr]);
    before = isMatch;
  }
  const text = (expr: unknown): string => JSON.stringify(expr);
  const expr = runs.flatMap((run) => run.toSorted((a, b) => (text(a) < text(b) ? -1 : 1)));
  return { rule: { ...rule, expr } };
}

function place(one: unknown): string {
  const [[kind, body]] = Object.entries(one as Record<string, Record<string, unknown>>) as [
    [string, Record<string, unknown>],
  ];
  return JSON.stringify([kind, body.family, body.table, kind === "rule" ? body.chain : body.name]);
}
