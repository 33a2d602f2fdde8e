/** What was seen of packets: who with whom, what became of it, and which rule said so. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { streamSSE } from "hono/streaming";
import type { AgentView } from "../agent.ts";
import { flowFilter, flowView, isThere } from "../flow-view.ts";
import { FlowList, FlowQuery, FlowView } from "../schema/flow.ts";
import { answers } from "./common.ts";
import { keptAlive } from "./stream.ts";

const DEFAULT_LIMIT = 1_000;

const flows = createRoute({
  method: "get",
  path: "/v1/flows",
  request: { query: FlowQuery },
  responses: answers(FlowList, "Flows of the last hours, seen last first"),
});

const follow = createRoute({
  method: "get",
  path: "/v1/flows/follow",
  request: { query: FlowQuery },
  responses: {
    ...answers(z.array(FlowView), "Flows"),
    200: {
      description: "Server-sent events; data is a list of Flow, those at hand together",
      content: { "text/event-stream": { schema: z.array(FlowView) } },
    },
  },
});

export function flowRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(flows, async (c) => {
    const query = c.req.valid("query");
    const filter = flowFilter(query, Date.now());
    const report = await agent.flows(filter, query.limit ?? DEFAULT_LIMIT, c.req.raw.signal);
    const isKnown = isThere(await agent.snapshot(c.req.raw.signal));
    return c.json({ ...report, flows: report.flows.map((flow) => flowView(flow, isKnown)) }, 200);
  });
  app.openapi(follow, (c) => {
    const filter = flowFilter(c.req.valid("query"), Date.now());
    return streamSSE(c, (stream) =>
      keptAlive(stream, async (signal) => {
        for await (const batch of agent.followFlows(filter, signal))
          await stream.writeSSE({ event: "flows", data: JSON.stringify(batch.map((flow) => flowView(flow))) });
      }),
    );
  });
}
