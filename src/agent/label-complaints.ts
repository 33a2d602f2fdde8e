/** Tells of policy labels that cannot be read: what they close stays closed, and whoever wrote them has to know why. */
import { labelPolicies } from "../core/calc/label-policies.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";
import { formatProblem } from "../core/problem.ts";
import type { Health } from "./health.ts";

/** @returns to be called after each step with this host's endpoints that bring policies; looks only where they are others than last time */
export function labelComplaints(health: Health): (speaking: readonly Endpoint[]) => void {
  let seen: readonly Endpoint[] = [];
  return (speaking) => {
    if (speaking === seen) return;
    seen = speaking;
    const { problems } = labelPolicies(speaking);
    health.setAll("label-unreadable", [...new Set(problems.map(formatProblem))]);
  };
}
