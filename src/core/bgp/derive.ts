/** Snapshot of the cluster -> what this host says in BGP. Pure; what a resource says wrongly costs that resource, never the rest. */

import { isCommunity } from "../model/bgp.ts";
import { width } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import { parseNet } from "../net/cidr.ts";
import { isInterfacePattern, isReadable } from "./filter-rules.ts";
import { filterSymbols } from "./names.ts";
import { type BgpNode, bgpNode, Configurations, routerId } from "./nodes.ts";
import { configuredPeerings, distinct, meshPeerings } from "./peerings.ts";
import { Problems } from "./problems.ts";
import { type SessionContext, session } from "./session.ts";
import type { BgpInput, BgpState, FilterProgram, RouteSets, Session } from "./state.ts";

const LISTS = [
  ["importV4", "import", 4],
  ["exportV4", "export", 4],
  ["importV6", "import", 6],
  ["exportV6", "export", 6],
] as const;

export function deriveBgp(input: BgpInput): BgpState {
  const problems = new Problems();
  const configurations = new Configurations(input.configurations);
  const nodes = input.nodes.flatMap((node): BgpNode[] =>
    problems.of(`Node ${node.metadata.name}`, () => [bgpNode(node, configurations)], []),
  );
  const self = nodes.find(({ name }) => name === input.host) ?? nowhere(input.host, configurations);
  const context: SessionContext = {
    self,
    global: configurations.global,
    filters: new Map(input.filters.map((filter) => [filter.metadata.name, filter])),
    unreadable: new Set(input.filters.filter((one) => !isReadable(one)).map(({ metadata }) => metadata.name)),
    connected: cidrs(input.connected),
  };
  const mesh = configurations.global?.spec.nodeToNodeMeshEnabled ?? true;
  const peerings = distinct([
    ...configuredPeerings(self, nodes, input.peers, problems),
    ...(mesh ? meshPeerings(self, nodes) : []),
  ]);
  const sessions = peerings.flatMap((peering): Session[] => {
    const { resource } = peering;
    const path = resource === undefined ? "mesh" : `BGPPeer ${resource.metadata.name}`;
    const made = problems.of(path, () => session(peering, context), undefined);
    if (typeof made === "string") problems.add(path, made);
    return made === undefined || typeof made === "string" ? [] : [made];
  });
  const filters = programs(input, sessions);
  const severity = configurations.pick(input.host, "logSeverityScreen");
  return {
    routerId: routerId(self),
    asNumber: self.asNumber,
    addresses: self.addresses,
    debug: severity === "Debug" || severity === "Trace",
    ignoredInterfaces: ignoredInterfaces(configurations, problems),
    sessions: sessions.sort((a, b) => (a.name < b.name ? -1 : 1)),
    filters,
    routes: routeSets(input, configurations, problems),
    ...(self.clusterId === undefined ? {} : { clusterId: self.clusterId }),
    problems: problems.all,
  };
}

function ignoredInterfaces(configurations: Configurations, problems: Problems): readonly string[] {
  const patterns = configurations.global?.spec.ignoredInterfaces ?? [];
  return problems.of("BGPConfiguration default", () => {
    if (!patterns.every(isInterfacePattern)) throw new RangeError("no patterns of interfaces");
    return patterns;
  }, []);
}

function nowhere(host: string, configurations: Configurations): BgpNode {
  return { name: host, labels: {}, addresses: {}, asNumber: configurations.asNumber(), port: 179 };
}

/** The lists of the filters that sessions use. */
function programs(input: BgpInput, sessions: readonly Session[]): FilterProgram[] {
  const used = new Set(sessions.flatMap(({ filters }) => filters));
  const filters = input.filters.filter(({ metadata }) => used.has(metadata.name));
  const symbols = filterSymbols(filters.map(({ metadata }) => metadata.name));
  return filters.flatMap(({ metadata, spec }) =>
    LISTS.flatMap(([list, direction, family]): FilterProgram[] => {
      const rules = spec[list] ?? [];
      const short = symbols.get(metadata.name);
      if (rules.length === 0 || short === undefined) return [];
      return [
        {
          filter: metadata.name,
          direction,
          family,
          symbol: `filter-${short}-${direction}${family}`,
          rules: [...rules],
        },
      ];
    }),
  );
}

function routeSets(input: BgpInput, configurations: Configurations, problems: Problems): RouteSets {
  const blocks = cidrs(input.blocks);
  const isSingle = (cidr: Cidr): boolean => cidr.length === width(cidr.family);
  return {
    own: blocks.filter((cidr) => !isSingle(cidr)),
    borrowed: blocks.filter(isSingle),
    lent: cidrs([...input.lent, ...input.services]),
    services: cidrs(input.services),
    connected: cidrs(input.connected),
    pools: cidrs([
      ...input.pools.filter(({ spec }) => spec.disableBGPExport !== true).map(({ spec }) => spec.cidr),
      ...input.services,
    ]),
    unexported: cidrs(input.pools.filter(({ spec }) => spec.disableBGPExport === true).map(({ spec }) => spec.cidr)),
    communities: problems.of(
      `BGPConfiguration ${configurations.advertiser(input.host)?.metadata.name ?? "default"}`,
      () => communities(input, configurations),
      [],
    ),
  };
}

function communities(input: BgpInput, configurations: Configurations): RouteSets["communities"] {
  const spec = configurations.advertiser(input.host)?.spec;
  const named = new Map((spec?.communities ?? []).map(({ name, value }) => [name, value]));
  return (spec?.prefixAdvertisements ?? []).flatMap((one) =>
    cidrs([one.cidr]).map((cidr) => ({
      cidr,
      // As in Calico, a name of nothing is no community.
      communities: [...new Set(one.communities.map((text) => named.get(text) ?? text))].filter(isCommunity),
    })),
  );
}

/** In order, without what is no CIDR and without what is said twice. */
function cidrs(texts: readonly string[]): Cidr[] {
  const byText = new Map<string, Cidr>();
  for (const text of texts) {
    const parsed = typeof text === "string" ? parseNet(text) : undefined;
    if (parsed !== undefined) byText.set(`${parsed.family} ${parsed.value} ${parsed.length}`, parsed);
  }
  return [...byText.values()].sort(
    (a, b) => a.family - b.family || (a.value < b.value ? -1 : a.value > b.value ? 1 : a.length - b.length),
  );
}
