/** nft(8) as the judge: what we put into the kernel is what it makes of the same ruleset as text. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Ruleset } from "../../src/core/rules/ir.ts";
import { printRuleset } from "../../src/core/rules/print.ts";
import { Nftables } from "../../src/drivers/nftables/nftables.ts";
import { anyRuleset } from "./arbitrary.ts";
import { plain } from "./contract.ts";
import { everything } from "./everything.ts";
import { Namespace } from "./namespace.ts";

async function sameAsNft(ruleset: Ruleset, ours: Namespace, theirs: Namespace, driver: Nftables): Promise<void> {
  theirs.nft(`flush ruleset\n${printRuleset(ruleset)}`);
  await driver.apply(ruleset);
  assert.deepEqual(ours.listing(), theirs.listing());
}

describe("the driver of nftables", () => {
  it("puts every set and step into the kernel as nft(8) does", async () => {
    using ours = new Namespace();
    using theirs = new Namespace();
    using driver = Nftables.open({ netns: ours.path });
    await sameAsNft(everything, ours, theirs, driver);
  });

  it("puts random rulesets into the kernel as nft(8) does, one after another", async () => {
    using ours = new Namespace();
    using theirs = new Namespace();
    using driver = Nftables.open({ netns: ours.path });
    await fc.assert(
      fc.asyncProperty(anyRuleset, async (ruleset) => {
        await driver.clear();
        await sameAsNft(ruleset, ours, theirs, driver);
      }),
      { numRuns: 60 },
    );
  });

  it("reads back what it wrote, whatever was there before", async () => {
    using ours = new Namespace();
    using driver = Nftables.open({ netns: ours.path });
    await fc.assert(
      fc.asyncProperty(anyRuleset, fc.boolean(), async (ruleset, forgetful) => {
        if (forgetful) driver.resync();
        await driver.apply(ruleset);
        assert.deepEqual(plain(await driver.list()), plain(ruleset));
        driver.resync();
        assert.equal((await driver.apply(ruleset)).writes, 0);
      }),
      { numRuns: 400 },
    );
  });

  it("lists what nft(8) loaded from our text with the same elements", async () => {
    using theirs = new Namespace();
    theirs.nft(printRuleset(everything));
    using driver = Nftables.open({ netns: theirs.path });
    const listed = await driver.list();
    for (const [key, table] of everything)
      for (const [name, set] of table.sets)
        assert.deepEqual([name, listed.get(key)?.sets.get(name)?.elements], [name, set.elements]);
  });
});
