/** Tells of policy labels that cannot be read: what they close stays closed, and whoever wrote them has to know why. */
import { labelPolicies, speaks } from "../core/calc/label-policies.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";
import { formatProblem } from "../core/problem.ts";
import type { Health } from "./health.ts";

/** @returns to be called with this host's endpoints after each step; looks only where they are others than last time */
export function labelComplaints(health: Health): (own: readonly Endpoint[]) => void {
  let seen: readonly Endpoint[] = [];
  return (own) => {
    if (own === seen) return;
    seen = own;
    const { problems } = labelPolicies(own.filter(speaks));
    health.setAll("label-unreadable", [...new Set(problems.map(formatProblem))]);
  };
}
