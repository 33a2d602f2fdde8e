/** BGP: sessions, routes, differences; resetting a session; what the other side needs. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import {
  BgpDifference,
  BgpOtherSide,
  BgpReset,
  BgpResetReport,
  BgpRouteQuery,
  BgpRoutes,
  BgpView,
} from "../schema/bgp.ts";
import { answers, body, name } from "./common.ts";

const status = createRoute({
  method: "get",
  path: "/v1/bgp",
  request: { query: z.strictObject({ probe: z.enum(["true", "false"]).optional() }) },
  responses: answers(BgpView, "Sessions of this host, in plain words"),
});

const routes = createRoute({
  method: "get",
  path: "/v1/bgp/routes",
  request: { query: BgpRouteQuery },
  responses: answers(BgpRoutes, "What peers say and what is said to them"),
});

const diff = createRoute({
  method: "get",
  path: "/v1/bgp/diff",
  responses: answers(z.array(BgpDifference), "Where BGP is not as the resources say; empty: nowhere"),
});

const reset = createRoute({
  method: "post",
  path: "/v1/bgp/reset",
  request: { body: body(BgpReset) },
  responses: answers(BgpResetReport, "The sessions that were reset"),
});

const otherSide = createRoute({
  method: "get",
  path: "/v1/bgp/other-side/{name}",
  request: { params: z.object({ name }) },
  responses: answers(BgpOtherSide, "What the router has to know"),
});

export function bgpRoutes(app: OpenAPIHono, { bgp }: AgentView): void {
  app.openapi(status, async (c) => {
    const { probe } = c.req.valid("query");
    return c.json(await bgp.status({ probe: probe === "true" }, c.req.raw.signal), 200);
  });
  app.openapi(routes, async (c) => c.json(await bgp.routes(c.req.valid("query")), 200));
  app.openapi(diff, async (c) => c.json([...(await bgp.diff())], 200));
  app.openapi(reset, async (c) => c.json(await bgp.reset(c.req.valid("json")), 200));
  app.openapi(otherSide, async (c) => c.json(await bgp.otherSide(c.req.valid("param").name), 200));
}
