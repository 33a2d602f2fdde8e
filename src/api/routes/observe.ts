/** What can be looked at: version, status, endpoints, networks, and the stream of changes. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { streamSSE } from "hono/streaming";
import type { AgentView } from "../agent.ts";
import { ApiError } from "../error.ts";
import { EndpointView } from "../schema/endpoint.ts";
import { NetworkDetail, NetworkView } from "../schema/network.ts";
import { StatusView, VersionView } from "../schema/status.ts";
import { AgentEvent, TOPICS } from "../schema/watch.ts";
import { surroundings } from "../surroundings.ts";
import { endpointViews, networkDetail, networkViews, statusView } from "../views.ts";
import { answers, name } from "./common.ts";
import { keptAlive } from "./stream.ts";

const version = createRoute({
  method: "get",
  path: "/v1/version",
  responses: answers(VersionView, "Versions of the agent and of what it stands on"),
});

const status = createRoute({
  method: "get",
  path: "/v1/status",
  responses: answers(StatusView, "Health of each part"),
});

const endpoints = createRoute({
  method: "get",
  path: "/v1/endpoints",
  request: { query: z.strictObject({ network: name.optional(), container: name.optional(), host: name.optional() }) },
  responses: answers(z.array(EndpointView), "Endpoints of all hosts, by network and container"),
});

const networks = createRoute({
  method: "get",
  path: "/v1/networks",
  responses: answers(z.array(NetworkView), "Networks of the driver manx"),
});

const network = createRoute({
  method: "get",
  path: "/v1/networks/{name}",
  request: { params: z.object({ name }) },
  responses: answers(NetworkDetail, "A network and its endpoints"),
});

const watch = createRoute({
  method: "get",
  path: "/v1/watch",
  request: {
    query: z.strictObject({
      topics: z
        .string()
        .max(256)
        .optional()
        .openapi({ description: `Comma-separated: ${TOPICS.join(", ")}` }),
    }),
  },
  responses: {
    ...answers(AgentEvent, "An event"),
    200: {
      description: "Server-sent events; data is an AgentEvent",
      content: { "text/event-stream": { schema: AgentEvent } },
    },
  },
});

export function observeRoutes(app: OpenAPIHono, agent: AgentView): void {
  app.openapi(version, async (c) => c.json(await agent.version(c.req.raw.signal), 200));
  app.openapi(status, async (c) => c.json(await statusView(agent, c.req.raw.signal), 200));
  app.openapi(endpoints, async (c) => {
    const query = c.req.valid("query");
    const all = endpointViews(await surroundings(agent, c.req.raw.signal));
    const wanted = all.filter(
      (endpoint) =>
        (query.network === undefined || endpoint.network === query.network) &&
        (query.container === undefined || endpoint.container === query.container) &&
        (query.host === undefined || endpoint.host === query.host),
    );
    return c.json(wanted, 200);
  });
  app.openapi(networks, async (c) => c.json(networkViews(await agent.snapshot(c.req.raw.signal)), 200));
  app.openapi(network, async (c) => {
    const { name } = c.req.valid("param");
    const detail = networkDetail(name, await surroundings(agent, c.req.raw.signal));
    if (detail === undefined)
      throw new ApiError("not-found", `Cannot show the network "${name}": there is no Manx network of that name`, {
        remedy: "manx network ls shows those there are.",
      });
    return c.json(detail, 200);
  });
  app.openapi(watch, (c) => {
    const topics = parseTopics(c.req.valid("query").topics);
    return streamSSE(c, (stream) =>
      keptAlive(stream, async (signal) => {
        for await (const event of agent.watch(signal))
          if (topics.has(event.topic)) await stream.writeSSE({ event: event.topic, data: JSON.stringify(event) });
      }),
    );
  });
}

function parseTopics(text: string | undefined): ReadonlySet<string> {
  const asked = text === undefined ? [...TOPICS] : text.split(",").map((topic) => topic.trim());
  const wrong = asked.filter((topic) => !TOPICS.some((known) => known === topic));
  if (wrong.length > 0)
    throw new ApiError("invalid", "Cannot watch: unknown topic", {
      problems: wrong.map((topic) => ({ path: "topics", message: `"${topic}" is not one of ${TOPICS.join(", ")}` })),
    });
  return new Set(asked);
}
