/** Whether this host does what is wanted of it, from what the agent knows. */
import type { Readiness } from "../../api/schema/metrics.ts";
import type { Agent } from "../agent.ts";
import type { Condition, ConditionCode } from "../health.ts";

const CHECKS: readonly {
  readonly name: Readiness["checks"][number]["name"];
  readonly codes: readonly ConditionCode[];
  /** A host that has lost its store goes on with what it knows. */
  readonly isNeeded: boolean;
}[] = [
  { name: "kernel", codes: ["firewall-not-applied", "interfaces-not-applied"], isNeeded: true },
  { name: "docker", codes: ["engine-unreachable", "plugin-socket"], isNeeded: true },
  { name: "store", codes: ["store-unavailable"], isNeeded: false },
];

export function readiness(agent: Pick<Agent, "health" | "outcome">): Readiness {
  return readinessOf(agent.health.list(), agent.outcome() !== undefined);
}

/** `applied`: the kernel has been brought up to date at least once. */
export function readinessOf(
  conditions: readonly Pick<Condition, "code" | "title" | "why">[],
  applied: boolean,
): Readiness {
  const checks = CHECKS.map(({ name, codes }) => {
    const found = conditions.find(({ code }) => codes.includes(code));
    if (found !== undefined) return { name, ok: false, why: `${found.title}: ${found.why}` };
    if (name === "kernel" && !applied) return { name, ok: false, why: "the agent has just started" };
    return { name, ok: true };
  });
  return { ready: checks.every(({ ok }, index) => ok || CHECKS[index]?.isNeeded === false), checks };
}
