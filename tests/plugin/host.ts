/** What the tests of the plugin type on a host with a real engine. */
import type { Host } from "../../src/lab/host.ts";

export const CREATE = ["network", "create", "-d", "manx", "--ipam-driver", "manx"] as const;
export const SLEEPER = ["busybox", "sleep", "100000"] as const;

/** What a test that failed left must not fail the next ones. `kept` is the name of a container and a network that stay. */
export async function clearHost(host: Host, kept = ""): Promise<void> {
  const names = async (...list: readonly string[]): Promise<string[]> =>
    (await host.docker(...list)).split("\n").filter((name) => name !== "" && name !== kept);
  const containers = await names("ps", "-a", "--format", "{{.Names}}");
  if (containers.length > 0) await host.docker("rm", "-f", ...containers);
  const networks = await names("network", "ls", "--filter", "driver=manx", "--format", "{{.Name}}");
  if (networks.length > 0) await host.docker("network", "rm", ...networks);
}
