/** Bounds how often one address may fail to log in. Bounded itself: of many addresses the oldest are forgotten. */

const WINDOW = 60_000;
const MOST = 10;
const ADDRESSES = 1_000;

export class Throttle {
  readonly #failures = new Map<string, { count: number; since: number }>();

  /** Milliseconds until the address may try again; 0: now. */
  wait(address: string, now: number): number {
    const found = this.#failures.get(address);
    if (found === undefined || found.count < MOST) return 0;
    return Math.max(0, found.since + WINDOW - now);
  }

  failed(address: string, now: number): void {
    const found = this.#failures.get(address);
    if (found !== undefined && now < found.since + WINDOW) {
      found.count++;
      return;
    }
    this.#failures.delete(address);
    this.#failures.set(address, { count: 1, since: now });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
  }
}
