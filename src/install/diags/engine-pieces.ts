/** What Docker says, and what of it must not leave: environments of containers are read for their secrets alone. */
import { EngineHttp } from "../../drivers/docker/http.ts";
import type { Piece } from "./collect.ts";
import { looksSecret, namesSecret, type Redactor } from "./redact.ts";

const MOST_CONTAINERS = 300;
const TIMEOUT = 5_000;

type Json = Readonly<Record<string, unknown>>;

export function enginePieces(socketPath: string, redactor: Redactor): Piece[] {
  const get = async (path: string): Promise<unknown> => {
    await using http = new EngineHttp({ socketPath, timeout: TIMEOUT });
    return await http.json({ method: "GET", path, what: `ask Docker for ${path}` });
  };
  return [
    { path: "docker/version.json", what: "Docker's version", make: async () => ({ data: await get("/version") }) },
    { path: "docker/info.json", what: "Docker's settings", make: async () => ({ data: await get("/info") }) },
    { path: "docker/networks.json", what: "Docker's networks", make: async () => ({ data: await get("/networks") }) },
    {
      path: "docker/containers.json",
      what: "containers, without their environment and command",
      make: async (signal) => ({ data: await containers(get, redactor, signal) }),
    },
  ];
}

async function containers(
  get: (path: string) => Promise<unknown>,
  redactor: Redactor,
  signal: AbortSignal,
): Promise<unknown[]> {
  const list = (await get("/containers/json?all=1")) as readonly Json[];
  const out: unknown[] = [];
  for (const { Id } of list.slice(0, MOST_CONTAINERS)) {
    signal.throwIfAborted();
    // One that Docker is at work on does not answer: its line says so.
    const details = await get(`/containers/${String(Id)}/json`).catch((error: unknown) => ({
      Id,
      error: String(error),
    }));
    out.push(shown(details as Json, redactor));
  }
  return out;
}

function shown(details: Json, redactor: Redactor): Json {
  const { Id, Name, Image, Created, State, RestartCount, NetworkSettings, error } = details;
  const config = (details["Config"] ?? {}) as { Env?: readonly string[]; Labels?: Json; Image?: string };
  const host = (details["HostConfig"] ?? {}) as Json;
  for (const line of config.Env ?? []) {
    const at = line.indexOf("=");
    const [name, value] = [line.slice(0, at), line.slice(at + 1)];
    if (namesSecret(name) || looksSecret(value)) redactor.learn(value);
  }
  const { NetworkMode, PortBindings, Dns, ExtraHosts, Sysctls, CapAdd, RestartPolicy } = host;
  return {
    Id,
    Name,
    Image: config.Image ?? Image,
    Created,
    State,
    RestartCount,
    NetworkSettings,
    Labels: config.Labels,
    Variables: (config.Env ?? []).map((line) => line.split("=")[0]),
    HostConfig: { NetworkMode, PortBindings, Dns, ExtraHosts, Sysctls, CapAdd, RestartPolicy },
    error,
  };
}
