/**
 * The chains of host endpoints: where packets of the host's own interfaces meet policy (felix/rules/static.go, endpoints.go).
 *
 *   prerouting -300, output -300    untracked policies: Allow means "do not track, and ask nobody further"
 *   prerouting -150                 preDNAT policies: before anybody translates the destination
 *   input -10, output -10           the host's own traffic; then profiles, then the end (drop)
 *   forward -10, forward -9         what is forwarded in by the interface, and out by it: `applyOnForward` policies alone
 *   postrouting -150                the host's own traffic whose destination was translated: only now its interface is known
 *
 * What is forwarded meets a host endpoint of all interfaces also where it comes in by a workload's interface and goes out by one
 * (felix/rules/dispatch.go), around the workload's own policies; preDNAT policies see it as well:
 *
 *   forward -11, forward -8         in by a workload's interface, and out by one
 *
 * Each place has a verdict map from interface to program; a host endpoint of all interfaces has what no map knows. What one place
 * allowed for good, a bit of the packet's mark tells the later ones, which clear it. No host endpoint: none of this exists.
 */
import { compileFailsafe, FAILSAFE_CHAINS, type Failsafe } from "./failsafe.ts";
import { established, notFirstSegment, OURS, PRIORITY } from "./fixed.ts";
import type { Chain, Field, NftSet, Rule, Step, Verdict } from "./ir.ts";
import type { Program } from "./program.ts";
import { ICMPV6, TCP } from "./protocol.ts";
import {
  accept,
  baseChain,
  chain,
  counter,
  ctState,
  drop,
  exactSet,
  goto,
  is,
  isIn,
  isNot,
  jump,
  named,
  rule,
  verdictMap,
  vmap,
} from "./steps.ts";
import { type HostRules, NO_HOST_RULES } from "./table.ts";

/** Stands for every interface of the host that has no host endpoint of its own; for workloads' only where packets are forwarded. */
export const ALL_INTERFACES = "*";

/** The places of a host endpoint's programs. */
export const HOST_SLOTS = [
  "raw-input",
  "raw-output",
  "pre-dnat",
  "input",
  "output",
  "forward-from",
  "forward-to",
] as const;
export type HostSlot = (typeof HOST_SLOTS)[number];

/** One interface with a host endpoint: where its programs begin. A slot without one lets everything pass. */
export interface HostInterface {
  /** Name, or ALL_INTERFACES. */
  readonly interface: string;
  readonly entries: Partial<Readonly<Record<HostSlot, Verdict>>>;
}

export interface HostChains {
  /** Rules in the fixed chains that lead here. */
  readonly rules: HostRules;
  readonly chains: readonly (readonly [string, Chain])[];
  readonly sets: readonly (readonly [string, NftSet])[];
}

/** A bit that Docker, kube-proxy, Tailscale and WireGuard leave alone. */
const MARK = 0x1000_0000;
const allowed: Step = { kind: "mark", mask: MARK, value: MARK };
const allowForGood: Step = { kind: "set-mark", mask: MARK, value: MARK };
const forget: Step = { kind: "set-mark", mask: MARK, value: 0 };

export const ALLOW_UNTRACKED: readonly Step[] = [{ kind: "notrack" }, allowForGood, accept];
export const ALLOW_PRE_DNAT: readonly Step[] = [allowForGood, accept];

/** ICMPv6 between neighbours (RFC 4861, RFC 2710, RFC 3810): listeners of groups, routers, neighbours. */
const LINK_MESSAGES = "link-messages";
const LINK_MESSAGE_SET = exactSet(["icmpv6_type"], ["130", "131", "132", "133", "134", "135", "136", "143"]);

/** What a host endpoint's program lets pass before any policy, and what belongs to no flow. */
export function hostPreamble({ place, direction }: Program): Rule[] {
  const way = direction === "ingress" ? "in" : "out";
  // Without neighbour discovery there is no IPv6 at all, failsafe or not; conntrack does not track it (nf_conntrack_proto_icmpv6.c).
  const link = rule(is("meta l4proto", String(ICMPV6)), isIn(["icmpv6 type"], LINK_MESSAGES), accept);
  const invalid = named("invalid", ctState("invalid"), counter, drop);
  const midStream = named("mid-stream", is("meta l4proto", String(TCP)), notFirstSegment, counter, drop);
  switch (place) {
    case "endpoint":
      return [];
    case "untracked":
      return [link, rule(jump(FAILSAFE_CHAINS[`raw-${way}`]))];
    case "pre-dnat":
      return [link, invalid, rule(jump(FAILSAFE_CHAINS[way]))];
    case "host":
      return [link, invalid, rule(jump(FAILSAFE_CHAINS[way])), midStream];
    case "forward":
      return [invalid, midStream];
  }
}

export function hostChains(interfaces: readonly HostInterface[], failsafe: Failsafe): HostChains {
  if (interfaces.length === 0) return { rules: NO_HOST_RULES, chains: [], sets: [] };
  const used = new Set(HOST_SLOTS.filter((slot) => interfaces.some(({ entries }) => entries[slot] !== undefined)));
  const raw = used.has("raw-input");
  const marks = raw || used.has("pre-dnat");
  const before: Partial<Record<HostSlot, readonly Rule[]>> = {
    "raw-input": marks ? [rule(forget)] : [],
    "raw-output": [rule(forget)],
    "pre-dnat": [established, ...(raw ? [rule(allowed, accept)] : [])],
    input: marks ? [rule(allowed, forget, accept)] : [],
    output: [established, ...(used.has("raw-output") ? [rule(allowed, forget, accept)] : [])],
    "forward-from": marks ? [rule(allowed, forget, accept)] : [],
  };
  const slots = HOST_SLOTS.filter(
    (slot) => used.has(slot) || (marks && (slot === "raw-input" || slot === "forward-from")),
  );
  const parts = slots.map((slot) => place(slot, before[slot] ?? [], interfaces));
  const open = compileFailsafe(failsafe);
  const rest = interfaces.find((one) => one.interface === ALL_INTERFACES)?.entries ?? {};
  return {
    rules: rulesTo(new Set(slots), rest),
    chains: [...parts.map(({ chain }) => chain), ...baseChains(used), ...chainsOfWorkloads(rest), ...open.chains],
    sets: [[LINK_MESSAGES, LINK_MESSAGE_SET], ...parts.flatMap(({ set }) => set), ...open.sets],
  };
}

function nameOf(slot: HostSlot): string {
  return `host-${slot}`;
}

function fieldOf(slot: HostSlot): Field {
  return slot === "raw-output" || slot === "output" || slot === "forward-to" ? "meta oifname" : "meta iifname";
}

/** The chain of one place, and its map. */
function place(
  slot: HostSlot,
  before: readonly Rule[],
  interfaces: readonly HostInterface[],
): { chain: readonly [string, Chain]; set: (readonly [string, NftSet])[] } {
  const map = new Map<string, Verdict>();
  let rest: Verdict | undefined;
  for (const { interface: name, entries } of interfaces) {
    const entry = entries[slot];
    if (name === ALL_INTERFACES) rest = entry;
    // An interface of its own endpoint is not one of all the others, also where its endpoint has nothing to say.
    else map.set(name, entry ?? { kind: "accept" });
  }
  const name = nameOf(slot);
  const rules = [
    ...before,
    ...(map.size > 0 ? [rule(vmap([fieldOf(slot)], name))] : []),
    ...(rest === undefined ? [] : [rule({ kind: "verdict", verdict: rest })]),
  ];
  return { chain: [name, chain(...rules)], set: map.size > 0 ? [[name, verdictMap(["ifname"], map)]] : [] };
}

function rulesTo(slots: ReadonlySet<HostSlot>, rest: HostInterface["entries"]): HostRules {
  const to = (slot: HostSlot, ...steps: readonly Step[]): Rule[] =>
    slots.has(slot) ? [rule(...steps, goto(nameOf(slot)))] : [];
  const notOurs = (field: Field): Step => isNot(field, OURS);
  return {
    raw: to("raw-input", notOurs("meta iifname")),
    forwardFrom: to("forward-from"),
    forwardTo: to("forward-to", notOurs("meta oifname")),
    input: [
      ...(rest["pre-dnat"] === undefined ? [] : [rule(is("meta iifname", OURS), allowed, forget)]),
      ...to("input", notOurs("meta iifname")),
    ],
    output: [
      // The interface is still that of the old destination: judged in postrouting.
      ...(slots.has("output") ? [rule({ kind: "ct-status", status: "dnat" }, accept)] : []),
      ...to("output", notOurs("meta oifname")),
    ],
  };
}

/** What a host endpoint of all interfaces says of packets that cross a workload's interface on their way through the host. */
function chainsOfWorkloads(rest: HostInterface["entries"]): [string, Chain][] {
  const { "forward-from": from, "forward-to": to, "pre-dnat": before } = rest;
  const out: [string, Chain][] = [];
  const way = (field: Field, verdict: Verdict): Rule => rule(is(field, OURS), { kind: "verdict", verdict });
  if (from !== undefined || before !== undefined) {
    const rules = [
      ...(before === undefined ? [] : [rule(is("meta iifname", OURS), allowed, forget, accept)]),
      ...(from === undefined ? [] : [established, way("meta iifname", from)]),
    ];
    out.push(["host-from-workloads", baseChain("filter", "forward", PRIORITY.from - 1, ...rules)]);
  }
  if (to !== undefined) {
    const rules = [established, way("meta oifname", to)];
    out.push(["host-to-workloads", baseChain("filter", "forward", PRIORITY.to + 1, ...rules)]);
  }
  return out;
}

function baseChains(used: ReadonlySet<HostSlot>): [string, Chain][] {
  const out: [string, Chain][] = [];
  if (used.has("raw-output"))
    out.push(["host-raw-out", baseChain("filter", "output", PRIORITY.raw, rule(goto(nameOf("raw-output"))))]);
  if (used.has("pre-dnat")) {
    // Workloads' interfaces too: the map has none of them, an endpoint of all interfaces is asked.
    out.push(["host-prerouting", baseChain("filter", "prerouting", PRIORITY.mangle, rule(goto(nameOf("pre-dnat"))))]);
  }
  if (used.has("output")) {
    const own = { kind: "fib-local", address: "saddr" } as const;
    const translated = { kind: "ct-status", status: "dnat" } as const;
    const lead = rule(isNot("meta oifname", OURS), translated, own, goto(nameOf("output")));
    out.push(["host-postrouting", baseChain("filter", "postrouting", PRIORITY.mangle, lead)]);
  }
  return out;
}
