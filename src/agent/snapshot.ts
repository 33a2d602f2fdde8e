/** Puts one moment together for the derivation: this host's records and the copy of the cluster store. */
import { speaks } from "../core/calc/label-policies.ts";
import {
  addressesByEndpoint,
  hasService,
  type Membership,
  type Resolved,
  resolveServices,
} from "../core/calc/services.ts";
import type { Endpoint, HostInterface, LocalEndpoint, MemberState, Settings, Snapshot } from "../core/calc/snapshot.ts";
import { type Journal, JournalTracker } from "../core/calc/tracker.ts";
import { BUILT_IN } from "../core/model/built-in.ts";
import type { AnyResource, Network, Node, Service } from "../core/model/resources.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import { endpointLabels, namespaceOf, otherNames } from "./labels.ts";
import type { LocalState } from "./local-state.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";

export interface SnapshotSources {
  readonly host: string;
  readonly local: Pick<LocalState, "networks" | "endpointJournal">;
  readonly cluster: Pick<ClusterCache, "all">;
  /** This host's Node as it is now: its addresses change. */
  readonly node: () => Node;
  /** MTU of the host's uplink, for networks that name none. */
  readonly mtu: () => number;
  /** The host's own interfaces; the same object while nothing about them changes. */
  readonly interfaces: () => readonly HostInterface[];
  /** CIDRs of the blocks that this host owns. */
  readonly blocks: () => readonly string[];
  readonly settings: () => Settings;
  /** Endpoints of other hosts. */
  readonly remote?: Journal<Endpoint>;
  /** Policies that endpoints bring with them. */
  readonly made?: (endpoints: readonly Endpoint[]) => Snapshot["policies"];
  /** Service addresses of all hosts. */
  readonly serviceAddresses?: () => readonly string[];
  /** What is known of a member of a service. */
  readonly memberState?: (member: Membership) => MemberState;
}

/** A snapshot whose endpoints are in two parts. */
export type PartedSnapshot = Snapshot & { readonly parts: NonNullable<Snapshot["parts"]> };

interface Made {
  readonly record: EndpointRecord;
  readonly network: NetworkRecord;
  readonly mtu: number;
  readonly endpoint: Endpoint;
}

const NOBODY_SERVES: Resolved = { members: [], problems: [] };
const NOBODY: Journal<Endpoint> = { version: 0, get: () => undefined, keys: () => [], changedSince: () => [] };

/** Name by which policy and people know the network: Docker's, or its ID until Docker has told the name. */
export function networkName(record: NetworkRecord): string {
  return record.name ?? record.id;
}

/** Interface names of an endpoint: both sides carry as much of its ID as IFNAMSIZ (linux/if.h) leaves room for. */
export function interfaceNames(endpointId: string): { interface: string; peer: string } {
  const short = endpointId.slice(0, 11);
  return { interface: `manx${short}`, peer: `mxp${short}` };
}

/** The endpoints of a kind, of which there are few, kept without looking at all others. */
class Chosen {
  readonly #is: (endpoint: Endpoint) => boolean;
  readonly #byId = new Map<string, Endpoint>();
  #all: readonly Endpoint[] | undefined = [];

  constructor(is: (endpoint: Endpoint) => boolean) {
    this.#is = is;
  }

  set(endpoint: Endpoint): void {
    if (!this.#is(endpoint)) return this.delete(endpoint.id);
    this.#byId.set(endpoint.id, endpoint);
    this.#all = undefined;
  }

  delete(id: string): void {
    if (this.#byId.delete(id)) this.#all = undefined;
  }

  /** The same array while none changes. */
  get all(): readonly Endpoint[] {
    this.#all ??= [...this.#byId.values()];
    return this.#all;
  }
}

/** Makes snapshots in which what has not changed is the same object as before. */
export class Snapshots {
  readonly #sources: SnapshotSources;
  readonly #records = new JournalTracker<EndpointRecord>();
  /** By ID, of this host, with what it was made from. */
  readonly #endpoints = new Map<string, Made>();
  #own: readonly Endpoint[] = [];
  /** Those of them that bring policies with them, and that ask for service addresses. */
  readonly #speaking = new Chosen(speaks);
  readonly #claiming = new Chosen(hasService);
  /** What endpoints are made from besides their own records. */
  #ownFrom: readonly unknown[] = [];
  readonly #networks = new WeakMap<NetworkRecord, Network>();
  readonly #servingEndpoints = new WeakMap<Endpoint, { readonly text: string; readonly serving: Endpoint }>();
  #served: { plain: readonly Endpoint[]; members: readonly Membership[]; all: readonly Endpoint[] } | undefined;
  #resolved: { services: readonly Service[]; plain: readonly Endpoint[]; resolved: Resolved } | undefined;

  readonly #nodes = memo((self: Node, all: readonly Node[]) => [
    self,
    ...all.filter(({ metadata }) => metadata.name !== self.metadata.name),
  ]);
  readonly #policies = memo(joined<Snapshot["policies"][number]>);
  readonly #staged = memo(joined<Snapshot["stagedPolicies"][number]>);
  readonly #sets = memo(joined<Snapshot["networkSets"][number]>);

  constructor(sources: SnapshotSources) {
    this.#sources = sources;
  }

  /** For this host alone: policies that endpoints of others bring with them are in force there. */
  take(): PartedSnapshot {
    return this.#take((speaking) => speaking);
  }

  /** For people, who ask about the other hosts' endpoints as well. */
  takeWhole(): PartedSnapshot {
    return this.#take((speaking, remote) => [...speaking, ...remote]);
  }

  /** What is so by itself: this host's own node, Docker's networks, policies of container labels, what is built in. */
  unstored({ kind, metadata }: AnyResource): AnyResource | undefined {
    const { nodes, networks, policies } = this.take();
    const known: readonly AnyResource[] =
      kind === "Node" ? nodes : kind === "Network" ? networks : kind === "NetworkPolicy" ? policies : BUILT_IN;
    return known.find(
      (one) =>
        one.kind === kind && one.metadata.name === metadata.name && one.metadata.namespace === metadata.namespace,
    );
  }

  #take(heard: (speaking: readonly Endpoint[], remote: Iterable<Endpoint>) => readonly Endpoint[]): PartedSnapshot {
    const { host, local, cluster, node, interfaces, blocks, settings, remote = NOBODY, made } = this.#sources;
    const own = this.own();
    const policies = this.#policies(cluster.all("GlobalNetworkPolicy"), cluster.all("NetworkPolicy"));
    return {
      host,
      nodes: this.#nodes(node(), cluster.all("Node")),
      pools: cluster.all("IPPool"),
      reservations: cluster.all("IPReservation"),
      blocks: blocks(),
      networks: [...local.networks.values()].map((record) => this.#network(record)),
      parts: { own, remote },
      // Thousands of endpoints elsewhere: put together only for who asks.
      get endpoints() {
        return [...own, ...valuesOf(remote)];
      },
      policies: joined(policies, made?.(heard(this.#speaking.all, valuesOf(remote))) ?? []),
      stagedPolicies: this.#staged(cluster.all("StagedGlobalNetworkPolicy"), cluster.all("StagedNetworkPolicy")),
      tiers: cluster.all("Tier"),
      profiles: cluster.all("Profile"),
      networkSets: this.#sets(cluster.all("GlobalNetworkSet"), cluster.all("NetworkSet")),
      hostEndpoints: cluster.all("HostEndpoint"),
      hostInterfaces: interfaces(),
      settings: settings(),
      services: cluster.all("Service"),
      serviceAddresses: this.#sources.serviceAddresses?.() ?? [],
      serviceMembers: this.services().members.map((member) => ({
        ...member,
        state: this.#sources.memberState?.(member) ?? "down",
      })),
    };
  }

  /** Without service addresses. */
  #plain(): readonly Endpoint[] {
    const { local, mtu } = this.#sources;
    const { upserts, removed } = this.#records.update(local.endpointJournal);
    const from = [mtu(), ...local.networks.values()];
    const isAnother = from.length !== this.#ownFrom.length || from.some((one, index) => one !== this.#ownFrom[index]);
    if (!isAnother && upserts.length + removed.length === 0) return this.#own;
    this.#ownFrom = from;
    for (const { id } of removed) this.#drop(id);
    for (const record of isAnother ? valuesOf(local.endpointJournal) : upserts) this.#keep(record);
    this.#own = [...this.#endpoints.values()].map(({ endpoint }) => endpoint);
    return this.#own;
  }

  #keep(record: EndpointRecord): void {
    const { local, host, mtu } = this.#sources;
    const network = local.networks.get(record.networkId);
    if (network === undefined) return this.#drop(record.id);
    const from = { record, network, mtu: network.spec.mtu ?? mtu() };
    const before = this.#endpoints.get(record.id);
    if (before?.record === record && before.network === network && before.mtu === from.mtu) return;
    const endpoint = toEndpoint(record, network, host, from.mtu);
    this.#endpoints.set(record.id, { ...from, endpoint });
    for (const chosen of [this.#speaking, this.#claiming]) chosen.set(endpoint);
  }

  #drop(id: string): void {
    this.#endpoints.delete(id);
    for (const chosen of [this.#speaking, this.#claiming]) chosen.delete(id);
  }

  /** Those of this host that bring policies with them; the same array while none of them changes. */
  speaking(): readonly Endpoint[] {
    this.#plain();
    return this.#speaking.all;
  }

  /** Endpoints of this host; the same objects as long as they say the same, and the same array while none changes. */
  own(): readonly Endpoint[] {
    const plain = this.#plain();
    const { members } = this.#resolve(plain);
    if (members.length === 0) return plain;
    const last = this.#served;
    if (last?.plain === plain && last.members === members) return last.all;
    const addresses = addressesByEndpoint(members);
    const all = plain.map((endpoint) => this.#serving(endpoint, addresses.get(endpoint.id) ?? []));
    this.#served = { plain, members, all };
    return all;
  }

  /** Who has service addresses here; the same object while nothing about it changes. */
  services(): Resolved {
    return this.#resolve(this.#plain());
  }

  #resolve(plain: readonly Endpoint[]): Resolved {
    const services = this.#sources.cluster.all("Service");
    const last = this.#resolved;
    if (last?.services === services && last.plain === plain) return last.resolved;
    const resolved =
      services.length === 0 && this.#claiming.all.length === 0 ? NOBODY_SERVES : resolveServices(services, plain);
    this.#resolved = { services, plain, resolved };
    return resolved;
  }

  #serving(endpoint: Endpoint, serviceAddresses: readonly string[]): Endpoint {
    if (serviceAddresses.length === 0) return endpoint;
    const text = serviceAddresses.join();
    const last = this.#servingEndpoints.get(endpoint);
    if (last?.text === text) return last.serving;
    const serving = { ...endpoint, serviceAddresses };
    this.#servingEndpoints.set(endpoint, { text, serving });
    return serving;
  }

  #network(record: NetworkRecord): Network {
    let network = this.#networks.get(record);
    if (network === undefined) {
      network = { apiVersion: "manx/v1", kind: "Network", metadata: { name: networkName(record) }, spec: record.spec };
      this.#networks.set(record, network);
    }
    return network;
  }
}

function* valuesOf<T>(journal: Journal<T>): Iterable<T> {
  for (const key of journal.keys()) {
    const value = journal.get(key);
    if (value !== undefined) yield value;
  }
}

function joined<T>(a: readonly T[], b: readonly T[]): readonly T[] {
  return b.length === 0 ? a : a.length === 0 ? b : [...a, ...b];
}

/** The same result as long as both are the same objects. */
export function memo<A, B, R>(make: (a: A, b: B) => R): (a: A, b: B) => R {
  let last: { readonly a: A; readonly b: B; readonly result: R } | undefined;
  return (a, b) => {
    if (last === undefined || last.a !== a || last.b !== b) last = { a, b, result: make(a, b) };
    return last.result;
  };
}

function toEndpoint(record: EndpointRecord, network: NetworkRecord, host: string, mtu: number): Endpoint {
  const { container } = record;
  const local: LocalEndpoint = {
    ...interfaceNames(record.id),
    mac: record.mac,
    mtu,
    gatewayIndex: record.gatewayIndex ?? 0,
    joined: record.joined && record.gatewayIndex !== undefined,
    since: record.createdAt,
  };
  return {
    id: record.id,
    host,
    namespace: namespaceOf(container),
    container: container?.name ?? "",
    aliases: otherNames(record),
    network: networkName(network),
    addresses: record.addresses,
    labels: endpointLabels(container, network, host),
    profiles: [networkName(network)],
    ports: [],
    published: record.published,
    local,
  };
}
