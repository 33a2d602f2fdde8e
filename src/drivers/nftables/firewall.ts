/** What the driver of nftables and its fake have in common. */
import type { Ruleset } from "../../core/rules/ir.ts";
import type { Change } from "./change.ts";
import type { Listing } from "./listing.ts";
import type { Counters } from "./read.ts";

export type { ListedChain, Listing } from "./listing.ts";

/** One call at a time is served; others wait their turn. */
export interface Firewall extends Disposable {
  /** What is in force under our name. */
  list(signal?: AbortSignal): Promise<Listing>;
  /**
   * Makes the kernel hold exactly this, in one transaction; writes nothing where nothing differs. May be repeated after any
   * error. Throws DriverError: `invalid` (what is wrong, by name), `denied`, `busy`, `unavailable`.
   */
  apply(desired: Ruleset, signal?: AbortSignal): Promise<Change>;
  /** Distrusts what we know: the next apply reads back first. */
  resync(): void;
  /** Removes every table of ours. */
  clear(): Promise<void>;
  counters(signal?: AbortSignal): Promise<Counters>;
  /** Says that somebody else changed a table of ours, from this call on, until the signal aborts. */
  foreignChanges(signal: AbortSignal): AsyncIterable<void>;
}
