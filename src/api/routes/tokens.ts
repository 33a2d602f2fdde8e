/** Tokens that let hosts in: make, look, remove. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { NewToken, TokenRequest, TokenView } from "../schema/token.ts";
import { answers, body } from "./common.ts";

const id = z.string().min(1).max(64);

const list = createRoute({
  method: "get",
  path: "/v1/tokens",
  responses: answers(z.array(TokenView), "Tokens, without their secrets"),
});

const create = createRoute({
  method: "post",
  path: "/v1/tokens",
  request: { body: body(TokenRequest) },
  responses: answers(NewToken, "The token, and the line that has its secret"),
});

const remove = createRoute({
  method: "delete",
  path: "/v1/tokens/{id}",
  request: { params: z.object({ id }) },
  responses: answers(z.object({ id }), "The token that was removed"),
});

export function tokenRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(list, async (c) => c.json([...(await agent.tokens(c.req.raw.signal))], 200));
  app.openapi(create, async (c) => c.json(await agent.createToken(c.req.valid("json"), c.req.raw.signal), 200));
  app.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    await agent.removeToken(id, c.req.raw.signal);
    return c.json({ id }, 200);
  });
}
