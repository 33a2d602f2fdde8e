/**
 * What the kernel would not notice or would refuse without naming it: a rule that looks a field up in a set of another type,
 * a jump to a chain that is not there. The kernel compares bytes and knows no types.
 */
import type { ElementData, Field, FieldType, NftSet, Rule, Step, Table, Verdict } from "../../core/rules/ir.ts";
import { FIELDS } from "./field.ts";
import type { ValueType } from "./value.ts";

/** Throws RangeError that names the set or chain. */
export function checkRule(rule: Rule, table: Table): void {
  for (const step of rule.steps) checkStep(step, table);
}

export function checkElements(elements: ReadonlyMap<string, ElementData>, table: Table): void {
  for (const [key, data] of elements) {
    if (data === null || typeof data === "string" || !("chain" in data)) continue;
    const problem = jumpProblem(data, table);
    if (problem !== undefined) throw new RangeError(`element ${JSON.stringify(key.slice(0, 200))}: ${problem}`);
  }
}

function checkStep(step: Step, table: Table): void {
  if (step.kind === "lookup") {
    const set = setFor(step.fields, step.set, table);
    if (set.data !== undefined) throw new RangeError(`"${step.set}" is a map, and a lookup wants a set`);
  } else if (step.kind === "vmap") {
    const map = setFor(step.fields, step.map, table);
    if (map.data !== "verdict") throw new RangeError(`"${step.map}" holds no verdicts`);
  } else if (step.kind === "dnat") {
    const map = setFor(step.fields, step.map, table);
    const want: readonly FieldType[] = [step.family === 4 ? "ipv4_addr" : "ipv6_addr", "inet_service"];
    if (String(map.data) !== String(want)) throw new RangeError(`"${step.map}" does not hold ${want.join(" . ")}`);
  } else if (step.kind === "verdict") {
    const problem = jumpProblem(step.verdict, table);
    if (problem !== undefined) throw new RangeError(problem);
  }
}

function setFor(fields: readonly Field[], name: string, table: Table): NftSet {
  const set = table.sets.get(name);
  if (set === undefined) throw new RangeError(`there is no set "${name}"`);
  const want: readonly ValueType[] = fields.map((field) => FIELDS[field].type);
  if (want.join() !== set.key.join())
    throw new RangeError(`"${name}" has keys of ${set.key.join(" . ")}, and the rule reads ${want.join(" . ")}`);
  return set;
}

function jumpProblem(verdict: Verdict, table: Table): string | undefined {
  if (!("chain" in verdict)) return undefined;
  const chain = table.chains.get(verdict.chain);
  if (chain === undefined) return `there is no chain "${verdict.chain}"`;
  return chain.base === undefined ? undefined : `"${verdict.chain}" is a base chain, where nothing can jump to`;
}
