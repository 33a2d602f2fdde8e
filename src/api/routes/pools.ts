/** IP pools: look, add, change, remove. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { ApiError } from "../error.ts";
import { newPool } from "../pool.ts";
import { PoolRequest, PoolView } from "../schema/pool.ts";
import { poolView, poolViews } from "../views.ts";
import { answers, body, name } from "./common.ts";

const list = createRoute({
  method: "get",
  path: "/v1/pools",
  responses: answers(z.array(PoolView), "Pools, with how much of each is used"),
});

const add = createRoute({
  method: "post",
  path: "/v1/pools",
  request: { body: body(PoolRequest) },
  responses: answers(PoolView, "The pool that was added"),
});

const remove = createRoute({
  method: "delete",
  path: "/v1/pools/{name}",
  request: { params: z.object({ name }) },
  responses: answers(PoolView, "The pool that was removed"),
});

export function poolRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(list, async (c) => {
    const { signal } = c.req.raw;
    const [snapshot, usage] = await Promise.all([agent.snapshot(signal), agent.poolUsage(signal)]);
    return c.json(poolViews(snapshot, usage), 200);
  });
  app.openapi(add, async (c) => {
    const { signal } = c.req.raw;
    const request = c.req.valid("json");
    const made = newPool(request);
    if (!made.ok) throw new ApiError("invalid", `Cannot add the pool "${request.cidr}"`, { problems: made.problems });
    const pool = await agent.addPool(made.value, signal);
    return c.json(poolView(pool, await agent.snapshot(signal), undefined), 200);
  });
  app.openapi(remove, async (c) => {
    const { signal } = c.req.raw;
    const { name } = c.req.valid("param");
    const [snapshot, usage] = await Promise.all([agent.snapshot(signal), agent.poolUsage(signal)]);
    const pool = snapshot.pools.find(({ metadata, spec }) => metadata.name === name || spec.cidr === name);
    if (pool === undefined)
      throw new ApiError("not-found", `Cannot remove the pool "${name}": there is no pool of that name or CIDR`, {
        remedy: "manx pool ls shows those there are.",
      });
    await agent.removePool(pool.metadata.name, signal);
    return c.json(poolView(pool, snapshot, usage.get(pool.metadata.name)), 200);
  });
}
