/**
 * As `derive`, for one snapshot after another: does the work that the difference asks for, and gives the same objects for
 * what did not change, down to sets and chains, so that the drivers too can pass over them. `derive` is its judge.
 */
import { cidr } from "../net/cidr.ts";
import { DEFAULT_FAILSAFE } from "../rules/failsafe.ts";
import { arpChain, FIXED_ORIGINS } from "../rules/fixed.ts";
import { hostChains } from "../rules/host-chains.ts";

import type { Chain, NftSet, Ruleset, Table, Touched } from "../rules/ir.ts";

import { MERGE_LIMITS, type MergeLimits } from "../rules/merge.ts";
import { Names } from "../rules/names.ts";
import { compileNat, type HostPort, type Nat } from "../rules/nat.ts";
import { type Origin, sameOrigin } from "../rules/origin.ts";
import type { Piece } from "../rules/piece.ts";
import { holds } from "../rules/sets.ts";
import { exactSet } from "../rules/steps.ts";
import { ARP_KEY, arpTable, CONSTANT_SETS, fixedChains, INET_KEY, TABLE_NAME } from "../rules/table.ts";
import { Contributions } from "./contributions.ts";
import { type ActiveHostEndpoint, activeHostEndpoints } from "./host-endpoints.ts";
import type { HostState } from "./host-state.ts";
import { recordLabels } from "./labels.ts";
import { type Lan, lanOf } from "./lan.ts";
import { isJoined, nodeAddresses } from "./local.ts";
import { LocalParts, type Sources } from "./local-parts.ts";
import { PeerSets } from "./peer-sets.ts";
import { endpointPeer, hostEndpointPeer, networkSetPeer, type Peer } from "./peers.ts";
import { policyKey } from "./policies.ts";
import { endpointSubject, hostSubject, hostSubjectId, ProgramBook } from "./program-book.ts";
import { notTranslated, serviceRoutes } from "./services.ts";
import type { Endpoint, Settings, Snapshot } from "./snapshot.ts";
import { type Changes, JournalTracker, Tracker } from "./tracker.ts";

const ENDPOINT = "endpoint ";

/** Names are never forgotten: after this many it is cheaper to begin anew than to carry them on. */
const MAX_NAMES = 200_000;

const NO_REMOTE = { version: 0, get: () => undefined, keys: () => [], changedSince: () => undefined };

export class Deriver {
  readonly #limits: MergeLimits;
  #work: Work;

  /** `limits` as in `derive`. */
  constructor(limits: MergeLimits = MERGE_LIMITS) {
    this.#limits = limits;
    this.#work = new Work(limits);
  }

  /** The host state for the snapshot; the same object as last time if nothing in it differs. */
  derive(snapshot: Snapshot): HostState {
    if (this.#work.names.size > MAX_NAMES) this.#work = new Work(this.#limits);
    try {
      return this.#work.derive(snapshot);
    } catch (error) {
      this.#work = new Work(this.#limits); // half of the difference is in it: nothing that it says is to be trusted
      throw error;
    }
  }
}

class Work {
  readonly names = new Names();
  readonly #limits: MergeLimits;
  readonly #peers = new PeerSets();
  readonly #local = new LocalParts();
  readonly #chains = new Contributions<Chain>();
  readonly #sets = new Contributions<NftSet>();
  readonly #origins = new Contributions<Origin>(sameOrigin);
  readonly #book: ProgramBook;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #track = {
    endpoints: new Tracker<Endpoint>(({ id }) => id),
    remote: new JournalTracker<Endpoint>(),
    networkSets: new Tracker<Snapshot["networkSets"][number]>((set) => networkSetPeer(set).id),
    hostEndpoints: new Tracker<Snapshot["hostEndpoints"][number]>(({ metadata }) => metadata.name),
    active: new Tracker<ActiveHostEndpoint>(({ interface: name }) => name, isSame),
    profiles: new Tracker<Snapshot["profiles"][number]>(({ metadata }) => metadata.name),
    networks: new Tracker<Snapshot["networks"][number]>(({ metadata }) => metadata.name, isSame),
    tiers: new Tracker<Snapshot["tiers"][number]>(({ metadata }) => metadata.name),
    policies: new Tracker<Snapshot["policies"][number]>(policyKey, isSame),
    stagedPolicies: new Tracker<Snapshot["stagedPolicies"][number]>(policyKey, isSame),
  };
  /** Joined endpoints whose elements must be said again. */
  readonly #stale = new Set<string>();
  #sources: Sources = {};
  #services: HostState["services"] = new Map();
  #lan: Lan = { pools: [], parts: [] };
  #lanFrom: Pick<Snapshot, "pools" | "hostInterfaces"> | undefined;
  #host: string | undefined;
  #settings: Settings | undefined;
  #natFrom: readonly unknown[] = [];
  #hostsFrom: Snapshot | undefined;
  #hostsStale = true;
  #active: readonly ActiveHostEndpoint[] = [];
  #hostChains: ReadonlyMap<string, Chain> = new Map();
  #hostSets: ReadonlyMap<string, NftSet> = new Map();
  #nat: Nat = { sets: new Map(), chains: new Map() };
  #arpInput: Chain = { rules: [] };
  #last: HostState | undefined;

  constructor(limits: MergeLimits) {
    this.#limits = limits;
    this.#sets.set("constant", CONSTANT_SETS);
    this.#origins.set(
      "fixed",
      FIXED_ORIGINS.map(([id, origin]) => [id, origin]),
    );
    this.#book = new ProgramBook(
      { names: this.names, facts: this.#peers, limits },
      {
        put: (key, piece, before) => this.#put(key, piece, before),
        drop: (key, piece) => this.#drop(key, piece),
      },
    );
  }

  derive(snapshot: Snapshot): HostState {
    if (this.#host !== undefined && this.#host !== snapshot.host) throw new Error("a host does not change its name");
    this.#host = snapshot.host;
    this.#takeSettings(snapshot.settings);
    this.#takeProfiles(this.#track.profiles.update(snapshot.profiles));
    this.#takeNetworks(this.#track.networks.update(snapshot.networks));
    this.#takePeers(snapshot);
    this.#takeEndpoints(this.#track.endpoints.update(snapshot.parts?.own ?? snapshot.endpoints));
    this.#takeEndpoints(this.#track.remote.update(snapshot.parts?.remote ?? NO_REMOTE));
    this.#takePolicies(snapshot);
    this.#takeHostEndpoints(snapshot);
    for (const id of this.#book.settle()) {
      if (id.startsWith(ENDPOINT)) this.#stale.add(id.slice(ENDPOINT.length));
      else this.#hostsStale = true;
    }
    if (this.#peers.takeNaturesMoved())
      this.#book.recompile(({ assumptions }) => !assumptions.every((one) => holds(one, this.#peers)));
    this.#takeLinks(snapshot);
    this.#takeHostChains(snapshot.settings);
    this.#peers.sweep();
    return this.#assemble(snapshot);
  }

  #takeSettings(settings: Settings): void {
    const before = this.#settings;
    if (before !== undefined && isSame(before, settings)) return;
    this.#settings = settings;
    this.#local.setNames(settings.names === true);
    this.#hostsStale = true;
    this.#arpInput = arpChain(settings);
    if (before?.logGroup === settings.logGroup) return;
    const { logGroup } = settings;
    this.#book.setContext({
      names: this.names,
      facts: this.#peers,
      limits: this.#limits,
      ...(logGroup === undefined ? {} : { logGroup }),
    });
  }

  #takeProfiles({ upserts, removed }: Changes<Snapshot["profiles"][number]>): void {
    for (const { metadata } of removed) {
      this.#peers.setProfile(metadata.name, undefined);
      this.#book.deleteProfile(metadata.name);
    }
    for (const profile of upserts) {
      const labels = recordLabels(profile.spec.labelsToApply);
      this.#peers.setProfile(profile.metadata.name, labels);
      this.#book.setProfile(profile, labels);
    }
  }

  #takeNetworks({ upserts, removed }: Changes<Snapshot["networks"][number]>): void {
    for (const { metadata } of removed) this.#book.deleteNetwork(metadata.name);
    for (const network of upserts) this.#book.setNetwork(network);
  }

  #takePeers(snapshot: Snapshot): void {
    const take = <T>(changes: Changes<T>, peerOf: (item: T) => Peer): void => {
      for (const item of changes.removed) this.#peers.deletePeer(peerOf(item).id);
      for (const item of changes.upserts) this.#peers.setPeer(peerOf(item));
    };
    take(this.#track.networkSets.update(snapshot.networkSets), networkSetPeer);
    take(this.#track.hostEndpoints.update(snapshot.hostEndpoints), hostEndpointPeer);
  }

  #takeEndpoints({ upserts, removed }: Changes<Endpoint>): void {
    for (const endpoint of removed) {
      this.#siblings(endpoint);
      this.#endpoints.delete(endpoint.id);
      this.#peers.deleteEndpoint(endpoint);
      const { id } = endpointPeer(endpoint);
      this.#peers.deletePeer(id);
      this.#leave(endpoint.id, id);
    }
    for (const endpoint of upserts) {
      const before = this.#endpoints.get(endpoint.id);
      if (before !== undefined) this.#siblings(before);
      this.#endpoints.set(endpoint.id, endpoint);
      const peer = endpointPeer(endpoint);
      this.#peers.setEndpoint(endpoint, before);
      this.#peers.setPeer(peer);
      if (isJoined(endpoint, this.#host ?? "")) this.#book.setSubject(endpointSubject(endpoint, peer));
      else this.#leave(endpoint.id, peer.id);
      this.#siblings(endpoint);
    }
  }

  #leave(id: string, peerId: string): void {
    this.#book.deleteSubject(peerId);
    this.#local.delete(id);
    this.#stale.delete(id);
  }

  /** The other interfaces of the container may use its addresses, so they too are to be said again. */
  #siblings(endpoint: Endpoint): void {
    for (const id of this.#peers.container(endpoint).ids) this.#stale.add(id);
  }

  #takePolicies(snapshot: Snapshot): void {
    const { tiers, policies, stagedPolicies } = this.#track;
    const changed = tiers.update(snapshot.tiers);
    if (changed.upserts.length + changed.removed.length > 0) this.#book.setTiers(snapshot.tiers);
    for (const changes of [policies.update(snapshot.policies), stagedPolicies.update(snapshot.stagedPolicies)]) {
      for (const policy of changes.removed) this.#book.deletePolicy(policyKey(policy));
      for (const policy of changes.upserts) this.#book.setPolicy(policy);
    }
  }

  #takeLinks(snapshot: Snapshot): void {
    const sources = nodeAddresses(snapshot);
    if (!isSame(sources, this.#sources)) for (const id of this.#endpoints.keys()) this.#stale.add(id);
    this.#sources = sources;
    this.#takeLan(snapshot);
    this.#takeServices(snapshot);
    this.#local.setBlocks(snapshot.blocks);
    for (const id of this.#stale) {
      const endpoint = this.#endpoints.get(id);
      if (endpoint === undefined || !isJoined(endpoint, snapshot.host)) continue;
      const entries = this.#book.verdicts(ENDPOINT + id);
      const [ingress, egress] = [entries.get("ingress"), entries.get("egress")];
      if (ingress === undefined || egress === undefined) throw new Error(`the endpoint ${id} has no program`);
      const verdicts = { ingress, egress };
      this.#local.set(endpoint, this.#peers.container(endpoint).addresses, verdicts, sources);
    }
    this.#stale.clear();
  }

  #takeLan({ pools, hostInterfaces }: Snapshot): void {
    if (this.#lanFrom?.pools === pools && this.#lanFrom.hostInterfaces === hostInterfaces) return;
    this.#lanFrom = { pools, hostInterfaces };
    const lan = lanOf(pools, hostInterfaces);
    if (isSame(lan, this.#lan)) return;
    this.#lan = lan;
    this.#local.setLan(lan);
    for (const id of this.#endpoints.keys()) this.#stale.add(id);
  }

  /** Few, and looked at whole. */
  #takeServices(snapshot: Snapshot): void {
    const now = serviceRoutes(snapshot);
    if (isSame([...now], [...this.#services])) return;
    this.#services = now;
    this.#local.setServices(now);
  }

  #takeHostEndpoints(snapshot: Snapshot): void {
    const last = this.#hostsFrom;
    const { hostEndpoints, hostInterfaces } = snapshot;
    if (last?.hostEndpoints === hostEndpoints && last.hostInterfaces === hostInterfaces) return;
    this.#hostsFrom = snapshot;
    const now = activeHostEndpoints(snapshot);
    const changes = this.#track.active.update(now);
    if (changes.upserts.length + changes.removed.length > 0) this.#hostsStale = true;
    for (const active of changes.removed) this.#book.deleteSubject(hostSubjectId(active));
    for (const active of changes.upserts) this.#book.setSubject(hostSubject(active));
    this.#active = now;
  }

  /** The chains of host endpoints are few: where anything about them may have changed they are made again. */
  #takeHostChains(settings: Settings): void {
    if (!this.#hostsStale) return;
    this.#hostsStale = false;
    const interfaces = this.#active.map((active) => ({
      interface: active.interface,
      entries: Object.fromEntries(this.#book.verdicts(hostSubjectId(active))),
    }));
    const host = hostChains(interfaces, settings.failsafe ?? DEFAULT_FAILSAFE);
    const chains = new Map([...fixedChains(settings, host.rules), ...host.chains]);
    this.#hostChains = keepSame(chains, this.#hostChains);
    this.#hostSets = keepSame(new Map(host.sets), this.#hostSets);
    this.#chains.set("fixed", [...this.#hostChains]);
    this.#sets.set("host", [...this.#hostSets]);
  }

  #takeNat(snapshot: Snapshot): void {
    const { pools, serviceAddresses } = snapshot;
    const hostPorts: readonly HostPort[] = this.#local.hostPorts();
    const from: readonly unknown[] = [hostPorts, serviceAddresses?.join(), ...pools];
    if (from.length === this.#natFrom.length && from.every((one, i) => one === this.#natFrom[i])) return;
    this.#natFrom = from;
    const nat = compileNat({
      natPools: pools.filter(({ spec }) => spec.natOutgoing === true).map(({ spec }) => cidr(spec.cidr)),
      allPools: notTranslated(snapshot),
      hostPorts,
    });
    this.#nat = { sets: keepSame(nat.sets, this.#nat.sets), chains: keepSame(nat.chains, this.#nat.chains) };
    this.#sets.set("nat", [...this.#nat.sets]);
    this.#chains.set("nat", [...this.#nat.chains]);
  }

  #put(key: string, piece: Piece, before: Piece | undefined): void {
    for (const [name, spec] of piece.sets) this.#peers.use(name, spec);
    this.#chains.set(key, [...piece.chains]);
    this.#origins.set(key, [...piece.origins]);
    for (const name of before?.sets.keys() ?? []) this.#peers.release(name);
  }

  #drop(key: string, piece: Piece): void {
    this.#chains.delete(key);
    this.#origins.delete(key);
    for (const name of piece.sets.keys()) this.#peers.release(name);
  }

  #assemble(snapshot: Snapshot): HostState {
    this.#takeNat(snapshot);
    let senders: NftSet | undefined;
    for (const [name, set] of this.#local.sets()) {
      this.#sets.set(name, [[name, set]]);
      if (name === "sources4") senders = set;
    }
    for (const [name, set] of this.#peers.takeChanged())
      this.#sets.set(`peers ${name}`, set === undefined ? [] : [[name, set]]);
    const ruleset = this.#ruleset(senders);
    const state: HostState = {
      ...this.#local.links(),
      services: this.#services,
      ruleset,
      origins: this.#origins.take(),
    };
    if (this.#last === undefined || !sameParts(state, this.#last)) this.#last = state;
    return this.#last;
  }

  /** Tables are the same objects as before where their sets and chains are. */
  #ruleset(senders: NftSet | undefined): Ruleset {
    const last = this.#last?.ruleset;
    const [sets, chains] = [this.#sets.take(), this.#chains.take()];
    const oldInet = last?.get(INET_KEY);
    const oldArp = last?.get(ARP_KEY);
    const sameInet = oldInet?.sets === sets && oldInet.chains === chains;
    const sameSenders = senders === undefined || oldArp?.sets.get("senders") === senders;
    const sameArp = sameSenders && oldArp?.chains.get("input") === this.#arpInput;
    if (last !== undefined && sameInet && sameArp) return last;
    const inet: Table =
      sameInet && oldInet !== undefined
        ? oldInet
        : {
            family: "inet",
            name: TABLE_NAME,
            sets,
            chains,
            since: { sets: touched(this.#sets, sets), chains: touched(this.#chains, chains) },
          };
    const arp =
      sameArp && oldArp !== undefined
        ? oldArp
        : arpTable(this.#arpInput, senders ?? oldArp?.sets.get("senders") ?? exactSet([], []));
    return new Map([
      [INET_KEY, inet],
      [ARP_KEY, arp],
    ]);
  }
}

/** What `now` has otherwise than the map that was taken before it. */
function touched<V extends object>(contributions: Contributions<V>, now: ReadonlyMap<string, V>): Touched<V> {
  const { delta } = contributions;
  // Nothing was taken since `now`, so the last delta leads to it.
  return delta === undefined
    ? { from: now, keys: new Set() }
    : { from: delta.from, keys: new Set([...delta.added.keys(), ...delta.removed]) };
}

/** The values of `before` where they say the same. */
function keepSame<V>(now: ReadonlyMap<string, V>, before: ReadonlyMap<string, V>): ReadonlyMap<string, V> {
  return new Map(
    Array.from(now, ([key, value]) => {
      const old = before.get(key);
      return [key, old !== undefined && isSame(toJson(old), toJson(value)) ? old : value];
    }),
  );
}

function toJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, one: unknown) => (one instanceof Map ? [...one] : one)));
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function sameParts(a: HostState, b: HostState): boolean {
  return (
    a.ruleset === b.ruleset &&
    a.links === b.links &&
    a.routes === b.routes &&
    a.services === b.services &&
    a.neighbours === b.neighbours &&
    a.proxies === b.proxies &&
    a.gatewayAddresses === b.gatewayAddresses &&
    a.sysctls === b.sysctls &&
    a.origins === b.origins
  );
}
