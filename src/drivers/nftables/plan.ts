/**
 * What has to be done so that the kernel holds what is desired: one list of operations, in an order in which the kernel
 * accepts each of them, all in one transaction.
 *
 * First what goes, users before what they use: rules, elements (they jump to chains), sets, chains. Then what comes, in
 * reverse: sets, chains, elements, rules. Between the two the kernel sees nothing, because a transaction is one step.
 */
import type {
  Base,
  Chain,
  ElementData,
  NftSet,
  Rule,
  Ruleset,
  Step,
  Table,
  Touched,
  Verdict,
} from "../../core/rules/ir.ts";
import type { Place, TableId } from "./encode.ts";
import type { ListedChain, ListedRule, ListedTable, Listing } from "./listing.ts";
import { editSequence } from "./sequence.ts";
import { ruleDigest } from "./userdata.ts";

type Elements = ReadonlyMap<string, ElementData>;

/** What comes names the whole desired table, against which it can be checked. */
export type Operation =
  | { readonly kind: "add-table" | "delete-table"; readonly table: TableId }
  | { readonly kind: "flush-chain"; readonly table: TableId; readonly chain: string; readonly rules: number }
  | { readonly kind: "delete-rule"; readonly table: TableId; readonly chain: string; readonly handle: bigint }
  | {
      readonly kind: "add-rule";
      readonly table: Table;
      readonly chain: string;
      readonly rule: Rule;
      readonly place: Place;
    }
  | {
      readonly kind: "add-elements" | "delete-elements";
      readonly table: Table;
      readonly name: string;
      readonly set: NftSet;
      readonly elements: Elements;
    }
  | { readonly kind: "add-set" | "delete-set"; readonly table: TableId; readonly name: string; readonly set: NftSet }
  | { readonly kind: "add-chain"; readonly table: TableId; readonly chain: string; readonly base: Base | undefined }
  | { readonly kind: "delete-chain"; readonly table: TableId; readonly chain: string }
  | { readonly kind: "set-policy"; readonly table: TableId; readonly chain: string; readonly policy: Base["policy"] };

export interface ChainId {
  readonly table: TableId;
  readonly chain: string;
}

/** Rules of a chain that is to be edited, with their handles; undefined if it is not there. */
export type RulesOf = (id: ChainId) => readonly ListedRule[] | undefined;

/** Nothing, if all is as it should be. `actual` is what the driver read or what it wrote last. */
export function plan(desired: Ruleset, actual: Listing | Ruleset, rulesOf: RulesOf): Operation[] {
  const phases: Phases = {
    tables: [],
    rulesOut: [],
    elementsOut: [],
    setsOut: [],
    chainsOut: [],
    setsIn: [],
    chainsIn: [],
    elementsIn: [],
    rulesIn: [],
  };
  for (const [key, { family, name }] of actual)
    if (!desired.has(key)) phases.tables.push({ kind: "delete-table", table: { family, name } });
  for (const [key, table] of desired) {
    const have = actual.get(key);
    if (have !== table) new TablePlan(phases, table, have, rulesOf).run();
  }
  return Object.values(phases).flat();
}

/** Phases of a transaction, in order. */
interface Phases {
  readonly tables: Operation[];
  readonly rulesOut: Operation[];
  readonly elementsOut: Operation[];
  readonly setsOut: Operation[];
  readonly chainsOut: Operation[];
  readonly setsIn: Operation[];
  readonly chainsIn: Operation[];
  readonly elementsIn: Operation[];
  readonly rulesIn: Operation[];
}

class TablePlan {
  readonly #phases: Phases;
  readonly #table: Table;
  readonly #actual: Table | ListedTable | undefined;
  readonly #rulesOf: RulesOf;
  /** Sets that exist and must be made anew: rules that use them have to let go of the old ones. */
  readonly #remade = new Set<string>();

  constructor(phases: Phases, table: Table, actual: Table | ListedTable | undefined, rulesOf: RulesOf) {
    this.#phases = phases;
    this.#table = table;
    this.#actual = actual;
    this.#rulesOf = rulesOf;
  }

  run(): void {
    if (this.#actual === undefined) this.#phases.tables.push({ kind: "add-table", table: this.#table });
    const sets: ReadonlyMap<string, NftSet> = this.#actual?.sets ?? new Map<string, NftSet>();
    if (sets !== this.#table.sets) this.#planSets(sets, touched(this.#table.since?.sets, sets));
    const chains: ReadonlyMap<string, Chain | ListedChain> = this.#actual?.chains ?? new Map<string, Chain>();
    // A rule of any chain may use a set that is made anew.
    const some = this.#remade.size > 0 ? undefined : touched(this.#table.since?.chains, chains);
    if (chains !== this.#table.chains || this.#remade.size > 0) this.#planChains(chains, some);
  }

  /** `some`: the only names that have to be looked at. */
  #planSets(actual: ReadonlyMap<string, NftSet>, some: ReadonlySet<string> | undefined): void {
    const table = this.#table;
    for (const [name, set] of entries(actual, some)) {
      const wanted = table.sets.get(name);
      if (wanted === set) continue;
      if (wanted !== undefined && sameDefinition(wanted, set)) {
        this.#planElements(name, wanted, set.elements);
        continue;
      }
      if (wanted !== undefined) this.#remade.add(name);
      this.#phases.setsOut.push({ kind: "delete-set", table, name, set });
    }
    for (const [name, set] of entries(table.sets, some)) {
      if (actual.has(name) && !this.#remade.has(name)) continue;
      this.#phases.setsIn.push({ kind: "add-set", table, name, set });
      const { elements } = set;
      if (elements.size > 0) this.#phases.elementsIn.push({ kind: "add-elements", table, name, set, elements });
    }
  }

  #planElements(name: string, set: NftSet, actual: Elements): void {
    const { added, removed } = diffElements(set, actual);
    const common = { table: this.#table, name, set };
    if (removed.size > 0) this.#phases.elementsOut.push({ kind: "delete-elements", ...common, elements: removed });
    if (added.size > 0) this.#phases.elementsIn.push({ kind: "add-elements", ...common, elements: added });
  }

  #planChains(actual: ReadonlyMap<string, Chain | ListedChain>, some: ReadonlySet<string> | undefined): void {
    const table = this.#table;
    for (const [chain, have] of entries(actual, some)) {
      const wanted = table.chains.get(chain);
      if (wanted !== undefined && sameHook(wanted.base, have.base)) continue;
      this.#flush(chain, have.rules.length);
      this.#phases.chainsOut.push({ kind: "delete-chain", table, chain });
    }
    for (const [chain, wanted] of entries(table.chains, some)) {
      const have = actual.get(chain);
      if (have === wanted && this.#remade.size === 0) continue;
      if (have !== undefined && sameHook(wanted.base, have.base)) {
        if (wanted.base !== undefined && wanted.base.policy !== have.base?.policy)
          this.#phases.chainsIn.push({ kind: "set-policy", table, chain, policy: wanted.base.policy });
        this.#planRules(chain, wanted.rules, have.rules);
      } else {
        this.#phases.chainsIn.push({ kind: "add-chain", table, chain, base: wanted.base });
        this.#addRules(chain, wanted.rules, undefined);
      }
    }
  }

  #planRules(chain: string, desired: readonly Rule[], actual: readonly (Rule | ListedRule)[]): void {
    const keyOf = (rule: Rule): string | undefined => (this.#usesRemade(rule) ? undefined : ruleDigest(rule));
    if (sameRules(desired.map(keyOf), actual)) return;
    const listed = this.#rulesOf({ table: this.#table, chain }) ?? [];
    const edit = editSequence(
      listed.map(({ digest }) => digest),
      desired,
      keyOf,
    );
    if (edit.remove.length === listed.length) {
      this.#flush(chain, listed.length);
      this.#addRules(chain, desired, undefined);
      return;
    }
    const handles = listed.map(({ handle }) => handle);
    for (const index of edit.remove)
      this.#phases.rulesOut.push({ kind: "delete-rule", table: this.#table, chain, handle: handles[index] ?? 0n });
    // Each goes right behind the same rule, so the last one goes first.
    for (const { after, items } of edit.insert)
      this.#addRules(chain, items.toReversed(), after < 0 ? "first" : (handles[after] ?? "first"));
  }

  #addRules(chain: string, rules: readonly Rule[], place: Place): void {
    for (const rule of rules) this.#phases.rulesIn.push({ kind: "add-rule", table: this.#table, chain, rule, place });
  }

  #flush(chain: string, rules: number): void {
    if (rules > 0) this.#phases.rulesOut.push({ kind: "flush-chain", table: this.#table, chain, rules });
  }

  #usesRemade(rule: Rule): boolean {
    return this.#remade.size > 0 && rule.steps.some((step) => this.#remade.has(setOf(step) ?? ""));
  }
}

/** The keys that may differ from `actual`; undefined: any. */
function touched(
  since: Touched<unknown> | undefined,
  actual: ReadonlyMap<string, unknown>,
): Touched<unknown>["keys"] | undefined {
  return since?.from === actual ? since.keys : undefined;
}

function* entries<V>(
  map: ReadonlyMap<string, V>,
  some: ReadonlySet<string> | undefined,
): Iterable<readonly [string, V]> {
  if (some === undefined) yield* map;
  for (const key of some ?? []) {
    const value = map.get(key);
    if (value !== undefined) yield [key, value];
  }
}

function sameDefinition(a: NftSet, b: NftSet): boolean {
  return (
    a.interval === b.interval &&
    (a.counters ?? false) === (b.counters ?? false) &&
    a.key.join() === b.key.join() &&
    String(a.data) === String(b.data)
  );
}

/** An element whose data changed is removed and added. */
function diffElements(desired: NftSet, actual: Elements): { readonly added: Elements; readonly removed: Elements } {
  if (desired.elements === actual) return { added: new Map(), removed: new Map() };
  const { since } = desired;
  if (since?.from === actual) return fromDelta(since.added, since.removed, actual);
  const added = new Map<string, ElementData>();
  const removed = new Map<string, ElementData>();
  let common = 0;
  for (const [key, data] of desired.elements) {
    const have = actual.get(key);
    if (have === undefined) {
      added.set(key, data);
      continue;
    }
    common++;
    if (sameData(have, data)) continue;
    removed.set(key, have);
    added.set(key, data);
  }
  if (common < actual.size) for (const [key, data] of actual) if (!desired.elements.has(key)) removed.set(key, data);
  return { added, removed };
}

function fromDelta(
  added: Elements,
  gone: ReadonlySet<string>,
  actual: Elements,
): { added: Elements; removed: Elements } {
  const removed = new Map<string, ElementData>();
  for (const key of [...gone, ...added.keys()]) {
    const have = actual.get(key);
    if (have !== undefined) removed.set(key, have);
  }
  return { added, removed };
}

function sameData(a: ElementData, b: ElementData): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a === "string" || typeof b === "string") return false;
  return a.kind === b.kind && chainOf(a) === chainOf(b);
}

function chainOf(verdict: Verdict): string | undefined {
  return "chain" in verdict ? verdict.chain : undefined;
}

function sameHook(a: Base | undefined, b: Base | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.type === b.type && a.hook === b.hook && a.priority === b.priority;
}

function sameRules(desired: readonly (string | undefined)[], actual: readonly (Rule | ListedRule)[]): boolean {
  return (
    desired.length === actual.length &&
    actual.every((rule, i) => desired[i] !== undefined && digestOf(rule) === desired[i])
  );
}

function digestOf(rule: Rule | ListedRule): string | undefined {
  return "steps" in rule ? ruleDigest(rule) : rule.digest;
}

/** Name of the set or map that the step reads. */
export function setOf(step: Step): string | undefined {
  if (step.kind === "lookup") return step.set;
  return step.kind === "vmap" || step.kind === "dnat" ? step.map : undefined;
}
