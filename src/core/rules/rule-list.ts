/** Rules of one policy or profile in one direction, as rules of a chain. */
import type { Rule, Step } from "./ir.ts";
import { type Alternatives, alternatives } from "./match.ts";
import { isMergeable, mergeRun } from "./merge.ts";
import type { Origin } from "./origin.ts";
import { type PieceBuilder, ruleId } from "./piece.ts";
import type { Line, ResolvedRule, RuleList } from "./program.ts";
import { accept, chain, counter, drop, jump, leave, named } from "./steps.ts";

/** True if the list can pass to the next tier: then it stands in its tier's own chain, whose `return` is the pass. */
export function passes(list: RuleList): boolean {
  return !list.staged && list.rules.some(({ action }) => action === "Pass");
}

/** What Allow means where the chain stands. */
export type AllowSteps = readonly Step[];
export const ALLOW: AllowSteps = [accept];

export function linesOf(list: RuleList): Line[] {
  return list.rules.map((rule, index) => ({ list, index, rule }));
}

/** The list's rules. Pass is `return`, so it means what the chain's caller makes of it. */
export function listRules(list: RuleList, piece: PieceBuilder, allow: AllowSteps = ALLOW): Rule[] {
  return runsOf(linesOf(list)).flatMap((run) => runRules(run, list.identity, piece, allow));
}

/** Neighbours that may be merged together, everything else alone. */
function runsOf(lines: readonly Line[]): Line[][] {
  const runs: Line[][] = [];
  let last: Line | undefined;
  for (const line of lines) {
    const joins = last !== undefined && canMerge(last) && canMerge(line) && last.rule.action === line.rule.action;
    if (joins) runs.at(-1)?.push(line);
    else runs.push([line]);
    last = line;
  }
  return runs;
}

function canMerge({ list, rule }: Line): boolean {
  return !list.staged && isMergeable(rule, list.direction);
}

/** The action of all the list's rules, if they may be asked in any order; undefined otherwise. */
export function soleAction(list: RuleList): string | undefined {
  const [first] = list.rules;
  const all = linesOf(list).every((line) => canMerge(line) && line.rule.action === first?.action);
  return all ? first?.action : undefined;
}

/** Lines that may be asked in any order. `identity` tells what they are a part of. */
export function runRules(run: readonly Line[], identity: string, piece: PieceBuilder, allow: AllowSteps): Rule[] {
  const [first] = run;
  if (first === undefined) return [];
  if (run.length < piece.context.limits.rules || !canMerge(first))
    return run.flatMap((line) => lineRules(line, piece, allow));
  const { direction } = first.list;
  const place = `${identity} ${first.list.identity} ${first.index}`;
  const action = first.rule.action === "Deny" ? "Deny" : "Allow";
  const id = piece.origin(piece.context.names.of("m", "", place), { kind: "merged", direction, action, lines: run });
  return mergeRun(
    run.map(({ rule }) => rule),
    direction,
    place,
    piece,
    (match) => enforcedRules(first.rule, id, [match], piece, allow),
  );
}

function lineRules(line: Line, piece: PieceBuilder, allow: AllowSteps): Rule[] {
  const id = piece.origin(ruleId(piece.context.names, line.list, line.index), originOf(line));
  const matches = alternatives(line.rule, piece.uses);
  return line.list.staged
    ? stagedRules(line.rule, id, matches, piece)
    : enforcedRules(line.rule, id, matches, piece, allow);
}

export function originOf({ list, index: rule, rule: { action } }: Line): Origin {
  const { kind, name, direction, tier, namespace } = list;
  return {
    kind,
    ...(tier === undefined ? {} : { tier }),
    ...(namespace === undefined ? {} : { namespace }),
    name,
    direction,
    rule,
    action,
  };
}

function enforcedRules(
  { action }: ResolvedRule,
  id: string,
  matches: Alternatives,
  piece: PieceBuilder,
  allow: AllowSteps,
): Rule[] {
  switch (action) {
    case "Allow":
      return matches.map((match) => named(id, ...match, counter, ...allow));
    case "Deny":
      return matches.flatMap((match) => denyRules(match, id, piece));
    case "Pass":
      return matches.map((match) => named(id, ...match, counter, leave));
    case "Log":
      return logRules(id, matches, piece);
  }
}

/** Drops what the steps match. */
export function denyRules(match: readonly Step[], id: string, piece: PieceBuilder): Rule[] {
  return [named(id, ...match, counter, ...piece.log("deny", id), drop)];
}

/** In a chain of its own, because a packet that matches in two ways is logged once. */
function logRules(id: string, matches: Alternatives, piece: PieceBuilder): Rule[] {
  const steps = [counter, ...piece.log("log", id)];
  if (matches.length <= 1) return matches.map((match) => named(id, ...match, ...steps));
  const name = piece.context.names.of("log", "", id);
  const once = matches.flatMap((match) => [named(id, ...match, ...steps), named(id, ...match, leave)]);
  piece.chain(name, chain(...once));
  return [named(id, jump(name))];
}

/** A staged policy counts what it would decide, and leaves its chain there. */
function stagedRules({ action }: ResolvedRule, id: string, matches: Alternatives, piece: PieceBuilder): Rule[] {
  if (action === "Log") return [];
  const log = piece.log(`staged-${action.toLowerCase()}`, id);
  return matches.map((match) => named(id, ...match, counter, ...log, leave));
}
