/** Runs an agent until it is told to stop: the program behind `manx agent`. */
import { createApp } from "../api/app.ts";
import { serve } from "../api/server.ts";
import { notify } from "../drivers/system/notify.ts";
import type { Dashboard } from "../web/dashboard.ts";
import { startAgent } from "./agent.ts";
import { openDashboard } from "./dashboard.ts";
import { openLog } from "./log.ts";
import { serveMetrics } from "./metrics/listener.ts";
import type { AgentOptions } from "./options.ts";
import { openSharedStore } from "./shared-store.ts";
import { agentView } from "./view.ts";

export { loadAgentOptions } from "./options.ts";

/** Resolves with the exit status once the agent has stopped. @throws DriverError, ApiError where it cannot start */
export async function runAgent(options: AgentOptions): Promise<number> {
  const log = openLog(options.logLevel);
  const stop = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
  const shared = options.etcd === undefined ? undefined : await openSharedStore(options.etcd);
  const agent = await Promise.race([startAgent(options, log, shared), stop.then(() => undefined)]);
  if (agent === undefined) {
    log.info("the agent was told to stop before it was ready");
    process.exit(0); // a start may wait for a store or an engine; whatever it began, the next one finds
  }
  await using stack = new AsyncDisposableStack();
  stack.use(agent);
  const onInternalError = (error: unknown): void => log.error({ err: error }, "a request failed unexpectedly");
  let dashboard: Dashboard | undefined;
  const view = agentView(agent, () => dashboard);
  stack.use(await serve(createApp(view, onInternalError), options.socket));
  dashboard = await openDashboard(agent, view, onInternalError);
  if (dashboard !== undefined) stack.use(dashboard);
  if (options.metrics !== undefined)
    stack.use(await serveMetrics(view, options.metrics, (error) => log.error({ err: error }, "a scrape failed")));
  await notify("READY=1");
  log.info({ host: options.host, pid: process.pid }, "the agent is ready");
  const signal = await stop;
  await notify("STOPPING=1");
  log.info({ signal }, "the agent stops; containers keep their traffic");
  return 0;
}
