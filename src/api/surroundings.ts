/** Collects from the agent what the summary of reachability reads. */
import type { AgentView } from "./agent.ts";
import type { Surroundings } from "./reachability.ts";

export async function surroundings(agent: AgentView, signal?: AbortSignal): Promise<Surroundings> {
  return { snapshot: await agent.snapshot(signal), announcing: agent.announcing() };
}
