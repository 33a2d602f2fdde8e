/** Who sends and receives how much. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { TrafficView } from "../schema/traffic.ts";
import { answers } from "./common.ts";

const traffic = createRoute({
  method: "get",
  path: "/v1/traffic",
  responses: answers(TrafficView, "Counters of this host's endpoints, at one moment"),
});

export function trafficRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(traffic, async (c) => c.json(await agent.traffic(c.req.raw.signal), 200));
}
