/**
 * Address translation: sources of natOutgoing pools leave under the host's address, and host ports that `publish=host` opened
 * lead to their containers. A chain exists only where there is something to translate: an empty one still costs every packet.
 */
import { FAMILIES, type Family } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import { PRIORITY } from "./fixed.ts";
import type { Chain, NftSet, Rule } from "./ir.ts";
import { addressField } from "./match.ts";
import { addressType, disjointNets } from "./sets.ts";
import { baseChain, dataMap, exactSet, intervalSet, is, isIn, isNot, isNotIn, masquerade, rule } from "./steps.ts";

export interface NatInput {
  /** CIDRs of pools with natOutgoing. */
  readonly natPools: readonly Cidr[];
  readonly allPools: readonly Cidr[];
  /** `publish=host`; addresses are the container's and the host's ("" for any of the host's). */
  readonly hostPorts: readonly HostPort[];
}

export interface HostPort {
  readonly family: Family;
  readonly protocol: number;
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly address: string;
  readonly port: number;
}

/** Destinations that are never translated besides the pools: they are on the link, or a group (RFC 6890, RFC 4291). */
const LOCAL: Readonly<Record<Family, readonly Cidr[]>> = {
  4: [
    { family: 4, value: 0xa9fe0000n, length: 16 },
    { family: 4, value: 0xe0000000n, length: 4 },
    { family: 4, value: 0xffffffffn, length: 32 },
  ],
  6: [
    { family: 6, value: 0xfe80n << 112n, length: 10 },
    { family: 6, value: 0xffn << 120n, length: 8 },
  ],
};

export interface Nat {
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly chains: ReadonlyMap<string, Chain>;
}

export function compileNat(input: NatInput): Nat {
  const sets = new Map<string, NftSet>();
  const dstnat: Rule[] = [];
  const srcnat: Rule[] = [];
  for (const family of FAMILIES) {
    dstnat.push(...hostPortRules(input, family, sets));
    srcnat.push(...hairpinRules(input, family, sets), ...outgoingRules(input, family, sets));
  }
  const chains = new Map<string, Chain>();
  if (dstnat.length > 0) {
    chains.set("nat-prerouting", baseChain("nat", "prerouting", PRIORITY.dstnat, ...dstnat));
    chains.set("nat-output", baseChain("nat", "output", PRIORITY.dstnat, ...dstnat));
  }
  if (srcnat.length > 0) chains.set("nat-postrouting", baseChain("nat", "postrouting", PRIORITY.srcnat, ...srcnat));
  return { sets, chains };
}

function hostPortRules({ hostPorts }: NatInput, family: Family, sets: Map<string, NftSet>): Rule[] {
  const any = new Map<string, string>();
  const bound = new Map<string, string>();
  for (const entry of hostPorts) {
    if (entry.family !== family) continue;
    const target = `${entry.address} . ${entry.port}`;
    const key = `${entry.protocol} . ${entry.hostPort}`;
    if (entry.hostAddress === "") any.set(key, target);
    else bound.set(`${entry.hostAddress} . ${key}`, target);
  }
  const data = [addressType(family), "inet_service"] as const;
  const daddr = addressField("destination", family);
  // A reply to ::1 cannot come back from another interface: IPv6 knows no route_localnet.
  const guard = family === 6 ? [isNot(daddr, "::1")] : [];
  const rules: Rule[] = [];
  if (bound.size > 0) {
    const name = `host-address-ports${family}`;
    sets.set(name, dataMap([addressType(family), "inet_proto", "inet_service"], data, bound));
    const fields = [daddr, "meta l4proto", "th dport"] as const;
    rules.push(rule(...guard, { kind: "dnat", family, fields, map: name }));
  }
  if (any.size > 0) {
    const name = `host-ports${family}`;
    sets.set(name, dataMap(["inet_proto", "inet_service"], data, any));
    const own = { kind: "fib-local", address: "daddr" } as const;
    const version = is("meta nfproto", family === 4 ? "ipv4" : "ipv6");
    const fields = ["meta l4proto", "th dport"] as const;
    rules.push(rule(version, ...guard, own, { kind: "dnat", family, fields, map: name }));
  }
  return rules;
}

/** A container that reaches itself by the host's port would otherwise see its own address as the sender and drop it. */
function hairpinRules({ hostPorts }: NatInput, family: Family, sets: Map<string, NftSet>): Rule[] {
  const pairs = hostPorts.filter((entry) => entry.family === family).map(({ address }) => `${address} . ${address}`);
  if (pairs.length === 0) return [];
  const name = `hairpin${family}`;
  sets.set(name, exactSet([addressType(family), addressType(family)], pairs));
  const fields = [addressField("source", family), addressField("destination", family)] as const;
  const dnat = { kind: "ct-status", status: "dnat" } as const;
  const rules = [rule(isIn(fields, name), dnat, masquerade)];
  if (family === 4) rules.push(rule(is("ip saddr", "127.0.0.0/8"), dnat, masquerade));
  return rules;
}

function outgoingRules({ natPools, allPools }: NatInput, family: Family, sets: Map<string, NftSet>): Rule[] {
  const of = (nets: readonly Cidr[]): Cidr[] => nets.filter((net) => net.family === family);
  const inside = of(natPools);
  if (inside.length === 0) return [];
  sets.set(`nat${family}`, intervalSet([addressType(family)], disjointNets(inside)));
  sets.set(`no-nat${family}`, intervalSet([addressType(family)], disjointNets([...of(allPools), ...LOCAL[family]])));
  return [
    rule(
      isIn([addressField("source", family)], `nat${family}`),
      isNotIn([addressField("destination", family)], `no-nat${family}`),
      masquerade,
    ),
  ];
}
