/** Others at work in the same kernel: what they break of ours is put right, what is theirs stays. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import type { Chain, Rule, Ruleset, Step } from "../../src/core/rules/ir.ts";
import { filterChanges } from "../../src/drivers/nftables/filter-watch.ts";
import { Nftables } from "../../src/drivers/nftables/nftables.ts";
import { plain } from "./contract.ts";
import { accept, drop, everything, map, rule, ruleset, set, table } from "./everything.ts";
import { Namespace } from "./namespace.ts";

const counted = (comment: string, ...steps: Rule["steps"]): Rule => ({
  steps: [{ kind: "counter" }, ...steps],
  comment,
});
const output = (...rules: Rule[]): Chain => ({
  base: { type: "filter", hook: "output", priority: 0, policy: "accept" },
  rules,
});

const small = ruleset(
  table(
    "inet",
    {
      addresses: set(["ipv4_addr"], ["10.0.0.1", "10.0.0.2"]),
      nets: set(["ipv4_addr"], ["10.0.0.0/8"], true),
      jumps: map(["ifname"], "verdict", { manx1: { kind: "jump", chain: "one" } }),
    },
    {
      one: { rules: [rule({ kind: "lookup", fields: ["ip saddr"], set: "addresses" }, accept), rule(drop)] },
      out: output(counted("first"), rule({ kind: "vmap", fields: ["meta oifname"], map: "jumps" }), counted("last")),
    },
  ),
);

function withElement(key: string): Ruleset {
  const inet = small.get("inet manx");
  assert.ok(inet);
  return ruleset({
    ...inet,
    sets: new Map(inet.sets).set("addresses", set(["ipv4_addr"], ["10.0.0.1", "10.0.0.2", key])),
  });
}

function withRule(comment: string): Ruleset {
  const inet = small.get("inet manx");
  assert.ok(inet);
  return ruleset({
    ...inet,
    chains: new Map(inet.chains).set("out", output(counted("first"), counted(comment), counted("last"))),
  });
}

/** What somebody does with nft(8), as arguments. */
const DAMAGE: readonly (readonly [string, string])[] = [
  ["deletes our table", "delete table inet manx"],
  ["flushes the whole ruleset", "flush ruleset"],
  ["flushes a chain", "flush chain inet manx one"],
  ["adds a rule of his own", "insert rule inet manx out accept"],
  ["replaces a rule", 'replace rule inet manx out handle LAST drop comment "last"'],
  ["deletes a rule", "delete rule inet manx out handle LAST"],
  ["deletes an element", "delete element inet manx addresses { 10.0.0.1 }"],
  ["adds an element", "add element inet manx addresses { 10.0.0.9 }"],
  ["adds an interval", "add element inet manx nets { 11.0.0.0/8 }"],
  [
    "changes what a map holds",
    "delete element inet manx jumps { manx1 }\nadd element inet manx jumps { manx1 : accept }",
  ],
  ["adds a chain that jumps to ours", "add chain inet manx his\nadd rule inet manx his jump one"],
  ["adds a base chain", "add chain inet manx his { type filter hook input priority 0; policy drop; }"],
  [
    "adds a set that our rules do not know",
    "add set inet manx his { type ipv4_addr; flags timeout; }\nadd element inet manx his { 1.2.3.4 timeout 1h }",
  ],
  [
    "gives a set another definition",
    "flush chain inet manx one\ndelete set inet manx addresses\nadd set inet manx addresses { type ipv4_addr; flags timeout; }\nadd element inet manx addresses { 10.0.0.1, 10.0.0.2 }\nadd rule inet manx one ip saddr @addresses accept",
  ],
  ["puts a catch-all element into a map", "add element inet manx jumps { * : accept }"],
  ["changes a policy", "chain inet manx out { policy drop; }"],
  [
    "makes another table with our name",
    "add table ip manx\nadd chain ip manx his { type filter hook input priority 0; policy drop; }",
  ],
];

/** Handle of the rule with the comment "last". */
function lastHandle(namespace: Namespace): string {
  return (
    /comment "last" # handle (\d+)/.exec(namespace.run("nft", "-a", "list", "chain", "inet", "manx", "out"))?.[1] ?? ""
  );
}

/** nft(8) changing a table of its own as fast as it can. */
async function busyNeighbour(namespace: Namespace): Promise<ChildProcess & AsyncDisposable> {
  const loop =
    "nft add table inet other; nft 'add set inet other s { type ipv4_addr; }'; echo ready; while :; do nft 'add element inet other s { 1.2.3.4 }; delete element inet other s { 1.2.3.4 }'; done";
  const child = spawn("ip", ["netns", "exec", namespace.name, "sh", "-c", loop], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await once(child.stdout, "data");
  return Object.assign(child, {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  });
}

describe("the driver of nftables, when somebody else", () => {
  for (const [title, commands] of DAMAGE) {
    it(`${title}: is told, and a resync puts it right`, { timeout: 60_000 }, async () => {
      using namespace = new Namespace();
      using driver = Nftables.open({ netns: namespace.path });
      await driver.apply(small);
      const end = new AbortController();
      const changes = driver.foreignChanges(end.signal)[Symbol.asyncIterator]();
      const changed = changes.next();
      namespace.nft(commands.replace("LAST", lastHandle(namespace)));
      assert.equal((await changed).done, false);
      end.abort();
      await changes.next();
      driver.resync();
      const change = await driver.apply(small);
      assert.ok(change.writes > 0);
      assert.deepEqual(plain(await driver.list()), plain(small));
      driver.resync();
      assert.equal((await driver.apply(small)).writes, 0);
    });

    it(`${title}: the next change still comes out right where it touches that`, async () => {
      using namespace = new Namespace();
      using driver = Nftables.open({ netns: namespace.path });
      await driver.apply(small);
      namespace.nft(commands.replace("LAST", lastHandle(namespace)));
      await driver.apply(withElement("10.0.0.3"));
      await driver.apply(withRule("new"));
      driver.resync();
      await driver.apply(withRule("newer"));
      assert.deepEqual(plain(await driver.list()), plain(withRule("newer")));
    });
  }

  it("has tables of his own: they stay, whatever we do", async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    namespace.nft(
      `table inet filter {
 set manx { type ipv4_addr; }
 chain manx { ip saddr @manx accept; }
}
table ip manxx {
}`,
    );
    const theirs = namespace.run("nft", "list", "ruleset");
    await driver.apply(everything);
    await driver.apply(small);
    driver.resync();
    await driver.apply(small);
    await driver.clear();
    assert.equal(namespace.run("nft", "list", "ruleset"), theirs);
    const end = new AbortController();
    const next = driver.foreignChanges(end.signal)[Symbol.asyncIterator]().next();
    namespace.nft("add element inet filter manx { 1.2.3.4 }");
    setTimeout(() => end.abort(), 100);
    assert.equal((await next).done, true);
  });

  it("changes the ruleset all the time: ours still gets in", { timeout: 300_000 }, async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    await using _ = await busyNeighbour(namespace);
    for (let i = 0; i < 50; i++) {
      driver.resync();
      await driver.apply(i % 2 === 0 ? everything : withRule(`round-${i}`));
    }
    assert.deepEqual(plain(await driver.list()), plain(withRule("round-49")));
  });
});

describe("the driver of nftables", () => {
  it("keeps the counters of rules that stay, and counts by comment", async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    namespace.run("ip", "link", "set", "lo", "up");
    await driver.apply(small);
    const packets = async (comment: string): Promise<bigint | undefined> =>
      (await driver.counters()).rules.find((one) => one.comment === comment)?.packets;
    namespace.run("ping", "-c", "1", "-q", "127.0.0.1");
    assert.equal(await packets("first"), 2n);
    await driver.apply(withRule("middle"));
    assert.equal(await packets("first"), 2n);
    assert.equal(await packets("middle"), 0n);
    namespace.run("ping", "-c", "1", "-q", "127.0.0.1");
    assert.deepEqual(
      (await driver.counters()).rules.map(({ table: of, chain, comment, packets: count }) => [
        of,
        chain,
        comment,
        count,
      ]),
      [
        ["inet manx", "out", "first", 4n],
        ["inet manx", "out", "middle", 2n],
        ["inet manx", "out", "last", 4n],
      ],
    );
  });

  it("counts by element where the set says so", async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    namespace.run("ip", "link", "set", "lo", "up");
    await driver.apply(
      ruleset(
        table(
          "inet",
          {
            hash: { ...set(["ipv4_addr"], ["127.0.0.1", "127.0.0.2"]), counters: true },
            nets: { ...set(["ipv4_addr"], ["127.0.0.0/24", "128.0.0.0/1"], true), counters: true },
          },
          {
            out: output(
              rule({ kind: "lookup", fields: ["ip daddr"], set: "hash" }),
              rule({ kind: "lookup", fields: ["ip daddr"], set: "nets" }),
            ),
          },
        ),
      ),
    );
    namespace.run("ping", "-c", "1", "-q", "127.0.0.1");
    const { elements } = await driver.counters();
    assert.deepEqual(
      elements
        .map(({ set: name, key, packets, bytes }) => `${name} ${key} ${packets} ${bytes}`)
        .toSorted((a, b) => (a < b ? -1 : 1)),
      ["hash 127.0.0.1 2 168", "hash 127.0.0.2 0 0", "nets 127.0.0.0/24 2 168", "nets 128.0.0.0/1 0 0"],
    );
  });

  it("loads a ruleset that is larger than the socket's buffer in one transaction", { timeout: 300_000 }, async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    const keys = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    const rules = Array.from({ length: 3000 }, (_, i) => counted(`r${i}`, accept));
    const large = ruleset(table("inet", { s: set(["ipv4_addr"], keys) }, { a: { rules } }));
    const before = namespace.run("nft", "list", "ruleset");
    assert.equal(before, "");
    await driver.apply(large);
    driver.resync();
    assert.equal((await driver.apply(large)).writes, 0);
    const wrong = ruleset(
      table(
        "inet",
        { s: set(["ipv4_addr"], keys) },
        {
          a: { rules: [...rules, rule({ kind: "masquerade" })] },
          b: output(rule({ kind: "verdict", verdict: { kind: "jump", chain: "a" } })),
        },
      ),
    );
    await driver.clear();
    await assert.rejects(driver.apply(wrong));
    assert.equal(namespace.run("nft", "list", "ruleset"), "");
  });

  it("writes nothing to the kernel where nothing differs", async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    await driver.apply(everything);
    const end = new AbortController();
    using other = Nftables.open({ netns: namespace.path });
    const next = other.foreignChanges(end.signal)[Symbol.asyncIterator]().next();
    await driver.apply(structuredClone(everything));
    driver.resync();
    await driver.apply(everything);
    setTimeout(() => end.abort(), 100);
    assert.equal((await next).done, true);
  });

  it("does not take a large change of its own for somebody else's", { timeout: 300_000 }, async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    const end = new AbortController();
    const changes = driver.foreignChanges(end.signal)[Symbol.asyncIterator]();
    const next = changes.next();
    const rules = Array.from({ length: 30_000 }, (_, i) =>
      counted(`r${i}`.padEnd(100, "-"), ...Array.from({ length: 6 }, (): Step => ({ kind: "counter" }))),
    );
    const applied = driver.apply(ruleset(table("inet", {}, { a: { rules } })));
    await new Promise((resolve) => setImmediate(resolve));
    // The kernel tells the watching socket of all of it while nobody reads there.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    await applied;
    const still = new Promise((resolve) => setTimeout(resolve, 300, "silent"));
    assert.equal(await Promise.race([next, still]), "silent");
    namespace.nft("flush ruleset");
    assert.equal((await next).done, false);
    end.abort();
    await changes.next();
  });

  it("hears of what iptables does, and not of its own", { timeout: 120_000 }, async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    const end = new AbortController();
    const changes = filterChanges(end.signal, namespace.path);
    const next = changes.next();
    await driver.apply(small);
    namespace.nft("add table ip nat");
    const still = new Promise((resolve) => setTimeout(resolve, 200, "silent"));
    assert.equal(await Promise.race([next, still]), "silent");
    namespace.nft("add table ip filter");
    assert.equal((await next).done, false);
    end.abort();
    await changes.next();
  });

  it("reads back once more where it is told to distrust itself while it writes", async () => {
    using namespace = new Namespace();
    using driver = Nftables.open({ netns: namespace.path });
    const keys = Array.from({ length: 20_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const large = ruleset(table("inet", { s: set(["ipv4_addr"], keys) }, {}));
    const applied = driver.apply(large);
    setImmediate(() => driver.resync());
    await applied;
    namespace.nft("flush ruleset");
    assert.ok((await driver.apply(large)).writes > 20_000);
  });

  it("says who may do it, when he may not", async () => {
    using namespace = new Namespace();
    const code = `
      const { Nftables } = await import(${JSON.stringify(new URL("../../src/drivers/nftables/nftables.ts", import.meta.url).href)});
      try { using driver = Nftables.open(); await driver.apply(new Map([["inet manx", { family: "inet", name: "manx", sets: new Map(), chains: new Map() }]])); }
      catch (error) { console.log(error.code, error.message); }`;
    const said = namespace.run(
      "setpriv",
      "--bounding-set=-all",
      "--inh-caps=-all",
      "--ambient-caps=-all",
      process.execPath,
      "--input-type=module",
      "--eval",
      code,
    );
    assert.match(said, /^denied Cannot /);
  });
});
