/** The doctor: what is found on the host, and the repairs that do no harm. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { diagnose } from "../doctor/checks.ts";
import { DoctorView, FixReport } from "../schema/doctor.ts";
import { answers, toApiError } from "./common.ts";

const look = createRoute({
  method: "get",
  path: "/v1/doctor",
  responses: answers(DoctorView, "Every check, with what to do"),
});

const fix = createRoute({
  method: "post",
  path: "/v1/doctor/fix",
  responses: answers(FixReport, "What was repaired, and the checks afterwards"),
});

export function doctorRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(look, async (c) => c.json({ checks: diagnose(await agent.facts(c.req.raw.signal)) }, 200));
  app.openapi(fix, async (c) => c.json(await repair(agent, c.req.raw.signal), 200));
}

/** Tries every repair, then looks again: a repair that did not help shows as a failed check. */
async function repair(agent: AgentView, signal: AbortSignal): Promise<FixReport> {
  const fixed: { id: string; did: string }[] = [];
  const failed: { id: string; why: string }[] = [];
  for (const check of diagnose(await agent.facts(signal))) {
    if (check.fix === undefined || check.state === "ok") continue;
    try {
      fixed.push({ id: check.id, did: await agent.fix(check.fix, signal) });
    } catch (error) {
      failed.push({ id: check.id, why: toApiError(error).message });
    }
  }
  return { fixed, failed, checks: diagnose(await agent.facts(signal)) };
}
