/** Collects from the agent what the summary of reachability reads. */
import type { AgentView } from "./agent.ts";
import { policyInfluences } from "./policy-influence.ts";
import type { Surroundings } from "./reachability.ts";

export async function surroundings(agent: AgentView, signal?: AbortSignal): Promise<Surroundings> {
  const snapshot = await agent.snapshot(signal);
  return {
    snapshot,
    announcing: agent.announcing(),
    ingressPolicies: policyInfluences(snapshot, "ingress"),
    egressPolicies: policyInfluences(snapshot, "egress"),
  };
}
