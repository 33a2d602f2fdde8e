/** The agent's facts, arranged as the API shows them. Pure; lists come sorted, so that two listings can be compared. */
import { activeHostEndpoints } from "../core/calc/host-endpoints.ts";
import type { Endpoint, Snapshot } from "../core/calc/snapshot.ts";
import type { IPPool, Network } from "../core/model/resources.ts";
import { covers, parseCidr, size } from "../core/net/cidr.ts";
import { DEFAULT_FAILSAFE, formatFailsafePort } from "../core/rules/failsafe.ts";
import type { AgentView, PoolUsage } from "./agent.ts";
import { outgoing, reachability, type Surroundings } from "./reachability.ts";
import type { EndpointView } from "./schema/endpoint.ts";
import type { NetworkDetail, NetworkView } from "./schema/network.ts";
import type { PoolView } from "./schema/pool.ts";
import type { StatusView } from "./schema/status.ts";

/** By text, digits as numbers: web2 before web10. */
const order = new Intl.Collator("en", { numeric: true }).compare;

export function endpointViews(around: Surroundings): EndpointView[] {
  return around.snapshot.endpoints
    .map((endpoint) => endpointView(endpoint, around))
    .sort(
      (a, b) =>
        order(a.network, b.network) || order(a.container, b.container) || order(a.host, b.host) || order(a.id, b.id),
    );
}

function endpointView(endpoint: Endpoint, around: Surroundings): EndpointView {
  const { local } = endpoint;
  return {
    id: endpoint.id.split("@")[0] ?? "",
    container: endpoint.container,
    namespace: endpoint.namespace,
    network: endpoint.network,
    host: endpoint.host,
    ipv4: endpoint.addresses.filter((text) => !text.includes(":")),
    ipv6: endpoint.addresses.filter((text) => text.includes(":")),
    ...(endpoint.serviceAddresses !== undefined && { serviceAddresses: [...endpoint.serviceAddresses] }),
    labels: Object.fromEntries([...endpoint.labels].sort(([a], [b]) => order(a, b))),
    profiles: [...endpoint.profiles],
    ports: [...endpoint.ports],
    published: [...endpoint.published],
    running: local?.joined ?? true,
    ...(local && { interface: local.interface, mac: local.mac, mtu: local.mtu }),
    reachability: reachability(endpoint, around),
    outgoing: outgoing(endpoint, around),
  };
}

export function networkViews(snapshot: Snapshot): NetworkView[] {
  return snapshot.networks
    .map((network) => ({ ...networkFields(network, snapshot), endpoints: membersOf(network, snapshot).length }))
    .sort((a, b) => order(a.name, b.name));
}

/** Undefined if there is no network of the name. */
export function networkDetail(name: string, around: Surroundings): NetworkDetail | undefined {
  const network = around.snapshot.networks.find(({ metadata }) => metadata.name === name);
  if (network === undefined) return undefined;
  const endpoints = endpointViews(around).filter((endpoint) => endpoint.network === name);
  return { ...networkFields(network, around.snapshot), endpoints };
}

const membersOf = (network: Network, snapshot: Snapshot): Endpoint[] =>
  snapshot.endpoints.filter((endpoint) => endpoint.network === network.metadata.name);

function networkFields({ metadata, spec }: Network, snapshot: Snapshot): Omit<NetworkView, "endpoints"> {
  const hosts = snapshot.endpoints.filter(({ network }) => network === metadata.name).map(({ host }) => host);
  return {
    name: metadata.name,
    pools: [...spec.pools],
    anyPool: spec.families.filter((family) => !spec.pools.some((pool) => familyOf(pool, snapshot) === family)),
    ranges: [...(spec.ranges ?? [])],
    families: [...spec.families],
    ...(spec.mtu !== undefined && { mtu: spec.mtu }),
    publish: spec.publish,
    isolation: spec.isolation,
    internal: spec.internal,
    sticky: spec.sticky,
    hosts: [...new Set(hosts)].sort(order),
  };
}

/** Of a subnet, or of the pool of that name. */
function familyOf(pool: string, { pools }: Snapshot): 4 | 6 | undefined {
  const named = pools.find(({ metadata }) => metadata.name === pool)?.spec.cidr;
  return parseCidr(named ?? pool)?.family;
}

export function poolViews(snapshot: Snapshot, usage: ReadonlyMap<string, PoolUsage>): PoolView[] {
  return snapshot.pools
    .map((pool) => poolView(pool, snapshot, usage.get(pool.metadata.name)))
    .sort((a, b) => a.family - b.family || order(a.cidr, b.cidr));
}

export function poolView(pool: IPPool, snapshot: Snapshot, usage: PoolUsage | undefined): PoolView {
  const { metadata, spec } = pool;
  const block = parseCidr(spec.cidr);
  return {
    name: metadata.name,
    cidr: spec.cidr,
    family: block?.family ?? 4,
    blockSize: spec.blockSize,
    disabled: spec.disabled ?? false,
    natOutgoing: spec.natOutgoing ?? false,
    nodeSelector: spec.nodeSelector,
    allowedUses: [...spec.allowedUses],
    assignmentMode: spec.assignmentMode,
    size: block === undefined ? "0" : String(size(block)),
    allocated: usage?.allocated ?? 0,
    blocks: [...(usage?.blocks ?? [])].sort((a, b) => order(a.cidr, b.cidr)),
    networks: snapshot.networks
      .filter((network) => usesPool(network, pool))
      .map((network) => network.metadata.name)
      .sort(order),
  };
}

/** A network names a pool, or a subnet of it, or nothing: then it takes from every pool that gives by itself. */
function usesPool({ spec }: Network, pool: IPPool): boolean {
  const block = parseCidr(pool.spec.cidr);
  if (block === undefined || !spec.families.includes(block.family)) return false;
  // A subnet says nothing about the other family's addresses.
  const own = spec.pools.filter((text) => (parseCidr(text)?.family ?? block.family) === block.family);
  if (own.length === 0)
    return (
      pool.spec.assignmentMode === "Automatic" && !pool.spec.disabled && pool.spec.allowedUses.includes("Workload")
    );
  return own.some((text) => {
    const wanted = parseCidr(text);
    return wanted === undefined ? text === pool.metadata.name : covers(block, wanted);
  });
}

export async function statusView(agent: AgentView, signal?: AbortSignal): Promise<StatusView> {
  const [version, components, snapshot] = await Promise.all([
    agent.version(signal),
    agent.components(signal),
    agent.snapshot(signal),
  ]);
  const { inbound, outbound } = snapshot.settings.failsafe ?? DEFAULT_FAILSAFE;
  const hosts = new Set([snapshot.host, ...snapshot.nodes.map(({ metadata }) => metadata.name)]);
  return {
    host: snapshot.host,
    version: version.version,
    startedAt: new Date(agent.startedAt).toISOString(),
    components: [...components],
    counts: {
      hosts: hosts.size,
      networks: snapshot.networks.length,
      endpoints: snapshot.endpoints.length,
      pools: snapshot.pools.length,
    },
    hostEndpoints: activeHostEndpoints(snapshot).map(({ interface: name, endpoint }) => ({
      interface: name,
      name: endpoint.metadata.name,
    })),
    failsafe: { inbound: inbound.map(formatFailsafePort), outbound: outbound.map(formatFailsafePort) },
  };
}
