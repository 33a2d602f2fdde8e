/**
 * Keeps BIRD as the cluster's resources say, after the kernel has the routes that it announces. It runs beside the agent's loop: a
 * container's start never waits for BGP. BIRD runs only where there is somebody to speak with.
 */
import { deriveBgp } from "../../core/bgp/derive.ts";
import { renderBird } from "../../core/bgp/render.ts";
import { secretKey, whyNotPassword } from "../../core/bgp/render-session.ts";
import type { BgpInput, BgpState, SecretRef } from "../../core/bgp/state.ts";
import type { Bird } from "../../drivers/bird/bird.ts";
import { DriverError, messageOf } from "../../drivers/error.ts";
import type { Health } from "../health.ts";
import { Loop } from "../loop.ts";

export interface BgpStageOptions {
  readonly bird: Bird;
  readonly input: () => BgpInput;
  readonly readSecret: (name: string, key: string) => Promise<string>;
  readonly health: Pick<Health, "set" | "clear">;
  readonly logFile: string;
  readonly routeProtocol: number;
  readonly form?: "whole" | "snippet";
  readonly onApplied?: (what: string) => void;
}

export class BgpStage implements Disposable {
  readonly #options: BgpStageOptions;
  readonly #loop: Loop;
  #input: BgpInput | undefined;
  #state: BgpState | undefined;
  #complaints = new Set<string>();
  /** Nobody to speak with, and BIRD has been told so. */
  #isStopped = false;

  constructor(options: BgpStageOptions) {
    this.#options = options;
    this.#loop = new Loop({ step: () => this.#step(), onOutcome: (error) => this.#report(error) });
  }

  /** What this host says in BGP, as of the last step. */
  get state(): BgpState | undefined {
    return this.#state;
  }

  /** Something may have changed. */
  wake(): void {
    this.#loop.wake();
  }

  settle(): Promise<void> {
    return this.#loop.settle();
  }

  async #step(): Promise<void> {
    const { bird, input, onApplied } = this.#options;
    const now = input();
    if (this.#input === undefined || this.#state === undefined || !sameInput(now, this.#input)) {
      this.#state = deriveBgp(now);
      this.#isStopped = false;
    }
    this.#input = now;
    const state = this.#state;
    if (this.#isStopped) return;
    this.#complain(state.problems.map(({ path, message }) => `${path}: ${message}`));
    if (state.sessions.length === 0) {
      await bird.stop(this.#render({ ...state, sessions: [], filters: [] }, new Map(), false));
      this.#isStopped = true;
      return;
    }
    const secrets = await this.#secrets(state);
    const ports = [...new Set(state.sessions.map(({ localPort }) => localPort))];
    const applied = await bird.apply(this.#render(state, secrets, true), { ports });
    if (applied !== "unchanged") onApplied?.(applied);
  }

  #render(state: BgpState, secrets: ReadonlyMap<string, string>, persist: boolean): string {
    const { logFile, routeProtocol, form = "whole" } = this.#options;
    return renderBird(state, { logFile, secrets, routeProtocol, persist, form });
  }

  /** Those that can be read; a session without the password that it needs is not made. */
  async #secrets(state: BgpState): Promise<Map<string, string>> {
    const wanted = new Map<string, SecretRef>();
    for (const { password } of state.sessions) if (password !== undefined) wanted.set(secretKey(password), password);
    const found = new Map<string, string>();
    const troubles: string[] = [];
    for (const [key, { name, key: entry, optional }] of wanted) {
      try {
        const text = await this.#options.readSecret(name, entry);
        const why = whyNotPassword(text);
        if (why === undefined) found.set(key, text);
        else troubles.push(`the password in the secret ${key} cannot be used: ${why}`);
      } catch (error) {
        const missing = error instanceof DriverError && error.code === "not-found";
        if (!(missing && optional)) troubles.push(messageOf(error));
      }
    }
    this.#options.health.set("bgp-secret", troubles.length === 0 ? undefined : troubles.join("; "));
    return found;
  }

  #complain(problems: readonly string[]): void {
    const now = new Set(problems);
    for (const old of this.#complaints) if (!now.has(old)) this.#options.health.clear("bgp-resource", old);
    for (const problem of now) this.#options.health.set("bgp-resource", problem, problem);
    this.#complaints = now;
  }

  #report(error: unknown): void {
    const { health } = this.#options;
    const why = error === undefined ? undefined : messageOf(error);
    const isBusy = error instanceof DriverError && error.code === "busy";
    health.set("bgp-in-the-way", isBusy ? why : undefined);
    health.set("bgp-not-applied", isBusy ? undefined : why);
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]();
  }
}

/** Lists from the store are the same objects while nothing in them changed; the others are short. */
function sameInput(a: BgpInput, b: BgpInput): boolean {
  const isSameList = (left: readonly string[], right: readonly string[]): boolean =>
    left.length === right.length && left.every((one, index) => one === right[index]);
  return (
    a.host === b.host &&
    a.configurations === b.configurations &&
    a.peers === b.peers &&
    a.filters === b.filters &&
    a.pools === b.pools &&
    a.nodes.length === b.nodes.length &&
    a.nodes.every((node, index) => node === b.nodes[index]) &&
    isSameList(a.blocks, b.blocks) &&
    isSameList(a.lent, b.lent) &&
    isSameList(a.services, b.services) &&
    isSameList(a.connected, b.connected)
  );
}
