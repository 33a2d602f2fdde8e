/** Server-sent events that notice when either side is gone. */
import type { SSEStreamingApi } from "hono/streaming";

/** A comment line at this interval, in milliseconds, so that a reader notices a dead agent. */
const KEEP_ALIVE = 15_000;

/** Runs the work until it ends or the reader has gone. */
export async function keptAlive(stream: SSEStreamingApi, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  stream.onAbort(() => stop.abort());
  const alive = setInterval(() => void stream.write(": alive\n\n"), KEEP_ALIVE);
  try {
    await stream.write(": watching\n\n");
    await work(stop.signal);
  } finally {
    clearInterval(alive);
    stop.abort();
  }
}
