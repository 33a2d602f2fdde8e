/** What a rule says about protocol and destination port, as a set that can be united with others. */
import { mergePortRanges, type PortRange } from "../net/port-range.ts";
import type { ResolvedRule } from "./program.ts";
import { WITH_PORTS } from "./protocol.ts";

export class PortSpace {
  #all = false;
  readonly #protocols = new Set<number>();
  readonly #ranges = new Map<number, PortRange[]>();

  /** Adds what the rule allows or denies, whoever the peer is. */
  add({ protocol, destination }: ResolvedRule): void {
    const ranges = destination.ports?.ranges;
    if (ranges !== undefined && ranges.length > 0) {
      for (const one of protocol === undefined ? WITH_PORTS : [protocol])
        for (const range of ranges) this.addRange(one, range);
    } else if (protocol !== undefined) {
      this.#protocols.add(protocol);
    } else {
      this.#all = true;
    }
  }

  addRange(protocol: number, range: PortRange): void {
    const ranges = this.#ranges.get(protocol);
    if (ranges === undefined) this.#ranges.set(protocol, [range]);
    else ranges.push(range);
  }

  addAll(other: PortSpace): void {
    this.#all ||= other.all;
    for (const protocol of other.protocols) this.#protocols.add(protocol);
    for (const [protocol, ranges] of other.ports) for (const range of ranges) this.addRange(protocol, range);
  }

  /** Every packet. */
  get all(): boolean {
    return this.#all;
  }

  /** Protocols with all their ports; empty where everything is in. */
  get protocols(): readonly number[] {
    return this.#all ? [] : [...this.#protocols].sort((a, b) => a - b);
  }

  /** Port ranges of protocols that are not in as a whole: disjoint, ascending. */
  get ports(): readonly (readonly [protocol: number, ranges: readonly PortRange[]])[] {
    if (this.#all) return [];
    return [...this.#ranges]
      .filter(([protocol]) => !this.#protocols.has(protocol))
      .sort(([a], [b]) => a - b)
      .map(([protocol, ranges]) => [protocol, mergePortRanges(ranges)]);
  }

  /** Equal for equal spaces. */
  get signature(): string {
    return JSON.stringify([this.#all, this.protocols, this.ports]);
  }
}

export function rangeText({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}
