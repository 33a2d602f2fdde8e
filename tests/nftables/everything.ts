/** A ruleset with every type of set and every step of the IR. */
import type { Chain, ElementData, FieldType, NftSet, Rule, Ruleset, Step, Table } from "../../src/core/rules/ir.ts";

export const accept: Step = { kind: "verdict", verdict: { kind: "accept" } };
export const drop: Step = { kind: "verdict", verdict: { kind: "drop" } };

export function set(key: readonly FieldType[], keys: readonly string[], interval = false): NftSet {
  return { key, interval, elements: new Map(keys.map((one) => [one, null])) };
}

export function map(
  key: readonly FieldType[],
  data: "verdict" | readonly FieldType[],
  elements: Readonly<Record<string, ElementData>>,
  interval = false,
): NftSet {
  return { key, interval, data, elements: new Map(Object.entries(elements)) };
}

export function rule(...steps: Step[]): Rule {
  return { steps };
}

export function table(
  family: Table["family"],
  sets: Readonly<Record<string, NftSet>>,
  chains: Readonly<Record<string, Chain>>,
): Table {
  return { family, name: "manx", sets: new Map(Object.entries(sets)), chains: new Map(Object.entries(chains)) };
}

export function ruleset(...tables: Table[]): Ruleset {
  return new Map(tables.map((one) => [`${one.family} ${one.name}`, one]));
}

const SETS: Readonly<Record<string, NftSet>> = {
  v4: set(["ipv4_addr"], ["10.0.0.1", "255.255.255.255", "0.0.0.0"]),
  v4i: set(["ipv4_addr"], ["10.0.0.0/8", "192.168.1.1", "192.168.2.5-192.168.2.9", "0.0.0.0", "255.255.255.255"], true),
  v4adjacent: set(["ipv4_addr"], ["10.0.0.0/25", "10.0.0.128/26", "10.0.0.192", "10.0.0.193-10.0.0.200"], true),
  v4all: set(["ipv4_addr"], ["0.0.0.0/0"], true),
  v4halves: set(["ipv4_addr"], ["0.0.0.0/1", "128.0.0.0/1"], true),
  v6: set(["ipv6_addr"], ["fe80::1", "::", "2001:db8::5"]),
  v6i: set(
    ["ipv6_addr"],
    ["fd00::/8", "fe80::1-fe80::5", "::ffff:1.2.3.4", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    true,
  ),
  macs: set(["ether_addr"], ["02:00:0a:0b:0c:0d", "ff:ff:ff:ff:ff:ff"]),
  interfaces: set(["ifname"], ["manx0a1b", "eth0", "abcdefghijklmno"]),
  interfacesi: set(["ifname"], ["manx*", "eth0", "docker*"], true),
  protocols: set(["inet_proto"], ["6", "17", "255"]),
  portsi: set(["inet_service"], ["22", "80-90", "65535", "0"], true),
  ports: set(["inet_service"], ["22", "65535"]),
  types: set(["icmp_type"], ["0", "8"]),
  typesi: set(["icmpv6_type"], ["133-137", "255"], true),
  codes: set(["icmp_type", "icmp_code"], ["3 . 1", "3 . 4"]),
  codes6: set(["icmpv6_type", "icmpv6_code"], ["1 . 0-6", "128 . 0"], true),
  marks: set(["mark"], ["0x10", "0xffffffff", "0x0"]),
  markers: set(["mark", "ether_addr"], ["0x10 . 02:00:00:00:00:01"]),
  sources: set(["ifname", "ether_addr", "ipv4_addr"], ["manx1 . 02:00:00:00:00:01 . 10.65.0.7"]),
  sources6: set(["ifname", "ether_addr", "ipv6_addr"], ["manx1 . 02:00:00:00:00:01 . fe80::1"]),
  targets: set(["ipv4_addr", "inet_proto", "inet_service"], ["10.65.0.7 . 6 . 80", "10.65.0.7 . 17 . 53"]),
  targetsi: set(
    ["ipv4_addr", "inet_proto", "inet_service"],
    ["10.65.0.0/16 . 6 . 80-90", "10.66.0.1-10.66.0.9 . 17 . 53", "10.67.0.1 . 6-17 . 0-65535", "0.0.0.0/0 . 132 . 1"],
    true,
  ),
  targets6i: set(["ipv6_addr", "inet_service"], ["fd00::/64 . 80-90", "fe80::1-fe80::9 . 443", "::/0 . 22"], true),
  doors: set(["ifname", "inet_service"], ["manx0 . 1-10", "eth0 . 80"], true),
  counted: { ...set(["ipv4_addr", "inet_service"], ["10.0.0.1 . 80"]), counters: true },
  countedi: { ...set(["ipv4_addr"], ["10.0.0.0/8", "11.0.0.1"], true), counters: true },
  verdicts: map(["ifname"], "verdict", {
    manx1: { kind: "jump", chain: "one" },
    manx2: { kind: "accept" },
    manx3: { kind: "drop" },
    manx4: { kind: "goto", chain: "two" },
    manx5: { kind: "return" },
  }),
  verdictsi: map(
    ["ipv4_addr"],
    "verdict",
    {
      "10.0.0.0/8": { kind: "jump", chain: "one" },
      "11.0.0.1-11.0.0.3": { kind: "drop" },
      "255.0.0.0/8": { kind: "accept" },
    },
    true,
  ),
  verdictsc: map(
    ["ipv4_addr", "inet_service"],
    "verdict",
    { "10.0.0.0/8 . 80": { kind: "jump", chain: "one" }, "11.0.0.1 . 1-9": { kind: "drop" } },
    true,
  ),
  publish4: map(["inet_proto", "inet_service"], ["ipv4_addr", "inet_service"], {
    "6 . 80": "10.0.0.1 . 8080",
    "17 . 53": "10.0.0.2 . 53",
  }),
  publish6: map(["inet_proto", "inet_service"], ["ipv6_addr", "inet_service"], { "6 . 80": "fd00::1 . 8080" }),
  addresses: map(["ipv4_addr"], ["ipv4_addr"], { "10.0.0.1": "10.0.0.2" }),
  tags: map(["ipv4_addr"], ["mark"], { "10.0.0.0/8": "0x1f", "11.0.0.0": "0x0" }, true),
};

const match = (field: (Step & { kind: "match" })["field"], value: string, negate?: boolean): Step => ({
  kind: "match",
  field,
  value,
  ...(negate === undefined ? {} : { negate }),
});
const lookup = (fields: (Step & { kind: "lookup" })["fields"], name: string, negate?: boolean): Step => ({
  kind: "lookup",
  fields,
  set: name,
  ...(negate === undefined ? {} : { negate }),
});

/** Rules for a filter chain of an inet table. */
const RULES: readonly Rule[] = [
  rule({ kind: "ct-state", states: ["established", "related"] }, accept),
  rule({ kind: "ct-state", states: ["invalid"] }, drop),
  rule({ kind: "ct-state", states: ["new", "untracked"], negate: true }, drop),
  rule({ kind: "ct-status", status: "dnat" }, accept),
  rule({ kind: "ct-status", status: "snat", negate: true }, accept),
  rule({ kind: "ct-direction", direction: "original" }, accept),
  rule({ kind: "ct-direction", direction: "reply" }, accept),
  rule({ kind: "fib-local", address: "daddr" }, accept),
  rule({ kind: "fib-local", address: "saddr", negate: true }, accept),
  rule(match("meta iifname", "manx*"), accept),
  rule(match("meta iifname", "manx*", true), accept),
  rule(match("meta oifname", "abcdefghijklmn*"), accept),
  rule(match("meta oifname", "eth0", true), accept),
  rule(match("meta nfproto", "ipv4"), accept),
  rule(match("meta nfproto", "ipv6", true), accept),
  rule(match("meta l4proto", "6"), accept),
  rule(match("meta l4proto", "6-17"), accept),
  rule(match("meta l4proto", "17", true), accept),
  rule(match("meta mark", "0x10"), accept),
  rule(match("meta mark", "0xffffffff", true), accept),
  rule(match("ct mark", "0x7"), accept),
  rule(match("ether saddr", "02:00:00:00:00:01"), accept),
  rule(match("ip saddr", "10.0.0.1"), match("ip daddr", "10.0.0.2", true), accept),
  rule(match("ip saddr", "10.0.0.0/8"), accept),
  rule(match("ip saddr", "10.0.0.0/13", true), accept),
  rule(match("ip saddr", "0.0.0.0/0"), accept),
  rule(match("ip daddr", "10.0.0.1-10.0.0.9"), accept),
  rule(match("ip daddr", "10.0.0.1-10.0.0.9", true), accept),
  rule(match("ip6 saddr", "fe80::/10"), accept),
  rule(match("ip6 saddr", "::"), accept),
  rule(match("ip6 daddr", "fd00::1-fd00::9", true), accept),
  rule(match("meta l4proto", "6"), match("th dport", "80"), accept),
  rule(match("meta l4proto", "17"), match("th sport", "80-90"), accept),
  rule(match("meta l4proto", "132"), match("th dport", "80-90", true), accept),
  rule(match("icmp type", "8"), match("icmp code", "0"), accept),
  rule(match("icmp type", "8-10"), accept),
  rule(match("icmpv6 type", "135"), accept),
  rule(match("icmpv6 type", "1"), match("icmpv6 code", "4", true), accept),
  rule(match("meta l4proto", "1"), match("icmp type", "8"), accept),
  rule({ kind: "tcp-flags", mask: 23, value: 2 }, accept),
  rule(match("meta l4proto", "6"), { kind: "tcp-flags", mask: 23, value: 2, negate: true }, drop),
  rule(lookup(["ip saddr"], "v4"), accept),
  rule(lookup(["ip saddr"], "v4i", true), accept),
  rule(lookup(["ip6 daddr"], "v6i"), accept),
  rule(lookup(["ether saddr"], "macs"), accept),
  rule(lookup(["meta iifname"], "interfaces"), accept),
  rule(lookup(["meta oifname"], "interfacesi"), accept),
  rule(lookup(["meta l4proto"], "protocols"), accept),
  rule(match("meta l4proto", "6"), lookup(["th dport"], "portsi"), accept),
  rule(lookup(["icmp type"], "types"), accept),
  rule(lookup(["icmpv6 type"], "typesi"), accept),
  rule(lookup(["icmp type", "icmp code"], "codes"), accept),
  rule(lookup(["meta mark"], "marks"), accept),
  rule(lookup(["meta mark", "ether saddr"], "markers"), accept),
  rule(lookup(["meta iifname", "ether saddr", "ip saddr"], "sources"), accept),
  rule(lookup(["meta iifname", "ether saddr", "ip6 saddr"], "sources6", true), drop),
  rule(lookup(["ip daddr", "meta l4proto", "th dport"], "targets"), accept),
  rule(lookup(["ip daddr", "meta l4proto", "th dport"], "targetsi"), accept),
  rule(match("meta l4proto", "6"), lookup(["ip6 daddr", "th dport"], "targets6i"), accept),
  rule(match("meta l4proto", "6"), lookup(["meta iifname", "th dport"], "doors"), accept),
  rule({ kind: "vmap", fields: ["meta iifname"], map: "verdicts" }),
  rule({ kind: "vmap", fields: ["ip saddr"], map: "verdictsi" }),
  rule(match("meta l4proto", "6"), { kind: "vmap", fields: ["ip saddr", "th dport"], map: "verdictsc" }),
  rule({ kind: "counter" }, { kind: "log", group: 3, prefix: "manx deny abc " }, drop),
  rule({ kind: "log", group: 65535, prefix: "x", snaplen: 64 }),
  rule({ kind: "limit", perSecond: 10, burst: 20 }, accept),
  rule({ kind: "set-mark", value: 0x100, mask: 0xff00 }),
  rule({ kind: "mark", value: 0x100, mask: 0xff00 }, accept),
  rule({ kind: "mark", value: 0x80000000, mask: 0x80000001, negate: true }, accept),
  rule({ kind: "set-mark", value: 0x100, mask: 0xffffffff }),
  rule({ kind: "verdict", verdict: { kind: "jump", chain: "one" } }),
  rule({ kind: "verdict", verdict: { kind: "goto", chain: "two" } }),
  rule({ kind: "verdict", verdict: { kind: "return" } }),
  rule({ kind: "reject" }),
  { steps: [{ kind: "counter" }, drop], comment: "pk3d0v9x2.i0 / end-of-tier" },
];

export const everything: Ruleset = ruleset(
  table("inet", SETS, {
    one: { rules: [rule(accept)] },
    two: { rules: [] },
    forward: { base: { type: "filter", hook: "forward", priority: -10, policy: "drop" }, rules: RULES },
    raw: {
      base: { type: "filter", hook: "prerouting", priority: -300, policy: "accept" },
      rules: [rule({ kind: "notrack" })],
    },
    source: {
      base: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
      rules: [rule({ kind: "masquerade" })],
    },
    target: {
      base: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
      rules: [
        rule({ kind: "dnat", family: 4, fields: ["meta l4proto", "th dport"], map: "publish4" }),
        rule(match("meta nfproto", "ipv6"), {
          kind: "dnat",
          family: 6,
          fields: ["meta l4proto", "th dport"],
          map: "publish6",
        }),
      ],
    },
  }),
  table(
    "arp",
    { senders: set(["ifname", "ether_addr", "ipv4_addr"], ["manx0 . 02:00:00:00:00:01 . 10.65.0.7"]) },
    {
      arpin: {
        base: { type: "filter", hook: "input", priority: 0, policy: "accept" },
        rules: [
          rule(match("meta iifname", "manx*", true), accept),
          rule(
            match("arp operation", "1"),
            match("arp saddr ether", "02:00:00:00:00:01"),
            match("arp saddr ip", "10.0.0.1"),
            accept,
          ),
          rule(lookup(["meta iifname", "arp saddr ether", "arp saddr ip"], "senders"), accept),
        ],
      },
    },
  ),
  table(
    "ip",
    {},
    {
      forward: {
        base: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
        rules: [
          rule(match("ip saddr", "10.0.0.1"), accept),
          rule(match("icmp type", "8"), accept),
          rule({ kind: "reject" }),
        ],
      },
    },
  ),
  table(
    "ip6",
    {},
    {
      forward: {
        base: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
        rules: [
          rule(match("ip6 saddr", "fd00::1"), accept),
          rule(match("icmpv6 type", "128"), accept),
          rule({ kind: "reject" }),
        ],
      },
    },
  ),
);
