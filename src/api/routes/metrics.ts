/** Numbers for Prometheus, and the two questions of whoever restarts what does not answer. Without a version: others fix the paths. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { Health, Readiness } from "../schema/metrics.ts";
import { answers } from "./common.ts";

const TEXT = "text/plain; version=0.0.4; charset=utf-8";

const metrics = createRoute({
  method: "get",
  path: "/metrics",
  responses: {
    ...answers(z.string(), "Metrics"),
    200: { description: "Prometheus' text format", content: { "text/plain": { schema: z.string() } } },
  },
});

const healthz = createRoute({
  method: "get",
  path: "/healthz",
  responses: answers(Health, "The agent lives and answers"),
});

const readyz = createRoute({
  method: "get",
  path: "/readyz",
  responses: {
    ...answers(Readiness, "Ready"),
    503: { description: "Not ready", content: { "application/json": { schema: Readiness } } },
  },
});

export function metricRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(metrics, async (c) => c.text(await agent.metrics(c.req.raw.signal), 200, { "content-type": TEXT }));
  app.openapi(healthz, (c) => {
    const uptime = Math.max(0, (Date.now() - agent.startedAt) / 1000);
    return c.json({ status: "ok" as const, uptime }, 200);
  });
  app.openapi(readyz, async (c) => {
    const readiness = await agent.readiness();
    return readiness.ready ? c.json(readiness, 200) : c.json(readiness, 503);
  });
}
