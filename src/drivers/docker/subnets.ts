import type { EngineNetwork, EnginePool } from "./values.ts";

/** Without `--ipv6` Docker keeps an IPv6 `--subnet` in what it shows, tells no driver of it, and makes the network without. */
export function isIgnored({ enableIPv4, enableIPv6 }: EngineNetwork, { subnet }: EnginePool): boolean {
  return subnet.includes(":") ? !enableIPv6 : !enableIPv4;
}

/** `NETWORK: SUBNET` of all that Docker ignores. */
export function ignoredSubnets(networks: readonly EngineNetwork[]): string[] {
  return networks.flatMap((network) =>
    network.ipamConfig.filter((pool) => isIgnored(network, pool)).map(({ subnet }) => `${network.name}: ${subnet}`),
  );
}
