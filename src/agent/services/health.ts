/**
 * Which members of services are well: by what Docker says of the container, or by asking its port; and which are about to end. What
 * was known last is on disk, so that an agent that starts withdraws nothing: an opinion changes by a new answer, never by its absence.
 */
import { type Membership, memberKey } from "../../core/calc/services.ts";
import type { MemberState, ServiceMember } from "../../core/calc/snapshot.ts";
import type { Engine } from "../../drivers/docker/engine.ts";
import type { EngineEvent } from "../../drivers/docker/events.ts";
import { isHarmless } from "../../plugin/docker/stop-gate.ts";
import type { LocalState } from "../local-state.ts";
import { Checker } from "./checker.ts";

export interface ServiceHealthOptions {
  readonly state: Pick<LocalState, "endpoints" | "meta" | "setMeta">;
  readonly engine: Pick<Engine, "well">;
  /** One attempt at the member's port. */
  readonly ask: (member: Membership, signal: AbortSignal) => Promise<boolean>;
  /** The container has the address inside. */
  readonly isReady: (endpoint: string) => boolean;
  /** Something has turned. */
  readonly wake: () => void;
  /** Milliseconds of a second; for tests. */
  readonly second?: number;
}

type ContainerEvent = Extract<EngineEvent, { kind: "container" }>;

const UP = "service-members-up";
const DRAINING = "service-draining";
/** Milliseconds after which a container that has survived its stop signal is taken back. */
export const SURVIVED = 60_000;

export class ServiceHealth implements Disposable {
  readonly #options: ServiceHealthOptions;
  readonly #stop = new AbortController();
  #members: readonly Membership[] = [];
  /** What Docker says, by container ID. */
  readonly #docker = new Map<string, boolean>();
  readonly #checkers = new Map<string, Checker>();
  /** Container IDs, and when they are taken back (ms since the epoch); never: by hand. */
  readonly #draining: Map<string, number | null>;
  #up: ReadonlySet<string>;
  #isAsking = false;
  #askAgain = false;
  /** Told by events while Docker was being asked: newer than its answer. */
  readonly #told = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(options: ServiceHealthOptions) {
    this.#options = options;
    this.#up = new Set(listIn(options.state.meta(UP)).map(String));
    this.#draining = new Map(listIn(options.state.meta(DRAINING)) as [string, number | null][]);
    for (const [id, until] of this.#draining) if (until !== null) this.#takeBackAt(id, until);
  }

  /** The members there are now: starts to ask the new ones, forgets the old ones. */
  follow(members: readonly Membership[]): void {
    if (members === this.#members) return;
    this.#members = members;
    const present = new Set(members.map((member) => this.#container(member)));
    for (const id of this.#docker.keys()) if (!present.has(id)) this.#docker.delete(id);
    const wanted = new Map(
      members.filter(({ check }) => check.type !== "docker").map((member) => [memberKey(member), member]),
    );
    for (const [key, checker] of this.#checkers)
      if (!wanted.has(key)) {
        checker[Symbol.dispose]();
        this.#checkers.delete(key);
      }
    for (const [key, member] of wanted) {
      if (this.#checkers.has(key)) continue;
      const { ask, second } = this.#options;
      const checker = new Checker({
        check: member.check,
        ask: (signal) => ask(member, signal),
        before: this.#up.has(key) ? true : undefined,
        onTurn: () => this.#options.wake(),
        ...(second !== undefined && { second }),
      });
      this.#checkers.set(key, checker);
    }
    const unknown = members.some((one) => {
      const id = this.#container(one);
      return one.check.type === "docker" && id !== undefined && !this.#docker.has(id);
    });
    if (unknown) this.look();
  }

  stateOf(member: Membership): MemberState {
    const key = memberKey(member);
    const id = this.#container(member);
    const said = member.check.type === "docker" ? this.#docker.get(id ?? "") : this.#checkers.get(key)?.well;
    const before = this.#up.has(key);
    if (!(said ?? before) || !(before || this.#options.isReady(member.endpoint))) return "down";
    return id !== undefined && this.#draining.has(id) ? "draining" : "up";
  }

  /** What is in force now is what the next process begins with. */
  keep(members: readonly ServiceMember[]): void {
    const up = new Set(members.filter(({ state }) => state !== "down").map(memberKey));
    if (up.size === this.#up.size && [...up].every((key) => this.#up.has(key))) return;
    this.#up = up;
    this.#options.state.setMeta(UP, up.size === 0 ? undefined : JSON.stringify([...up].sort()));
  }

  take({ action, id, signal }: ContainerEvent): void {
    const ours = this.#members.some((member) => this.#container(member) === id) || this.#draining.has(id);
    if (action === "start" || action === "unpause") {
      this.#docker.delete(id);
      if (action === "start") this.undrain(id);
      return this.look();
    }
    if (!ours) return;
    if (action === "health_status: healthy") this.#say(id, true);
    else if (action === "health_status: unhealthy" || action === "pause") this.#say(id, false);
    else if (action === "kill" && !isHarmless(signal ?? "")) this.drain(id, Date.now() + SURVIVED);
    else if (action === "die" || action === "destroy") {
      this.#say(id, false);
      this.undrain(id);
    }
  }

  #say(id: string, well: boolean): void {
    this.#told.add(id);
    this.#docker.set(id, well);
    this.#options.wake();
  }

  /** Asks Docker about all of them. What it does not answer changes nothing. */
  look(): void {
    this.#askAgain = true;
    if (!this.#isAsking) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    try {
      await this.#askAll();
    } finally {
      this.#isAsking = false;
    }
  }

  async #askAll(): Promise<void> {
    while (this.#askAgain && !this.#stop.signal.aborted) {
      this.#askAgain = false;
      const members = this.#members.filter(({ check }) => check.type === "docker");
      if (members.length === 0) return;
      this.#told.clear();
      const well = await this.#options.engine.well(this.#stop.signal).catch(() => undefined);
      if (well === undefined) return; // the engine's return is an event
      for (const member of members) {
        const id = this.#container(member);
        if (id !== undefined && !this.#told.has(id)) this.#docker.set(id, well.has(id));
      }
      this.#options.wake();
    }
  }

  /** The container is about to end. `until`: it is taken back then if it lives; null: by hand. */
  drain(id: string, until: number | null): void {
    const before = this.#draining.get(id);
    if (before === until || (before === null && until !== null)) return;
    this.#draining.set(id, until);
    if (until !== null) this.#takeBackAt(id, until);
    this.#keepDraining();
  }

  /** @returns false if it was not */
  undrain(id: string): boolean {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    if (!this.#draining.delete(id)) return false;
    this.#keepDraining();
    return true;
  }

  isDraining(id: string): boolean {
    return this.#draining.has(id);
  }

  #takeBackAt(id: string, until: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.set(id, setTimeout(() => this.undrain(id), Math.max(0, until - Date.now())).unref());
  }

  #keepDraining(): void {
    const text = this.#draining.size === 0 ? undefined : JSON.stringify([...this.#draining]);
    this.#options.state.setMeta(DRAINING, text);
    this.#options.wake();
  }

  #container({ endpoint }: Membership): string | undefined {
    return this.#options.state.endpoints.get(endpoint)?.container?.id;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    for (const checker of this.#checkers.values()) checker[Symbol.dispose]();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}

function listIn(text: string | undefined): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
