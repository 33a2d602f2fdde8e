/** Counters of the host sides of veth pairs, turned round: what the host receives on one the container has sent. */
import type { TrafficView } from "../../api/schema/traffic.ts";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import type { Tally } from "../../core/flows/tally.ts";
import type { LinkCounters } from "../../drivers/netlink/link-counters.ts";

export function trafficView(
  endpoints: readonly Endpoint[],
  counters: readonly LinkCounters[],
  tally: Tally,
  time: number,
): TrafficView {
  const byName = new Map(counters.map((one) => [one.name, one]));
  return {
    time,
    endpoints: endpoints.flatMap(({ id, container, namespace, network, local }) => {
      const link = local === undefined ? undefined : byName.get(local.interface);
      if (link === undefined) return [];
      const name = container || id.slice(0, 12);
      return [
        {
          id,
          container: name,
          namespace,
          network,
          interface: link.name,
          sent: link.received,
          received: link.sent,
          ...tally.of(network, name),
        },
      ];
    }),
  };
}
