/** `docker run --rm ... true` on each kind of network, interleaved. */
import type { Host } from "../src/lab/host.ts";

export const START_NETWORKS = {
  own: "own bridge network",
  default: "default bridge network",
  manx: "Manx, IPv4 and IPv6",
} as const;
const DOCKER_NAMES = { own: "own-bridge", default: "bridge", manx: "apps" } as const;

/** Milliseconds of each start, by kind of network. */
export async function containerStarts(host: Host, rounds: number): Promise<ReadonlyMap<string, readonly number[]>> {
  const kinds = ["own", "default", "manx"] as const;
  const times = new Map<string, number[]>(kinds.map((kind) => [START_NETWORKS[kind], []]));
  for (let round = 0; round <= rounds; round++) {
    for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
      const begun = performance.now();
      await host.docker("run", "--rm", "--network", DOCKER_NAMES[kind], "busybox", "true");
      // The first round fills caches.
      if (round > 0) times.get(START_NETWORKS[kind])?.push(performance.now() - begun);
    }
    process.stderr.write(`\rstarts: round ${round} of ${rounds} `);
  }
  process.stderr.write("\n");
  return times;
}
