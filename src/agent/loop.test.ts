import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../drivers/error.ts";
import { Loop } from "./loop.ts";

describe("Loop", () => {
  it("never runs two steps at once, and gives wishes of one turn one step", async () => {
    let now = 0;
    let most = 0;
    let steps = 0;
    using loop = new Loop({
      step: async () => {
        steps++;
        most = Math.max(most, ++now);
        await sleep(1);
        now--;
      },
      onOutcome: () => assert.fail(),
    });
    await Promise.all(Array.from({ length: 50 }, () => loop.settle()));
    assert.equal(most, 1);
    assert.equal(steps, 1);
  });

  it("keeps those who wait while the kernel is busy, and tells them of the repetition", async () => {
    let steps = 0;
    using loop = new Loop({
      step: () => {
        if (++steps === 1) throw new DriverError("busy", "the table changed");
        return Promise.resolve();
      },
      onOutcome: () => {},
      minDelay: 1,
    });
    await loop.settle();
    assert.equal(steps, 2);
  });

  it("answers a wish only with a step that began after it", async () => {
    let value = 0;
    const seen: number[] = [];
    using loop = new Loop({
      step: async () => {
        seen.push(value);
        await sleep(2);
      },
      onOutcome: () => assert.fail(),
    });
    const first = loop.settle();
    await sleep(1);
    value = 1; // the step under way has already read 0
    await loop.settle();
    await first;
    assert.deepEqual(seen, [0, 1]);
  });

  it("rejects those who waited, tries again by itself, and tells when it works again", async () => {
    let broken = true;
    const outcomes: string[] = [];
    using loop = new Loop({
      step: () => (broken ? Promise.reject(new Error("no kernel today")) : Promise.resolve()),
      onOutcome: (error) => outcomes.push(error instanceof Error ? error.message : "well"),
      minDelay: 1,
    });
    await assert.rejects(loop.settle(), /no kernel today/);
    broken = false;
    for (let i = 0; i < 100 && outcomes.at(-1) !== "well"; i++) await sleep(2);
    assert.deepEqual([...new Set(outcomes)], ["no kernel today", "well"]);
  });

  it("turns everybody away once it is disposed of", async () => {
    const loop = new Loop({ step: () => sleep(1), onOutcome: () => {} });
    loop[Symbol.dispose]();
    await assert.rejects(loop.settle(), /stopping/);
  });
});
