/** Which policies have a say in what comes in to an endpoint or goes out of it, and what kind of say. Staged ones have none. */
import { inherit } from "../core/calc/labels.ts";
import { endpointPeer } from "../core/calc/peers.ts";
import { type ResolvedPolicy, resolvePolicy, resolveTiers } from "../core/calc/policies.ts";
import type { Endpoint, Snapshot } from "../core/calc/snapshot.ts";
import type { EntityRule, PolicyRule } from "../core/model/resources.ts";
import type { Direction } from "../core/rules/origin.ts";
import { match } from "../core/selector/match.ts";

export interface PolicyInfluence {
  readonly name: string;
  /** It can stop what the network itself would let pass; otherwise it only opens more. */
  readonly closes: boolean;
  /** It decides about all: what nothing lets pass is stopped. */
  readonly total: boolean;
  /** It can hand on to later tiers what it would otherwise stop. */
  readonly passes: boolean;
  /** It can let something pass. */
  readonly opens: boolean;
  /** It can let pass what comes from or goes to no container: the LAN, the internet. */
  readonly outside: boolean;
}

/** Answers for the endpoints of the snapshot; the names are as `manx get` shows them, in no particular order. */
export function policyInfluences(
  snapshot: Snapshot,
  direction: Direction,
): (endpoint: Endpoint) => readonly PolicyInfluence[] {
  const profiles = new Map(snapshot.profiles.map((profile) => [profile.metadata.name, profile]));
  const policies = snapshot.policies.flatMap((policy) => {
    const resolved = resolvePolicy(policy);
    if (resolved?.[direction] === undefined || resolved.stage !== "normal") return [];
    return [{ name: policy.metadata.name, rules: policy.spec[direction] ?? [], resolved }];
  });
  const ends = tierEnds(
    snapshot,
    policies.map(({ resolved }) => resolved),
  );
  const candidates = policies.map(({ name, rules, resolved }) => ({
    selector: resolved.selector,
    influence: {
      name,
      closes: ends.get(resolved.tier) !== "Pass" || rules.some(({ action }) => action !== "Allow" && action !== "Log"),
      total: ends.get(resolved.tier) === "Deny" || rules.some(isDenyAll),
      passes: rules.some(({ action }) => action === "Pass"),
      opens: rules.some(({ action }) => action === "Allow"),
      outside: rules.some(
        (rule) =>
          rule.action === "Allow" && canBeOutside(direction === "ingress" ? rule.source : rule.destination, snapshot),
      ),
    },
  }));
  return (endpoint) => {
    if (candidates.length === 0) return [];
    const { labels, parents } = endpointPeer(endpoint);
    const all = inherit(labels, parents, profiles);
    return candidates.filter(({ selector }) => match(selector, all)).map(({ influence }) => influence);
  };
}

function tierEnds(snapshot: Snapshot, policies: readonly ResolvedPolicy[]): ReadonlyMap<string, "Deny" | "Pass"> {
  return new Map(resolveTiers(snapshot.tiers, policies).map(({ name, defaultAction }) => [name, defaultAction]));
}

/** `- action: Deny` and nothing else. */
function isDenyAll(rule: PolicyRule): boolean {
  return (
    rule.action === "Deny" &&
    Object.entries(rule).every(([key, value]) => key === "action" || key === "metadata" || value === undefined)
  );
}

/** A selector means containers, and network sets where there are some. */
function canBeOutside(peer: EntityRule | undefined, snapshot: Snapshot): boolean {
  const selects = (peer?.selector ?? "") !== "" || (peer?.namespaceSelector ?? "") !== "";
  return !selects || snapshot.networkSets.length > 0;
}
