/**
 * Waits until sockets become readable, without blocking the event loop: one epoll_wait on one thread of libuv's pool for
 * all of them. It exists while somebody waits, and keeps the process alive only so long.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_EVENT_SIZE,
  EPOLLIN,
  EPOLLONESHOT,
  epollCreate,
  epollCtl,
  epollWait,
  eventfd,
} from "./libc.ts";

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class Poller {
  readonly #epoll = epollCreate();
  readonly #wake = eventfd();
  readonly #waiters = new Map<number, Waiter>();
  readonly #events = new Uint8Array(64 * EPOLL_EVENT_SIZE);
  readonly #onEnd: () => void;
  readonly #interrupt = (): void => void writeSync(this.#wake, new BigUint64Array([1n]));

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
    epollCtl(this.#epoll, EPOLL_CTL_ADD, this.#wake, EPOLLIN);
    // Node joins its threads at exit; one that sleeps in epoll_wait would keep it from ending.
    process.once("exit", this.#interrupt);
    void this.#run();
  }

  add(fd: number, waiter: Waiter): void {
    if (this.#waiters.has(fd)) throw new Error(`descriptor ${fd} is already waited for`);
    try {
      epollCtl(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT);
      this.#waiters.set(fd, waiter);
    } finally {
      if (this.#waiters.size === 0) this.#interrupt();
    }
  }

  /** The descriptor must still be open. */
  remove(fd: number): void {
    if (!this.#waiters.delete(fd)) return;
    epollCtl(this.#epoll, EPOLL_CTL_DEL, fd, 0);
    if (this.#waiters.size === 0) this.#interrupt();
  }

  async #run(): Promise<void> {
    try {
      do {
        for (const fd of await epollWait(this.#epoll, this.#events)) this.#wakeUp(fd);
        // Those who were woken mostly wait again at once; let them, before the thread goes.
        await new Promise((resolve) => void setImmediate(resolve));
      } while (this.#waiters.size > 0);
    } catch (error) {
      for (const { reject } of this.#waiters.values()) reject(error);
    } finally {
      this.#close();
    }
  }

  #wakeUp(fd: number): void {
    if (fd === this.#wake) readSync(fd, new Uint8Array(8));
    const waiter = this.#waiters.get(fd);
    if (waiter === undefined) return;
    this.#waiters.delete(fd);
    epollCtl(this.#epoll, EPOLL_CTL_DEL, fd, 0);
    waiter.resolve();
  }

  #close(): void {
    this.#onEnd();
    process.removeListener("exit", this.#interrupt);
    closeSync(this.#epoll);
    closeSync(this.#wake);
  }
}

let poller: Poller | undefined;

/**
 * Resolves when the descriptor is readable (or has an error to report), or when the signal aborts: look which. One waiter a
 * descriptor, which must stay open until then.
 */
export async function readable(fd: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  poller ??= new Poller(() => {
    poller = undefined;
  });
  const current = poller;
  current.add(fd, { resolve, reject });
  const onAbort = (): void => {
    current.remove(fd);
    resolve();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
