/** Puts one moment together for the derivation: this host's records and the copy of the cluster store. */
import type { Endpoint, LocalEndpoint, Settings, Snapshot } from "../core/calc/snapshot.ts";
import type { Network, Node } from "../core/model/resources.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import { endpointLabels, namespaceOf } from "./labels.ts";
import type { LocalState } from "./local-state.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";

export interface SnapshotSources {
  readonly host: string;
  readonly local: Pick<LocalState, "networks" | "endpoints">;
  readonly cluster: Pick<ClusterCache, "all">;
  /** This host's Node as it is now: its addresses change. */
  readonly node: () => Node;
  /** MTU of the host's uplink, for networks that name none. */
  readonly mtu: () => number;
  /** CIDRs of the blocks that this host owns. */
  readonly blocks: () => readonly string[];
  readonly settings: () => Settings;
}

/** Name by which policy and people know the network: Docker's, or its ID until Docker has told the name. */
export function networkName(record: NetworkRecord): string {
  return record.name ?? record.id;
}

/** Interface names of an endpoint: both sides carry as much of its ID as IFNAMSIZ (linux/if.h) leaves room for. */
export function interfaceNames(endpointId: string): { interface: string; peer: string } {
  const short = endpointId.slice(0, 11);
  return { interface: `manx${short}`, peer: `mxp${short}` };
}

/** Makes snapshots in which what has not changed is the same object as before. */
export class Snapshots {
  readonly #sources: SnapshotSources;
  readonly #endpoints = new WeakMap<EndpointRecord, { network: NetworkRecord; mtu: number; endpoint: Endpoint }>();
  readonly #networks = new WeakMap<NetworkRecord, Network>();

  constructor(sources: SnapshotSources) {
    this.#sources = sources;
  }

  take(): Snapshot {
    const { host, local, cluster, node, blocks, settings } = this.#sources;
    const self = node();
    return {
      host,
      nodes: [self, ...cluster.all("Node").filter(({ metadata }) => metadata.name !== host)],
      pools: cluster.all("IPPool"),
      reservations: cluster.all("IPReservation"),
      blocks: blocks(),
      networks: [...local.networks.values()].map((record) => this.#network(record)),
      endpoints: [...local.endpoints.values()].flatMap((record) => this.#endpoint(record)),
      policies: [...cluster.all("GlobalNetworkPolicy"), ...cluster.all("NetworkPolicy")],
      stagedPolicies: [...cluster.all("StagedGlobalNetworkPolicy"), ...cluster.all("StagedNetworkPolicy")],
      tiers: cluster.all("Tier"),
      profiles: cluster.all("Profile"),
      networkSets: [...cluster.all("GlobalNetworkSet"), ...cluster.all("NetworkSet")],
      hostEndpoints: cluster.all("HostEndpoint"),
      settings: settings(),
    };
  }

  #network(record: NetworkRecord): Network {
    let network = this.#networks.get(record);
    if (network === undefined) {
      network = { apiVersion: "manx/v1", kind: "Network", metadata: { name: networkName(record) }, spec: record.spec };
      this.#networks.set(record, network);
    }
    return network;
  }

  #endpoint(record: EndpointRecord): Endpoint[] {
    const network = this.#sources.local.networks.get(record.networkId);
    if (network === undefined) return [];
    const mtu = network.spec.mtu ?? this.#sources.mtu();
    const before = this.#endpoints.get(record);
    if (before?.network === network && before.mtu === mtu) return [before.endpoint];
    const endpoint = toEndpoint(record, network, this.#sources.host, mtu);
    this.#endpoints.set(record, { network, mtu, endpoint });
    return [endpoint];
  }
}

function toEndpoint(record: EndpointRecord, network: NetworkRecord, host: string, mtu: number): Endpoint {
  const { container } = record;
  const local: LocalEndpoint = {
    ...interfaceNames(record.id),
    mac: record.mac,
    mtu,
    gatewayIndex: record.gatewayIndex ?? 0,
    joined: record.joined && record.gatewayIndex !== undefined,
  };
  return {
    id: record.id,
    host,
    namespace: namespaceOf(container),
    container: container?.name ?? "",
    network: networkName(network),
    addresses: record.addresses,
    labels: endpointLabels(container, network, host),
    profiles: [networkName(network)],
    ports: [],
    published: record.published,
    local,
  };
}
