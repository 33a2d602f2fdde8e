/**
 * A packet through the compiled ruleset, in user space, with the kernel's rules of evaluation: base chains of a hook by
 * priority, `accept` ends only the base chain it stands in, `drop` ends everything (nft(8), "VERDICT STATEMENTS").
 * It is the second of the three judges of policy, and what `manx why` shows.
 */
import type { Chain, ElementData, Field, FieldType, NftSet, Rule, Ruleset, Step, Table, Verdict } from "./ir.ts";
import { lookUp, valueHolds } from "./lookup.ts";
import { fieldText, type Packet, type Passing, tcpFlags } from "./packet.ts";

export type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting";

/** Where a packet goes after routing: to this host, out of an interface, or nowhere. */
export type Route =
  | { readonly kind: "local" }
  | { readonly kind: "forward"; readonly interface: string }
  | { readonly kind: "none"; readonly why: string };

const LOOPBACK = "lo";

export interface Routing {
  /** What the kernel's routing tables say of the destination. */
  route(packet: Packet): Route;
  /** `fib daddr type local`. */
  isLocal(address: string): boolean;
}

/** One rule that was reached. */
export interface TraceEntry {
  readonly hook: Hook;
  readonly chain: string;
  /** Index into the chain's rules. */
  readonly index: number;
  readonly rule: Rule;
  /** As it was when the rule was reached. */
  readonly packet: Passing;
  /** Present where a step did not match: the first that did not. */
  readonly missed?: Step;
  /** The verdict that the rule came to; absent where it only went on. */
  readonly verdict?: Verdict;
}

export interface Evaluation {
  /** `unrouted`: the ruleset has nothing against it, but there is no way to go. */
  readonly outcome: "accept" | "drop" | "unrouted";
  /** The rule that dropped it. */
  readonly by?: TraceEntry;
  /** Rules in the order in which they were reached. */
  readonly trace: readonly TraceEntry[];
  /** As it leaves: addresses translated. */
  readonly packet: Passing;
  readonly route: Route;
}

/** What conntrack has made of a connection's addresses: its packets do not ask the chains of type nat again. */
export interface Translation {
  /** The new destination; absent: it was left as it is. */
  readonly destination?: Pick<Packet, "destination" | "destinationPort">;
}

/**
 * Evaluates one packet that comes in by an interface, or (undefined) from this host itself. `known`: it belongs to a connection
 * that is translated already.
 */
export function evaluate(
  ruleset: Ruleset,
  packet: Packet,
  iif: string | undefined,
  routing: Routing,
  known?: Translation,
): Evaluation {
  const walk = new Walk(ruleset, routing, { ...packet, ...(iif === undefined ? {} : { iif }) }, known);
  return iif === undefined ? walk.fromHost() : walk.fromOutside();
}

interface BaseChain {
  readonly table: Table;
  readonly name: string;
  readonly chain: Chain;
}

const basesOf = new WeakMap<Ruleset, Map<Hook, readonly BaseChain[]>>();

/** The base chains of a hook in the order in which they are asked; looked for once a ruleset. */
function baseChains(ruleset: Ruleset, hook: Hook): readonly BaseChain[] {
  const known = basesOf.get(ruleset) ?? new Map<Hook, readonly BaseChain[]>();
  basesOf.set(ruleset, known);
  let bases = known.get(hook);
  if (bases === undefined) {
    bases = [...ruleset.values()]
      .filter(({ family }) => family !== "arp")
      .flatMap((table) => [...table.chains].map(([name, chain]) => ({ table, name, chain })))
      .filter(({ chain }) => chain.base?.hook === hook)
      .sort((a, b) => (a.chain.base?.priority ?? 0) - (b.chain.base?.priority ?? 0));
    known.set(hook, bases);
  }
  return bases;
}

class Walk {
  readonly #ruleset: Ruleset;
  readonly #routing: Routing;
  readonly #trace: TraceEntry[] = [];
  #packet: Passing;
  readonly #known: Translation | undefined;

  constructor(ruleset: Ruleset, routing: Routing, packet: Passing, known: Translation | undefined) {
    this.#ruleset = ruleset;
    this.#routing = routing;
    this.#packet = packet;
    this.#known = known;
  }

  fromOutside(): Evaluation {
    if (!this.#passes("prerouting")) return this.#dropped({ kind: "none", why: "dropped before routing" });
    this.#translate();
    const route = this.#routing.route(this.#packet);
    if (route.kind === "none") return this.#end("unrouted", route);
    if (route.kind === "local") return this.#passes("input") ? this.#end("accept", route) : this.#dropped(route);
    this.#packet = { ...this.#packet, oif: route.interface };
    return this.#passes("forward") && this.#passes("postrouting") ? this.#end("accept", route) : this.#dropped(route);
  }

  fromHost(): Evaluation {
    const first = this.#routing.route(this.#packet);
    this.#leaveBy(first);
    if (!this.#passes("output")) return this.#dropped(first);
    this.#translate();
    // Translation in the output hook makes the kernel route again.
    const route = this.#routing.route(this.#packet);
    if (route.kind === "none") return this.#end("unrouted", route);
    this.#leaveBy(route);
    if (!this.#passes("postrouting")) return this.#dropped(route);
    if (route.kind === "forward") return this.#end("accept", route);
    const { oif: _, ...packet } = this.#packet;
    this.#packet = { ...packet, iif: LOOPBACK };
    return this.#passes("prerouting") && this.#passes("input") ? this.#end("accept", route) : this.#dropped(route);
  }

  /** What this host sends to itself goes out and in by the loopback interface. */
  #leaveBy(route: Route): void {
    if (route.kind === "forward") this.#packet = { ...this.#packet, oif: route.interface };
    if (route.kind === "local") this.#packet = { ...this.#packet, oif: LOOPBACK };
  }

  #end(outcome: Evaluation["outcome"], route: Route): Evaluation {
    return { outcome, trace: this.#trace, packet: this.#packet, route };
  }

  #dropped(route: Route): Evaluation {
    const by = this.#trace.at(-1);
    return { ...this.#end("drop", route), ...(by === undefined ? {} : { by }) };
  }

  #translate(): void {
    const destination = this.#known?.destination;
    if (destination === undefined) return;
    this.#packet = { ...this.#packet, ...destination };
    this.#translated("dnat");
  }

  #passes(hook: Hook): boolean {
    for (const { table, name, chain } of baseChains(this.#ruleset, hook)) {
      if (this.#known !== undefined && chain.base?.type === "nat") continue;
      const verdict = this.#chain(hook, table, name, chain) ?? { kind: chain.base?.policy ?? "accept" };
      if (verdict.kind === "drop") return false;
    }
    return true;
  }

  /** accept, drop, or undefined where the chain came to its end or returned. */
  #chain(hook: Hook, table: Table, name: string, chain: Chain): Verdict | undefined {
    for (const [index, rule] of chain.rules.entries()) {
      const packet = this.#packet;
      const { verdict, missed } = this.#rule(table, rule);
      this.#trace.push({
        hook,
        chain: name,
        index,
        rule,
        packet,
        ...(missed === undefined ? {} : { missed }),
        ...(verdict === undefined ? {} : { verdict }),
      });
      if (verdict === undefined) continue;
      if (verdict.kind === "return") return undefined;
      if (!("chain" in verdict)) return verdict;
      const target = table.chains.get(verdict.chain);
      if (target === undefined) throw new Error(`chain ${name} leads to ${verdict.chain}, which does not exist`);
      const inner = this.#chain(hook, table, verdict.chain, target);
      if (inner !== undefined || verdict.kind === "goto") return inner;
    }
    return undefined;
  }

  #rule(table: Table, rule: Rule): { verdict?: Verdict; missed?: Step } {
    for (const step of rule.steps) {
      const result = this.#step(table, step);
      if (result === false) return { missed: step };
      if (result !== true) return { verdict: result };
    }
    return {};
  }

  /** True to go on, false where the step does not match, or the verdict it came to. */
  #step(table: Table, step: Step): boolean | Verdict {
    const packet = this.#packet;
    switch (step.kind) {
      case "match": {
        const text = fieldText(packet, step.field);
        if (text === undefined) return false;
        return valueHolds(fieldType(step.field), step.value, text) !== (step.negate === true);
      }
      case "lookup": {
        const key = this.#key(step.fields);
        return key !== undefined && (lookUp(setOf(table, step.set), key) !== undefined) !== (step.negate === true);
      }
      case "vmap": {
        const found = this.#find(table, step.map, step.fields);
        return typeof found === "object" && found !== null ? found : false;
      }
      case "ct-state":
        return step.states.includes(packet.state ?? "new") !== (step.negate === true);
      case "ct-status":
        return (packet.translated ?? []).includes(step.status) !== (step.negate === true);
      case "ct-direction":
        return (packet.reply === true) === (step.direction === "reply");
      case "tcp-flags":
        return packet.protocol === 6 && ((tcpFlags(packet) & step.mask) === step.value) !== (step.negate === true);
      case "mark":
        return (((packet.mark ?? 0) & step.mask) >>> 0 === step.value) !== (step.negate === true);
      case "fib-local": {
        const address = step.address === "saddr" ? packet.source : packet.destination;
        return this.#routing.isLocal(address) !== (step.negate === true);
      }
      case "counter":
      case "log":
      case "limit":
        return true;
      case "set-mark":
        this.#packet = { ...packet, mark: (((packet.mark ?? 0) & ~step.mask) | step.value) >>> 0 };
        return true;
      case "notrack":
        this.#packet = { ...packet, state: "untracked" };
        return true;
      case "masquerade":
        this.#translated("snat");
        return { kind: "accept" };
      case "dnat": {
        const found = this.#find(table, step.map, step.fields);
        if (packet.family !== step.family || typeof found !== "string") return false;
        const [destination = "", port = ""] = found.split(" . ");
        this.#packet = { ...packet, destination, destinationPort: Number(port) };
        this.#translated("dnat");
        return { kind: "accept" };
      }
      case "reject":
        return { kind: "drop" };
      case "verdict":
        return step.verdict;
    }
  }

  #translated(status: "dnat" | "snat"): void {
    this.#packet = { ...this.#packet, translated: [...(this.#packet.translated ?? []), status] };
  }

  #find(table: Table, map: string, fields: readonly Field[]): ElementData | undefined {
    const key = this.#key(fields);
    return key === undefined ? undefined : lookUp(setOf(table, map), key);
  }

  /** Undefined where the packet lacks one of the fields: the kernel leaves the rule there, negated or not. */
  #key(fields: readonly Field[]): string[] | undefined {
    const texts: string[] = [];
    for (const field of fields) {
      const text = fieldText(this.#packet, field);
      if (text === undefined) return undefined;
      texts.push(text);
    }
    return texts;
  }
}

function setOf(table: Table, name: string): NftSet {
  const set = table.sets.get(name);
  if (set === undefined) throw new Error(`a rule looks into ${name}, which does not exist`);
  return set;
}

function fieldType(field: Field): FieldType | "text" {
  switch (field) {
    case "meta iifname":
    case "meta oifname":
      return "ifname";
    case "meta l4proto":
      return "inet_proto";
    case "ip saddr":
    case "ip daddr":
    case "arp saddr ip":
      return "ipv4_addr";
    case "ip6 saddr":
    case "ip6 daddr":
    case "icmpv6 taddr":
      return "ipv6_addr";
    case "th sport":
    case "th dport":
      return "inet_service";
    case "icmp type":
      return "icmp_type";
    case "icmp code":
      return "icmp_code";
    case "icmpv6 type":
      return "icmpv6_type";
    case "icmpv6 code":
      return "icmpv6_code";
    case "ether saddr":
    case "arp saddr ether":
      return "ether_addr";
    case "meta mark":
    case "ct mark":
      return "mark";
    case "meta nfproto":
    case "arp operation":
      return "text";
  }
}
