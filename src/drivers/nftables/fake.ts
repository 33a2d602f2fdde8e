/**
 * The kernel's part of nftables in user space, for tests without root: same interface, same plan, same encoding (which is
 * thrown away), and it refuses what the kernel refuses. One contract suite judges both.
 */
import type { Base, Chain, Ruleset, Table } from "../../core/rules/ir.ts";
import { DriverError } from "../error.ts";
import { MessageWriter } from "../syscall/netlink-message.ts";
import { type Change, summarize, writeBatch } from "./change.ts";
import type { Firewall } from "./firewall.ts";
import { type ListedChain, type ListedTable, type Listing, refuseAliens, tableKey } from "./listing.ts";
import { findOverlap } from "./overlap.ts";
import { plan } from "./plan.ts";
import type { Counters } from "./read.ts";
import { ruleDigest } from "./userdata.ts";

/** NFT_JUMP_STACK_SIZE of the kernel. */
const DEPTH = 16;

interface Watcher {
  changed: boolean;
  wake: () => void;
}

export class FakeNftables implements Firewall {
  #tables: Ruleset = new Map();
  readonly #watchers = new Set<Watcher>();
  /** Transactions so far, of us and of others. */
  #commits = 0;
  #disposed = false;

  async list(): Promise<Listing> {
    return new Map([...this.#tables].map(([key, table]) => [key, listed(table)]));
  }

  async apply(desired: Ruleset, signal?: AbortSignal): Promise<Change> {
    if (this.#disposed) throw new Error("the netlink socket is closed");
    signal?.throwIfAborted();
    refuseAliens(desired);
    const actual = await this.list();
    const operations = plan(desired, actual, (id) => actual.get(tableKey(id.table))?.chains.get(id.chain)?.rules);
    writeBatch(new MessageWriter(), operations, undefined);
    for (const table of desired.values()) refuse(table);
    if (operations.length > 0) this.#commits++;
    // A copy, as the kernel's: whoever changes his own objects afterwards changes nothing here.
    this.#tables = structuredClone(desired);
    return summarize(operations);
  }

  resync(): void {}

  async clear(): Promise<void> {
    this.#tables = new Map();
  }

  async counters(): Promise<Counters> {
    return { rules: [], elements: [] };
  }

  foreignChanges(signal: AbortSignal): AsyncIterable<void> {
    const watcher: Watcher = { changed: false, wake: () => {} };
    this.#watchers.add(watcher);
    signal.addEventListener("abort", () => watcher.wake(), { once: true });
    return this.#watch(watcher, signal);
  }

  async *#watch(watcher: Watcher, signal: AbortSignal): AsyncGenerator<void, void, undefined> {
    try {
      while (!signal.aborted) {
        if (!watcher.changed) await new Promise<void>((resolve) => (watcher.wake = resolve));
        if (!watcher.changed || signal.aborted) continue;
        watcher.changed = false;
        yield;
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  /** What is in force now. */
  get ruleset(): Ruleset {
    return this.#tables;
  }

  get commits(): number {
    return this.#commits;
  }

  /** Somebody else changes our tables behind our back. */
  disturb(tables: Ruleset): void {
    this.#tables = structuredClone(tables);
    this.#commits++;
    for (const watcher of this.#watchers) {
      watcher.changed = true;
      watcher.wake();
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
  }
}

function listed(table: Table): ListedTable {
  const chains = new Map<string, ListedChain>();
  for (const [name, { base, rules }] of table.chains)
    chains.set(name, {
      ...(base === undefined ? {} : { base }),
      rules: rules.map((rule, i) => ({ handle: BigInt(i + 1), digest: ruleDigest(rule), comment: rule.comment })),
    });
  return { family: table.family, name: table.name, sets: table.sets, chains };
}

/** What encoding alone does not notice. */
function refuse(table: Table): void {
  for (const [name, set] of table.sets) {
    const overlap = findOverlap(set);
    if (overlap !== undefined)
      throw invalid(`add elements to the set "${name}"`, `element "${overlap[1]}" overlaps "${overlap[0]}"`);
  }
  for (const [name, chain] of table.chains) {
    if (chain.base !== undefined) refuseBase(name, chain.base, table);
    refuseJumps(table, name, []);
    for (const step of chain.rules.flatMap(({ steps }) => steps))
      if ((step.kind === "masquerade" || step.kind === "dnat") && chain.base !== undefined && chain.base.type !== "nat")
        throw invalid(`add a rule to the chain "${name}"`, `${step.kind} belongs into a chain of type nat`);
  }
}

function refuseBase(name: string, base: Base, table: Table): void {
  const hooks: readonly Base["hook"][] =
    base.type === "nat" ? ["prerouting", "input", "output", "postrouting"] : base.type === "route" ? ["output"] : [];
  if (hooks.length > 0 && !hooks.includes(base.hook))
    throw invalid(`make the chain "${name}"`, `type ${base.type} has no hook ${base.hook}`);
  if (table.family === "arp" && base.type !== "filter")
    throw invalid(`make the chain "${name}"`, `arp knows type filter only`);
}

function refuseJumps(table: Table, name: string, path: readonly string[]): void {
  if (path.includes(name) || path.length > DEPTH)
    throw invalid("change nftables", "chains jump in a circle, or more than 16 deep");
  const chain = table.chains.get(name);
  if (chain === undefined) throw invalid(`change nftables`, `there is no chain "${name}"`);
  for (const target of new Set(jumps(table, chain))) refuseJumps(table, target, [...path, name]);
}

function jumps(table: Table, chain: Chain): string[] {
  return chain.rules.flatMap(({ steps }) =>
    steps.flatMap((step) => {
      if (step.kind === "verdict") return "chain" in step.verdict ? [step.verdict.chain] : [];
      if (step.kind !== "vmap") return [];
      const elements = [...(table.sets.get(step.map)?.elements.values() ?? [])];
      return elements.flatMap((data) =>
        data !== null && typeof data !== "string" && "chain" in data ? [data.chain] : [],
      );
    }),
  );
}

function invalid(what: string, why: string): DriverError {
  return new DriverError("invalid", `Cannot ${what}: ${why}`);
}
