/** Asks one container again and again whether it is well; turns its opinion only after several answers that agree. */
import type { ServiceCheck } from "../../core/model/resources.ts";

export interface CheckerOptions {
  readonly check: Pick<ServiceCheck, "interval" | "rise" | "fall">;
  /** One attempt. */
  readonly ask: (signal: AbortSignal) => Promise<boolean>;
  /** What was known before: undefined counts as unwell until it has answered. */
  readonly before: boolean | undefined;
  readonly onTurn: () => void;
  /** Milliseconds; for tests. */
  readonly second?: number;
}

export class Checker implements Disposable {
  readonly #options: CheckerOptions;
  readonly #stop = new AbortController();
  #well: boolean | undefined;
  /** Answers in a row that differ from the opinion. */
  #against = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CheckerOptions) {
    this.#options = options;
    this.#well = options.before;
    void this.#round();
  }

  /** undefined: not asked often enough yet. */
  get well(): boolean | undefined {
    return this.#well;
  }

  async #round(): Promise<void> {
    const { ask, check, second = 1000 } = this.#options;
    const good = await ask(this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    this.#count(good);
    this.#timer = setTimeout(() => void this.#round(), check.interval * second).unref();
  }

  #count(good: boolean): void {
    const { rise, fall } = this.#options.check;
    this.#against = good === (this.#well ?? false) ? 0 : this.#against + 1;
    const turns = this.#against >= (good ? rise : fall);
    if (!turns && (this.#well !== undefined || good)) return;
    const before = this.#well;
    this.#well = turns ? good : false;
    this.#against = 0;
    if (before !== this.#well) this.#options.onTurn();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }
}
