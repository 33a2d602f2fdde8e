/**
 * What one nftables table should hold, as plain values: the language between the rule compiler (pure) and the nftables driver.
 *
 * Everything is text in its canonical form, so that two tables are compared by comparing strings: an element key is its
 * fields joined by " . " (`manx0a1b . 10.65.0.7`), a range inside a field is `first-last`, a prefix `10.65.0.0/16`.
 * The driver alone knows bytes. Rules are few and shared by many endpoints; what changes often is a set or map element,
 * because any rule change makes the kernel validate the whole table again.
 *
 * One value has one text, and the driver refuses any other:
 *
 *   ipv4_addr, ipv6_addr   as `formatAddress` writes it; /32 and /128 without their length; a range that is a CIDR as CIDR
 *   ether_addr             `02:00:0a:0b:0c:0d`
 *   ifname                 the name (15 bytes, no space, `/`, `"`, `*`); in matches and interval sets also `prefix*`
 *   inet_proto             the number: `6`, `17`, `58`
 *   inet_service, icmp*    the number
 *   mark                   `0x` and lower-case hex without leading zeros; no ranges
 *   meta nfproto           `ipv4`, `ipv6`
 *
 * A range is `first-last` with first < last. Values are immutable: whoever changes a set or a chain makes a new object, and
 * keeps the object where nothing changed, because the driver compares identity before contents.
 *
 * Names of tables, chains and sets: a letter, then letters, digits, `_`, `-`, `.`, `/`; at most 255 bytes; not a keyword of
 * nft(8) (`to`, `ip`, `fwd`, `log`): the kernel would take it, but nobody could list it by its name.
 */

/** Data types of nft(8) that keys are made of. */
export type FieldType =
  | "ipv4_addr"
  | "ipv6_addr"
  | "ether_addr"
  | "ifname"
  | "inet_proto"
  | "inet_service"
  | "icmp_type"
  | "icmp_code"
  | "icmpv6_type"
  | "icmpv6_code"
  | "mark";

/**
 * What a match or a lookup reads from the packet: the words of nft(8). What a field implies (`ip saddr`: the packet is IPv4;
 * `icmp type`: it is ICMP) is checked by itself. `th sport` and `th dport` imply nothing: a rule that reads them has matched
 * `meta l4proto` before, or reads it in the same lookup.
 */
export type Field =
  | "meta iifname"
  | "meta oifname"
  | "meta nfproto"
  | "meta l4proto"
  | "meta mark"
  | "ether saddr"
  | "ip saddr"
  | "ip daddr"
  | "ip6 saddr"
  | "ip6 daddr"
  | "th sport"
  | "th dport"
  | "icmp type"
  | "icmp code"
  | "icmpv6 type"
  | "icmpv6 code"
  | "icmpv6 taddr"
  | "arp operation"
  | "arp saddr ether"
  | "arp saddr ip"
  | "ct mark";

export type Verdict =
  | { readonly kind: "accept" | "drop" | "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

/** One step of a rule, from left to right, as nft runs them: a step that does not match ends the rule. */
export type Step =
  /** `value` is one canonical field value, `first-last`, a prefix, or a name with a trailing `*` for interfaces. */
  | { readonly kind: "match"; readonly field: Field; readonly negate?: boolean; readonly value: string }
  /** The fields, concatenated, are (not) in the set. */
  | { readonly kind: "lookup"; readonly fields: readonly Field[]; readonly set: string; readonly negate?: boolean }
  /** Takes the verdict that the map holds for the fields; goes on where it holds none. */
  | { readonly kind: "vmap"; readonly fields: readonly Field[]; readonly map: string }
  | { readonly kind: "ct-state"; readonly states: readonly CtState[]; readonly negate?: boolean }
  | { readonly kind: "ct-status"; readonly status: "dnat" | "snat"; readonly negate?: boolean }
  | { readonly kind: "ct-direction"; readonly direction: "original" | "reply" }
  /** Of the TCP flag bits (RFC 9293 section 3.1: FIN 1, SYN 2, RST 4, PSH 8, ACK 16) under `mask`, (not) exactly `value`. Only TCP. */
  | { readonly kind: "tcp-flags"; readonly mask: number; readonly value: number; readonly negate?: boolean }
  /** Of the packet mark's bits under `mask`, (not) exactly `value`. */
  | { readonly kind: "mark"; readonly mask: number; readonly value: number; readonly negate?: boolean }
  /** The address is (not) one of this host's own: `fib daddr type local`. */
  | { readonly kind: "fib-local"; readonly address: "saddr" | "daddr"; readonly negate?: boolean }
  | { readonly kind: "counter" }
  /** Sends the packet's first `snaplen` bytes (128 if absent) to NFLOG `group`; `prefix` (127 bytes at the most) names what decided. */
  | { readonly kind: "log"; readonly group: number; readonly prefix: string; readonly snaplen?: number }
  | { readonly kind: "limit"; readonly perSecond: number; readonly burst: number }
  | { readonly kind: "set-mark"; readonly value: number; readonly mask: number }
  | { readonly kind: "notrack" }
  | { readonly kind: "masquerade" }
  /** Redirects to the address and port that the map holds for the fields (key -> `ADDRESS . PORT`). */
  | { readonly kind: "dnat"; readonly family: 4 | 6; readonly fields: readonly Field[]; readonly map: string }
  | { readonly kind: "reject" }
  | { readonly kind: "verdict"; readonly verdict: Verdict };

export type CtState = "new" | "established" | "related" | "invalid" | "untracked";

export interface Rule {
  readonly steps: readonly Step[];
  /** Shown by `nft list`; also the place where a counter's meaning is found again. At most 100 bytes. */
  readonly comment?: string;
}

export interface Base {
  readonly type: "filter" | "nat" | "route";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting" | "ingress";
  readonly priority: number;
  readonly policy: "accept" | "drop";
}

export interface Chain {
  /** Present for a base chain. */
  readonly base?: Base;
  readonly rules: readonly Rule[];
}

/** What an element of a map holds: a verdict, or the canonical text of the data fields. A set's element holds null. */
export type ElementData = null | Verdict | string;

export interface NftSet {
  readonly key: readonly FieldType[];
  /** Keys may be ranges and prefixes. One field: the ranges must not overlap. Several: pipapo, the same. */
  readonly interval: boolean;
  /** Absent for a set; "verdict" for a verdict map; field types for a data map. */
  readonly data?: "verdict" | readonly FieldType[];
  /** Each element counts the packets that it matched. */
  readonly counters?: boolean;
  readonly elements: ReadonlyMap<string, ElementData>;
  /** How `elements` came out of an earlier map. Only saves time: it must describe the same elements. */
  readonly since?: ElementsDelta;
}

/** `from` without `removed` (keys), then with `added`; a key whose data changed is in `added` only. */
export interface ElementsDelta {
  readonly from: ReadonlyMap<string, ElementData>;
  readonly added: ReadonlyMap<string, ElementData>;
  readonly removed: ReadonlySet<string>;
}

export interface Table {
  readonly family: "inet" | "arp" | "ip" | "ip6";
  readonly name: string;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly chains: ReadonlyMap<string, Chain>;
  /** Which entries are others than in earlier maps. Only saves time: it must name all that differ. */
  readonly since?: { readonly sets: Touched<NftSet>; readonly chains: Touched<Chain> };
}

export interface Touched<V> {
  readonly from: ReadonlyMap<string, V>;
  /** Keys that came, went or have another value. */
  readonly keys: ReadonlySet<string>;
}

/** All that we own in nftables, by "family name". */
export type Ruleset = ReadonlyMap<string, Table>;
