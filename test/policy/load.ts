/** Puts a ruleset in force in a namespace, replacing what was there in one transaction. */
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Rule, Ruleset, Table } from "../../src/core/rules/ir.ts";
import { printTable } from "../../src/core/rules/print.ts";

export async function loadRuleset(namespacePath: string, ruleset: Ruleset): Promise<void> {
  const text = [...ruleset.values()].flatMap((table) => {
    const name = `table ${table.family} ${table.name}`;
    return [`${name} {}`, `delete ${name}`, printTable(withoutTargets(table))];
  });
  const file = join(tmpdir(), `manx-${process.pid}.nft`);
  writeFileSync(file, text.join("\n"));
  try {
    execFileSync("ip", ["netns", "exec", basename(namespacePath), "nft", "-f", file], { stdio: "pipe" });
  } finally {
    rmSync(file, { force: true });
  }
  await Promise.resolve();
}

/** Debian 12's nft cannot read `icmpv6 taddr`. */
function withoutTargets(table: Table): Table {
  const reads = (rule: Rule): boolean => JSON.stringify(rule.steps).includes("taddr");
  const chains = [...table.chains].map(
    ([name, chain]) => [name, { ...chain, rules: chain.rules.filter((rule) => !reads(rule)) }] as const,
  );
  return { ...table, chains: new Map(chains) };
}
