/** How an agent is started. */
import { hostname } from "node:os";
import type { Settings } from "../core/calc/snapshot.ts";
import { DriverError } from "../drivers/error.ts";

export interface AgentOptions {
  /** Name of this host: of its Node. */
  readonly host: string;
  readonly stateFile: string;
  /** The API's socket. */
  readonly socket: string;
  readonly pluginSocket: string;
  readonly dockerSocket: string;
  readonly endpointToHost: Settings["endpointToHost"];
  /** Folder of passwords: NAME/KEY. */
  readonly secrets: string;
  /** Whether BGP is spoken: by a BIRD of our own, by a BIRD that the host has (it includes what we write), or not at all. */
  readonly bgp: "own" | "external" | "off";
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

const CHOICES = ["allow", "restricted", "deny"] as const;

/** Reads MANX_* variables over the defaults. @throws DriverError "invalid" */
export function agentOptions(env: Readonly<Record<string, string | undefined>> = process.env): AgentOptions {
  const endpointToHost = choice("MANX_ENDPOINT_TO_HOST", env["MANX_ENDPOINT_TO_HOST"] ?? "restricted", CHOICES);
  const host = env["MANX_HOST"] ?? hostname();
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(host)) {
    throw new DriverError("invalid", `Cannot start: "${host}" is no host name. Set MANX_HOST`);
  }
  return {
    host: host.toLowerCase(),
    stateFile: env["MANX_STATE_FILE"] ?? "/var/lib/manx/manx.db",
    socket: env["MANX_SOCKET"] ?? "/run/manx/manx.sock",
    pluginSocket: env["MANX_PLUGIN_SOCKET"] ?? "/run/docker/plugins/manx.sock",
    dockerSocket: env["MANX_DOCKER_SOCKET"] ?? "/var/run/docker.sock",
    endpointToHost,
    secrets: env["MANX_SECRETS"] ?? "/etc/manx/secrets",
    bgp: choice("MANX_BGP", env["MANX_BGP"], ["own", "external", "off"]),
    logLevel: (["debug", "info", "warn", "error"] as const).find((level) => level === env["MANX_LOG_LEVEL"]) ?? "info",
  };
}

/** The first is the default. */
function choice<T extends string>(name: string, value: string | undefined, choices: readonly [T, ...T[]]): T {
  const found = choices.find((one) => one === (value ?? choices[0]));
  if (found === undefined)
    throw new DriverError("invalid", `Cannot start: ${name} is "${value ?? ""}", not ${choices.join(", ")}`);
  return found;
}
