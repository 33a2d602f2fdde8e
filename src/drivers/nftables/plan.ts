/**
 * What has to be done so that the kernel holds what is desired: one list of operations, in an order in which the kernel
 * accepts each of them, all in one transaction.
 *
 * First what goes, users before what they use: rules, elements (they jump to chains), sets, chains. Then what comes, in
 * reverse: sets, chains, elements, rules. Between the two the kernel sees nothing, because a transaction is one step.
 */
import type { Base, Chain, ElementData, NftSet, Rule, Ruleset, Step, Table, Verdict } from "../../core/rules/ir.ts";
import type { Place, TableId } from "./encode.ts";
import type { ListedChain, ListedTable, Listing } from "./listing.ts";
import { editSequence } from "./sequence.ts";
import { ruleDigest } from "./userdata.ts";

type Elements = ReadonlyMap<string, ElementData>;

export type Operation =
  | { readonly kind: "add-table" | "delete-table"; readonly table: TableId }
  | { readonly kind: "flush-chain"; readonly table: TableId; readonly chain: string; readonly rules: number }
  | { readonly kind: "delete-rule"; readonly table: TableId; readonly chain: string; readonly handle: bigint }
  | {
      readonly kind: "add-rule";
      readonly table: TableId;
      readonly chain: string;
      readonly rule: Rule;
      readonly place: Place;
    }
  | {
      readonly kind: "add-elements" | "delete-elements";
      readonly table: TableId;
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

/** Phases of a transaction, in order. */
type Phase =
  | "tablesOut"
  | "rulesOut"
  | "elementsOut"
  | "setsOut"
  | "chainsOut"
  | "tablesIn"
  | "setsIn"
  | "chainsIn"
  | "elementsIn"
  | "rulesIn";
const PHASES: readonly Phase[] = [
  "tablesOut",
  "rulesOut",
  "elementsOut",
  "setsOut",
  "chainsOut",
  "tablesIn",
  "setsIn",
  "chainsIn",
  "elementsIn",
  "rulesIn",
];
type Phases = Record<Phase, Operation[]>;

/** Rules of a chain that is to be edited, with their handles; undefined if it is not there. */
export type RulesOf = (id: ChainId) => ListedChain["rules"] | undefined;

/** Nothing, if all is as it should be. `actual` is what the driver read or what it wrote last. */
export function plan(desired: Ruleset, actual: Listing | Ruleset, rulesOf: RulesOf): Operation[] {
  const phases = Object.fromEntries(PHASES.map((phase): [Phase, Operation[]] => [phase, []])) as Phases;
  for (const [key, table] of actual) if (!desired.has(key)) phases.tablesOut.push({ kind: "delete-table", table });
  for (const [key, table] of desired) planTable(phases, table, actual.get(key), rulesOf);
  return PHASES.flatMap((phase) => phases[phase]);
}

function planTable(phases: Phases, desired: Table, actual: ListedTable | Table | undefined, rulesOf: RulesOf): void {
  const table = { family: desired.family, name: desired.name };
  if (actual === undefined) phases.tablesIn.push({ kind: "add-table", table });
  const remade = planSets(phases, table, desired.sets, actual?.sets ?? new Map<string, NftSet>());
  planChains(phases, table, desired.chains, actual?.chains ?? new Map<string, ListedChain>(), remade, rulesOf);
}

/** Names of the sets that exist and must be made anew: rules that use them have to let go of the old ones. */
function planSets(
  phases: Phases,
  table: TableId,
  desired: ReadonlyMap<string, NftSet>,
  actual: ReadonlyMap<string, NftSet>,
): ReadonlySet<string> {
  const remade = new Set<string>();
  if (desired === actual) return remade;
  for (const [name, set] of actual) {
    const wanted = desired.get(name);
    if (wanted === set) continue;
    if (wanted !== undefined && sameDefinition(wanted, set)) {
      planElements(phases, table, name, wanted, set);
      continue;
    }
    if (wanted !== undefined) remade.add(name);
    phases.setsOut.push({ kind: "delete-set", table, name, set });
  }
  for (const [name, set] of desired) {
    if (actual.has(name) && !remade.has(name)) continue;
    phases.setsIn.push({ kind: "add-set", table, name, set });
    if (set.elements.size > 0)
      phases.elementsIn.push({ kind: "add-elements", table, name, set, elements: set.elements });
  }
  return remade;
}

export function sameDefinition(a: NftSet, b: NftSet): boolean {
  return (
    a.interval === b.interval &&
    (a.counters ?? false) === (b.counters ?? false) &&
    a.key.join() === b.key.join() &&
    String(a.data) === String(b.data)
  );
}

function planElements(phases: Phases, table: TableId, name: string, desired: NftSet, actual: NftSet): void {
  const { added, removed } = diffElements(desired, actual.elements);
  if (removed.size > 0)
    phases.elementsOut.push({ kind: "delete-elements", table, name, set: desired, elements: removed });
  if (added.size > 0) phases.elementsIn.push({ kind: "add-elements", table, name, set: desired, elements: added });
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

function planChains(
  phases: Phases,
  table: TableId,
  desired: ReadonlyMap<string, Chain>,
  actual: ReadonlyMap<string, Chain | ListedChain>,
  remade: ReadonlySet<string>,
  rulesOf: RulesOf,
): void {
  if (desired === actual && remade.size === 0) return;
  for (const [chain, have] of actual) {
    const wanted = desired.get(chain);
    if (wanted !== undefined && sameHook(wanted.base, have.base)) continue;
    if (have.rules.length > 0) phases.rulesOut.push({ kind: "flush-chain", table, chain, rules: have.rules.length });
    phases.chainsOut.push({ kind: "delete-chain", table, chain });
  }
  for (const [chain, wanted] of desired) {
    const have = actual.get(chain);
    if (have === wanted && remade.size === 0) continue;
    if (have !== undefined && sameHook(wanted.base, have.base)) {
      planPolicy(phases, table, chain, wanted.base, have.base);
      planRules(phases, table, chain, wanted, have, remade, rulesOf);
    } else {
      phases.chainsIn.push({ kind: "add-chain", table, chain, base: wanted.base });
      for (const rule of wanted.rules) phases.rulesIn.push({ kind: "add-rule", table, chain, rule, place: undefined });
    }
  }
}

function sameHook(a: Base | undefined, b: Base | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.type === b.type && a.hook === b.hook && a.priority === b.priority;
}

function planPolicy(
  phases: Phases,
  table: TableId,
  chain: string,
  wanted: Base | undefined,
  have: Base | undefined,
): void {
  if (wanted === undefined || wanted.policy === have?.policy) return;
  phases.chainsIn.push({ kind: "set-policy", table, chain, policy: wanted.policy });
}

function planRules(
  phases: Phases,
  table: TableId,
  chain: string,
  desired: Chain,
  actual: Chain | ListedChain,
  remade: ReadonlySet<string>,
  rulesOf: RulesOf,
): void {
  const keyOf = (rule: Rule): string | undefined => (usesAny(rule, remade) ? undefined : ruleDigest(rule));
  if (sameRules(desired.rules.map(keyOf), actual)) return;
  const listed = rulesOf({ table, chain }) ?? [];
  const edit = editSequence(
    listed.map(({ digest }) => digest),
    desired.rules,
    keyOf,
  );
  const handleOf = (index: number): bigint => {
    const handle = listed[index]?.handle;
    if (handle === undefined) throw new Error(`the rules of chain ${chain} were not read`);
    return handle;
  };
  if (edit.remove.length === listed.length) {
    if (listed.length > 0) phases.rulesOut.push({ kind: "flush-chain", table, chain, rules: listed.length });
    for (const rule of desired.rules) phases.rulesIn.push({ kind: "add-rule", table, chain, rule, place: undefined });
    return;
  }
  for (const index of edit.remove) phases.rulesOut.push({ kind: "delete-rule", table, chain, handle: handleOf(index) });
  for (const { after, items } of edit.insert) {
    const place = after < 0 ? "first" : handleOf(after);
    // Each goes right behind the same rule, so the last one goes first.
    for (const rule of items.toReversed()) phases.rulesIn.push({ kind: "add-rule", table, chain, rule, place });
  }
}

function sameRules(desired: readonly (string | undefined)[], actual: Chain | ListedChain): boolean {
  return (
    desired.length === actual.rules.length &&
    actual.rules.every((rule, i) => desired[i] !== undefined && digestOf(rule) === desired[i])
  );
}

function digestOf(rule: Rule | ListedChain["rules"][number]): string | undefined {
  return "steps" in rule ? ruleDigest(rule) : rule.digest;
}

function usesAny(rule: Rule, sets: ReadonlySet<string>): boolean {
  return sets.size > 0 && rule.steps.some((step) => sets.has(setOf(step) ?? ""));
}

/** Name of the set or map that the step reads. */
export function setOf(step: Step): string | undefined {
  if (step.kind === "lookup") return step.set;
  return step.kind === "vmap" || step.kind === "dnat" ? step.map : undefined;
}
