/** How a fresh process knows what is ours. Everything else is alien: shown, never touched. */
import { DriverError, type DriverErrorCode } from "../error.ts";
import { SystemError, systemError } from "../syscall/errno.ts";
import type { Link } from "./rtnetlink.ts";

/** Host sides of our veth pairs; the peers, until the engine moves them, are `mxp...`. */
export const LINK_PREFIX = "manx";
/** In /etc/iproute2/rt_protos terms: neither the kernel's nor a routing daemon's. */
export const ROUTE_PROTOCOL = 109;
/** Interface group of the host sides. */
export const LINK_GROUP = 28024;
/** Interface group of those that are about to be deleted. */
export const DOOMED_GROUP = 28025;
/** Host sides all have this one: containers keep their neighbour entry when the pair is made anew. */
export const HOST_MAC = "ee:ee:ee:ee:ee:ee";

export function isOurs(link: Link): boolean {
  return link.kind === "veth" && link.name.startsWith(LINK_PREFIX);
}

/** Collects what went wrong with single items, so that all others are still tried. */
export class Failures {
  readonly #errors: DriverError[] = [];

  /** `what` completes "Cannot", where the error does not say it itself. */
  add(what: string, error: unknown): void {
    if (error instanceof DriverError) this.#errors.push(error);
    else if (error instanceof SystemError) this.#errors.push(systemError(what, error));
    else if (error instanceof RangeError)
      this.#errors.push(new DriverError("invalid", `Cannot ${what}: ${error.message}`, error));
    else throw error;
  }

  /** Runs the work and keeps what it throws. */
  try(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.add(what, error);
    }
  }

  /** Throws one DriverError for all; nothing if all went well. Its code is theirs if they agree, else `failed`. */
  throwAny(): void {
    const [first, ...rest] = this.#errors;
    if (first === undefined) return;
    if (rest.length === 0) throw first;
    const code: DriverErrorCode = rest.every((error) => error.code === first.code) ? first.code : "failed";
    const shown = this.#errors.slice(0, 5).map(({ message }) => message);
    const more = this.#errors.length > shown.length ? [`and ${this.#errors.length - shown.length} more`] : [];
    throw new DriverError(code, [...shown, ...more].join("; "), new AggregateError(this.#errors));
  }
}

/** Lets the event loop turn, then stops if asked to. */
export async function pause(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => void setImmediate(resolve));
  signal.throwIfAborted();
}
