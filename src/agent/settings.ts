/** What a host was told of how to filter: by its administrator, and by the cluster's FelixConfigurations. */
import { withFelixConfiguration } from "../core/calc/felix-configuration.ts";
import type { Settings } from "../core/calc/snapshot.ts";
import type { FelixConfiguration } from "../core/model/resources.ts";
import { readSysctl } from "../drivers/system/sysctls.ts";
import type { LocalState } from "./local-state.ts";
import type { AgentOptions } from "./options.ts";

const FORWARDED_BEFORE = "forwarded-before";

/** Those of this host with the FelixConfigurations given. Remembers whether the host forwarded before Manx came: if not, it must not do so for others. */
export function hostSettings(
  { host, endpointToHost, failsafe, names, logGroup, given }: AgentOptions,
  state: Pick<LocalState, "meta" | "setMeta">,
): (configurations: readonly FelixConfiguration[]) => Settings {
  const forwardedBefore = state.meta(FORWARDED_BEFORE) ?? readSysctl("net/ipv4/ip_forward") ?? "0";
  state.setMeta(FORWARDED_BEFORE, forwardedBefore);
  const settings: Settings = {
    endpointToHost,
    guardForwarding: forwardedBefore === "0",
    failsafe,
    ...(names && { names: true }),
    ...(logGroup === undefined ? {} : { logGroup }),
  };
  return (configurations) => withFelixConfiguration(settings, given, configurations, host);
}
