/**
 * What a FelixConfiguration says about a host, for what Manx has of Felix' settings. Of two that say something the host's own
 * (`node.NAME`) wins over `default`, and what this host's administrator gave the agent itself wins over both (felix/config,
 * sources in their order).
 */
import type { FelixConfiguration, HostPort } from "../model/resources.ts";
import { cidr, formatCidr } from "../net/cidr.ts";
import { DEFAULT_FAILSAFE, type FailsafePort } from "../rules/failsafe.ts";
import type { Settings } from "./snapshot.ts";

export type FelixSetting = "endpointToHost" | "inbound" | "outbound";

/** @param given settings that the agent was started with: no resource changes them */
export function withFelixConfiguration(
  settings: Settings,
  given: ReadonlySet<FelixSetting>,
  configurations: readonly FelixConfiguration[],
  host: string,
): Settings {
  const ofHost = configurations.find(({ metadata }) => metadata.name === `node.${host}`)?.spec;
  const ofAll = configurations.find(({ metadata }) => metadata.name === "default")?.spec;
  if (ofHost === undefined && ofAll === undefined) return settings;
  const spec = { ...ofAll, ...ofHost };
  const said = <T>(setting: FelixSetting, value: T | undefined): T | undefined =>
    given.has(setting) ? undefined : value;
  const action = said("endpointToHost", spec.defaultEndpointToHostAction);
  const { inbound, outbound } = settings.failsafe ?? DEFAULT_FAILSAFE;
  return {
    ...settings,
    // An accept of ours ends our own chain only: the host's other rules are asked all the same, which is Calico's Return.
    ...(action !== undefined && { endpointToHost: action === "Drop" ? "deny" : "allow" }),
    failsafe: {
      inbound: said("inbound", spec.failsafeInboundHostPorts?.map(toFailsafePort)) ?? inbound,
      outbound: said("outbound", spec.failsafeOutboundHostPorts?.map(toFailsafePort)) ?? outbound,
    },
  };
}

const PROTOCOLS = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

function toFailsafePort({ protocol, port, net }: HostPort): FailsafePort {
  return { protocol: PROTOCOLS[protocol], port, ...(net !== undefined && { net: formatCidr(cidr(net)) }) };
}
