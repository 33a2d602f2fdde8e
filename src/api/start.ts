/** How the agent and Docker are started on this host, as remedies say it. */
import { join } from "node:path";

const QUICKSTART = join(import.meta.dirname, "../../quickstart");

/** The command to type. Without systemd it is quickstart that starts what does not run, the agent below its supervisor. */
export function startCommand(systemd: boolean, unit: "manx" | "docker" = "manx"): string {
  return systemd ? `systemctl start ${unit}` : `${QUICKSTART} --no-demo`;
}
