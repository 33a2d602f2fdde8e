/**
 * BIRD 2's main loop looks for work that is waiting before it runs its timers, and then sleeps until the next timer or packet. When BFD
 * says that a peer is silent, a timer makes its routes the last resort (RFC 9494), and that work waits for up to a second more. So
 * where BFD is on, BIRD is asked something so often that this does not count.
 */
import type { Bird } from "../../drivers/bird/bird.ts";

/** Milliseconds: a tenth of the second in which traffic is to move. */
const WAKE_EVERY = 100;

export class BfdWaker implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;

  /** `wanted`: whether a session has BFD at present. */
  constructor(bird: Pick<Bird, "ask" | "running">, wanted: () => boolean, everyMs: number = WAKE_EVERY) {
    this.#timer = setInterval(() => {
      if (this.#isAsking || !bird.running || !wanted()) return;
      this.#isAsking = true;
      void bird
        .ask("show status")
        .catch(() => {}) // whoever needs an answer finds out why there is none
        .finally(() => {
          this.#isAsking = false;
        });
    }, everyMs).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
