/** Hosts of the cluster, and who has which addresses. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AgentView } from "../agent.ts";
import { ApiError } from "../error.ts";
import { IpamExplanation, IpamProblemView, IpamRelease, IpamView } from "../schema/ipam.ts";
import { NodeRemoval, NodeView } from "../schema/node.ts";
import { answers, name } from "./common.ts";

const subject = z.string().min(1).max(64).openapi({ description: "An address, or the CIDR of a block" });

const nodes = createRoute({
  method: "get",
  path: "/v1/nodes",
  responses: answers(z.array(NodeView), "Hosts of the cluster, by name"),
});

const node = createRoute({
  method: "get",
  path: "/v1/nodes/{name}",
  request: { params: z.object({ name }) },
  responses: answers(NodeView, "A host"),
});

const removeNode = createRoute({
  method: "delete",
  path: "/v1/nodes/{name}",
  request: { params: z.object({ name }), query: z.strictObject({ force: z.enum(["true", "false"]).optional() }) },
  responses: answers(NodeRemoval, "What was removed with the host"),
});

const ipam = createRoute({
  method: "get",
  path: "/v1/ipam",
  responses: answers(IpamView, "Pools, blocks and loans"),
});

const check = createRoute({
  method: "get",
  path: "/v1/ipam/check",
  responses: answers(z.array(IpamProblemView), "Everything that disagrees; empty: nothing does"),
});

const explain = createRoute({
  method: "get",
  path: "/v1/ipam/explain",
  request: { query: z.strictObject({ address: subject }) },
  responses: answers(IpamExplanation, "Whose the address is, and why"),
});

const release = createRoute({
  method: "post",
  path: "/v1/ipam/release",
  request: { query: z.strictObject({ subject }) },
  responses: answers(IpamRelease, "What was released"),
});

export function clusterRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(nodes, async (c) => c.json(await agent.nodes(c.req.raw.signal), 200));
  app.openapi(node, async (c) => {
    const { name: wanted } = c.req.valid("param");
    const found = (await agent.nodes(c.req.raw.signal)).find((one) => one.name === wanted);
    if (found === undefined)
      throw new ApiError("not-found", `Cannot show the host "${wanted}": the cluster has none of that name`, {
        remedy: "manx node ls shows those there are.",
      });
    return c.json(found, 200);
  });
  app.openapi(removeNode, async (c) => {
    const force = c.req.valid("query").force === "true";
    return c.json(await agent.removeNode(c.req.valid("param").name, force, c.req.raw.signal), 200);
  });
  app.openapi(ipam, async (c) => c.json(await agent.ipam(c.req.raw.signal), 200));
  app.openapi(check, async (c) => c.json([...(await agent.ipamCheck(c.req.raw.signal))], 200));
  app.openapi(explain, async (c) =>
    c.json(await agent.ipamExplain(c.req.valid("query").address, c.req.raw.signal), 200),
  );
  app.openapi(release, async (c) =>
    c.json(await agent.ipamRelease(c.req.valid("query").subject, c.req.raw.signal), 200),
  );
}
