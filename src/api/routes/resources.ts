/** Resources: look at them, change them as one whole, keep a change that waits, ask why. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { streamSSE } from "hono/streaming";
import { KINDS } from "../../core/model/kinds.ts";
import type { AnyResource } from "../../core/model/resources.ts";
import type { AgentView } from "../agent.ts";
import { ApiError } from "../error.ts";
import { LiveEvent, LiveQuery } from "../schema/live.ts";
import { ChangeReport, ChangeRequest, ConfirmReport, ResourceFrame, ResourceList } from "../schema/resource.ts";
import { WhyQuery, WhyView } from "../schema/why.ts";
import { answers, body, name } from "./common.ts";
import { keptAlive } from "./stream.ts";

const kind = z.enum(KINDS.map((info) => info.kind));
const namespace = z.strictObject({ namespace: name.optional() });

const list = createRoute({
  method: "get",
  path: "/v1/resources/{kind}",
  request: { params: z.object({ kind }), query: namespace },
  responses: answers(ResourceList, "Resources of a kind, by namespace and name"),
});

const get = createRoute({
  method: "get",
  path: "/v1/resources/{kind}/{name}",
  request: { params: z.object({ kind, name }), query: namespace },
  responses: answers(ResourceFrame, "The resource"),
});

const change = createRoute({
  method: "post",
  path: "/v1/change",
  request: { body: body(ChangeRequest) },
  responses: answers(ChangeReport, "What changed, or would change"),
});

const confirm = createRoute({
  method: "post",
  path: "/v1/confirm",
  responses: answers(ConfirmReport, "The change stays"),
});

const why = createRoute({
  method: "post",
  path: "/v1/why",
  request: { body: body(WhyQuery) },
  responses: answers(WhyView, "The way of the packet and what decides about it"),
});

const live = createRoute({
  method: "post",
  path: "/v1/why/live",
  request: { body: body(LiveQuery) },
  responses: {
    ...answers(LiveEvent, "An event"),
    200: {
      description: "Server-sent events; the last is the result",
      content: { "text/event-stream": { schema: LiveEvent } },
    },
  },
});

export function resourceRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(list, async (c) => {
    const { kind } = c.req.valid("param");
    const { namespace } = c.req.valid("query");
    const { revision, items } = await agent.resources(kind, c.req.raw.signal);
    const wanted = items.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace);
    return c.json({ revision, items: wanted.toSorted(byName).map(frame) }, 200);
  });
  app.openapi(get, async (c) => {
    const { kind, name } = c.req.valid("param");
    const { namespace } = c.req.valid("query");
    const { items } = await agent.resources(kind, c.req.raw.signal);
    const found = items.find(
      ({ metadata }) => metadata.name === name && (metadata.namespace ?? "default") === (namespace ?? "default"),
    );
    if (found === undefined)
      throw new ApiError(
        "not-found",
        `Cannot get the ${kind} "${name}": there is none${namespace ? ` in "${namespace}"` : ""}`,
        {
          remedy: `manx get ${kind} shows those there are.`,
        },
      );
    return c.json(frame(found), 200);
  });
  app.openapi(change, async (c) => c.json(await agent.change(c.req.valid("json"), c.req.raw.signal), 200));
  app.openapi(confirm, async (c) => c.json(await agent.confirm(c.req.raw.signal), 200));
  app.openapi(why, async (c) => c.json(await agent.why(c.req.valid("json"), c.req.raw.signal), 200));
  app.openapi(live, async (c) => {
    const events = await agent.live(c.req.valid("json"));
    return streamSSE(c, (stream) =>
      keptAlive(stream, async (signal) => {
        for await (const event of events(signal))
          await stream.writeSSE({ event: event.kind, data: JSON.stringify(event) });
      }),
    );
  });
}

const key = ({ metadata }: AnyResource): string => `${metadata.namespace ?? ""}/${metadata.name}`;
const byName = (a: AnyResource, b: AnyResource): number => (key(a) < key(b) ? -1 : 1);

/** A frame is what every resource is; the copy has the index signature that the schema promises. */
const frame = (resource: AnyResource): ResourceFrame => ({ ...resource, metadata: { ...resource.metadata } });
