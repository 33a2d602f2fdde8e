/** How many connections and drops each endpoint has had a part in, since the agent started. */
import type { Flow, Party } from "./flow.ts";

export interface EndpointTally {
  readonly flows: number;
  readonly drops: number;
}

/** Endpoints that are remembered; those not seen for the longest time go first. */
const MOST = 20_000;
const NONE: EndpointTally = { flows: 0, drops: 0 };

export class Tally {
  readonly #counts = new Map<string, EndpointTally>();

  /** `count`: so many of the kind at once. */
  add({ verdict, source, destination }: Pick<Flow, "verdict" | "source" | "destination">, count = 1): void {
    if (verdict !== "allow" && verdict !== "deny") return;
    for (const key of new Set([keyOf(source), keyOf(destination)])) {
      if (key === undefined) continue;
      const { flows, drops } = this.#counts.get(key) ?? NONE;
      this.#counts.delete(key);
      this.#counts.set(key, verdict === "allow" ? { flows: flows + count, drops } : { flows, drops: drops + count });
    }
    for (const [oldest] of this.#counts) {
      if (this.#counts.size <= MOST) break;
      this.#counts.delete(oldest);
    }
  }

  of(network: string, container: string): EndpointTally {
    return this.#counts.get(`${network}/${container}`) ?? NONE;
  }
}

function keyOf(party: Party): string | undefined {
  return party.kind === "endpoint" ? `${party.network}/${party.container}` : undefined;
}
