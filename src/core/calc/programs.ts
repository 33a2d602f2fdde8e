/** Which tiers, policies and profiles decide about an endpoint. */
import type { Network, Profile } from "../model/resources.ts";
import type { Direction } from "../rules/origin.ts";
import type { ProfileStage, Program, RuleList, TierStage } from "../rules/program.ts";
import type { ResolvedPolicy, ResolvedTier } from "./policies.ts";
import { resolveRule } from "./resolve-rule.ts";
import type { Endpoint } from "./snapshot.ts";

/** A profile's rules, and those of a network, ready for programs. */
export interface Profiles {
  readonly lists: ReadonlyMap<string, Readonly<Record<Direction, RuleList>>>;
  readonly networks: ReadonlyMap<string, Network>;
}

export function resolveProfile(profile: Profile): Readonly<Record<Direction, RuleList>> {
  const list = (direction: Direction): RuleList => ({
    kind: "Profile",
    name: profile.metadata.name,
    direction,
    staged: false,
    stage: "normal",
    rules: (profile.spec[direction] ?? []).map((rule) => resolveRule(rule, undefined)),
    identity: `${profile.metadata.name}//Profile/${direction}`,
  });
  return { ingress: list("ingress"), egress: list("egress") };
}

/** The tiers with a policy that applies in the direction. A tier of staged policies alone decides nothing at its end. */
export function tierStages(
  tiers: readonly ResolvedTier[],
  applies: (policy: ResolvedPolicy) => boolean,
  direction: Direction,
): TierStage[] {
  return tiers.flatMap((tier) => {
    const policies: RuleList[] = [];
    let enforced = false;
    for (const policy of tier.policies) {
      const list = policy[direction];
      if (list === undefined || !applies(policy)) continue;
      policies.push(list);
      enforced ||= !policy.staged;
    }
    if (policies.length === 0) return [];
    return [{ name: tier.name, policies, end: enforced ? tier.defaultAction : "Pass" }];
  });
}

/** Profiles in order; a name that no Profile has may be that of a network. The endpoint's own network comes last. */
export function profileStages(
  endpoint: Pick<Endpoint, "profiles" | "network">,
  direction: Direction,
  { lists, networks }: Profiles,
): ProfileStage[] {
  const names = [...endpoint.profiles];
  if (!names.includes(endpoint.network) && networks.has(endpoint.network)) names.push(endpoint.network);
  return names.map((name) => {
    const network = networks.get(name);
    const lists_ = lists.get(name);
    if (network !== undefined && name === endpoint.network) return { kind: "network", network: networkStage(network) };
    return lists_ === undefined ? { kind: "missing", name } : { kind: "profile", rules: lists_[direction] };
  });
}

function networkStage({ metadata, spec }: Network): Extract<ProfileStage, { kind: "network" }>["network"] {
  return { name: metadata.name, isolation: spec.isolation, internal: spec.internal };
}

export function programOf(
  endpoint: Endpoint,
  direction: Direction,
  tiers: readonly ResolvedTier[],
  applies: (policy: ResolvedPolicy) => boolean,
  profiles: Profiles,
): Program {
  const normal = (policy: ResolvedPolicy): boolean => policy.stage === "normal" && applies(policy);
  return {
    place: "endpoint",
    direction,
    tiers: tierStages(tiers, normal, direction),
    profiles: profileStages(endpoint, direction, profiles),
  };
}
