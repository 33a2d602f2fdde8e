/** What decides about an endpoint's traffic, in the order in which it is asked: tiers and their policies, then profiles. */
import { inherit } from "../core/calc/labels.ts";
import { endpointPeer } from "../core/calc/peers.ts";
import { resolvePolicy, resolveTiers } from "../core/calc/policies.ts";
import { programOf, resolveProfile } from "../core/calc/programs.ts";
import type { Endpoint, Snapshot } from "../core/calc/snapshot.ts";
import type { Direction } from "../core/rules/origin.ts";
import type { ProfileStage, Program, RuleList } from "../core/rules/program.ts";
import { match } from "../core/selector/match.ts";
import type { DirectionView, EndpointPolicies, PolicyStageView } from "./schema/endpoint-policies.ts";

export function endpointPolicies(endpoint: Endpoint, snapshot: Snapshot): EndpointPolicies {
  const profiles = new Map(snapshot.profiles.map((profile) => [profile.metadata.name, profile]));
  const { labels, parents } = endpointPeer(endpoint);
  const all = inherit(labels, parents, profiles);
  const resolved = [...snapshot.policies, ...snapshot.stagedPolicies].flatMap((policy) => resolvePolicy(policy) ?? []);
  const known = {
    lists: new Map(snapshot.profiles.map((profile) => [profile.metadata.name, resolveProfile(profile)])),
    networks: new Map(snapshot.networks.map((network) => [network.metadata.name, network])),
  };
  const tiers = resolveTiers(snapshot.tiers, resolved);
  const of = (direction: Direction): DirectionView =>
    view(programOf(endpoint, direction, tiers, ({ selector }) => match(selector, all), known));
  return { ingress: of("ingress"), egress: of("egress") };
}

/** Profiles are asked only if each tier passes on; a tier that ends in Deny says so by standing last. */
function view({ tiers, profiles }: Program): DirectionView {
  return {
    tiers: tiers.map(({ name, policies, end }) => ({ name, end, policies: policies.map(listView) })),
    profiles: profiles.map(profileView),
  };
}

function listView({ kind, name, namespace, staged, rules }: RuleList): PolicyStageView {
  return {
    kind,
    name,
    staged,
    actions: rules.map(({ action }) => action),
    ...(namespace !== undefined && { namespace }),
  };
}

function profileView(stage: ProfileStage): PolicyStageView {
  switch (stage.kind) {
    case "profile":
      return listView(stage.rules);
    case "missing":
      return { kind: "Profile", name: stage.name, staged: false, actions: [], missing: true };
    case "network": {
      const { name, isolation, internal } = stage.network;
      return { kind: "Network", name, staged: false, actions: [], isolation, internal };
    }
  }
}
