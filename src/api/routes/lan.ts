/** Containers on the LAN by their own address, without a router that speaks BGP. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { LanRequest, LanView } from "../schema/lan.ts";
import { answers, body } from "./common.ts";

const status = createRoute({
  method: "get",
  path: "/v1/lan",
  responses: answers(LanView, "LAN pools, and what this host answers for"),
});

const enable = createRoute({
  method: "post",
  path: "/v1/lan",
  request: { body: body(LanRequest) },
  responses: answers(LanView, "LAN pools, the new ones among them"),
});

const disable = createRoute({
  method: "delete",
  path: "/v1/lan",
  responses: answers(LanView, "LAN pools that were removed"),
});

export function lanRoutes(app: OpenAPIHono, { lan }: AgentView): void {
  app.openapi(status, async (c) => c.json(await lan.status(c.req.raw.signal), 200));
  app.openapi(enable, async (c) => c.json(await lan.enable(c.req.valid("json"), c.req.raw.signal), 200));
  app.openapi(disable, async (c) => c.json(await lan.disable(c.req.raw.signal), 200));
}
