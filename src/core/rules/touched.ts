/**
 * Which flows a change of the ruleset may decide otherwise than before, so that the others need not be judged again. It errs on
 * the side of too many; what can only open a way touches nobody.
 */
import { keysThatMayDiffer } from "../reconcile/patched-map.ts";
import { FIXED_SETS } from "./fixed.ts";
import type { Chain, ElementData, NftSet, Rule, Ruleset, Table } from "./ir.ts";
import { INET_KEY } from "./table.ts";

export interface Touched {
  /** A chain changed that packets of every interface pass. */
  readonly everything: boolean;
  /** Interfaces whose own rules changed. */
  readonly interfaces: ReadonlySet<string>;
  /** Addresses that left a set, or came into one that forbids. */
  readonly addresses: ReadonlySet<string>;
}

const NOTHING: Touched = { everything: false, interfaces: new Set(), addresses: new Set() };
const EVERYTHING: Touched = { ...NOTHING, everything: true };

/** `before` undefined: nothing is known of what was in force. */
export function touched(before: Ruleset | undefined, after: Ruleset): Touched {
  const [old, now] = [before?.get(INET_KEY), after.get(INET_KEY)];
  if (old === undefined || now === undefined) return EVERYTHING;
  return old === now ? NOTHING : new Comparison(old, now).result();
}

export function touchesNobody({ everything, interfaces, addresses }: Touched): boolean {
  return !everything && interfaces.size === 0 && addresses.size === 0;
}

/** What a chain's rules look at. */
interface References {
  readonly chains: ReadonlySet<string>;
  /** True where more in the set can only open: every rule that reads it accepts what is in it. */
  readonly sets: ReadonlyMap<string, boolean>;
}

const known = new WeakMap<Chain, References>();

export function references(chain: Chain): References {
  const before = known.get(chain);
  if (before !== undefined) return before;
  const chains = new Set<string>();
  const sets = new Map<string, boolean>();
  for (const rule of chain.rules) {
    const opens = accepts(rule);
    for (const step of rule.steps) {
      if (step.kind === "verdict" && "chain" in step.verdict) chains.add(step.verdict.chain);
      if (step.kind === "lookup") sets.set(step.set, opens && step.negate !== true && sets.get(step.set) !== false);
      if (step.kind === "vmap" || step.kind === "dnat") sets.set(step.map, false);
    }
  }
  const found = { chains, sets };
  known.set(chain, found);
  return found;
}

function accepts({ steps }: Rule): boolean {
  const last = steps.at(-1);
  return last?.kind === "verdict" && last.verdict.kind === "accept";
}

/** Maps from interfaces to what decides for them: what they lead to concerns only the interface. */
const DISPATCH: ReadonlySet<string> = new Set([FIXED_SETS.from, FIXED_SETS.to]);
/** Who an interface belongs to; their users are the fixed chains. */
const IDENTITY: ReadonlySet<string> = new Set([
  FIXED_SETS.sources4,
  FIXED_SETS.sources6,
  FIXED_SETS.macs,
  FIXED_SETS.interfaces,
  FIXED_SETS.endpoints4,
  FIXED_SETS.endpoints6,
]);

class Comparison {
  readonly #old: Table;
  readonly #now: Table;
  readonly #interfaces = new Set<string>();
  readonly #addresses = new Set<string>();
  readonly #dirtySets = new Set<string>();
  readonly #dirtyChains = new Map<string, boolean>();
  #closing: ReadonlySet<string> | undefined;

  constructor(old: Table, now: Table) {
    this.#old = old;
    this.#now = now;
  }

  result(): Touched {
    for (const [name, set] of this.#now.sets) {
      const before = this.#old.sets.get(name);
      if (before !== undefined && before !== set) this.#compare(name, before, set);
    }
    const quiet: Touched = { everything: false, interfaces: this.#interfaces, addresses: this.#addresses };
    if (this.#old.chains === this.#now.chains && this.#dirtySets.size === 0) return quiet;
    let everything = false;
    for (const [name, chain] of this.#now.chains) if (chain.base !== undefined) everything ||= this.#isDirty(name);
    for (const map of DISPATCH)
      for (const [name, verdict] of this.#now.sets.get(map)?.elements ?? [])
        if (leadsTo(verdict).some((chain) => this.#isDirty(chain))) this.#interfaces.add(name);
    return { ...quiet, everything };
  }

  #compare(name: string, before: NftSet, set: NftSet): void {
    const { added, removed } = difference(before, set);
    if (added.length === 0 && removed.length === 0) return;
    const changed = this.#onlyOpens(name) ? removed : [...added, ...removed];
    const at = set.key.findIndex((type) => type === "ipv4_addr" || type === "ipv6_addr");
    for (const key of changed) {
      const fields = key.split(" . ");
      const address = at < 0 ? undefined : fields[at];
      // An interface that was not there before has no flows yet.
      if (DISPATCH.has(name)) {
        if (before.elements.has(key)) this.#interfaces.add(key);
      } else if (IDENTITY.has(name) && address === undefined) this.#interfaces.add(fields[0] ?? "");
      else if (address === undefined || /[-/]/.test(address)) this.#dirtySets.add(name);
      else this.#addresses.add(address);
    }
  }

  #onlyOpens(name: string): boolean {
    if (IDENTITY.has(name)) return true;
    if (this.#now.sets.get(name)?.data !== undefined) return false;
    if (this.#closing === undefined) {
      const closing = new Set<string>();
      for (const chain of this.#now.chains.values())
        for (const [set, opens] of references(chain).sets) if (!opens) closing.add(set);
      this.#closing = closing;
    }
    return !this.#closing.has(name);
  }

  #isDirty(name: string): boolean {
    const judged = this.#dirtyChains.get(name);
    if (judged !== undefined) return judged;
    this.#dirtyChains.set(name, false); // nft has no loops; a chain that is asked about meanwhile is its own caller
    const chain = this.#now.chains.get(name);
    const dirty = chain === undefined || !this.#isAsBefore(name, chain) || this.#readsDirty(chain);
    this.#dirtyChains.set(name, dirty);
    return dirty;
  }

  #isAsBefore(name: string, chain: Chain): boolean {
    const before = this.#old.chains.get(name);
    if (before === chain) return true;
    return before !== undefined && JSON.stringify(before) === JSON.stringify(chain);
  }

  #readsDirty(chain: Chain): boolean {
    const { chains, sets } = references(chain);
    for (const set of sets.keys()) {
      if (this.#dirtySets.has(set)) return true;
      if (DISPATCH.has(set)) continue;
      const map = this.#now.sets.get(set);
      if (map?.data !== "verdict") continue;
      for (const verdict of map.elements.values()) if (leadsTo(verdict).some((to) => this.#isDirty(to))) return true;
    }
    for (const to of chains) if (this.#isDirty(to)) return true;
    return false;
  }
}

function leadsTo(data: ElementData): readonly string[] {
  return data !== null && typeof data === "object" && "chain" in data ? [data.chain] : [];
}

function difference(before: NftSet, set: NftSet): { added: string[]; removed: string[] } {
  if (set.since?.from === before.elements)
    return { added: [...set.since.added.keys()], removed: [...set.since.removed] };
  const added: string[] = [];
  const removed: string[] = [];
  for (const key of keysThatMayDiffer(before.elements, set.elements)) {
    const now = set.elements.get(key);
    if (now === undefined) removed.push(key);
    else if (!isSame(before.elements.get(key), now)) added.push(key);
  }
  return { added, removed };
}

function isSame(a: ElementData | undefined, b: ElementData): boolean {
  return a === b || (a !== undefined && JSON.stringify(a) === JSON.stringify(b));
}
