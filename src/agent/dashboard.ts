/** The dashboard of this agent, as its options say. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AgentView } from "../api/agent.ts";
import { createApp } from "../api/app.ts";
import type { UiView } from "../api/schema/ui.ts";
import { Dashboard } from "../web/dashboard.ts";
import type { Agent } from "./agent.ts";
import { readSecret } from "./secret-file.ts";

/** Undefined where it is switched off. @throws DriverError where a certificate or key cannot be read */
export async function openDashboard(
  { options, health }: Agent,
  view: AgentView,
  onInternalError: (error: unknown) => void,
): Promise<Dashboard | undefined> {
  const { ui, stateFile } = options;
  if (ui === undefined) return undefined;
  const { certFile, keyFile, address, names } = ui;
  const tls =
    certFile === undefined || keyFile === undefined
      ? undefined
      : { cert: await readFile(certFile, "utf8"), key: await readSecret(keyFile) };
  return Dashboard.open(
    {
      address,
      names,
      tokenFile: join(dirname(stateFile), "ui-token"),
      onTrouble: (why) => health.set("dashboard-not-served", why),
      ...(tls !== undefined && { tls }),
    },
    createApp(view, onInternalError, { overTcp: true }),
  );
}

export async function uiView(dashboard: Dashboard | undefined, renew: boolean): Promise<UiView> {
  if (dashboard === undefined) return { state: "off", why: "MANX_UI is off" };
  if (renew) await dashboard.renew();
  return dashboard.view();
}
