/**
 * A program as chains. The entry chain is shared by every endpoint with the same program; a profile, and a policy without Pass,
 * has a chain of its own that all programs share, unless so many policies stand together that they are merged; a tier with a Pass
 * in it has one too, in which Pass is `return`.
 */
import { FAMILIES } from "../net/address.ts";
import { FIXED_SETS, NAMES_ADDRESS } from "./fixed.ts";
import { ALLOW_PRE_DNAT, ALLOW_UNTRACKED, hostPreamble } from "./host-chains.ts";
import type { Rule, Verdict } from "./ir.ts";
import { addressField } from "./match.ts";
import type { Direction } from "./origin.ts";
import { type Context, letter, type Piece, PieceBuilder } from "./piece.ts";
import {
  type NetworkStage,
  type Place,
  type PolicyStage,
  type ProfileStage,
  type Program,
  programKey,
  type RuleList,
  type TierStage,
} from "./program.ts";
import { ALLOW, type AllowSteps, denyRules, linesOf, listRules, passes, runRules, soleAction } from "./rule-list.ts";
import { ACCEPT, accept, chain, counter, is, isIn, jump, named } from "./steps.ts";

export interface CompiledProgram extends Piece {
  /** What the verdict map holds for an endpoint with this program. */
  readonly entry: Verdict;
  /** Identities of the lists whose own chains the program's chains jump to. */
  readonly calls: ReadonlySet<string>;
  /** Identities of the lists that stand in the program's chains themselves. */
  readonly inlined: ReadonlySet<string>;
  /** It has so many policies that the rules of each decide which of them stand together. */
  readonly isGrouped: boolean;
}

/** What a program's chains do with lists, while they are compiled. */
interface Lists {
  readonly calls: Set<string>;
  readonly inlined: Set<string>;
}

export function compileProgram(program: Program, context: Context): CompiledProgram {
  const piece = new PieceBuilder(context);
  const lists: Lists = { calls: new Set(), inlined: new Set() };
  const isGrouped = program.tiers.some(({ policies }) => policies.length >= context.limits.policies);
  if (isOpen(program)) return { ...piece.build(), entry: ACCEPT, ...lists, isGrouped };
  const key = programKey(program);
  const rules = program.tiers.flatMap((tier) => tierRules(tier, program, key, piece, lists));
  const [first] = program.profiles;
  const profileRules = program.profiles.flatMap((stage) => stageRules(stage, program.direction, piece, lists));
  const hint = program.tiers.length > 0 ? "policy" : first?.kind === "network" ? first.network.name : "";
  const name = context.names.of(programPrefix(program), hint, key);
  const end = isClosed(program.place) ? endRules(program.direction, piece) : [];
  piece.chain(name, chain(...hostPreamble(program), ...rules, ...profileRules, ...end));
  return { ...piece.build(), entry: { kind: "goto", chain: name }, ...lists, isGrouped };
}

function programPrefix({ place, direction }: Program): string {
  if (place === "endpoint") return direction === "ingress" ? "to" : "from";
  return `host-${place}-${letter(direction)}`;
}

/** What nobody allowed is dropped. Elsewhere it goes on: other policies are still to come, or none applied. */
function isClosed(place: Place): boolean {
  return place === "endpoint" || place === "host";
}

/** What Allow means at the place. */
function allowAt(stage: PolicyStage): AllowSteps {
  return stage === "untracked" ? ALLOW_UNTRACKED : stage === "pre-dnat" ? ALLOW_PRE_DNAT : ALLOW;
}

/** Nothing stands in the way: no policy applies, and the first profile is a network that allows everything. */
function isOpen({ place, direction, tiers, profiles: [first] }: Program): boolean {
  return (
    place === "endpoint" && tiers.length === 0 && first?.kind === "network" && isOpenNetwork(first.network, direction)
  );
}

function isOpenNetwork({ isolation, internal }: NetworkStage, direction: Direction): boolean {
  return !internal && (direction === "egress" || isolation === "off");
}

/** The chain of one policy or profile. */
export function compileList(list: RuleList, context: Context): Piece {
  const piece = new PieceBuilder(context);
  piece.chain(listChain(list, context), chain(...listRules(list, piece, allowAt(list.stage))));
  return piece.build();
}

function listChain(list: RuleList, { names }: Context): string {
  const prefix = `${list.kind === "Profile" ? "profile" : list.staged ? "staged" : "policy"}-${letter(list.direction)}`;
  return names.of(prefix, list.name, list.identity);
}

function tierRules(tier: TierStage, program: Program, key: string, piece: PieceBuilder, lists: Lists): Rule[] {
  const { context } = piece;
  const { place, direction } = program;
  const rules = groupsOf(tier.policies, context.limits.policies).flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    if (group.length === 1) return callRules(first, piece, lists);
    for (const { identity } of group) lists.inlined.add(identity);
    return runRules(group.flatMap(linesOf), `${key} ${tier.name}`, piece, allowAt(first.stage));
  });
  const denies = tier.end === "Deny" && place !== "pre-dnat" && place !== "untracked";
  const end = denies ? endOfTier(tier.name, direction, piece) : [];
  if (!tier.policies.some(passes)) return [...rules, ...end];
  const name = context.names.of(`tier-${letter(direction)}`, tier.name, `${tier.name} ${key}`);
  piece.chain(name, chain(...rules, ...end));
  return [{ steps: [jump(name)] }];
}

/** Neighbours that can be asked in any order together, where they are many; every other policy alone. */
function groupsOf(policies: readonly RuleList[], atLeast: number): (readonly RuleList[])[] {
  if (policies.length < atLeast) return policies.map((list) => [list]);
  const runs: RuleList[][] = [];
  let action: string | undefined;
  for (const list of policies) {
    const own = soleAction(list);
    if (own !== undefined && own === action) runs.at(-1)?.push(list);
    else runs.push([list]);
    action = own;
  }
  return runs.flatMap((run) => (run.length < atLeast ? run.map((list) => [list]) : [run]));
}

function callRules(list: RuleList, piece: PieceBuilder, lists: Lists): Rule[] {
  if (!passes(list)) return chainCall(list, piece, lists);
  lists.inlined.add(list.identity);
  return listRules(list, piece, allowAt(list.stage));
}

function chainCall(list: RuleList, piece: PieceBuilder, lists: Lists): Rule[] {
  lists.calls.add(list.identity);
  return [{ steps: [jump(listChain(list, piece.context))] }];
}

function endOfTier(tier: string, direction: Direction, piece: PieceBuilder): Rule[] {
  const id = piece.context.names.of(`tier-${letter(direction)}`, "", tier);
  return denyRules([], piece.origin(id, { kind: "end-of-tier", tier, direction }), piece);
}

function endRules(direction: Direction, piece: PieceBuilder): Rule[] {
  return denyRules([], piece.origin(`no-profile-${letter(direction)}`, { kind: "no-profile", direction }), piece);
}

function stageRules(stage: ProfileStage, direction: Direction, piece: PieceBuilder, lists: Lists): Rule[] {
  switch (stage.kind) {
    case "profile":
      return chainCall(stage.rules, piece, lists); // whose `return`, a Pass, leads to the next profile
    case "missing":
      return endRules(direction, piece);
    case "network":
      return networkRules(stage.network, direction, piece);
  }
}

function networkRules(network: NetworkStage, direction: Direction, piece: PieceBuilder): Rule[] {
  const { names } = piece.context;
  const id = (part: "members" | "published" | "open" | "names"): string => {
    const name = `${names.of(`network-${letter(direction)}`, "", network.name)}.${part}`;
    return piece.origin(name, { kind: "network", name: network.name, direction, part });
  };
  if (isOpenNetwork(network, direction)) return [named(id("open"), accept)];
  const rules: Rule[] = [];
  if (network.isolation !== "endpoint")
    for (const family of FAMILIES) {
      const field = addressField(direction === "ingress" ? "source" : "destination", family);
      rules.push(named(id("members"), isIn([field], piece.uses.members(network.name, family)), accept));
    }
  // Names of its own network; the agent tells an internal network no others.
  if (direction === "egress" && network.internal)
    rules.push(
      named(
        id("names"),
        is("ip daddr", NAMES_ADDRESS),
        isIn(["meta l4proto", "th dport"], FIXED_SETS.hostServices),
        accept,
      ),
    );
  if (direction === "ingress" && !network.internal)
    for (const family of FAMILIES) {
      const fields = [addressField("destination", family), "meta l4proto", "th dport"] as const;
      rules.push(named(id("published"), isIn(fields, `published${family}`), counter, accept));
    }
  return rules;
}
