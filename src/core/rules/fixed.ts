/**
 * The chains that are the same for every endpoint: where packets enter our table, and what holds before any policy.
 *
 *   prerouting -300  a container's packets carry its own MAC and addresses, or go no further; before conntrack sees them
 *   forward -10      the sender's egress       } two base chains, because `accept` ends only the base chain it stands in:
 *   forward -9       the receiver's ingress    } the receiver decides after the sender, without marks
 *   input -10, -9    container to its own host: its egress, then what the host lets containers do
 *   output -10       only to interfaces that we know
 *
 * Host endpoints have their part in these, and chains of their own besides (host-chains.ts).
 *
 * What is not from or to a `manx*` interface passes untouched; a `manx*` interface that no map knows is dropped.
 * Replies are recognised by conntrack first, so the rest is the path of new flows, and of one-way UDP.
 */
import type { Settings } from "../calc/snapshot.ts";
import type { Chain, Rule, Step } from "./ir.ts";
import { isFamily } from "./match.ts";
import type { FixedRule, Origin } from "./origin.ts";
import { ICMP, ICMPV6, TCP } from "./protocol.ts";
import {
  accept,
  baseChain,
  chain,
  counter,
  ctState,
  drop,
  goto,
  is,
  isIn,
  isNot,
  isNotIn,
  jump,
  leave,
  logSteps,
  named,
  rule,
  vmap,
} from "./steps.ts";

export const OURS = "manx*";
export const PRIORITY = { raw: -300, mangle: -150, from: -10, to: -9, dstnat: -100, srcnat: 100 } as const;

/**
 * Where containers ask for names: the gateway of a container's first Manx network, which each of them has a route to, whatever
 * its default route. Not on loopback: so Docker's resolver asks from within the container, and the source says who asks.
 */
export const NAMES_ADDRESS = "169.254.1.1";

/** Names of the sets that the fixed chains read. */
export const FIXED_SETS = {
  sources4: "sources4",
  sources6: "sources6",
  macs: "macs",
  from: "from-endpoint",
  to: "to-endpoint",
  interfaces: "interfaces",
  endpoints4: "endpoints4",
  endpoints6: "endpoints6",
  published4: "published4",
  published6: "published6",
  hostServices: "host-services",
  multicast4: "multicast4",
  neighbourDiscovery: "neighbour-discovery",
  routerMessages: "router-messages",
  linkReports: "link-reports",
  senders: "senders",
} as const;

export const FIXED_ORIGINS: readonly (readonly [string, Origin])[] = (
  [
    "spoofed-source",
    "spoofed-arp",
    "foreign-neighbour",
    "loopback-destination",
    "unknown-interface",
    "invalid",
    "mid-stream",
    "endpoint-to-host",
    "guard",
    "failsafe",
  ] as const
).map((name) => [name, { kind: "fixed", rule: name }]);

// RFC 9293 section 3.1: of FIN, SYN, RST and ACK, the first segment of a connection carries SYN alone.
export const notFirstSegment = { kind: "tcp-flags", mask: 23, value: 2, negate: true } as const;
export const GUARD = "guard";

/** Drops what the steps match, under the name of what is wrong with it. */
function denied(settings: Settings, what: FixedRule, ...match: Step[]): Rule {
  return named(what, ...match, counter, ...logSteps(settings.logGroup, "deny", what), drop);
}

export const established = rule(ctState("established", "related"), accept);

/** `sources*`: interface . MAC . address of what each endpoint may send as. */
export function rawChain(settings: Settings, before: readonly Rule[]): Chain {
  const S = FIXED_SETS;
  return baseChain(
    "filter",
    "prerouting",
    PRIORITY.raw,
    ...before,
    rule(isNot("meta iifname", OURS), accept),
    // With route_localnet (ports published on 127.0.0.1) the kernel no longer refuses these by itself.
    denied(settings, "loopback-destination", is("ip daddr", "127.0.0.0/8")),
    rule(isIn(["meta iifname", "ether saddr", "ip saddr"], S.sources4), accept),
    rule(is("meta l4proto", String(ICMPV6)), goto("icmpv6-source")),
    rule(isIn(["meta iifname", "ether saddr", "ip6 saddr"], S.sources6), accept),
    denied(settings, "spoofed-source"),
  );
}

/**
 * ICMPv6 from a container. Neighbour discovery (RFC 4861) speaks of the container's own addresses and of link-local ones only;
 * routers' messages are not a container's to send. Link-local sources reach this host and no further, and `::` is for
 * duplicate address detection (RFC 4862 section 5.4.2). What every IPv6 stack says to its link when an interface comes up is of
 * no use here, and no news: the host sends no router advertisements, and no switch listens for groups.
 */
export function icmpv6SourceChain(settings: Settings): Chain {
  const S = FIXED_SETS;
  const fields = ["meta iifname", "ether saddr"] as const;
  return chain(
    denied(settings, "foreign-neighbour", isIn(["icmpv6 type"], S.routerMessages)),
    denied(
      settings,
      "foreign-neighbour",
      isIn(["icmpv6 type"], S.neighbourDiscovery),
      isNot("icmpv6 taddr", "fe80::/10"),
      isNotIn([...fields, "icmpv6 taddr"], S.sources6),
    ),
    rule(isIn([...fields, "ip6 saddr"], S.sources6), accept),
    rule(isIn(["icmpv6 type"], S.linkReports), drop),
    rule(is("ip6 saddr", "fe80::/10"), isIn(fields, S.macs), accept),
    rule(is("ip6 saddr", "::"), is("icmpv6 type", "135"), isIn(fields, S.macs), accept),
    denied(settings, "spoofed-source"),
  );
}

export function forwardFromChain(settings: Settings, before: readonly Rule[]): Chain {
  return baseChain(
    "filter",
    "forward",
    PRIORITY.from,
    established,
    ...newFlowChecks(settings, "meta iifname"),
    rule(vmap(["meta iifname"], FIXED_SETS.from)),
    denied(settings, "unknown-interface", is("meta iifname", OURS)),
    ...impostors(settings),
    ...before,
  );
}

/** `endpoints*`: addresses of this host's endpoints. Who begins a flow with one of them elsewhere is not who policy takes him for. */
function impostors(settings: Settings): Rule[] {
  const elsewhere = isNot("meta iifname", OURS);
  return [
    denied(settings, "spoofed-source", elsewhere, isIn(["ip saddr"], FIXED_SETS.endpoints4)),
    denied(settings, "spoofed-source", elsewhere, isIn(["ip6 saddr"], FIXED_SETS.endpoints6)),
  ];
}

export function forwardToChain(settings: Settings, before: readonly Rule[]): Chain {
  return baseChain(
    "filter",
    "forward",
    PRIORITY.to,
    established,
    ...newFlowChecks(settings, "meta oifname"),
    rule(vmap(["meta oifname"], FIXED_SETS.to)),
    denied(settings, "unknown-interface", is("meta oifname", OURS)),
    ...guards(settings),
    ...before,
  );
}

/**
 * A TCP segment in the middle of a connection that conntrack does not know starts no flow: otherwise the reply of a
 * connection that was just cut would open it again from the other side.
 */
function newFlowChecks(settings: Settings, field: "meta iifname" | "meta oifname"): Rule[] {
  return [
    denied(settings, "invalid", ctState("invalid"), is(field, OURS)),
    denied(settings, "mid-stream", is("meta l4proto", String(TCP)), notFirstSegment, is(field, OURS)),
  ];
}

function guards({ guardForwarding }: Settings): Rule[] {
  if (guardForwarding.length > 1) return [rule(jump(GUARD))];
  return guardForwarding.map((family) => rule(isFamily(family), jump(GUARD)));
}

/**
 * Forwarding was off before us: nothing is routed that was not, but for Docker's own networks, which need it as well. Returns
 * what passes: the policies of host endpoints come after it.
 */
export function guardChain(settings: Settings): Chain {
  return chain(
    rule(is("meta iifname", OURS), leave),
    rule(is("meta iifname", "docker*"), leave),
    rule(is("meta iifname", "br-*"), leave),
    rule({ kind: "ct-status", status: "dnat" }, leave),
    denied(settings, "guard"),
  );
}

export function inputFromChain(settings: Settings, before: readonly Rule[]): Chain {
  return baseChain(
    "filter",
    "input",
    PRIORITY.from,
    established,
    ...(before.length === 0 ? [] : [...impostors(settings), ...before]),
    rule(isNot("meta iifname", OURS), accept),
    // Checked in prerouting, and not tracked: the container must be able to find its gateway whatever its policy.
    rule(isIn(["icmpv6 type"], FIXED_SETS.neighbourDiscovery), accept),
    denied(settings, "invalid", ctState("invalid")),
    denied(settings, "mid-stream", is("meta l4proto", String(TCP)), notFirstSegment),
    rule(vmap(["meta iifname"], FIXED_SETS.from)),
    denied(settings, "unknown-interface"),
  );
}

export function inputHostChain(settings: Settings): Chain {
  const rules: Rule[] = [
    established,
    rule(isNot("meta iifname", OURS), accept),
    rule(isIn(["icmpv6 type"], FIXED_SETS.neighbourDiscovery), accept),
    denied(settings, "endpoint-to-host", isIn(["ip daddr"], FIXED_SETS.multicast4)),
    denied(settings, "endpoint-to-host", is("ip6 daddr", "ff00::/8")),
  ];
  if (settings.endpointToHost === "restricted")
    rules.push(
      rule(isIn(["meta l4proto", "th dport"], FIXED_SETS.hostServices), accept),
      rule(is("meta l4proto", String(ICMP)), accept),
      rule(is("meta l4proto", String(ICMPV6)), accept),
    );
  if (settings.endpointToHost !== "allow") rules.push(denied(settings, "endpoint-to-host"));
  return baseChain("filter", "input", PRIORITY.to, ...rules);
}

/** The host may always reach its own containers. */
export function outputChain(settings: Settings, before: readonly Rule[]): Chain {
  return baseChain(
    "filter",
    "output",
    PRIORITY.from,
    // The host's own, while a container starts and its interface is not known yet.
    rule(is("meta oifname", OURS), isIn(["icmpv6 type"], FIXED_SETS.linkReports), drop),
    denied(settings, "unknown-interface", is("meta oifname", OURS), isNotIn(["meta oifname"], FIXED_SETS.interfaces)),
    ...before,
  );
}

/** ARP from a container names its own MAC and addresses as the sender, or is not heard. */
export function arpChain(settings: Settings): Chain {
  return baseChain(
    "filter",
    "input",
    0,
    rule(isNot("meta iifname", OURS), accept),
    rule(isIn(["meta iifname", "arp saddr ether", "arp saddr ip"], FIXED_SETS.senders), accept),
    denied(settings, "spoofed-arp"),
  );
}
