/**
 * Ends the connections that the rules in force forbid: established packets pass before any policy, so a change acts on them
 * only here. It follows the kernel: whatever state was written there last is what connections are judged by. What is still
 * allowed is not touched; what a change cannot have decided about is not even looked at twice. A fresh process knows nothing
 * of what was in force before and judges all.
 *
 * Between the write and the cut no more is open than under the old policy: new flows are judged by the new rules, and a TCP
 * segment in the middle of a connection that is not known begins none (core/rules/fixed.ts, "mid-stream").
 */
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { FlowJudge, moved } from "../core/calc/flow-judge.ts";
import type { HostState } from "../core/calc/host-state.ts";
import type { Surroundings } from "../core/calc/state-routing.ts";
import { type Touched, touched, touchesNobody } from "../core/rules/touched.ts";
import type { Connection, Conntrack } from "../drivers/conntrack/conntrack.ts";
import { Loop } from "./loop.ts";

export interface CutterOptions {
  readonly conntrack: Pick<Conntrack, "list" | "cut" | "cutTurned">;
  readonly surroundings: () => Surroundings;
  /** Told of connections that were cut. */
  readonly onCut: (count: number) => void;
  /** Told of each pass that failed, and (undefined) of the first that works again. It is tried again. */
  readonly onOutcome: (error: unknown) => void;
}

/** Milliseconds of judging after which the event loop gets a turn. */
const SLICE = 5;

/** Milliseconds that connections of endpoints that left may stay. */
const LEFT = 1000;

/** A segment in the middle of a TCP connection begins nothing. */
const TCP = 6;
/** Milliseconds that an answer may be under way through a busy container. */
const UNDER_WAY = 10;
/** So many looks in a row that find nothing are enough; so many looks in all. */
const QUIET_ROUNDS = 4;
const MAX_ROUNDS = 20;

/** All that changed is that endpoints are gone. */
function haveOnlyLeft(change: Touched, gone: ReadonlySet<string>, { links }: HostState): boolean {
  if (change.everything || gone.size === 0) return false;
  return [...change.interfaces].every((name) => !links.has(name)) && [...change.addresses].every((a) => gone.has(a));
}

export class ConnectionCutter implements Disposable {
  readonly #options: CutterOptions;
  readonly #loop: Loop;
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;
  /** In force in the kernel. */
  #inForce: HostState | undefined;
  /** The state by which all connections have been judged. */
  #judged: HostState | undefined;

  constructor(options: CutterOptions) {
    this.#options = options;
    this.#loop = new Loop({ step: (signal) => this.#step(signal), onOutcome: options.onOutcome });
  }

  /** The kernel has this state from now on. */
  follow(state: HostState): void {
    if (state === this.#inForce) return;
    this.#inForce = state;
    this.#loop.wake();
  }

  /** Resolves when no connection is left that the state followed last forbids. */
  async settle(): Promise<void> {
    if (this.#inForce === this.#judged) return;
    this.#isDue = true;
    await this.#loop.settle();
  }

  async #step(signal: AbortSignal): Promise<void> {
    const state = this.#inForce;
    if (state === undefined || state === this.#judged) return;
    const { gone, taken } = moved(this.#judged, state);
    const change = touched(this.#judged?.ruleset, state.ruleset);
    const all: Touched = { ...change, addresses: new Set([...change.addresses, ...gone, ...taken]) };
    if (!this.#isDue && taken.size === 0 && haveOnlyLeft(change, gone, state)) return this.#later();
    clearTimeout(this.#timer);
    this.#isDue = false;
    this.#timer = undefined;
    if (!touchesNobody(all)) await this.#pass(new FlowJudge(state, gone, this.#options.surroundings()), all, signal);
    this.#judged = state;
  }

  /** Where endpoints only left, nobody can use their connections: those of many are looked for together. */
  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#isDue = true;
      this.#loop.wake();
    }, LEFT).unref();
  }

  async #pass(judge: FlowJudge, change: Touched, signal: AbortSignal): Promise<void> {
    const { conntrack, onCut } = this.#options;
    const concerned = await conntrack.list((connection) => judge.concerns(connection, change), signal);
    const forbidden: Connection[] = [];
    let since = performance.now();
    for (const connection of concerned) {
      if (!judge.allows(connection)) forbidden.push(connection);
      if (performance.now() - since < SLICE) continue;
      await turn();
      signal.throwIfAborted();
      since = performance.now();
    }
    const count = await conntrack.cut(forbidden, signal);
    if (count > 0) onCut(count);
    await this.#cutAnswers(forbidden, signal);
  }

  /**
   * Without this an answer that was under way while its flow was cut would turn the flow round: the answer begins one that is
   * allowed, and what the policy forbids passes as answers to it. A server that goes on sending by itself may do so.
   */
  async #cutAnswers(forbidden: readonly Connection[], signal: AbortSignal): Promise<void> {
    const { conntrack } = this.#options;
    const datagrams = forbidden.filter(({ original }) => original.protocol !== TCP);
    if (datagrams.length === 0) return;
    for (let quiet = 0, round = 0; quiet < QUIET_ROUNDS && round < MAX_ROUNDS; round++) {
      await sleep(UNDER_WAY, undefined, { signal });
      quiet = (await conntrack.cutTurned(datagrams, signal)) === 0 ? quiet + 1 : 0;
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#loop[Symbol.dispose]();
  }
}
