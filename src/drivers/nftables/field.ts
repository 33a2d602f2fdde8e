/** Where each field of the IR is in the packet, what it is compared as, and what it says about the packet. */
import type { Field } from "../../core/rules/ir.ts";
import { NFT_CT, NFT_META, NFT_PAYLOAD } from "./uapi.ts";
import type { ValueType } from "./value.ts";

type Source =
  | { readonly kind: "meta"; readonly key: number }
  | { readonly kind: "ct"; readonly key: number }
  | { readonly kind: "payload"; readonly base: number; readonly offset: number };

/** What must be known about a packet before the field's bytes mean what the field says. */
export type Implies = "ipv4" | "ipv6" | "icmp" | "icmpv6" | "ports" | "ethernet" | "arp";

export interface FieldSpec {
  readonly type: ValueType;
  readonly source: Source;
  readonly implies?: Implies;
}

const meta = (type: ValueType, key: number): FieldSpec => ({ type, source: { kind: "meta", key } });
const network = (type: ValueType, offset: number, implies: Implies): FieldSpec => ({
  type,
  source: { kind: "payload", base: NFT_PAYLOAD.NETWORK, offset },
  implies,
});
const transport = (type: ValueType, offset: number, implies: Implies): FieldSpec => ({
  type,
  source: { kind: "payload", base: NFT_PAYLOAD.TRANSPORT, offset },
  implies,
});

/** Offsets: RFC 791 section 3.1, RFC 8200 section 3, RFC 792, RFC 4443 section 2.1, RFC 4861 section 4.3, RFC 826. */
export const FIELDS: Readonly<Record<Field, FieldSpec>> = {
  "meta iifname": meta("ifname", NFT_META.IIFNAME),
  "meta oifname": meta("ifname", NFT_META.OIFNAME),
  "meta nfproto": meta("nf_proto", NFT_META.NFPROTO),
  "meta l4proto": meta("inet_proto", NFT_META.L4PROTO),
  "meta mark": meta("mark", NFT_META.MARK),
  "ct mark": { type: "mark", source: { kind: "ct", key: NFT_CT.MARK } },
  "ether saddr": {
    type: "ether_addr",
    source: { kind: "payload", base: NFT_PAYLOAD.LL, offset: 6 },
    implies: "ethernet",
  },
  "ip saddr": network("ipv4_addr", 12, "ipv4"),
  "ip daddr": network("ipv4_addr", 16, "ipv4"),
  "ip6 saddr": network("ipv6_addr", 8, "ipv6"),
  "ip6 daddr": network("ipv6_addr", 24, "ipv6"),
  "arp operation": network("arp_op", 6, "arp"),
  "arp saddr ether": network("ether_addr", 8, "arp"),
  "arp saddr ip": network("ipv4_addr", 14, "arp"),
  "th sport": transport("inet_service", 0, "ports"),
  "th dport": transport("inet_service", 2, "ports"),
  "icmp type": transport("icmp_type", 0, "icmp"),
  "icmp code": transport("icmp_code", 1, "icmp"),
  "icmpv6 type": transport("icmpv6_type", 0, "icmpv6"),
  "icmpv6 code": transport("icmpv6_code", 1, "icmpv6"),
  "icmpv6 taddr": transport("ipv6_addr", 8, "icmpv6"),
};
