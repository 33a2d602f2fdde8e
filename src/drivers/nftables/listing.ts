/** What is in the kernel under our name, in the IR's words as far as they go: rules are known by their digest alone. */
import type { Base, NftSet, Ruleset, Table } from "../../core/rules/ir.ts";
import { DriverError } from "../error.ts";

export interface ListedRule {
  /** The kernel's name for it, for as long as it lives. */
  readonly handle: bigint;
  /** As `ruleDigest`; undefined for a rule that we did not make. */
  readonly digest: string | undefined;
  readonly comment: string | undefined;
}

export interface ListedChain {
  readonly base?: Base;
  readonly rules: readonly ListedRule[];
}

export interface ListedTable {
  readonly family: Table["family"];
  readonly name: string;
  /** A set that is not one of those that we make (flags, types or elements that the IR has no words for) has an empty key. */
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly chains: ReadonlyMap<string, ListedChain>;
}

/** By "family name", as a Ruleset. */
export type Listing = ReadonlyMap<string, ListedTable>;

/** The only name that we take for tables. */
export const OUR_TABLE = "manx";

export function tableKey(table: { readonly family: string; readonly name: string }): string {
  return `${table.family} ${table.name}`;
}

/** A ruleset with a table of another name would make us the owner of what is not ours. Throws DriverError. */
export function refuseAliens(desired: Ruleset): void {
  for (const [key, table] of desired)
    if (table.name !== OUR_TABLE || key !== tableKey(table))
      throw new DriverError(
        "invalid",
        `Cannot apply the nftables table "${key}": only tables named "${OUR_TABLE}" are ours`,
      );
}
