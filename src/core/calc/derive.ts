/**
 * Snapshot -> HostState, all at once: the plain version, which says what the answer is. `Deriver` gives the same answer and
 * does only the work that a change asks for.
 */
import { DEFAULT_ALLOW } from "../model/built-in.ts";
import { cidr } from "../net/cidr.ts";
import { DEFAULT_FAILSAFE } from "../rules/failsafe.ts";
import { arpChain, FIXED_ORIGINS } from "../rules/fixed.ts";
import { type HostInterface, hostChains } from "../rules/host-chains.ts";
import type { NftSet } from "../rules/ir.ts";
import { MERGE_LIMITS, type MergeLimits } from "../rules/merge.ts";
import { Names } from "../rules/names.ts";
import { compileNat } from "../rules/nat.ts";
import type { Origin } from "../rules/origin.ts";
import type { Context, Piece } from "../rules/piece.ts";
import { type Program, programKey, type RuleList } from "../rules/program.ts";
import { type CompiledProgram, compileList, compileProgram } from "../rules/program-chain.ts";
import type { SetSpec } from "../rules/sets.ts";
import { exactSet } from "../rules/steps.ts";
import { arpTable, assemble, fixedChains, type InterfaceElements, interfaceSets } from "../rules/table.ts";
import { match } from "../selector/match.ts";
import { selector as parse } from "../selector/parse.ts";
import { activeHostEndpoints, hostPrograms } from "./host-endpoints.ts";
import type { HostState } from "./host-state.ts";
import { inherit } from "./labels.ts";
import { lanOf, lanSysctls, proxiesOf, withoutLan } from "./lan.ts";
import {
  allAddresses,
  containerKey,
  gatewayAddress,
  hasFamily,
  hostPorts,
  isJoined,
  type JoinedEndpoint,
  linkState,
  linkSysctls,
  NAMES_GATEWAY,
  neighbours,
  nodeAddresses,
  routes,
} from "./local.ts";
import { elementsOf, forwarding } from "./local-parts.ts";
import { memberSet, mergedSet, namedPortSet, natureOf, selectorSet } from "./members.ts";
import { endpointPeer, hostEndpointPeer, type Peer, peersOf } from "./peers.ts";
import { type ResolvedPolicy, resolvePolicy, resolveTiers } from "./policies.ts";
import { type Profiles, programOf, resolveProfile } from "./programs.ts";
import { notTranslated, serviceRoutes, serviceSysctls } from "./services.ts";
import type { Snapshot } from "./snapshot.ts";

/** `limits` are for tests: what is merged changes nothing but the cost. */
export function derive(snapshot: Snapshot, limits: MergeLimits = MERGE_LIMITS): HostState {
  const joined = snapshot.endpoints
    .filter((endpoint) => isJoined(endpoint, snapshot.host))
    .sort((a, b) => (a.id < b.id ? -1 : 1)); // where two claim one key, the greater ID has it
  const matching = new Matching(snapshot);
  const context: Context = {
    names: new Names(),
    limits,
    facts: { nature: (selector, family) => natureOf(matching.peers(selector), family) },
    ...(snapshot.settings.logGroup === undefined ? {} : { logGroup: snapshot.settings.logGroup }),
  };
  const { interfaces, hosts, pieces } = compileEndpoints(snapshot, joined, matching, context);
  const sets = new Map<string, NftSet>();
  for (const { sets: used } of pieces)
    for (const [name, spec] of used) if (!sets.has(name)) sets.set(name, contents(spec, snapshot, matching));
  const elements = new Map(interfaceSets(interfaces));
  const host = hostChains(hosts, snapshot.settings.failsafe ?? DEFAULT_FAILSAFE);
  const ruleset = assemble({
    host,
    fixed: fixedChains(snapshot.settings, host.rules),
    interfaceSets: elements,
    arp: arpTable(arpChain(snapshot.settings), elements.get("sources4") ?? exactSet([], [])),
    sets,
    chains: pieces.flatMap(({ chains }) => [...chains]),
    nat: compileNat({
      natPools: snapshot.pools.filter(({ spec }) => spec.natOutgoing === true).map(({ spec }) => cidr(spec.cidr)),
      allPools: notTranslated(snapshot),
      hostPorts: [...new Map(joined.flatMap(hostPorts)).values()],
    }),
  });
  const origins = new Map<string, Origin>([...FIXED_ORIGINS, ...pieces.flatMap((piece) => [...piece.origins])]);
  return { ...linkParts(snapshot, joined), ruleset, origins };
}

/** Which selectors match what, by asking each of each. */
class Matching {
  readonly #peers: readonly (Peer & { readonly seen: ReadonlyMap<string, string> })[];
  readonly #byName;

  constructor(snapshot: Snapshot) {
    this.#byName = new Map(snapshot.profiles.map((profile) => [profile.metadata.name, profile]));
    this.#peers = peersOf(snapshot).map((peer) => ({
      ...peer,
      seen: inherit(peer.labels, peer.parents, this.#byName),
    }));
  }

  peers(selector: string): Peer[] {
    const parsed = parse(selector);
    return this.#peers.filter(({ seen }) => match(parsed, seen));
  }

  applies(policy: ResolvedPolicy, peer: Peer): boolean {
    return match(policy.selector, inherit(peer.labels, peer.parents, this.#byName));
  }
}

function contents(spec: SetSpec, snapshot: Snapshot, matching: Matching): NftSet {
  switch (spec.kind) {
    case "constant":
      return spec.set;
    case "members":
      return memberSet(snapshot.endpoints, spec.network, spec.family);
    case "selector":
      return selectorSet(matching.peers(spec.selector), spec.family, spec.interval);
    case "merged":
      return mergedSet(spec, (selector) => matching.peers(selector));
    case "named-port":
      return namedPortSet(matching.peers(spec.selector), spec.name, spec.family);
  }
}

function compileEndpoints(
  snapshot: Snapshot,
  joined: readonly JoinedEndpoint[],
  matching: Matching,
  context: Context,
): { interfaces: InterfaceElements[]; hosts: HostInterface[]; pieces: Piece[] } {
  const policies = [...snapshot.policies, ...snapshot.stagedPolicies].flatMap((policy) => resolvePolicy(policy) ?? []);
  const tiers = resolveTiers(snapshot.tiers, policies);
  const profiles: Profiles = {
    lists: new Map(
      [DEFAULT_ALLOW, ...snapshot.profiles].map((profile) => [profile.metadata.name, resolveProfile(profile)]),
    ),
    networks: new Map(snapshot.networks.map((network) => [network.metadata.name, network])),
  };
  const programs = new Map<string, CompiledProgram>();
  const compile = (program: Program): CompiledProgram => {
    const key = programKey(program);
    const compiled = programs.get(key) ?? compileProgram(program, context);
    programs.set(key, compiled);
    return compiled;
  };
  const siblings = Map.groupBy(snapshot.endpoints, containerKey);
  const interfaces = joined.map((endpoint): InterfaceElements => {
    const peer = endpointPeer(endpoint);
    const applies = (policy: ResolvedPolicy): boolean => matching.applies(policy, peer);
    const entry = (direction: "ingress" | "egress"): InterfaceElements["from"] =>
      compile(programOf(endpoint, direction, tiers, applies, profiles)).entry;
    const addresses = (siblings.get(containerKey(endpoint)) ?? []).flatMap(allAddresses);
    return elementsOf(endpoint, addresses, { ingress: entry("ingress"), egress: entry("egress") });
  });
  const hosts = activeHostEndpoints(snapshot).map((active): HostInterface => {
    const peer = hostEndpointPeer(active.endpoint);
    const programs = hostPrograms(active, tiers, (policy) => matching.applies(policy, peer), profiles);
    const entries = Object.fromEntries([...programs].map(([slot, program]) => [slot, compile(program).entry]));
    return { interface: active.interface, entries };
  });
  const lists = new Map<string, RuleList>();
  for (const { ingress, egress } of [...policies, ...profiles.lists.values()])
    for (const list of [ingress, egress]) if (list !== undefined) lists.set(list.identity, list);
  const called = new Set([...programs.values()].flatMap(({ calls }) => [...calls]));
  const compiled = [...called]
    .flatMap((identity) => lists.get(identity) ?? [])
    .map((list) => compileList(list, context));
  return { interfaces, hosts, pieces: [...programs.values(), ...compiled] };
}

function linkParts(
  snapshot: Snapshot,
  joined: readonly JoinedEndpoint[],
): Pick<HostState, "links" | "routes" | "services" | "neighbours" | "proxies" | "gatewayAddresses" | "sysctls"> {
  const lan = lanOf(snapshot.pools, snapshot.hostInterfaces);
  const sources = nodeAddresses(snapshot);
  const services = serviceRoutes(snapshot);
  return {
    services,
    links: new Map(joined.map((endpoint) => [endpoint.local.interface, linkState(endpoint)])),
    routes: new Map([
      ...withoutLan(snapshot.blocks, lan).map((block): [string, { kind: "blackhole" }] => [
        `${block.includes(":") ? 6 : 4} ${block}`,
        { kind: "blackhole" },
      ]),
      ...joined.flatMap((endpoint) => routes(endpoint, sources)),
    ]),
    neighbours: new Map(joined.flatMap(neighbours)),
    proxies: new Map(joined.flatMap(({ addresses }) => proxiesOf(addresses, lan).map((key) => [key, null] as const))),
    gatewayAddresses: new Set([
      ...(snapshot.settings.names === true ? [NAMES_GATEWAY] : []),
      ...joined.filter((endpoint) => hasFamily(endpoint, 4)).map(gatewayAddress),
    ]),
    sysctls: new Map([
      ...lanSysctls(lan),
      ...serviceSysctls(services),
      ...joined.flatMap((endpoint) => [...forwarding(endpoint), ...linkSysctls(endpoint)]),
    ]),
  };
}
