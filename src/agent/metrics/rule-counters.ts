/**
 * Reads the rules' counters, on a socket of its own: the dataplane's does not wait for it. Readings are some seconds apart, however
 * many ask; a kernel that is too restless to be read leaves the last ones.
 */
import type { HostState } from "../../core/calc/host-state.ts";
import { RuleTotals } from "../../core/flows/rule-traffic.ts";
import type { Ruleset } from "../../core/rules/ir.ts";
import type { Counters } from "../../drivers/nftables/read.ts";

type Compiled = Pick<HostState, "origins" | "ruleset">;

/** Milliseconds. */
const OLD = 5_000;

export class RuleCounters {
  readonly totals = new RuleTotals();
  readonly #read: (signal: AbortSignal) => Promise<Pick<Counters, "rules">>;
  readonly #now: () => number;
  #readAt: number | undefined;
  #reading: Promise<void> | undefined;

  constructor(read: (signal: AbortSignal) => Promise<Pick<Counters, "rules">>, now = () => performance.now()) {
    this.#read = read;
    this.#now = now;
  }

  /** Seconds since the last reading. */
  get age(): number | undefined {
    return this.#readAt === undefined ? undefined : (this.#now() - this.#readAt) / 1000;
  }

  /** Those who ask while it reads share the reading. */
  async refresh(state: Compiled | undefined, signal: AbortSignal): Promise<void> {
    if (state === undefined || (this.#readAt !== undefined && this.#now() - this.#readAt < OLD)) return;
    this.#reading ??= this.#once(state, signal).finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  async #once({ origins, ruleset }: Compiled, signal: AbortSignal): Promise<void> {
    const { rules } = await this.#read(signal).catch(() => ({ rules: undefined }));
    if (rules === undefined) return;
    this.#readAt = this.#now();
    const counts = rules.map(({ table, handle, comment, packets, bytes }) => ({
      id: `${table} ${handle}`,
      comment,
      packets,
      bytes,
    }));
    this.totals.add(counts, origins, dropComments(ruleset));
  }
}

/** Comments of the rules that end a packet. */
function dropComments(ruleset: Ruleset): Set<string> {
  const drops = new Set<string>();
  for (const { chains } of ruleset.values())
    for (const { rules } of chains.values())
      for (const { steps, comment } of rules) {
        const last = steps.at(-1);
        if (comment !== undefined && last?.kind === "verdict" && last.verdict.kind === "drop") drops.add(comment);
      }
  return drops;
}
