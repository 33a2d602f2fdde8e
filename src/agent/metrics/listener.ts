/** A listener for Prometheus alone: three paths, no login, nothing that changes anything. Off unless an address is configured. */
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { AgentView } from "../../api/agent.ts";
import { metricRoutes } from "../../api/routes/metrics.ts";
import type { ListenAddress } from "../../core/net/listen-address.ts";
import { DriverError } from "../../drivers/error.ts";

const MOST_CONNECTIONS = 32;

/** @throws DriverError "unavailable" if the address cannot be listened on */
export async function serveMetrics(
  agent: AgentView,
  { address, port }: ListenAddress,
  onError: (error: unknown) => void,
): Promise<AsyncDisposable> {
  const app = new OpenAPIHono();
  metricRoutes(app, agent);
  app.onError((error, c) => {
    onError(error);
    return c.text("Cannot tell: see the agent's log\n", 500);
  });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.requestTimeout = 10_000;
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new DriverError("unavailable", `Cannot serve metrics on ${address} port ${port}: ${error.message}`, error),
      ),
    );
    server.listen({ host: address, port }, resolve);
  });
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
