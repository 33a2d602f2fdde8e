import { setTimeout as sleep } from "node:timers/promises";

/** What a source tells while the work is done, and afterwards until it is enough; a wait in vain ends after 20 s. */
export async function collect<E>(
  open: (signal: AbortSignal) => AsyncIterable<readonly E[]>,
  work: (seen: readonly E[]) => Promise<void> | void,
  isEnough: (seen: readonly E[]) => boolean,
): Promise<E[]> {
  const abort = new AbortController();
  const source = open(abort.signal);
  const seen: E[] = [];
  const loop = (async (): Promise<void> => {
    for await (const batch of source) seen.push(...batch);
  })();
  try {
    await work(seen);
    for (const end = Date.now() + 20_000; !isEnough(seen) && Date.now() < end; ) await sleep(10);
  } finally {
    abort.abort();
    await loop;
  }
  return seen;
}
