/** All of the ruleset from its parts: the fixed chains, what each local interface adds to maps and sets, and the pieces. */
import type { Settings } from "../calc/snapshot.ts";
import {
  arpChain,
  FIXED_SETS,
  forwardFromChain,
  forwardToChain,
  icmpv6SourceChain,
  inputFromChain,
  inputHostChain,
  outputChain,
  rawChain,
} from "./fixed.ts";
import type { Chain, NftSet, Rule, Ruleset, Table, Verdict } from "./ir.ts";
import type { Nat } from "./nat.ts";
import { TCP, UDP } from "./protocol.ts";
import { exactSet, verdictMap } from "./steps.ts";

export const TABLE_NAME = "manx";

/** What one interface adds. Elements are canonical keys. */
export interface InterfaceElements {
  readonly interface: string;
  readonly mac: string;
  readonly from: Verdict;
  readonly to: Verdict;
  readonly sources4: readonly string[];
  readonly sources6: readonly string[];
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
  readonly settings: Settings;
  readonly interfaces: readonly InterfaceElements[];
  /** Sets and chains of the programs. */
  readonly sets: Iterable<readonly [string, NftSet]>;
  readonly chains: Iterable<readonly [string, Chain]>;
  readonly nat: Nat;
  readonly host: HostRules;
}

export function assemble(parts: TableParts): Ruleset {
  return new Map<string, Table>([
    [
      `inet ${TABLE_NAME}`,
      {
        family: "inet",
        name: TABLE_NAME,
        sets: new Map([...constantSets(), ...interfaceSets(parts.interfaces), ...parts.nat.sets, ...parts.sets]),
        chains: new Map([...fixedChains(parts), ...parts.nat.chains, ...parts.chains]),
      },
    ],
    [`arp ${TABLE_NAME}`, arpTable(parts.interfaces)],
  ]);
}

function fixedChains({ settings, host }: TableParts): [string, Chain][] {
  return [
    ["prerouting", rawChain(host.raw)],
    ["icmpv6-source", icmpv6SourceChain()],
    ["forward-from", forwardFromChain(host.forwardFrom)],
    ["forward-to", forwardToChain(settings, host.forwardTo)],
    ["input-from", inputFromChain(host.input)],
    ["input-host", inputHostChain(settings)],
    ["output", outputChain(host.output)],
  ];
}

/** ICMPv6 types by their numbers (IANA icmpv6-parameters): 133-137 are RFC 4861's, 138 is router renumbering. */
const CONSTANT: readonly [string, NftSet][] = [
  [FIXED_SETS.hostServices, exactSet(["inet_proto", "inet_service"], [`${UDP} . 53`, `${TCP} . 53`])],
  [FIXED_SETS.neighbourDiscovery, exactSet(["icmpv6_type"], ["135", "136"])],
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

export function constantSets(): readonly [string, NftSet][] {
  return CONSTANT;
}

export function interfaceSets(interfaces: readonly InterfaceElements[]): [string, NftSet][] {
  const S = FIXED_SETS;
  const from = new Map<string, Verdict>();
  const to = new Map<string, Verdict>();
  for (const one of interfaces) {
    from.set(one.interface, one.from);
    to.set(one.interface, one.to);
  }
  const names = interfaces.map((one) => one.interface);
  const macs = interfaces.map((one) => `${one.interface} . ${one.mac}`);
  const each = (list: (one: InterfaceElements) => readonly string[]): string[] => interfaces.flatMap(list);
  return [
    [S.from, verdictMap(["ifname"], from)],
    [S.to, verdictMap(["ifname"], to)],
    [S.interfaces, exactSet(["ifname"], names)],
    [S.macs, exactSet(["ifname", "ether_addr"], macs)],
    [
      S.sources4,
      exactSet(
        ["ifname", "ether_addr", "ipv4_addr"],
        each((one) => one.sources4),
      ),
    ],
    [
      S.sources6,
      exactSet(
        ["ifname", "ether_addr", "ipv6_addr"],
        each((one) => one.sources6),
      ),
    ],
    [
      S.published4,
      exactSet(
        ["ipv4_addr", "inet_proto", "inet_service"],
        each((one) => one.published4),
      ),
    ],
    [
      S.published6,
      exactSet(
        ["ipv6_addr", "inet_proto", "inet_service"],
        each((one) => one.published6),
      ),
    ],
  ];
}

function arpTable(interfaces: readonly InterfaceElements[]): Table {
  const senders = exactSet(
    ["ifname", "ether_addr", "ipv4_addr"],
    interfaces.flatMap((one) => one.sources4),
  );
  return {
    family: "arp",
    name: TABLE_NAME,
    sets: new Map([[FIXED_SETS.senders, senders]]),
    chains: new Map([["input", arpChain()]]),
  };
}
