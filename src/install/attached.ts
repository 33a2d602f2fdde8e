/** Docker's networks of the driver manx, and what hangs on them, by stock Docker commands: the agent may be gone. */
import { mustRun, run } from "../drivers/exec.ts";
import { answers, DOCKER_SOCKET } from "./service.ts";

export interface AttachedNetwork {
  readonly id: string;
  readonly name: string;
  /** Names of containers that run with it. */
  readonly containers: readonly string[];
}

export interface DockerState {
  readonly running: boolean;
  /** Of the driver manx. */
  readonly networks: readonly AttachedNetwork[];
  /** Another network has IPv6, so Docker needs IPv6 forwarding. */
  readonly needsIpv6Forwarding: boolean;
}

interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly EnableIPv6: boolean;
  readonly Containers?: Readonly<Record<string, { readonly Name?: string }>> | null;
}

export async function dockerState(): Promise<DockerState> {
  if (!(await answers(DOCKER_SOCKET))) return { running: false, networks: [], needsIpv6Forwarding: false };
  const ids = (await mustRun(["docker", "network", "ls", "-q", "--no-trunc"])).split("\n").filter((id) => id !== "");
  const inspected = ids.length === 0 ? "[]" : await mustRun(["docker", "network", "inspect", ...ids]);
  const all = JSON.parse(inspected) as Inspected[];
  return {
    running: true,
    networks: all.filter(({ Driver }) => Driver === "manx").map(attached),
    needsIpv6Forwarding: all.some(({ Driver, EnableIPv6 }) => Driver !== "manx" && EnableIPv6),
  };
}

function attached({ Id, Name, Containers }: Inspected): AttachedNetwork {
  const containers = Object.values(Containers ?? {}).map(({ Name: name }) => name ?? "");
  return { id: Id, name: Name, containers: containers.filter((name) => name !== "").sort() };
}

/** Takes every container off the networks and removes them. Docker waits up to 75 s for a driver that is gone. */
export async function detach(networks: readonly AttachedNetwork[], progress: (text: string) => void): Promise<void> {
  for (const { id, name, containers } of networks) {
    for (const container of containers) {
      progress(`docker network disconnect -f ${name} ${container}`);
      // It may have ended meanwhile; what counts is whether the network can be removed.
      await run(["docker", "network", "disconnect", "-f", id, container], { timeoutMs: 120_000 });
    }
    progress(`docker network rm ${name}`);
    await mustRun(["docker", "network", "rm", id], { timeoutMs: 180_000 });
  }
}
