/** What has gone through an endpoint's interface, as the kernel counts it. */
import { readFile } from "node:fs/promises";
import { ApiError } from "../api/error.ts";
import type { EndpointCounters } from "../api/schema/endpoint-policies.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";

/** What the host's side of the veth pair receives, the endpoint has sent. */
export async function counters({ local, host }: Endpoint): Promise<EndpointCounters> {
  if (local === undefined)
    throw new ApiError("refused", `Cannot count the endpoint's packets: it is on the host "${host}"`, {
      remedy: `Open the dashboard of "${host}".`,
    });
  const read = async (name: string): Promise<number> =>
    Number(await readFile(`/sys/class/net/${local.interface}/statistics/${name}`, "utf8"));
  const traffic = async (side: "rx" | "tx") => ({
    packets: await read(`${side}_packets`),
    bytes: await read(`${side}_bytes`),
    dropped: await read(`${side}_dropped`),
  });
  try {
    return { sent: await traffic("rx"), received: await traffic("tx") };
  } catch (error) {
    throw new ApiError("refused", "Cannot count the endpoint's packets: it has no interface now", { cause: error });
  }
}
