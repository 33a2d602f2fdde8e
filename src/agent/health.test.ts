import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Health } from "./health.ts";

describe("Health", () => {
  it("tells of a change once, however often it is raised", () => {
    const log: string[] = [];
    const health = new Health(({ code, why }, raised) => log.push(`${raised ? "+" : "-"}${code} ${why}`));
    health.raise("engine-unreachable", "no socket");
    health.raise("engine-unreachable", "no socket");
    health.raise("engine-unreachable", "refused");
    health.clear("engine-unreachable");
    health.clear("engine-unreachable");
    assert.deepEqual(log, [
      "+engine-unreachable no socket",
      "+engine-unreachable refused",
      "-engine-unreachable refused",
    ]);
  });

  it("has one condition for each reason of a code, and forgets the others", () => {
    const health = new Health(() => {});
    const whys = (): string[] => health.list().map(({ why }) => why);
    health.raise("engine-unreachable", "no socket");
    health.setAll("label-unreadable", ["a", "b"]);
    health.setAll("label-unreadable", ["b", "c"]);
    assert.deepEqual(whys(), ["no socket", "b", "c"]);
    health.setAll("label-unreadable", []);
    assert.deepEqual(whys(), ["no socket"]);
  });

  it("keeps the time of the first raise, and lists errors before warnings", () => {
    let now = 0;
    const health = new Health(
      () => {},
      () => new Date(now++),
    );
    health.raise("engine-unreachable", "a");
    health.raise("store-unavailable", "b");
    health.raise("engine-unreachable", "c");
    assert.deepEqual(
      health.list().map(({ code, why, since }) => [code, why, since.slice(-5)]),
      [
        ["store-unavailable", "b", ".001Z"],
        ["engine-unreachable", "c", ".000Z"],
      ],
    );
  });
});
