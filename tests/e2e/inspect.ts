/**
 * What an engine says of a container, asked over its socket: the same answer as `docker inspect`, which would cost a process and a tenth
 * of a second of a core, a thousand times over all tests.
 */
import { EngineHttp } from "../../src/drivers/docker/http.ts";
import type { Host } from "../../src/lab/host.ts";

export interface ContainerView {
  /** As the host numbers it; 0: it does not run. */
  readonly pid: number;
  /** By network name; an address that it does not have is empty. */
  readonly networks: ReadonlyMap<string, { readonly ipv4: string; readonly ipv6: string; readonly mac: string }>;
}

interface Details {
  readonly State: { readonly Pid: number };
  readonly NetworkSettings: {
    readonly Networks: Readonly<
      Record<string, { readonly IPAddress: string; readonly GlobalIPv6Address: string; readonly MacAddress: string }>
    >;
  };
}

/** @throws DriverError where there is no such container, or no engine */
export async function inspect(host: Host, container: string): Promise<ContainerView> {
  await using http = new EngineHttp({ socketPath: host.path("/run/docker.sock"), timeout: 180_000 });
  const path = `/containers/${encodeURIComponent(container)}/json`;
  const details = (await http.json({ method: "GET", path, what: `inspect "${container}"` })) as Details;
  const networks = Object.entries(details.NetworkSettings.Networks).map(
    ([name, { IPAddress, GlobalIPv6Address, MacAddress }]) =>
      [name, { ipv4: IPAddress, ipv6: GlobalIPv6Address, mac: MacAddress }] as const,
  );
  return { pid: details.State.Pid, networks: new Map(networks) };
}
