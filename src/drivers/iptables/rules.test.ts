import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ACCEPTS, type FilterTable, isAccepted, isOurs, missing, parseTable, removals, transaction } from "./rules.ts";

const POLICIES = "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n";
const IN = "-i manx+ -m comment --comment manx -j ACCEPT";
const OUT = "-o manx+ -m comment --comment manx -j ACCEPT";
const DOCKER = `${POLICIES}-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER\n`;

const show = (commands: readonly (readonly string[])[]): string[] => commands.map((command) => command.join(" "));

const rows: readonly [string, string, readonly string[]][] = [
  ["an empty table gets nothing", "-P FORWARD ACCEPT\n", []],
  ["a policy of drop", POLICIES, [`-I FORWARD 1 ${IN}`, `-I FORWARD 2 ${OUT}`]],
  [
    "somebody's rule in FORWARD",
    "-P FORWARD ACCEPT\n-A FORWARD -j ufw-before-forward\n",
    [`-I FORWARD 1 ${IN}`, `-I FORWARD 2 ${OUT}`],
  ],
  [
    "Docker's chain, before its RETURN and behind the user's rules",
    `${DOCKER}-A DOCKER-USER -i eth0 -j DROP\n-A DOCKER-USER -j RETURN\n`,
    [`-I DOCKER-USER 2 ${IN}`, `-I DOCKER-USER 3 ${OUT}`],
  ],
  ["Docker 28's chain, which is empty", DOCKER, [`-A DOCKER-USER ${IN}`, `-A DOCKER-USER ${OUT}`]],
  ["all right", `${DOCKER}-A DOCKER-USER ${IN}\n-A DOCKER-USER ${OUT}\n-A DOCKER-USER -j RETURN\n`, []],
  [
    "one of two",
    `${DOCKER}-A DOCKER-USER ${IN}\n-A DOCKER-USER -j RETURN\n`,
    [`-D DOCKER-USER ${IN}`, `-I DOCKER-USER 1 ${IN}`, `-I DOCKER-USER 2 ${OUT}`],
  ],
  [
    "behind a RETURN, where nothing comes",
    `${DOCKER}-A DOCKER-USER -j RETURN\n-A DOCKER-USER ${IN}\n-A DOCKER-USER ${OUT}\n`,
    [`-D DOCKER-USER ${IN}`, `-D DOCKER-USER ${OUT}`, `-I DOCKER-USER 1 ${IN}`, `-I DOCKER-USER 2 ${OUT}`],
  ],
  [
    "Docker came after us: from FORWARD to its chain",
    `${DOCKER}-A FORWARD ${IN}\n-A FORWARD ${OUT}\n-A DOCKER-USER -j RETURN\n`,
    [`-D FORWARD ${IN}`, `-D FORWARD ${OUT}`, `-I DOCKER-USER 1 ${IN}`, `-I DOCKER-USER 2 ${OUT}`],
  ],
  [
    "something stands before Docker's chain",
    `${POLICIES}-N DOCKER-USER\n-A FORWARD -j LIBVIRT\n-A FORWARD -j DOCKER-USER\n`,
    [`-I FORWARD 1 ${IN}`, `-I FORWARD 2 ${OUT}`],
  ],
  [
    "nothing decides any more",
    `-P FORWARD ACCEPT\n-A FORWARD ${IN}\n-A FORWARD ${OUT}\n`,
    [`-D FORWARD ${IN}`, `-D FORWARD ${OUT}`],
  ],
];

describe("missing", () => {
  for (const [name, text, expected] of rows) {
    it(name, () => assert.deepEqual(show(missing(parseTable(text))), expected));
  }
});

describe("transaction", () => {
  it("quotes as iptables does, so that a rule is read back as it was", () => {
    const words = ["-i", "a+", "-m", "comment", "--comment", 'say "hi" \\ now', "-j", "X"];
    const text = transaction([["-A", "FORWARD", ...words]]);
    assert.deepEqual(parseTable(`-P FORWARD DROP\n${text}`).chains.get("FORWARD"), [words]);
    assert.match(text, /^\*filter\n.*\nCOMMIT\n$/);
  });
});

describe("parseTable", () => {
  it("reads quoted words, and knows ours by the whole comment", () => {
    const table = parseTable('-P FORWARD ACCEPT\n-A FORWARD -m comment --comment "not \\"manx\\"" -j DROP\n');
    const [rule = []] = table.chains.get("FORWARD") ?? [];
    assert.deepEqual(rule, ["-m", "comment", "--comment", 'not "manx"', "-j", "DROP"]);
    assert.equal(isOurs(rule), false);
  });
});

/** What iptables does with our commands. */
function execute(table: FilterTable, commands: readonly (readonly string[])[]): FilterTable {
  const chains = new Map([...table.chains].map(([name, rules]) => [name, [...rules]]));
  for (const [option, chain = "", ...rest] of commands) {
    const rules = chains.get(chain);
    assert.ok(rules !== undefined);
    if (option === "-A") rules.push(rest);
    if (option === "-I") {
      const at = Number(rest[0]) - 1;
      assert.ok(at <= rules.length, "iptables: Index of insertion too big");
      rules.splice(at, 0, rest.slice(1));
    }
    if (option === "-D") {
      const at = rules.findIndex((rule) => rule.join(" ") === rest.join(" "));
      assert.ok(at >= 0, "iptables: does a matching rule exist in that chain?");
      rules.splice(at, 1);
    }
  }
  return { ...table, chains };
}

describe("properties", () => {
  const alien = fc.constantFrom("-j RETURN", "-j DOCKER-USER", "-i eth0 -j DROP", "-j ufw", "-o manx+ -j DROP");
  const ours = fc.constantFrom(...ACCEPTS.map((rule) => rule.join(" ")), "-i old+ -m comment --comment manx -j ACCEPT");
  const rules = fc.array(
    fc.oneof(alien, ours).map((text) => text.split(" ")),
    { maxLength: 6 },
  );
  const table = fc
    .record({ policy: fc.constantFrom("ACCEPT", "DROP"), forward: rules, user: fc.option(rules) })
    .map(({ policy, forward, user }): FilterTable => {
      const chains = new Map([["FORWARD", forward]]);
      if (user !== null) chains.set("DOCKER-USER", user);
      return { policy, chains };
    });

  it("after the commands nothing is missing, and what is not ours is where it was", () => {
    fc.assert(
      fc.property(table, (before) => {
        const result = execute(before, missing(before));
        assert.equal(isAccepted(result), true);
        for (const [name, list] of before.chains) {
          const kept = (result.chains.get(name) ?? []).filter((rule) => !isOurs(rule));
          assert.deepEqual(
            kept,
            list.filter((rule) => !isOurs(rule)),
          );
        }
        const removed = execute(result, removals(result));
        assert.equal([...removed.chains.values()].flat().some(isOurs), false);
      }),
      { numRuns: 2000 },
    );
  });
});
