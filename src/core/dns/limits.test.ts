import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Limits } from "./limits.ts";

describe("how much one may ask", () => {
  it("is a burst and then so many a second, each for himself", () => {
    const limits = new Limits();
    const granted = (asker: string, now: number): number =>
      Array.from({ length: 2000 }, () => limits.allows(asker, now)).filter(Boolean).length;
    assert.equal(granted("a", 0), 1000);
    assert.equal(granted("a", 1000), 500);
    assert.equal(granted("b", 1000), 1000);
    assert.equal(granted("a", 100_000), 1000);
  });

  it("is bounded for what takes its time", async () => {
    const limits = new Limits();
    const gate = Promise.withResolvers<void>();
    const work = (asker: string): Promise<unknown> => limits.during(asker, async () => (await gate.promise, "done"));
    const own = Array.from({ length: 129 }, () => work("a"));
    assert.equal(await own[128], undefined);
    const others = Array.from({ length: 500 }, (_, n) => work(`b${n % 100}`));
    gate.resolve();
    assert.equal((await Promise.all([...own, ...others])).filter((one) => one === "done").length, 512);
    assert.equal(await work("a"), "done");
  });
});
