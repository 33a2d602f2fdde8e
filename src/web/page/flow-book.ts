/** Flows that were seen, newest last, bounded. The signal says that something is new; readers take what they need. */
import { signal } from "@preact/signals";
import type { FlowView, PartyView } from "../../api/client.ts";

const MOST = 10_000;

export class FlowBook {
  readonly #flows = new Map<string, FlowView>();
  readonly changed = signal(0);

  add(flows: readonly FlowView[]): void {
    // A list comes seen last first.
    for (const flow of flows.toSorted((a, b) => (a.last < b.last ? -1 : 1))) {
      const key = flowKey(flow);
      const known = this.#flows.get(key);
      if (known !== undefined && known.last > flow.last) continue;
      this.#flows.delete(key);
      this.#flows.set(key, flow);
    }
    for (const key of this.#flows.keys()) {
      if (this.#flows.size <= MOST) break;
      this.#flows.delete(key);
    }
    if (flows.length > 0) this.changed.value++;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Seen last first. */
  list(): FlowView[] {
    return [...this.#flows.values()].reverse();
  }
}

const partyKey = ({ kind, address, container, network }: PartyView): string =>
  `${kind} ${address} ${network ?? ""}/${container ?? ""}`;

export function flowKey(flow: FlowView): string {
  const { verdict, protocol, source, destination, destinationPort, icmp, reasons } = flow;
  return [
    verdict,
    protocol,
    partyKey(source),
    partyKey(destination),
    destinationPort ?? icmp?.type ?? "",
    verdict === "allow" ? "" : (reasons.at(-1)?.text ?? ""),
  ].join("|");
}

export function partyName({ kind, address, container, network, host }: PartyView): string {
  if (kind === "endpoint") return `${network ?? ""}/${container ?? address}`;
  return kind === "host" ? `host ${host ?? address}` : address;
}

export function portOf({ protocol, destinationPort, icmp }: FlowView): string {
  if (destinationPort !== undefined) return `${protocol} ${destinationPort}`;
  return icmp === undefined ? protocol : `${protocol} type ${icmp.type}`;
}
