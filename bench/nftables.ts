/**
 * What the nftables driver costs, in a network namespace of its own (root): a whole ruleset from nothing, against `nft -f`
 * of the same text, and one change in a large one. Medians of interleaved rounds, in milliseconds.
 *
 *     node bench/nftables.ts
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Chain, ElementData, NftSet, Rule, Ruleset, Step } from "../src/core/rules/ir.ts";
import { printRuleset } from "../src/core/rules/print.ts";
import { Nftables } from "../src/drivers/nftables/nftables.ts";

const accept: Step = { kind: "verdict", verdict: { kind: "accept" } };
const drop: Step = { kind: "verdict", verdict: { kind: "drop" } };

function table(sets: Iterable<[string, NftSet]>, chains: Iterable<[string, Chain]>): Ruleset {
  return new Map([["inet manx", { family: "inet", name: "manx", sets: new Map(sets), chains: new Map(chains) }]]);
}

const address = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;

/** `count` policies: a chain each with 9 rules and a jump to it, a set for every second chain. */
function policies(count: number): Ruleset {
  const sets: [string, NftSet][] = [];
  const chains: [string, Chain][] = [];
  const jumps: Rule[] = [];
  for (let i = 0; i < count; i++) {
    const own = `policy-${i}`;
    const peers = `peers-${i >> 1}`;
    if (i % 2 === 0) sets.push([peers, set(Array.from({ length: 10 }, (_, k) => address(i * 10 + k)))]);
    const rules: Rule[] = Array.from({ length: 8 }, (_, k) => ({
      steps: [
        { kind: "lookup", fields: ["ip saddr"], set: peers },
        { kind: "match", field: "meta l4proto", value: "6" },
        { kind: "match", field: "th dport", value: String(1000 + k) },
        { kind: "counter" },
        accept,
      ],
      comment: `p${i}.i${k}`,
    }));
    chains.push([own, { rules: [...rules, { steps: [{ kind: "counter" }, drop], comment: `p${i}.end` }] }]);
    jumps.push({
      steps: [
        { kind: "match", field: "meta oifname", value: `manx${i}` },
        { kind: "verdict", verdict: { kind: "jump", chain: own } },
      ],
    });
  }
  chains.push(["forward", { base: { type: "filter", hook: "forward", priority: 0, policy: "accept" }, rules: jumps }]);
  return table(sets, chains);
}

function set(keys: readonly string[]): NftSet {
  return { key: ["ipv4_addr"], interval: false, elements: new Map(keys.map((key) => [key, null])) };
}

/** 5,000 endpoints, as elements of maps and sets of several shapes. */
function endpoints(count: number): Ruleset {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const of = (key: NftSet["key"], interval: boolean, text: (i: number) => string): NftSet => ({
    key,
    interval,
    elements: new Map(numbers.map((i): [string, ElementData] => [text(i), null])),
  });
  const verdicts: ReadonlyMap<string, ElementData> = new Map(
    numbers.map((i): [string, ElementData] => [`manx${i}`, { kind: "jump", chain: "shared" }]),
  );
  return table(
    [
      [
        "sources",
        of(
          ["ifname", "ether_addr", "ipv4_addr"],
          false,
          (i) => `manx${i} . 02:00:00:00:${hex(i >> 8)}:${hex(i)} . ${address(i)}`,
        ),
      ],
      ["members", of(["ipv4_addr"], false, address)],
      ["blocks", of(["ipv4_addr"], true, (i) => `${address(i * 4)}/31`)],
      ["services", of(["ipv4_addr", "inet_proto", "inet_service"], true, (i) => `${address(i * 4)}/31 . 6 . 80-90`)],
      ["verdicts", { key: ["ifname"], interval: false, data: "verdict", elements: verdicts }],
    ],
    [
      [
        "shared",
        { rules: [{ steps: [{ kind: "lookup", fields: ["ip saddr"], set: "members" }, accept] }, { steps: [drop] }] },
      ],
      [
        "forward",
        {
          base: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
          rules: [
            { steps: [{ kind: "vmap", fields: ["meta oifname"], map: "verdicts" }] },
            { steps: [{ kind: "lookup", fields: ["ip saddr"], set: "blocks" }, accept] },
            { steps: [{ kind: "lookup", fields: ["ip daddr", "meta l4proto", "th dport"], set: "services" }, accept] },
          ],
        },
      ],
    ],
  );
}

function hex(value: number): string {
  return (value & 255).toString(16).padStart(2, "0");
}

/** The ruleset with one element more in a set; all other objects are the same. */
function withElement(ruleset: Ruleset, name: string, key: string, data: ElementData, delta: boolean): Ruleset {
  const [[id, inet]] = [...ruleset] as [[string, Ruleset extends ReadonlyMap<string, infer T> ? T : never]];
  const before = inet.sets.get(name) as NftSet;
  const { since: _, ...definition } = before;
  const elements = new Map(before.elements).set(key, data);
  const since = { from: before.elements, added: new Map([[key, data]]), removed: new Set<string>() };
  const after: NftSet = { ...definition, elements, ...(delta ? { since } : {}) };
  return new Map([[id, { ...inet, sets: new Map(inet.sets).set(name, after) }]]);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Number.NaN;
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0).padStart(8);

class Bench implements Disposable {
  readonly #name = `mnx-bench-${process.pid}`;
  readonly #folder = mkdtempSync(join(tmpdir(), "mnx-bench-"));
  readonly driver: Nftables;

  constructor() {
    execFileSync("ip", ["netns", "add", this.#name]);
    this.driver = Nftables.open({ netns: `/run/netns/${this.#name}` });
  }

  async timed(action: () => unknown): Promise<number> {
    const start = performance.now();
    await action();
    return performance.now() - start;
  }

  nft(file: string): void {
    execFileSync("ip", ["netns", "exec", this.#name, "nft", "-f", join(this.#folder, file)]);
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.#folder, file), text);
  }

  /** First load by us and by nft(8), in turns. */
  async load(title: string, ruleset: Ruleset, rounds: number): Promise<void> {
    this.write("rules.nft", printRuleset(ruleset));
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let i = 0; i < rounds; i++) {
      await this.driver.clear();
      // Fresh objects: nothing of an earlier round may be remembered for them.
      const fresh = structuredClone(ruleset);
      ours.push(await this.timed(() => this.driver.apply(fresh)));
      await this.driver.clear();
      theirs.push(await this.timed(() => this.nft("rules.nft")));
    }
    const readBack: number[] = [];
    this.driver.resync();
    for (let i = 0; i < rounds; i++) {
      this.driver.resync();
      readBack.push(await this.timed(() => this.driver.apply(ruleset)));
    }
    console.log(
      `${title.padEnd(34)} ours ${ms(median(ours))}   nft -f ${ms(median(theirs))}   ratio ${(median(ours) / median(theirs)).toFixed(2)}   read back, nothing to do ${ms(median(readBack))}`,
    );
    await this.driver.clear();
  }

  async change(title: string, ruleset: Ruleset, step: (i: number) => Ruleset, rounds = 200): Promise<void> {
    await this.driver.apply(ruleset);
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) {
      const next = step(i);
      times.push(await this.timed(() => this.driver.apply(next)));
      await this.driver.apply(ruleset);
    }
    console.log(`${title.padEnd(50)} median ${ms(median(times))}   p99 ${ms(p99(times))}`);
  }

  [Symbol.dispose](): void {
    this.driver[Symbol.dispose]();
    execFileSync("ip", ["netns", "delete", this.#name]);
    rmSync(this.#folder, { recursive: true });
  }
}

async function main(): Promise<void> {
  using bench = new Bench();
  console.log("From nothing (ms)");
  await bench.load("1,000 rules", policies(100), 9);
  await bench.load("10,000 rules", policies(1000), 5);
  await bench.load("5,000 endpoints in sets and maps", endpoints(5000), 5);

  console.log("\nOne change with 5,000 endpoints present (ms, whole apply)");
  const many = endpoints(5000);
  await bench.change("nothing differs", many, () => many);
  await bench.change("one element, hash", many, () => withElement(many, "members", "11.0.0.1", null, false));
  await bench.change("one element, hash, with its delta", many, () =>
    withElement(many, "members", "11.0.0.1", null, true),
  );
  await bench.change("one element, verdict map", many, () =>
    withElement(many, "verdicts", "manxx", { kind: "jump", chain: "shared" }, false),
  );
  await bench.change("one element, interval", many, () => withElement(many, "blocks", "11.0.0.0/24", null, false));
  await bench.change("one element, interval concatenation", many, () =>
    withElement(many, "services", "11.0.0.0/24 . 6 . 80", null, false),
  );
  const inet = many.get("inet manx");
  if (inet === undefined) throw new Error("unreachable");
  const rules = [...(inet.chains.get("shared")?.rules ?? [])];
  await bench.change(
    "one rule more in a chain",
    many,
    (i) =>
      new Map([
        [
          "inet manx",
          {
            ...inet,
            chains: new Map(inet.chains).set("shared", {
              rules: [{ steps: [{ kind: "counter" }], comment: `x${i}` }, ...rules],
            }),
          },
        ],
      ]),
  );
  const thousand = policies(1000);
  const big = thousand.get("inet manx");
  if (big === undefined) throw new Error("unreachable");
  await bench.driver.clear();
  await bench.change(
    "one rule more, 10,000 rules present",
    thousand,
    (i) =>
      new Map([
        [
          "inet manx",
          {
            ...big,
            chains: new Map(big.chains).set("policy-7", {
              rules: [{ steps: [{ kind: "counter" }], comment: `x${i}` }],
            }),
          },
        ],
      ]),
    50,
  );
}

await main();
