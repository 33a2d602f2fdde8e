/**
 * The agent's HTTP API: what the CLI, the dashboard and other programs speak. The same zod schemas check what comes in,
 * type what goes out, and make the OpenAPI 3.1 document at /openapi.json.
 *
 * It keeps nothing of its own and decides nothing: facts come from `AgentView`, views are pure functions of them. Whoever may
 * open the socket may administer the host, so there is no login here; the socket's mode is the lock (server.ts). On TCP the
 * dashboard's server stands in front of it (src/web), and asks for a token.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import type { AgentView } from "./agent.ts";
import { ApiError, HTTP_STATUS } from "./error.ts";
import { bgpRoutes } from "./routes/bgp.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { toApiError } from "./routes/common.ts";
import { doctorRoutes } from "./routes/doctor.ts";
import { flowRoutes } from "./routes/flows.ts";
import { lanRoutes } from "./routes/lan.ts";
import { metricRoutes } from "./routes/metrics.ts";
import { observeRoutes } from "./routes/observe.ts";
import { poolRoutes } from "./routes/pools.ts";
import { resourceRoutes } from "./routes/resources.ts";
import { serviceRoutes } from "./routes/services.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { trafficRoutes } from "./routes/traffic.ts";
import { uiRoutes } from "./routes/ui.ts";
import { webRoutes } from "./routes/web.ts";

/** Bytes of a request's body: 10,000 policies of a usual size fit ten times. */
const BODY_LIMIT = 64 * 1024 * 1024;

export interface AppOptions {
  /** Without what hands out the dashboard's token. */
  readonly overTcp?: boolean;
}

export function createApp(
  agent: AgentView,
  onInternalError: (error: unknown) => void = () => {},
  { overTcp = false }: AppOptions = {},
): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return;
      const problems = result.error.issues.map(({ path, message }) => ({ path: formatPath(path), message }));
      throw new ApiError("invalid", `Cannot read the request's ${result.target}`, { problems });
    },
  });
  app.use(
    bodyLimit({
      maxSize: BODY_LIMIT,
      onError: () => {
        throw new ApiError("invalid", `Cannot read the request: its body is larger than ${BODY_LIMIT} bytes`);
      },
    }),
  );
  observeRoutes(app, agent);
  flowRoutes(app, agent);
  metricRoutes(app, agent);
  poolRoutes(app, agent);
  clusterRoutes(app, agent);
  doctorRoutes(app, agent);
  resourceRoutes(app, agent);
  bgpRoutes(app, agent);
  lanRoutes(app, agent);
  serviceRoutes(app, agent);
  tokenRoutes(app, agent);
  webRoutes(app, agent);
  if (!overTcp) uiRoutes(app, agent);
  trafficRoutes(app, agent);
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Manx agent", version: "1", description: "On /run/manx/manx.sock. Errors have the schema Error." },
  });
  app.notFound((c) => {
    const error = new ApiError("not-found", `Cannot ${c.req.method} "${c.req.path}": the API has no such path`, {
      remedy: "GET /openapi.json lists what it has.",
    });
    return c.json(error.toBody(), HTTP_STATUS[error.code]);
  });
  app.onError((thrown, c) => {
    const error = isMalformedJson(thrown)
      ? new ApiError("invalid", "Cannot read the request's body: it is not JSON")
      : toApiError(thrown);
    if (error.code === "internal") onInternalError(thrown);
    return c.json(error.toBody(), HTTP_STATUS[error.code]);
  });
  return app;
}

/** Hono reports a body that is not JSON as an HTTPException with status 400. */
function isMalformedJson(thrown: unknown): boolean {
  return thrown instanceof Error && "status" in thrown && thrown.status === 400;
}

/** `["spec", "ports", 1]` as `spec.ports[1]`. */
function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
}
