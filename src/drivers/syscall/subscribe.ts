/** Multicast of the kernel as parsed events. */
import type { NetlinkMessage } from "./netlink-message.ts";
import { NetlinkSocket, type NetlinkSocketOptions } from "./netlink-socket.ts";

/** Some events are lost: read everything back. */
export interface Overrun {
  readonly kind: "overrun";
}

/**
 * Events of the groups in the kernel's order, those at hand together. Listens from the call on, not from the first `next`,
 * until the signal aborts; then it ends silently. Closes what it opened also if nobody ever asks for an event.
 * `parse`: undefined for messages that are of no interest.
 */
export function subscribe<T>(
  protocol: number,
  options: NetlinkSocketOptions,
  parse: (message: NetlinkMessage) => T | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly (T | Overrun)[], void, undefined> {
  const socket = NetlinkSocket.open(protocol, options);
  return untilAborted(socket, signal, () => follow(socket, parse, signal));
}

/** What `run` yields; the socket is closed when that ends, or when the signal aborts before anybody asked for the first. */
export function untilAborted<T>(
  socket: Pick<NetlinkSocket, "close">,
  signal: AbortSignal,
  run: () => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  let started = false;
  const closeUnused = (): void => {
    if (!started) socket.close();
  };
  if (signal.aborted) closeUnused();
  signal.addEventListener("abort", closeUnused, { once: true });
  return (async function* (): AsyncGenerator<T, void, undefined> {
    if (signal.aborted) return;
    started = true;
    try {
      yield* run();
    } finally {
      signal.removeEventListener("abort", closeUnused);
      socket.close();
    }
  })();
}

async function* follow<T>(
  socket: NetlinkSocket,
  parse: (message: NetlinkMessage) => T | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly (T | Overrun)[], void, undefined> {
  for await (const event of socket.events(signal)) {
    if (event.kind === "overrun") {
      yield [event];
      continue;
    }
    const events: T[] = [];
    for (const message of event.messages) {
      const parsed = parse(message);
      if (parsed !== undefined) events.push(parsed);
    }
    if (events.length > 0) yield events;
  }
}
