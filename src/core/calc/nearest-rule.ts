/** The rule that would almost have let a packet through, and what it wants. */
import type { Membership } from "../rules/decider.ts";
import type { Direction } from "../rules/origin.ts";
import type { Packet } from "../rules/packet.ts";
import type { RuleList } from "../rules/program.ts";
import { match } from "../selector/match.ts";
import { inherit } from "./labels.ts";
import { endpointPeer } from "./peers.ts";
import { type AnyPolicy, type ResolvedPolicy, resolvePolicy, resolveTiers } from "./policies.ts";
import { type RuleEnd, ruleMisses } from "./rule-misses.ts";
import type { Endpoint, Snapshot } from "./snapshot.ts";

/** An end of a packet by what people call it; `endpoint` absent: somebody outside. */
export function ruleEnd(snapshot: Snapshot, name: string, endpoint: Endpoint | undefined): RuleEnd {
  if (endpoint === undefined) return { name, ports: [] };
  const { labels, parents, ports } = endpointPeer(endpoint);
  const profiles = new Map(snapshot.profiles.map((profile) => [profile.metadata.name, profile]));
  return { name, labels: inherit(labels, parents, profiles), ports };
}

/**
 * Of the policies that apply to the end which decides: its Allow rule with the fewest conditions that are not met, the first of
 * those. Undefined where no policy with such a rule applies to it.
 */
export function nearestRule(
  snapshot: Snapshot,
  direction: Direction,
  packet: Packet,
  ends: { readonly source: RuleEnd; readonly destination: RuleEnd },
  members: Membership,
): string | undefined {
  const decides = direction === "ingress" ? ends.destination : ends.source;
  let best: { list: RuleList; index: number; misses: string[] } | undefined;
  for (const { policies } of resolveTiers(snapshot.tiers, applying(snapshot.policies, decides)))
    for (const { [direction]: list } of policies)
      for (const [index, rule] of (list?.rules ?? []).entries()) {
        if (list === undefined || rule.action !== "Allow") continue;
        const misses = ruleMisses(rule, packet, ends, members);
        if (best === undefined || misses.length < best.misses.length) best = { list, index, misses };
      }
  if (best === undefined || best.misses.length === 0) return undefined;
  const { list, index, misses } = best;
  return `rule ${direction}[${index}] of policy ${nameOf(list)} allows something like it: ${misses.join("; ")}`;
}

export function nameOf({ namespace, name }: Pick<RuleList, "namespace" | "name">): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function applying(policies: readonly AnyPolicy[], { labels }: RuleEnd): ResolvedPolicy[] {
  if (labels === undefined) return [];
  return policies.flatMap((policy) => {
    const resolved = resolvePolicy(policy);
    return resolved?.stage === "normal" && match(resolved.selector, labels) ? [resolved] : [];
  });
}
