/** How much one asker may ask: a burst, and then so many questions a second. And how many wait for an answer at a time. */
const BURST = 1000;
const PER_SECOND = 500;
const MOST_WAITING = 512;
const MOST_WAITING_OF_ONE = 128;
/** More askers than this are not remembered one by one. */
const MOST_ASKERS = 10_000;

export class Limits {
  readonly #left = new Map<string, { tokens: number; at: number }>();
  readonly #waiting = new Map<string, number>();
  #allWaiting = 0;

  /** Takes one question of the asker's share; false: it has used it up. `now` in milliseconds, never going back. */
  allows(asker: string, now: number): boolean {
    if (this.#left.size > MOST_ASKERS) this.#left.clear();
    const before = this.#left.get(asker) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, before.tokens + ((now - before.at) * PER_SECOND) / 1000);
    this.#left.set(asker, { tokens: Math.max(0, tokens - 1), at: now });
    return tokens >= 1;
  }

  /** Does what takes its time, unless too much of that is under way. @returns undefined: it was not done */
  async during<T>(asker: string, work: () => Promise<T>): Promise<T | undefined> {
    const own = this.#waiting.get(asker) ?? 0;
    if (own >= MOST_WAITING_OF_ONE || this.#allWaiting >= MOST_WAITING) return undefined;
    this.#waiting.set(asker, own + 1);
    this.#allWaiting++;
    try {
      return await work();
    } finally {
      this.#allWaiting--;
      const left = (this.#waiting.get(asker) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(asker);
      else this.#waiting.set(asker, left);
    }
  }
}
