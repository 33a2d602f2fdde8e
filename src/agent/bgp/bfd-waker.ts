/**
 * BIRD 2's main loop looks for work that is waiting before it runs its timers, and then sleeps until the next timer or packet. When BFD
 * says that a peer is silent, a timer makes its routes the last resort (RFC 9494), and that work waits for up to a second more. So
 * where BFD is on, BIRD is asked something so often that this does not count.
 */
import type { Bird } from "../../drivers/bird/bird.ts";

/** Milliseconds: a tenth of the second in which traffic is to move. */
const WAKE_EVERY = 100;
/** Milliseconds between two looks whether it is wanted. */
const LOOK_EVERY = 1_000;

export class BfdWaker implements Disposable {
  #timer: NodeJS.Timeout;
  #isAsking = false;

  /** `wanted`: whether a session has BFD at present. */
  constructor(bird: Pick<Bird, "ask" | "running">, wanted: () => boolean, everyMs = WAKE_EVERY, lookMs = LOOK_EVERY) {
    const look = (): void => {
      const isWanted = bird.running && wanted();
      if (isWanted) this.#ask(bird);
      this.#timer = setTimeout(look, isWanted ? everyMs : lookMs).unref();
    };
    this.#timer = setTimeout(look, lookMs).unref();
  }

  #ask(bird: Pick<Bird, "ask">): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    void bird
      .ask("show status")
      .catch(() => {}) // whoever needs an answer finds out why there is none
      .finally(() => {
        this.#isAsking = false;
      });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
