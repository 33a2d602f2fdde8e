/** Operations of a plan: as messages, as words for people, as numbers. */
import { DriverError } from "../error.ts";
import type { MessageWriter } from "../syscall/netlink-message.ts";
import { checkElements, checkRule } from "./check.ts";
import {
  beginBatch,
  changeElements,
  deleteChain,
  deleteRule,
  deleteSet,
  deleteTable,
  endBatch,
  newChain,
  newRule,
  newSet,
  newTable,
  setPolicy,
} from "./encode.ts";
import { tableKey } from "./listing.ts";
import type { Operation } from "./plan.ts";

/** What an apply wrote; all zero if nothing differed. */
export interface Change {
  readonly tables: number;
  readonly addedSets: number;
  readonly removedSets: number;
  readonly addedElements: number;
  readonly removedElements: number;
  /** Policies that changed count as added. */
  readonly addedChains: number;
  readonly removedChains: number;
  readonly addedRules: number;
  readonly removedRules: number;
  /** The sum of all. */
  readonly writes: number;
}

/** Writes the whole batch. Gives for each message the operation that it belongs to (undefined: the batch's own). */
export function writeBatch(
  writer: MessageWriter,
  operations: readonly Operation[],
  generation: number | undefined,
): (Operation | undefined)[] {
  const owners: (Operation | undefined)[] = [undefined];
  beginBatch(writer, generation);
  let sets = 0;
  for (const operation of operations) {
    if (operation.kind === "add-set") sets++;
    const count = named(operation, () => writeOperation(writer, operation, sets));
    for (let i = 0; i < count; i++) owners.push(operation);
  }
  endBatch(writer);
  owners.push(undefined);
  return owners;
}

function named<T>(operation: Operation, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DriverError("invalid", `Cannot ${describe(operation)}: ${error.message}`, error);
  }
}

/** Number of messages written. */
function writeOperation(writer: MessageWriter, operation: Operation, setId: number): number {
  const { table } = operation;
  switch (operation.kind) {
    case "add-table":
      newTable(writer, table);
      return 1;
    case "delete-table":
      deleteTable(writer, table);
      return 1;
    case "add-chain":
      newChain(writer, table, operation.chain, operation.base);
      return 1;
    case "set-policy":
      setPolicy(writer, table, operation.chain, operation.policy);
      return 1;
    case "delete-chain":
      deleteChain(writer, table, operation.chain);
      return 1;
    case "add-set":
      newSet(writer, table, operation.name, operation.set, setId);
      return 1;
    case "delete-set":
      deleteSet(writer, table, operation.name);
      return 1;
    case "add-elements":
      if (operation.set.data === "verdict") checkElements(operation.elements, operation.table);
      return changeElements(writer, "add", table, operation.name, operation.set, operation.elements);
    case "delete-elements":
      return changeElements(writer, "delete", table, operation.name, operation.set, operation.elements);
    case "add-rule":
      checkRule(operation.rule, operation.table);
      newRule(writer, table, operation.chain, operation.rule, operation.place);
      return 1;
    case "delete-rule":
      deleteRule(writer, table, operation.chain, operation.handle);
      return 1;
    case "flush-chain":
      deleteRule(writer, table, operation.chain, undefined);
      return 1;
  }
}

/** Completes "Cannot". */
export function describe(operation: Operation): string {
  const table = tableKey(operation.table);
  switch (operation.kind) {
    case "add-table":
      return `make the nftables table "${table}"`;
    case "delete-table":
      return `remove the nftables table "${table}"`;
    case "add-chain":
      return `make the chain "${operation.chain}" of table ${table}`;
    case "set-policy":
      return `set the policy of the chain "${operation.chain}" of table ${table}`;
    case "delete-chain":
      return `remove the chain "${operation.chain}" of table ${table}`;
    case "add-set":
      return `make the set "${operation.name}" of table ${table}`;
    case "delete-set":
      return `remove the set "${operation.name}" of table ${table}`;
    case "add-elements":
      return `add elements to the set "${operation.name}" of table ${table}`;
    case "delete-elements":
      return `remove elements of the set "${operation.name}" of table ${table}`;
    case "add-rule":
      return `add the rule "${operation.rule.comment ?? ""}" to the chain "${operation.chain}" of table ${table}`;
    case "delete-rule":
      return `remove a rule of the chain "${operation.chain}" of table ${table}`;
    case "flush-chain":
      return `remove the rules of the chain "${operation.chain}" of table ${table}`;
  }
}

export function summarize(operations: readonly Operation[]): Change {
  const count = (kind: Operation["kind"], amount: (operation: Operation) => number = () => 1): number =>
    operations.reduce((sum, operation) => sum + (operation.kind === kind ? amount(operation) : 0), 0);
  const elements = (operation: Operation): number => ("elements" in operation ? operation.elements.size : 0);
  const parts = {
    tables: count("add-table") + count("delete-table"),
    addedSets: count("add-set"),
    removedSets: count("delete-set"),
    addedElements: count("add-elements", elements),
    removedElements: count("delete-elements", elements),
    addedChains: count("add-chain") + count("set-policy"),
    removedChains: count("delete-chain"),
    addedRules: count("add-rule"),
    removedRules:
      count("delete-rule") + count("flush-chain", (operation) => ("rules" in operation ? operation.rules : 0)),
  };
  return { ...parts, writes: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}
