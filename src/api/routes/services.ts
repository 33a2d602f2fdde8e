/** Service addresses: look, take a container out of its services, take it back. The Services themselves are resources. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { DrainReport, DrainRequest, ServiceList } from "../schema/service.ts";
import { answers, body } from "./common.ts";

const list = createRoute({
  method: "get",
  path: "/v1/services",
  responses: answers(ServiceList, "Service addresses, and the containers that have them"),
});

const drain = createRoute({
  method: "post",
  path: "/v1/services/drain",
  request: { body: body(DrainRequest) },
  responses: answers(DrainReport, "The container gets nothing new: what this host has no other for is withdrawn"),
});

export function serviceRoutes(app: OpenAPIHono, { services }: AgentView): void {
  app.openapi(list, async (c) => c.json({ services: await services.list(c.req.raw.signal) }, 200));
  app.openapi(drain, async (c) => c.json(await services.drain(c.req.valid("json"), c.req.raw.signal), 200));
}
