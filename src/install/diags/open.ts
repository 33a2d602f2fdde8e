/** The archive of this very host: where everything lies on it. */
import { dirname, join } from "node:path";
import { CONFIG_FILE, readConfig } from "../../agent/config-file.ts";
import type { AgentClient } from "../../api/client.ts";
import { agentPieces, hostPieces, logPieces } from "./collect.ts";
import { type DiagsReport, writeDiags } from "./diags.ts";
import { enginePieces } from "./engine-pieces.ts";
import { Redactor } from "./redact.ts";
import { learnFile, learnFiles } from "./secrets.ts";

export interface HostDiagsOptions {
  readonly agent: AgentClient;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly socket: string;
  readonly file: string;
  readonly signal: AbortSignal;
  readonly onPiece?: (what: string) => void;
}

/** @throws DriverError if the archive cannot be written */
export async function hostDiags({ agent, env, socket, file, signal, onPiece }: HostDiagsOptions): Promise<DiagsReport> {
  const configFile = env["MANX_CONFIG"] ?? CONFIG_FILE;
  const config: Awaited<ReturnType<typeof readConfig>> = await readConfig(configFile).catch(() => ({}));
  const redactor = new Redactor();
  await learnFiles([env["MANX_SECRETS"] ?? config.secrets ?? "/etc/manx/secrets"], redactor);
  const { keyFile, passwordFile } = config.store?.etcd ?? {};
  for (const path of [keyFile, passwordFile, env["MANX_STORE_KEY_FILE"], env["MANX_STORE_PASSWORD_FILE"]])
    if (path !== undefined) await learnFile(path, redactor);
  for (const [name, value] of Object.entries(env))
    if (/^MANX_.*(PASSWORD|TOKEN|SECRET)$/.test(name)) redactor.learn(value ?? "");
  const places = { agentLog: "/var/log/manx/agent.log", bird: join(dirname(socket), "bird"), config: configFile };
  const dockerSocket = env["MANX_DOCKER_SOCKET"] ?? config.dockerSocket ?? "/var/run/docker.sock";
  const pieces = [
    ...agentPieces(agent),
    ...hostPieces(),
    ...logPieces(places),
    ...enginePieces(dockerSocket, redactor),
  ];
  return writeDiags({ pieces, redactor, file, signal, ...(onPiece !== undefined && { onPiece }) });
}
