import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineReport } from "../plugin/docker/reconcile.ts";
import { EngineWatch } from "./engine-watch.ts";

const QUIET: EngineReport = {
  removed: [],
  adopted: [],
  corrected: [],
  problems: [],
  open: false,
  agrees: true,
  addresses: { released: [], adopted: [], collected: [], problems: [], open: false },
};

describe("EngineWatch", () => {
  /** Follows an engine whose looks have these outcomes, the last one again and again; `seen` counts looks. */
  function watching(outcomes: readonly (EngineReport | Error)[], atRest = 3_600_000) {
    const stop = new AbortController();
    const seen = { looks: 0, failures: 0 };
    const watch = new EngineWatch({
      reconcile: () => {
        const outcome = outcomes[Math.min(seen.looks++, outcomes.length - 1)] ?? QUIET;
        return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
      },
      onReport: () => {},
      onFailure: () => seen.failures++,
      every: 5,
      atRest,
    });
    const ended = watch.follow(stop.signal);
    const until = async (looks: number): Promise<void> => {
      for (let i = 0; seen.looks < looks; i++) {
        if (i > 2000) assert.fail(`only ${seen.looks} looks`);
        await sleep(2);
      }
    };
    const end = async (): Promise<void> => {
      stop.abort();
      await ended;
    };
    return { watch, seen, until, [Symbol.asyncDispose]: end };
  }

  /** A watch of another engine that has had so many looks: long enough for the first to have had some, were it to look. */
  async function meanwhile(looks: number): Promise<void> {
    await using other = watching([{ ...QUIET, open: true }]);
    await other.until(looks);
  }

  it("looks seldom at an engine where nothing happens", async () => {
    await using engine = watching([QUIET]);
    await engine.until(1);
    await meanwhile(5);
    assert.equal(engine.seen.looks, 1);
  });

  it("but looks: an event may be lost without a trace", async () => {
    await using engine = watching([QUIET], 20);
    await engine.until(3);
  });

  it("looks soon again after a call of Docker's", async () => {
    await using engine = watching([QUIET]);
    await engine.until(1);
    engine.watch.busy();
    await engine.until(2);
    await meanwhile(5);
    assert.equal(engine.seen.looks, 2);
  });

  for (const [what, outcome] of [
    ["something is open", { ...QUIET, open: true }],
    ["something was mended", { ...QUIET, removed: ["web"] }],
    ["something cannot be mended", { ...QUIET, addresses: { ...QUIET.addresses, problems: ["no pool"] } }],
    ["the engine does not answer", new Error("no answer")],
  ] as const)
    it(`looks soon again as long as ${what}`, async () => {
      await using engine = watching([outcome, outcome, QUIET]);
      await engine.until(3);
      await meanwhile(5);
      assert.equal(engine.seen.looks, 3);
      assert.equal(engine.seen.failures, outcome instanceof Error ? 2 : 0);
    });
});
