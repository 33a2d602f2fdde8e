/** All of the ruleset from its parts: the fixed chains, what each local interface adds to maps and sets, and the pieces. */
import type { Settings } from "../calc/snapshot.ts";
import {
  FIXED_SETS,
  forwardFromChain,
  forwardToChain,
  GUARD,
  guardChain,
  icmpv6SourceChain,
  inputFromChain,
  inputHostChain,
  outputChain,
  rawChain,
} from "./fixed.ts";
import type { HostChains } from "./host-chains.ts";
import type { Chain, FieldType, NftSet, Rule, Ruleset, Table, Verdict } from "./ir.ts";
import type { Nat } from "./nat.ts";
import { LINK_REPORTS, TCP, UDP } from "./protocol.ts";
import { exactSet, verdictMap } from "./steps.ts";

export const TABLE_NAME = "manx";
/** Keys of the tables in a Ruleset. */
export const INET_KEY = `inet ${TABLE_NAME}`;
export const ARP_KEY = `arp ${TABLE_NAME}`;

/** What one interface adds. Elements are canonical keys. */
export interface InterfaceElements {
  readonly interface: string;
  readonly mac: string;
  readonly from: Verdict;
  readonly to: Verdict;
  readonly sources4: readonly string[];
  readonly sources6: readonly string[];
  readonly endpoints4: readonly string[];
  readonly endpoints6: readonly string[];
  readonly published4: readonly string[];
  readonly published6: readonly string[];
}

/** Rules for host endpoints at the places where packets pass. */
export interface HostRules {
  readonly raw: readonly Rule[];
  readonly forwardFrom: readonly Rule[];
  readonly forwardTo: readonly Rule[];
  readonly input: readonly Rule[];
  readonly output: readonly Rule[];
}
export const NO_HOST_RULES: HostRules = { raw: [], forwardFrom: [], forwardTo: [], input: [], output: [] };

export interface TableParts {
  readonly fixed: readonly (readonly [string, Chain])[];
  /** By the names of FIXED_SETS. */
  readonly interfaceSets: Iterable<readonly [string, NftSet]>;
  readonly arp: Table;
  /** Sets and chains of the programs. */
  readonly sets: Iterable<readonly [string, NftSet]>;
  readonly chains: Iterable<readonly [string, Chain]>;
  readonly nat: Nat;
  /** Of host endpoints, besides their rules in the fixed chains. */
  readonly host: Pick<HostChains, "chains" | "sets">;
}

export function assemble(parts: TableParts): Ruleset {
  return new Map<string, Table>([
    [
      INET_KEY,
      {
        family: "inet",
        name: TABLE_NAME,
        sets: new Map([...CONSTANT_SETS, ...parts.interfaceSets, ...parts.nat.sets, ...parts.host.sets, ...parts.sets]),
        chains: new Map([...parts.fixed, ...parts.nat.chains, ...parts.host.chains, ...parts.chains]),
      },
    ],
    [ARP_KEY, parts.arp],
  ]);
}

export function fixedChains(settings: Settings, host: HostRules): [string, Chain][] {
  return [
    ["prerouting", rawChain(settings, host.raw)],
    ["icmpv6-source", icmpv6SourceChain(settings)],
    ["forward-from", forwardFromChain(settings, host.forwardFrom)],
    ["forward-to", forwardToChain(settings, host.forwardTo)],
    ["input-from", inputFromChain(settings, host.input)],
    ["input-host", inputHostChain(settings)],
    ["output", outputChain(settings, host.output)],
    ...(settings.guardForwarding.length > 0 ? [[GUARD, guardChain(settings)] as [string, Chain]] : []),
  ];
}

/** ICMPv6 types by their numbers (IANA icmpv6-parameters): 133-137 are RFC 4861's, 138 is router renumbering. */
export const CONSTANT_SETS: readonly [string, NftSet][] = [
  [FIXED_SETS.hostServices, exactSet(["inet_proto", "inet_service"], [`${UDP} . 53`, `${TCP} . 53`])],
  [FIXED_SETS.neighbourDiscovery, exactSet(["icmpv6_type"], ["135", "136"])],
  [FIXED_SETS.linkReports, exactSet(["icmpv6_type"], LINK_REPORTS.map(String))],
  [FIXED_SETS.routerMessages, exactSet(["icmpv6_type"], ["134", "137", "138"])],
  [
    FIXED_SETS.multicast4,
    {
      key: ["ipv4_addr"],
      interval: true,
      elements: new Map([
        ["224.0.0.0/4", null],
        ["255.255.255.255", null],
      ]),
    },
  ],
];

/** Keys of the sets that every interface adds its elements to. */
export const INTERFACE_SETS = {
  [FIXED_SETS.interfaces]: ["ifname"],
  [FIXED_SETS.macs]: ["ifname", "ether_addr"],
  [FIXED_SETS.sources4]: ["ifname", "ether_addr", "ipv4_addr"],
  [FIXED_SETS.sources6]: ["ifname", "ether_addr", "ipv6_addr"],
  [FIXED_SETS.endpoints4]: ["ipv4_addr"],
  [FIXED_SETS.endpoints6]: ["ipv6_addr"],
  [FIXED_SETS.published4]: ["ipv4_addr", "inet_proto", "inet_service"],
  [FIXED_SETS.published6]: ["ipv6_addr", "inet_proto", "inet_service"],
} as const satisfies Readonly<Record<string, readonly FieldType[]>>;
export type InterfaceSet = keyof typeof INTERFACE_SETS;
export const INTERFACE_MAPS = [FIXED_SETS.from, FIXED_SETS.to] as const;

/** What the interface adds to each of INTERFACE_SETS. */
export function interfaceElements(one: InterfaceElements): Readonly<Record<InterfaceSet, readonly string[]>> {
  const { sources4, sources6, endpoints4, endpoints6, published4, published6 } = one;
  return {
    interfaces: [one.interface],
    macs: [`${one.interface} . ${one.mac}`],
    sources4,
    sources6,
    endpoints4,
    endpoints6,
    published4,
    published6,
  };
}

export function interfaceSets(interfaces: readonly InterfaceElements[]): [string, NftSet][] {
  const all = interfaces.map(interfaceElements);
  const sets = Object.entries(INTERFACE_SETS).map(([name, key]): [string, NftSet] => [
    name,
    exactSet(
      key,
      all.flatMap((elements) => elements[name as InterfaceSet]),
    ),
  ]);
  const verdicts = (of: (one: InterfaceElements) => Verdict): NftSet =>
    verdictMap(["ifname"], new Map(interfaces.map((one) => [one.interface, of(one)])));
  return [...sets, [FIXED_SETS.from, verdicts(({ from }) => from)], [FIXED_SETS.to, verdicts(({ to }) => to)]];
}

/** `input`: what `arpChain` makes; `senders`: the elements of `sources4`. */
export function arpTable(input: Chain, senders: NftSet): Table {
  return {
    family: "arp",
    name: TABLE_NAME,
    sets: new Map([[FIXED_SETS.senders, senders]]),
    chains: new Map([["input", input]]),
  };
}
