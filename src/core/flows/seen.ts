/** One flow as several hosts saw it: the sender's and the receiver's both see a connection between them, and each its own rules. */
import { type Flow, flowKey } from "./flow.ts";

/** `of`: the host that saw it. */
export interface Copy {
  readonly of: string;
  readonly flow: Flow;
}

/** What is known of the flow together: as often as the host that counted most, decided by all that decided. */
export function mergeSeen(copies: readonly [Copy, ...Copy[]]): Flow {
  const [first, ...rest] = copies;
  if (rest.length === 0) return { ...first.flow, hosts: [first.of] };
  const newest = copies.reduce((one, other) => (other.flow.time > one.flow.time ? other : one)).flow;
  const reasons = new Map(copies.flatMap(({ flow }) => flow.reasons.map((reason) => [reason.text, reason])));
  return {
    ...newest,
    first: Math.min(...copies.map(({ flow }) => flow.first)),
    count: Math.max(...copies.map(({ flow }) => flow.count)),
    reasons: [...reasons.values()].sort((a, b) => wayOf(a.direction) - wayOf(b.direction)),
    hosts: copies.map(({ of }) => of).sort(),
  };
}

/** The sender's egress comes first. */
function wayOf(direction: "ingress" | "egress" | undefined): number {
  return direction === "egress" ? 0 : direction === "ingress" ? 2 : 1;
}

/** What other hosts told last, by flow. */
export class Elsewhere {
  readonly #byHost = new Map<string, ReadonlyMap<string, Flow>>();

  /** The host's flows are these now. @returns those that are new or were seen again */
  take(host: string, flows: readonly Flow[]): Flow[] {
    const before = this.#byHost.get(host);
    const now = new Map(flows.map((flow) => [flowKey(flow), flow]));
    this.#byHost.set(host, now);
    return [...now].flatMap(([key, flow]) => {
      const known = before?.get(key);
      return known?.time === flow.time && known.count === flow.count ? [] : [flow];
    });
  }

  drop(host: string): void {
    this.#byHost.delete(host);
  }

  hosts(): ReadonlySet<string> {
    return new Set(this.#byHost.keys());
  }

  copies(key: string): Copy[] {
    return [...this.#byHost].flatMap(([of, flows]) => {
      const flow = flows.get(key);
      return flow === undefined ? [] : [{ of, flow }];
    });
  }

  keys(): ReadonlySet<string> {
    return new Set([...this.#byHost.values()].flatMap((flows) => [...flows.keys()]));
  }
}
