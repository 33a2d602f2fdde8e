/** What the dashboard asks beyond what the CLI does: an endpoint's policies and counters, and help for its editor. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Endpoint, Snapshot } from "../../core/calc/snapshot.ts";
import { KINDS } from "../../core/model/kinds.ts";
import type { AgentView } from "../agent.ts";
import { endpointPolicies } from "../endpoint-policies.ts";
import { ApiError } from "../error.ts";
import { EndpointCounters, EndpointPolicies } from "../schema/endpoint-policies.ts";
import type { ResourceFrame } from "../schema/resource.ts";
import { ResourceText, ValidateReport, ValidateRequest } from "../schema/validate.ts";
import { answers, body, name } from "./common.ts";

const policies = createRoute({
  method: "get",
  path: "/v1/endpoints/{id}/policies",
  request: { params: z.object({ id: name }) },
  responses: answers(EndpointPolicies, "What decides about its traffic, in order"),
});

const counters = createRoute({
  method: "get",
  path: "/v1/endpoints/{id}/counters",
  request: { params: z.object({ id: name }) },
  responses: answers(EndpointCounters, "What has gone through its interface"),
});

const validate = createRoute({
  method: "post",
  path: "/v1/validate",
  request: { body: body(ValidateRequest) },
  responses: answers(ValidateReport, "The resources of a text, and every problem with its line and column"),
});

const text = createRoute({
  method: "get",
  path: "/v1/resources/{kind}/{name}/yaml",
  request: {
    params: z.object({ kind: z.enum(KINDS.map((info) => info.kind)), name }),
    query: z.strictObject({ namespace: name.optional() }),
  },
  responses: answers(ResourceText, "The resource as YAML, to edit and apply again"),
});

export function webRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(policies, async (c) => {
    const snapshot = await agent.snapshot(c.req.raw.signal);
    return c.json(endpointPolicies(find(snapshot, c.req.valid("param").id), snapshot), 200);
  });
  app.openapi(counters, async (c) => {
    const endpoint = find(await agent.snapshot(c.req.raw.signal), c.req.valid("param").id);
    return c.json(await agent.counters(endpoint), 200);
  });
  app.openapi(validate, async (c) => {
    // The YAML parser is loaded by who edits, not by every agent.
    const { parseResources } = await import("../../core/model/parse.ts");
    const { resources, problems } = parseResources(c.req.valid("json").text, "");
    const frames = resources.map((resource): ResourceFrame => ({ ...resource, metadata: { ...resource.metadata } }));
    const places = problems.map(({ line, column, path, message }) => ({ line, column, path, message }));
    return c.json({ resources: frames, problems: places }, 200);
  });
  app.openapi(text, async (c) => {
    const { kind, name } = c.req.valid("param");
    const namespace = c.req.valid("query").namespace ?? "default";
    const { items } = await agent.resources(kind, c.req.raw.signal);
    const found = items.find(
      ({ metadata }) => metadata.name === name && (metadata.namespace ?? "default") === namespace,
    );
    if (found === undefined) throw new ApiError("not-found", `Cannot get the ${kind} "${name}": there is none`);
    const { printResource } = await import("../../core/model/print.ts");
    return c.json({ text: printResource(found) }, 200);
  });
}

function find({ endpoints }: Snapshot, id: string): Endpoint {
  const found = endpoints.find((endpoint) => endpoint.id === id);
  if (found !== undefined) return found;
  throw new ApiError("not-found", `Cannot show the endpoint "${id}": there is none`, {
    remedy: "manx ls -o wide shows those there are.",
  });
}
