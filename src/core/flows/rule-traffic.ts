/**
 * What the counters of the rules add up to, by rule of a policy and by reason of a drop.
 *
 * The kernel's counters begin at nothing with each rule that is made, and go with it. A series must never fall (Prometheus takes a
 * fall for a restart), so what each rule has counted since the last reading is added to totals that live as long as the agent.
 */
import type { Origin, Origins } from "../rules/origin.ts";

/** One rule's counter, as the kernel tells it. `id`: the same for as long as the rule lives. */
export interface RuleCount {
  readonly id: string;
  readonly comment: string | undefined;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface RuleLabels {
  readonly kind: string;
  readonly tier: string;
  /** NAMESPACE/NAME, or NAME. */
  readonly policy: string;
  readonly direction: string;
  /** Index into the policy's rules of that direction; `several` where the kernel has one rule for many. */
  readonly rule: string;
  readonly action: string;
}

export interface RuleTraffic extends RuleLabels {
  packets: number;
  bytes: number;
}

/** Series of rules at the most; the rest share the one whose policy is `other`. */
export const MOST_RULES = 2_000;

const OTHER: RuleLabels = { kind: "other", tier: "", policy: "other", direction: "", rule: "", action: "" };

export class RuleTotals {
  readonly #most: number;
  readonly #rules = new Map<string, RuleTraffic>();
  readonly #drops = new Map<string, number>();
  #last = new Map<string, RuleCount>();

  constructor(most = MOST_RULES) {
    this.#most = most;
  }

  /** Packets that were dropped, by reason: of a policy (`policy`, `end-of-tier`, `no-profile`) or a fixed rule's name. */
  get drops(): ReadonlyMap<string, number> {
    return this.#drops;
  }

  get rules(): readonly RuleTraffic[] {
    return [...this.#rules.values()];
  }

  /** Adds what was counted since the last call. `drops`: comments of the rules that drop. */
  add(counts: readonly RuleCount[], origins: Origins, drops: ReadonlySet<string>): void {
    const seen = new Map<string, RuleCount>();
    for (const count of counts) {
      seen.set(count.id, count);
      const origin = count.comment === undefined ? undefined : origins.get(count.comment);
      if (origin === undefined || count.comment === undefined) continue;
      const { packets, bytes } = since(count, this.#last.get(count.id));
      const labels = labelsOf(origin);
      if (labels !== undefined) this.#addRule(labels, packets, bytes);
      const reason = drops.has(count.comment) ? reasonOfDrop(origin) : undefined;
      if (reason !== undefined) this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + packets);
    }
    this.#last = seen;
  }

  #addRule(labels: RuleLabels, packets: number, bytes: number): void {
    const own = keyOf(labels);
    const isKnown = this.#rules.has(own) || this.#rules.size < this.#most;
    const key = isKnown ? own : keyOf(OTHER);
    const total = this.#rules.get(key) ?? { ...(isKnown ? labels : OTHER), packets: 0, bytes: 0 };
    total.packets += packets;
    total.bytes += bytes;
    this.#rules.set(key, total);
  }
}

function keyOf({ kind, tier, policy, direction, rule, action }: RuleLabels): string {
  return `${kind}|${tier}|${policy}|${direction}|${rule}|${action}`;
}

/** A rule of the same id that has counted less was made anew. */
function since(now: RuleCount, before: RuleCount | undefined): { packets: number; bytes: number } {
  if (before === undefined || before.packets > now.packets)
    return { packets: Number(now.packets), bytes: Number(now.bytes) };
  return { packets: Number(now.packets - before.packets), bytes: Number(now.bytes - before.bytes) };
}

/** Undefined for what is no rule of anybody's policy. */
function labelsOf(origin: Origin): RuleLabels | undefined {
  switch (origin.kind) {
    case "Profile":
    case "GlobalNetworkPolicy":
    case "NetworkPolicy":
    case "StagedGlobalNetworkPolicy":
    case "StagedNetworkPolicy": {
      const { kind, tier = "", direction, rule, action } = origin;
      return { kind, tier, policy: policyName(origin), direction, rule: String(rule), action };
    }
    case "merged": {
      const { direction, action, lines } = origin;
      const list = lines[0]?.list;
      if (list === undefined || lines.some((line) => line.list !== list))
        return { kind: "several", tier: "", policy: "several", direction, rule: "several", action };
      return { kind: list.kind, tier: list.tier ?? "", policy: policyName(list), direction, rule: "several", action };
    }
    case "end-of-tier":
      return { kind: "Tier", tier: origin.tier, policy: "", direction: origin.direction, rule: "end", action: "Deny" };
    case "network":
    case "no-profile":
    case "fixed":
      return undefined;
  }
}

function policyName({ namespace, name }: { readonly namespace?: string; readonly name: string }): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function reasonOfDrop(origin: Origin): string | undefined {
  switch (origin.kind) {
    case "Profile":
    case "GlobalNetworkPolicy":
    case "NetworkPolicy":
    case "merged":
      return "policy";
    case "end-of-tier":
    case "no-profile":
      return origin.kind;
    case "fixed":
      return origin.rule;
    case "network":
    case "StagedGlobalNetworkPolicy":
    case "StagedNetworkPolicy":
      return undefined;
  }
}
