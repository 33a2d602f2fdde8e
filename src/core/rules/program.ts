/**
 * What decides about one direction of an endpoint, resolved so far that only addresses are missing: tiers of policies, then
 * profiles, then the end (drop). Endpoints with the same program share one chain. This is the input of the compiler.
 */

import type { Action, IcmpMatch } from "../model/resources.ts";
import type { Family } from "../net/address.ts";
import type { PortRange } from "../net/port-range.ts";
import type { Direction } from "./origin.ts";

/**
 * Where a program stands: before a workload endpoint, or before a host endpoint: at its own traffic (`host`), at what is forwarded
 * by it, before addresses are translated, before connections are tracked.
 */
export type Place = "endpoint" | "host" | "forward" | "pre-dnat" | "untracked";
/** When a policy is asked: untracked and preDNAT ones only on host endpoints. */
export type PolicyStage = "normal" | "untracked" | "pre-dnat";

export interface Program {
  readonly place: Place;
  readonly direction: Direction;
  readonly tiers: readonly TierStage[];
  readonly profiles: readonly ProfileStage[];
}

export interface TierStage {
  readonly name: string;
  /** Those that apply to the endpoint in this direction, in order; staged ones among them. */
  readonly policies: readonly RuleList[];
  /** What happens to what no policy decided. Pass where all the policies are staged. */
  readonly end: "Deny" | "Pass";
}

export type ProfileStage =
  | { readonly kind: "profile"; readonly rules: RuleList }
  /** A profile that nobody has defined: whoever relies on it gets nothing. */
  | { readonly kind: "missing"; readonly name: string }
  | { readonly kind: "network"; readonly network: NetworkStage };

/** The profile that a network gives to its endpoints. */
export interface NetworkStage {
  readonly name: string;
  readonly isolation: "network" | "endpoint" | "off";
  readonly internal: boolean;
}

/** One policy's or profile's rules of one direction. */
export interface RuleList {
  readonly kind:
    | "GlobalNetworkPolicy"
    | "NetworkPolicy"
    | "StagedGlobalNetworkPolicy"
    | "StagedNetworkPolicy"
    | "Profile";
  readonly tier?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly direction: Direction;
  readonly staged: boolean;
  readonly stage: PolicyStage;
  readonly rules: readonly ResolvedRule[];
  /** Tells it from every other list: kind, namespace, name and direction. */
  readonly identity: string;
}

/** One rule with its place. */
export interface Line {
  readonly list: RuleList;
  readonly index: number;
  readonly rule: ResolvedRule;
}

/** A rule whose selectors say whom they mean without knowing the policy's namespace. */
export interface ResolvedRule {
  readonly action: Action;
  readonly family?: Family;
  readonly protocol?: number;
  readonly notProtocol?: number;
  readonly icmp?: IcmpMatch;
  readonly notICMP?: IcmpMatch;
  readonly source: PeerMatch;
  readonly destination: PeerMatch;
}

export interface PeerMatch {
  /** Canonical CIDRs. */
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
  /** Canonical selector text, with namespaces taken into account. */
  readonly selector?: string;
  readonly notSelector?: string;
  readonly ports?: PortMatch;
  readonly notPorts?: PortMatch;
}

export interface PortMatch {
  readonly ranges: readonly PortRange[];
  /** Names of endpoints' ports. */
  readonly named: readonly string[];
}

/** Equal for programs that decide alike by construction: the same lists in the same order. */
export function programKey(program: Program): string {
  const tiers = program.tiers.map(
    (tier) => `${tier.name}:${tier.end}:${tier.policies.map(({ identity }) => identity).join(",")}`,
  );
  const profiles = program.profiles.map((stage) => {
    switch (stage.kind) {
      case "profile":
        return stage.rules.identity;
      case "missing":
        return `missing ${stage.name}`;
      case "network":
        return `network ${JSON.stringify([stage.network.name, stage.network.isolation, stage.network.internal])}`;
    }
  });
  return `${program.place} ${program.direction}|${tiers.join(";")}|${profiles.join(";")}`;
}
