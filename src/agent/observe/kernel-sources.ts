/** The observer's sources on a real host: NFLOG and conntrack of this namespace. */

import { KernelConntrack } from "../../drivers/conntrack/kernel-conntrack.ts";
import { messageOf } from "../../drivers/error.ts";
import { listen } from "../../drivers/nflog/nflog.ts";
import type { Health } from "../health.ts";
import type { HostNames } from "./host-names.ts";
import type { ObserverSources } from "./observer.ts";

/** Packets that are read in a second at the most: with it a flood costs a tenth of a core. */
const MAX_PACKETS = 5_000;

export function kernelSources(given: {
  readonly logGroup: number | undefined;
  readonly names: HostNames;
  readonly health: Health;
}): ObserverSources {
  const { logGroup = 0, names, health } = given;
  return {
    packets: (signal) => listen({ group: logGroup, maxPerSecond: MAX_PACKETS }, signal),
    connections: (signal) => new KernelConntrack().events(signal),
    parties: () => names.parties,
    own: () => names.own,
    hostState: () => names.hostState,
    membership: () => names.membership,
    uplink: () => names.uplink,
    interfaceName: (index) => names.interfaceName(index),
    onTrouble: (what, error) => health.set("flows-not-seen", error === undefined ? undefined : messageOf(error), what),
    now: () => Date.now(),
  };
}
