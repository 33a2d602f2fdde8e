/** Which policies decide about what comes in to an endpoint. Staged ones decide nothing. */
import { inherit } from "../core/calc/labels.ts";
import { endpointPeer } from "../core/calc/peers.ts";
import { resolvePolicy } from "../core/calc/policies.ts";
import type { Endpoint, Snapshot } from "../core/calc/snapshot.ts";
import { match } from "../core/selector/match.ts";

/** Answers for the endpoints of the snapshot; the names are as `manx get` shows them, in no particular order. */
export function ingressPolicies(snapshot: Snapshot): (endpoint: Endpoint) => readonly string[] {
  const profiles = new Map(snapshot.profiles.map((profile) => [profile.metadata.name, profile]));
  const candidates = snapshot.policies.flatMap((policy) => {
    const resolved = resolvePolicy(policy);
    if (resolved?.ingress === undefined || resolved.stage !== "normal") return [];
    return [{ name: policy.metadata.name, selector: resolved.selector }];
  });
  return (endpoint) => {
    if (candidates.length === 0) return [];
    const { labels, parents } = endpointPeer(endpoint);
    const all = inherit(labels, parents, profiles);
    return candidates.filter(({ selector }) => match(selector, all)).map(({ name }) => name);
  };
}
