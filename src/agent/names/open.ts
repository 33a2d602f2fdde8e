/** Connects names with the rest of the agent: the host's resolvers, who is near, and the conditions that people see. */
import { hostResolvers } from "../../drivers/dns/resolv-conf.ts";
import type { Inspector } from "../../drivers/docker/inspect.ts";
import { DriverError, messageOf } from "../../drivers/error.ts";
import { usersOwnDns } from "../../install/docker-dns.ts";
import type { Health } from "../health.ts";
import type { HostNetwork } from "../host-network.ts";
import type { Kernel } from "../kernel.ts";
import type { LocalState } from "../local-state.ts";
import { Aliases } from "./aliases.ts";
import { NameService } from "./name-service.ts";

/** Milliseconds that the host's resolvers are believed to be the same. */
const OLD = 1_000;

interface NameSources {
  readonly hostNetwork: HostNetwork;
  readonly kernel: Pick<Kernel, "rtnetlink">;
  readonly health: Health;
}

export function openNames({ hostNetwork, kernel, health }: NameSources): NameService {
  let resolvers: { readonly at: number; readonly servers: Promise<readonly string[]> } | undefined;
  return new NameService({
    resolvers: () => {
      const now = performance.now();
      if (resolvers === undefined || now - resolvers.at > OLD) resolvers = { at: now, servers: readResolvers() };
      return resolvers.servers;
    },
    isNear: (address) => {
      const { hostAddresses, interfaceTo, uplink } = hostNetwork.surroundings;
      if (hostAddresses.includes(address)) return true;
      const name = interfaceTo?.(address);
      // Docker's other networks are bridges. Whoever is on the LAN has no business here.
      return name !== undefined && name !== uplink && kernel.rtnetlink.link(name)?.kind === "bridge";
    },
    onOutcome: (error) => {
      const notYet = error instanceof DriverError && error.code === "not-found"; // the next step of the loop tries again
      const why = error === undefined ? undefined : messageOf(error);
      if (!notYet) health.set("names-not-answered", why);
    },
  });
}

/** Whom Docker would have asked: those that the user has named for it, or the host's. */
async function readResolvers(): Promise<readonly string[]> {
  const own = await usersOwnDns();
  return own.length > 0 ? own : hostResolvers();
}

export function openAliases(sources: {
  readonly state: LocalState;
  readonly inspector: Inspector;
  readonly health: Health;
}): Aliases {
  const { state, inspector, health } = sources;
  return new Aliases({
    state,
    inspect: inspector.inspect,
    onOutcome: (why) => health.set("aliases-unknown", why),
  });
}
