/**
 * Tiers and policies in the order in which they are asked (felix/calc/policy_sorter.go): tiers by order, none last, ties by
 * name; policies by order, none last, ties by `name/namespace/kind`. A policy of a tier that does not exist comes after all
 * tiers that do, and the tier ends in Deny.
 */
import type {
  GlobalNetworkPolicy,
  NetworkPolicy,
  PolicyRule,
  StagedGlobalNetworkPolicy,
  StagedNetworkPolicy,
  Tier,
} from "../model/resources.ts";
import type { Direction } from "../rules/origin.ts";
import type { PolicyStage, RuleList } from "../rules/program.ts";
import type { Selector } from "../selector/ast.ts";
import { selector as parse } from "../selector/parse.ts";
import { inNamespace, namespaceScope, resolveRule } from "./resolve-rule.ts";

export type AnyPolicy = GlobalNetworkPolicy | NetworkPolicy | StagedGlobalNetworkPolicy | StagedNetworkPolicy;

export interface ResolvedPolicy {
  readonly tier: string;
  /** Undefined sorts last. */
  readonly order: number | undefined;
  /** `name/namespace/kind`: breaks ties, and tells policies apart. */
  readonly key: string;
  readonly staged: boolean;
  readonly stage: PolicyStage;
  readonly applyOnForward: boolean;
  /** Which endpoints it applies to. */
  readonly selector: Selector;
  /** Present for the directions it governs. */
  readonly ingress?: RuleList;
  readonly egress?: RuleList;
}

export interface ResolvedTier {
  readonly name: string;
  readonly defaultAction: "Deny" | "Pass";
  readonly policies: readonly ResolvedPolicy[];
}

/** Tiers that exist without being written: Calico creates them in every cluster. */
const BUILT_IN: readonly { readonly name: string; readonly order: number; readonly defaultAction: "Deny" | "Pass" }[] =
  [
    { name: "kube-admin", order: 1000, defaultAction: "Pass" },
    { name: "default", order: 1_000_000, defaultAction: "Deny" },
    { name: "kube-baseline", order: 10_000_000, defaultAction: "Pass" },
  ];

/** `name/namespace/kind`. */
export function policyKey({ kind, metadata }: AnyPolicy): string {
  const namespaced = kind === "NetworkPolicy" || kind === "StagedNetworkPolicy";
  return `${metadata.name}/${namespaced ? (metadata.namespace ?? "default") : ""}/${kind}`;
}

/** Undefined for a staged policy that is not to be set: nothing of it is compiled. */
export function resolvePolicy(policy: AnyPolicy): ResolvedPolicy | undefined {
  const { kind, metadata, spec } = policy;
  const staged = "stagedAction" in spec;
  if (staged && spec.stagedAction !== "Set") return undefined;
  const namespaced = kind === "NetworkPolicy" || kind === "StagedNetworkPolicy";
  const namespace = namespaced ? (metadata.namespace ?? "default") : undefined;
  const global = kind === "GlobalNetworkPolicy" || kind === "StagedGlobalNetworkPolicy" ? policy.spec : undefined;
  const stage = global?.doNotTrack === true ? "untracked" : global?.preDNAT === true ? "pre-dnat" : "normal";
  const key = policyKey(policy);
  const list = (direction: Direction, rules: readonly PolicyRule[] | undefined): RuleList => ({
    kind,
    tier: spec.tier,
    ...(namespace === undefined ? {} : { namespace }),
    name: metadata.name,
    direction,
    staged,
    stage,
    rules: (rules ?? []).map((rule) => resolveRule(rule, namespace)),
    identity: `${key}/${direction}`,
  });
  return {
    tier: spec.tier,
    order: spec.order,
    key,
    staged,
    stage,
    applyOnForward: global?.applyOnForward === true,
    selector: appliesTo(spec.selector, namespace, global?.namespaceSelector),
    ...(governs(policy, "Ingress") ? { ingress: list("ingress", spec.ingress) } : {}),
    ...(governs(policy, "Egress") ? { egress: list("egress", spec.egress) } : {}),
  };
}

/** No types at all means both (felix/calc/policy_sorter.go); validation fills them in from the rules. */
function governs({ spec }: AnyPolicy, type: "Ingress" | "Egress"): boolean {
  return spec.types.length === 0 || spec.types.includes(type);
}

function appliesTo(text: string, namespace: string | undefined, namespaceSelector: string | undefined): Selector {
  const own = parse(text);
  const scope =
    namespace !== undefined
      ? inNamespace(namespace)
      : namespaceSelector !== undefined && namespaceSelector !== ""
        ? namespaceScope(parse(namespaceSelector))
        : undefined;
  return scope === undefined ? own : { kind: "and", operands: [scope, own] };
}

/** All tiers that have policies, in order, each with its policies in order. */
export function resolveTiers(tiers: readonly Tier[], policies: readonly ResolvedPolicy[]): ResolvedTier[] {
  const byTier = Map.groupBy(policies, ({ tier }) => tier);
  const known = new Map<string, { name: string; order: number | undefined; defaultAction: "Deny" | "Pass" }>();
  for (const tier of BUILT_IN) known.set(tier.name, tier);
  for (const { metadata, spec } of tiers)
    known.set(metadata.name, { name: metadata.name, order: spec.order, defaultAction: spec.defaultAction });
  const unknown = [...byTier.keys()].filter((name) => !known.has(name)).sort(compareText);
  const sorted = [...known.values()].sort((a, b) => compareOrder(a.order, b.order) || compareText(a.name, b.name));
  return [...sorted, ...unknown.map((name) => ({ name, defaultAction: "Deny" as const }))].flatMap((tier) => {
    const own = byTier.get(tier.name);
    if (own === undefined) return [];
    return [{ name: tier.name, defaultAction: tier.defaultAction, policies: [...own].sort(comparePolicies) }];
  });
}

function comparePolicies(a: ResolvedPolicy, b: ResolvedPolicy): number {
  return compareOrder(a.order, b.order) || compareText(a.key, b.key);
}

function compareOrder(a: number | undefined, b: number | undefined): number {
  const [x, y] = [a ?? Number.POSITIVE_INFINITY, b ?? Number.POSITIVE_INFINITY];
  return x === y ? 0 : x < y ? -1 : 1;
}

/** By UTF-16 units, which for names (ASCII) is Go's order of bytes. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
