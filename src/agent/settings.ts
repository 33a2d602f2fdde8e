/** What a host was told of how to filter: by its administrator, and by the cluster's FelixConfigurations. */
import { withFelixConfiguration } from "../core/calc/felix-configuration.ts";
import type { Settings } from "../core/calc/snapshot.ts";
import type { FelixConfiguration } from "../core/model/resources.ts";
import type { Family } from "../core/net/address.ts";
import type { Originals } from "../drivers/system/sysctls.ts";
import { readSysctl } from "../drivers/system/sysctls.ts";
import type { LocalState } from "./local-state.ts";
import type { AgentOptions } from "./options.ts";

/** Whether the host forwarded before Manx came: name in the local state, kernel setting. Docker switches on IPv4's alone. */
const FORWARDING: Readonly<Record<Family, { readonly key: string; readonly path: string }>> = {
  4: { key: "forwarded-before", path: "net/ipv4/ip_forward" },
  6: { key: "forwarded-before-6", path: "net/ipv6/conf/all/forwarding" },
};

/** Those of this host with the FelixConfigurations given. Remembers which families the host forwarded before Manx came: the others it must not forward for others. */
export function hostSettings(
  { host, endpointToHost, failsafe, names, logGroup, given }: AgentOptions,
  state: Pick<LocalState, "meta" | "setMeta">,
  originals: Pick<Originals, "get">,
  read: (path: string) => string | undefined = readSysctl,
): (configurations: readonly FelixConfiguration[]) => Settings {
  const settings: Settings = {
    endpointToHost,
    guardForwarding: ([4, 6] as const).filter((family) => {
      const { key, path } = FORWARDING[family];
      const before = state.meta(key) ?? originals.get(path) ?? read(path) ?? "0";
      state.setMeta(key, before);
      return before === "0";
    }),
    failsafe,
    ...(names && { names: true }),
    ...(logGroup === undefined ? {} : { logGroup }),
  };
  return (configurations) => withFelixConfiguration(settings, given, configurations, host);
}
