/** The endpoints of this host that are in force, and what concerns each of them alone: link, routes, neighbours, sources. */
import { type Family, parseAddress } from "../net/address.ts";
import { NAMES_ADDRESS } from "../rules/fixed.ts";
import type { HostPort } from "../rules/nat.ts";
import { protocolNumber } from "../rules/protocol.ts";
import type { LinkState, RouteState } from "./host-state.ts";
import { isOpenToOthers } from "./published.ts";
import type { Endpoint, LocalEndpoint, Snapshot } from "./snapshot.ts";

export type JoinedEndpoint = Endpoint & { readonly local: LocalEndpoint };

/** True for an endpoint whose interface should exist on this host. */
export function isJoined(endpoint: Endpoint, host: string): endpoint is JoinedEndpoint {
  return endpoint.host === host && endpoint.local?.joined === true;
}

/** Endpoints with the same text are interfaces of one container. */
export function containerKey({ host, container, id }: Endpoint): string {
  return container === "" ? `${host} ${id}` : `${host}/${container}`;
}

/** Its own, and those that it has together with others. */
export function allAddresses({ addresses, serviceAddresses = [] }: Endpoint): readonly string[] {
  return serviceAddresses.length === 0 ? addresses : [...addresses, ...serviceAddresses];
}

export function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

export function hasFamily(endpoint: Endpoint, family: Family): boolean {
  return endpoint.addresses.some((address) => familyOf(address) === family);
}

/** The node's own addresses, which the kernel shall prefer as source towards containers. */
export function nodeAddresses(snapshot: Snapshot): Readonly<Partial<Record<Family, string>>> {
  const node = snapshot.nodes.find(({ metadata }) => metadata.name === snapshot.host);
  const texts = [
    node?.spec.bgp?.ipv4Address,
    node?.spec.bgp?.ipv6Address,
    ...(node?.spec.addresses ?? []).map(({ address }) => address),
  ];
  const out: Partial<Record<Family, string>> = {};
  for (const text of texts) {
    const parsed = parseAddress(text?.split("/")[0] ?? "");
    if (parsed !== undefined) out[parsed.family] ??= text?.split("/")[0] ?? "";
  }
  return out;
}

export function linkState({ addresses, local }: JoinedEndpoint): LinkState {
  const { peer, mac, mtu, gatewayIndex } = local;
  const has6 = addresses.some((address) => familyOf(address) === 6);
  return { peer, peerMac: mac, mtu, ...(has6 ? { gateway6: `fe80::${gatewayIndex.toString(16)}` } : {}) };
}

/** Where containers ask for names: the gateway of each container's first network. */
export const NAMES_GATEWAY = `${NAMES_ADDRESS}/32`;

export function gatewayAddress({ local }: JoinedEndpoint): string {
  return `169.254.1.${local.gatewayIndex}/32`;
}

export function routes(
  { addresses, local }: JoinedEndpoint,
  sources: Readonly<Partial<Record<Family, string>>>,
): [string, RouteState][] {
  return addresses.map((address) => {
    const family = familyOf(address);
    const source = sources[family];
    return [
      `${family} ${address}/${family === 4 ? 32 : 128}`,
      { kind: "link", interface: local.interface, ...(source === undefined ? {} : { source }) },
    ];
  });
}

export function neighbours(endpoint: JoinedEndpoint): [string, { mac: string }][] {
  const { local } = endpoint;
  return allAddresses(endpoint).map((address) => [`${local.interface} ${address}`, { mac: local.mac }]);
}

/**
 * Kernel settings of the host's side of the veth. No reverse path filter: the source check is nftables', and a container with two
 * networks answers by the interface of its default route. Loose (2) would not do: on an interface without an IPv4 address
 * the kernel makes it strict (net/ipv4/fib_frontend.c, __fib_validate_source, no_addr).
 */
export function linkSysctls(endpoint: JoinedEndpoint): [string, string][] {
  const name = endpoint.local.interface;
  const out: [string, string][] = [];
  if (hasFamily(endpoint, 4)) out.push([`net/ipv4/conf/${name}/rp_filter`, "0"]);
  // Replies to a connection from 127.0.0.1 to a host port come back on this interface with that destination.
  if (endpoint.published.some(({ host }) => host !== undefined))
    out.push([`net/ipv4/conf/${name}/route_localnet`, "1"]);
  if (hasFamily(endpoint, 6))
    out.push([`net/ipv6/conf/${name}/accept_ra`, "0"], [`net/ipv6/conf/${name}/forwarding`, "1"]);
  return out;
}

/** Elements of the sets of sources: what the interface may send as. `addresses`: of all interfaces of the container. */
export function sourceElements({ local }: JoinedEndpoint, addresses: readonly string[], family: Family): string[] {
  return addresses
    .filter((address) => familyOf(address) === family)
    .map((address) => `${local.interface} . ${local.mac} . ${address}`);
}

/** Elements of the sets of published ports, but for those that only this host may use. */
export function publishedElements(endpoint: JoinedEndpoint, family: Family): string[] {
  return allAddresses(endpoint)
    .filter((address) => familyOf(address) === family)
    .flatMap((address) =>
      endpoint.published
        .filter(isOpenToOthers)
        .map(({ protocol, port }) => `${address} . ${protocolNumber(protocol)} . ${port}`),
    );
}

/** Host ports to translate, each under what only one endpoint can have; one a family that the endpoint has an address of. */
export function hostPorts(endpoint: JoinedEndpoint): [string, HostPort][] {
  const all = endpoint.published.flatMap(({ protocol, port, host }) => {
    if (host === undefined) return [];
    const wanted = host.address === "0.0.0.0" || host.address === "::" ? "" : host.address;
    const families: Family[] = host.address === "" ? [4, 6] : host.address.includes(":") ? [6] : [4];
    return families.flatMap((family) => {
      const address = endpoint.addresses.find((own) => familyOf(own) === family);
      if (address === undefined) return [];
      return [{ family, protocol: protocolNumber(protocol), hostAddress: wanted, hostPort: host.port, address, port }];
    });
  });
  return all.map((entry) => [[entry.family, entry.protocol, entry.hostAddress, entry.hostPort].join(), entry]);
}
