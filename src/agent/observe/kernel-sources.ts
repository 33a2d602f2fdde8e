/** The observer's sources on a real host: NFLOG and nftables of this namespace. */

import { DROP_REASONS } from "../../core/flows/kernel-drop.ts";
import { kernelDrops } from "../../drivers/drops/drops.ts";
import { messageOf } from "../../drivers/error.ts";
import { listen } from "../../drivers/nflog/nflog.ts";
import { newConnections } from "../../drivers/nftables/new-connections.ts";
import type { Health } from "../health.ts";
import type { Logger } from "../log.ts";
import type { HostNames } from "./host-names.ts";
import type { ObserverSources } from "./observer.ts";

/** Packets that are read in a second at the most: with it a flood costs a tenth of a core. */
const MAX_PACKETS = 5_000;

export function kernelSources(given: {
  readonly logGroup: number | undefined;
  readonly names: HostNames;
  readonly health: Health;
  readonly log: Logger;
  readonly trace: ObserverSources["trace"];
}): ObserverSources {
  const { logGroup = 0, names, health, log, trace } = given;
  return {
    packets: (signal) => listen({ group: logGroup, maxPerSecond: MAX_PACKETS }, signal),
    connections: (signal) => newConnections(signal),
    drops: (signal) => kernelDrops(DROP_REASONS, signal),
    trace,
    onNoDrops: (error) => log.info({ why: messageOf(error) }, "drops by others than Manx are not seen"),
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
