/**
 * Which selectors match which items, kept while both change. Items are what carries labels (workload endpoints, host
 * endpoints, network sets); an item inherits labels from parents (profiles): its own win, then the parents in their order.
 *
 * Every change answers with exactly the matches that began or ended. The work of a change depends on what could be touched by
 * it, not on the number of items times selectors: a selector is filed under one label (value) that it demands, an item under
 * each label that it has. The whole, slow answer is `match` over all pairs; the test holds this against it.
 */
import { type Selector, visitLabels } from "./ast.ts";
import { LabelSets, SetMap } from "./label-sets.ts";
import { match } from "./match.ts";
import { printSelector } from "./print.ts";
import { isImpossible, type Restriction, restrictions } from "./restrictions.ts";

/** One match that began or ended. */
export interface MatchChange {
  readonly selector: string;
  readonly item: string;
  readonly matches: boolean;
}

type LabelMap = ReadonlyMap<string, string>;
const NO_LABELS: LabelMap = new Map();

interface Item {
  readonly id: string;
  readonly own: LabelMap;
  readonly parents: readonly string[];
  /** Own and inherited. */
  readonly labels: LabelMap;
  readonly matching: Set<Filed>;
}

interface Filed {
  readonly id: string;
  readonly selector: Selector;
  readonly text: string;
  readonly mentions: ReadonlySet<string>;
  readonly drawers: readonly Drawer[];
  readonly matching: Set<string>;
}

/** Where a selector is filed: with a value, with a label of any value, or (undefined) looked at for every item. */
type Drawer = { readonly label: string; readonly value?: string } | undefined;

/** Caller names both items and selectors; the names are opaque. */
export class LabelIndex {
  readonly #items = new Map<string, Item>();
  readonly #selectors = new Map<string, Filed>();
  readonly #parents = new Map<string, LabelMap>();
  readonly #children = new SetMap<string>();
  readonly #itemsByLabel = new LabelSets<string>();
  readonly #selectorsByLabel = new LabelSets<Filed>();
  readonly #anywhere = new Set<Filed>();

  /** Adds the item, or gives it other labels or parents. The same again changes nothing. */
  setItem(id: string, own: LabelMap, parents: readonly string[] = []): MatchChange[] {
    const old = this.#items.get(id);
    for (const parent of old?.parents ?? []) this.#children.delete(parent, id);
    for (const parent of parents) this.#children.add(parent, id);
    return this.#replace(old, { id, own, parents, labels: this.#inherit(own, parents), matching: new Set() });
  }

  /** Forgets the item; an unknown one is no error. */
  deleteItem(id: string): MatchChange[] {
    const old = this.#items.get(id);
    if (old === undefined) return [];
    for (const parent of old.parents) this.#children.delete(parent, id);
    this.#refile(id, old.labels, NO_LABELS);
    this.#items.delete(id);
    return Array.from(old.matching, (filed) => end(filed, id));
  }

  /** The labels that items inherit from this parent. A parent may be named by items before it exists. */
  setParent(id: string, labels: LabelMap): MatchChange[] {
    this.#parents.set(id, labels);
    return this.#inheritAgain(id);
  }

  deleteParent(id: string): MatchChange[] {
    return this.#parents.delete(id) ? this.#inheritAgain(id) : [];
  }

  /** Adds the selector, or gives the name another one. */
  setSelector(id: string, selector: Selector): MatchChange[] {
    const old = this.#selectors.get(id);
    const text = printSelector(selector);
    if (old?.text === text) return [];
    const filed = file(id, selector, text);
    const changes: MatchChange[] = [];
    for (const item of this.#candidates(filed)) {
      if (!match(selector, item.labels)) continue;
      if (!old?.matching.has(item.id)) changes.push({ selector: id, item: item.id, matches: true });
      filed.matching.add(item.id);
    }
    for (const item of old?.matching ?? [])
      if (!filed.matching.has(item)) changes.push({ selector: id, item, matches: false });
    if (old !== undefined) this.#unfile(old);
    this.#fileAway(filed);
    return changes;
  }

  deleteSelector(id: string): MatchChange[] {
    const old = this.#selectors.get(id);
    if (old === undefined) return [];
    this.#unfile(old);
    return Array.from(old.matching, (item) => ({ selector: id, item, matches: false }));
  }

  /** The items that the selector matches now; empty for an unknown one. The set lives on: copy it to keep it. */
  itemsOf(selector: string): ReadonlySet<string> {
    return this.#selectors.get(selector)?.matching ?? new Set();
  }

  /** The selectors that match the item now. */
  selectorsOf(item: string): string[] {
    return Array.from(this.#items.get(item)?.matching ?? [], (filed) => filed.id);
  }

  /** Own and inherited labels of the item as selectors see them. */
  labelsOf(item: string): LabelMap | undefined {
    return this.#items.get(item)?.labels;
  }

  #inherit(own: LabelMap, parents: readonly string[]): LabelMap {
    const inherited = parents
      .map((parent) => this.#parents.get(parent) ?? NO_LABELS)
      .filter((labels) => labels.size > 0);
    if (inherited.length === 0) return own;
    const all = new Map(own);
    for (const labels of inherited) for (const [name, value] of labels) if (!all.has(name)) all.set(name, value);
    return all;
  }

  #inheritAgain(parent: string): MatchChange[] {
    const changes: MatchChange[] = [];
    for (const id of this.#children.get(parent)) {
      const old = this.#items.get(id);
      if (old === undefined) continue;
      for (const change of this.#replace(old, {
        ...old,
        labels: this.#inherit(old.own, old.parents),
        matching: new Set(),
      }))
        changes.push(change);
    }
    return changes;
  }

  #replace(old: Item | undefined, item: Item): MatchChange[] {
    const changed = changedNames(old?.labels ?? NO_LABELS, item.labels);
    const changes: MatchChange[] = [];
    for (const filed of old?.matching ?? []) {
      if (isUntouched(filed, changed) || match(filed.selector, item.labels)) item.matching.add(filed);
      else changes.push(end(filed, item.id));
    }
    if (old === undefined || changed.size > 0) {
      this.#eachFiledUnder(item.labels, (filed) => {
        if (item.matching.has(filed) || (old !== undefined && isUntouched(filed, changed))) return;
        if (!match(filed.selector, item.labels)) return;
        item.matching.add(filed);
        changes.push(begin(filed, item.id));
      });
    }
    this.#refile(item.id, old?.labels ?? NO_LABELS, item.labels);
    this.#items.set(item.id, item);
    return changes;
  }

  /** All selectors that could match the labels, and some that do not. */
  #eachFiledUnder(labels: LabelMap, visit: (filed: Filed) => void): void {
    for (const filed of this.#anywhere) visit(filed);
    for (const [label, value] of labels) {
      for (const filed of this.#selectorsByLabel.withValue(label, value)) visit(filed);
      for (const filed of this.#selectorsByLabel.withLabel(label)) visit(filed);
    }
  }

  /** All items that the selector could match, each once. */
  *#candidates(filed: Filed): Iterable<Item> {
    for (const drawer of filed.drawers) {
      if (drawer === undefined) {
        yield* this.#items.values();
        continue;
      }
      const { label, value } = drawer;
      const ids =
        value === undefined ? this.#itemsByLabel.withLabel(label) : this.#itemsByLabel.withValue(label, value);
      for (const id of ids) {
        const item = this.#items.get(id);
        if (item !== undefined) yield item;
      }
    }
  }

  #refile(id: string, old: LabelMap, labels: LabelMap): void {
    if (old === labels) return;
    for (const [label, value] of old) {
      const now = labels.get(label);
      if (now !== value) this.#itemsByLabel.delete(label, value, id);
      if (now === undefined) this.#itemsByLabel.delete(label, undefined, id);
    }
    for (const [label, value] of labels) {
      const before = old.get(label);
      if (before !== value) this.#itemsByLabel.add(label, value, id);
      if (before === undefined) this.#itemsByLabel.add(label, undefined, id);
    }
  }

  #fileAway(filed: Filed): void {
    this.#selectors.set(filed.id, filed);
    for (const drawer of filed.drawers) {
      if (drawer === undefined) this.#anywhere.add(filed);
      else this.#selectorsByLabel.add(drawer.label, drawer.value, filed);
    }
    for (const id of filed.matching) this.#items.get(id)?.matching.add(filed);
  }

  #unfile(filed: Filed): void {
    this.#selectors.delete(filed.id);
    for (const drawer of filed.drawers) {
      if (drawer === undefined) this.#anywhere.delete(filed);
      else this.#selectorsByLabel.delete(drawer.label, drawer.value, filed);
    }
    for (const id of filed.matching) this.#items.get(id)?.matching.delete(filed);
  }
}

function file(id: string, selector: Selector, text: string): Filed {
  const mentions = new Set<string>();
  visitLabels(selector, (label) => mentions.add(label));
  return { id, selector, text, mentions, drawers: drawersOf(selector), matching: new Set() };
}

/** The fewest drawers that no match can escape: none if nothing matches, values if there are any, else a label, else all. */
function drawersOf(selector: Selector): readonly Drawer[] {
  const demands = restrictions(selector);
  if (isImpossible(demands)) return [];
  let best: readonly [string, Restriction] | undefined;
  for (const entry of demands) if (cost(entry[1]) < cost(best?.[1])) best = entry;
  if (best === undefined) return [undefined];
  const [label, { oneOf }] = best;
  return oneOf === undefined ? [{ label }] : oneOf.map((value) => ({ label, value }));
}

function cost(restriction: Restriction | undefined): number {
  if (restriction === undefined || !restriction.mustBePresent) return Number.POSITIVE_INFINITY;
  return restriction.oneOf?.length ?? Number.MAX_SAFE_INTEGER;
}

function changedNames(old: LabelMap, labels: LabelMap): ReadonlySet<string> {
  const names = new Set<string>();
  if (old === labels) return names;
  for (const [name, value] of old) if (labels.get(name) !== value) names.add(name);
  for (const name of labels.keys()) if (!old.has(name)) names.add(name);
  return names;
}

function isUntouched(filed: Filed, changed: ReadonlySet<string>): boolean {
  const [small, large] = filed.mentions.size < changed.size ? [filed.mentions, changed] : [changed, filed.mentions];
  for (const name of small) if (large.has(name)) return false;
  return true;
}

function begin(filed: Filed, item: string): MatchChange {
  filed.matching.add(item);
  return { selector: filed.id, item, matches: true };
}

function end(filed: Filed, item: string): MatchChange {
  filed.matching.delete(item);
  return { selector: filed.id, item, matches: false };
}
