import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BfdWaker } from "./bfd-waker.ts";

void describe("what wakes BIRD where BFD is on", () => {
  void it("asks again and again, one question at a time, and only where it is wanted", async () => {
    const waiting: ((reply: []) => void)[] = [];
    const bird = { running: true, ask: () => new Promise<[]>((resolve) => void waiting.push(resolve)) };
    const until = async (count: number): Promise<void> => {
      while (waiting.length < count) await sleep(1);
    };
    let isWanted = false;
    using waker = new BfdWaker(bird, () => isWanted, 1, 1);
    void waker;
    await sleep(10);
    assert.equal(waiting.length, 0);
    isWanted = true;
    await until(1);
    await sleep(10);
    assert.equal(waiting.length, 1, "it waits for the answer");
    waiting[0]?.([]);
    await until(2);
    bird.running = false;
    waiting[1]?.([]);
    await sleep(10);
    assert.equal(waiting.length, 2);
  });
});
