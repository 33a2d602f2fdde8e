/**
 * BIRD, as one thing outside the process: a daemon with one configuration. Whoever drives it hands over the whole configuration each
 * time; what differs BIRD finds out by itself, and sessions that are not concerned stay up.
 */
import type { Reply } from "./control.ts";

export type Applied = "unchanged" | "reconfigured" | "started";

export interface Bird {
  /**
   * Makes a running BIRD have the configuration: starts one, or reconfigures the one that runs. Repeatable.
   * @throws DriverError `invalid` (BIRD refuses it; what was in force stays), `busy` (another daemon is in the way), `not-found` (not
   * installed), `timeout`, `failed`
   */
  apply(config: string, options: { readonly ports: readonly number[] }): Promise<Applied>;
  /** Ends BIRD: what it announced is withdrawn, what it learned leaves the kernel, if `last` says so. Nothing to do if none runs. */
  stop(last: string): Promise<void>;
  /** Asks the running BIRD. @throws DriverError `unavailable` if none runs */
  ask(command: string): Promise<Reply>;
  /** The end of what BIRD has logged. */
  log(): Promise<string>;
  readonly running: boolean;
}
