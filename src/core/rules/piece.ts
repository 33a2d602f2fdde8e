/** A part of the ruleset while it is compiled: its chains, and the sets and ids that they use. */
import type { Chain, Step } from "./ir.ts";
import type { MergeLimits } from "./merge.ts";
import type { Names } from "./names.ts";
import type { Direction, Origin } from "./origin.ts";
import type { RuleList } from "./program.ts";
import { type Assumption, type PeerFacts, type SetSpec, SetUses } from "./sets.ts";
import { logSteps } from "./steps.ts";

export interface Piece {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly sets: ReadonlyMap<string, SetSpec>;
  readonly origins: ReadonlyMap<string, Origin>;
  /** What it was compiled for; it is void once one of them no longer holds. */
  readonly assumptions: readonly Assumption[];
}

/** What every compilation shares. */
export interface Context {
  readonly names: Names;
  readonly facts: PeerFacts;
  readonly limits: MergeLimits;
  /** NFLOG group for what is dropped; absent: no log steps. */
  readonly logGroup?: number;
}

export class PieceBuilder {
  readonly context: Context;
  readonly uses: SetUses;
  readonly #chains = new Map<string, Chain>();
  readonly #origins = new Map<string, Origin>();

  constructor(context: Context) {
    this.context = context;
    this.uses = new SetUses(context.names, context.facts);
  }

  chain(name: string, chain: Chain): void {
    this.#chains.set(name, chain);
  }

  /** Declares what an id stands for, and returns the id. */
  origin(id: string, origin: Origin): string {
    this.#origins.set(id, origin);
    return id;
  }

  /** The step that logs under the id, where logging is on. */
  log(verb: string, id: string): Step[] {
    return logSteps(this.context.logGroup, verb, id);
  }

  build(): Piece {
    return { chains: this.#chains, sets: this.uses.all, origins: this.#origins, assumptions: this.uses.assumptions };
  }
}

/** Short id of a rule of a list. */
export function ruleId(names: Names, list: RuleList, index: number): string {
  return `${names.of("p", "", list.identity)}.${index}`;
}

export function letter(direction: Direction): "i" | "e" {
  return direction === "ingress" ? "i" : "e";
}
