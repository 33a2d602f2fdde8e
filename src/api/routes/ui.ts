/** Where the dashboard is and what lets in: on the unix socket only, where the kernel has asked for root already. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { UiView } from "../schema/ui.ts";
import { answers } from "./common.ts";

const show = createRoute({
  method: "get",
  path: "/v1/ui",
  responses: answers(UiView, "Where the dashboard is, with what lets in"),
});

const renew = createRoute({
  method: "post",
  path: "/v1/ui/renew",
  responses: answers(UiView, "A new token; whoever was logged in is not any more"),
});

export function uiRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(show, async (c) => c.json(await agent.ui({ renew: false }), 200));
  app.openapi(renew, async (c) => c.json(await agent.ui({ renew: true }), 200));
}
