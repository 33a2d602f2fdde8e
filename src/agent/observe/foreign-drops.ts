/**
 * Drops that are not ours: the kernel tells of each (drivers/drops), whoever dropped it. What routing, MTU or a queue dropped says so
 * itself. Of netfilter's the rule is not told: what our own log or our own rules claim is left to them; for the rest the next packet of
 * the flow is traced, and the drop is told with the rule that the trace names.
 */

import type { Sighting } from "../../core/flows/flow.ts";
import { BY_NETFILTER, type DropFacts, kernelDropText } from "../../core/flows/kernel-drop.ts";
import type { LiveFlow, LiveHead } from "../../core/flows/live.ts";
import type { LiveReport } from "../../core/flows/live-way.ts";
import type { Parties } from "../../core/flows/parties.ts";
import { ICMPV6, LINK_REPORTS } from "../../core/rules/protocol.ts";
import type { KernelDrop } from "../../drivers/drops/drops.ts";
import { type PacketHead, parseHead } from "../../drivers/nflog/packet-head.ts";

export interface ForeignSources {
  readonly parties: () => Parties;
  readonly interfaceName: (index: number) => string | undefined;
  /** Whether our own rules would drop it. */
  readonly isOurs: (head: PacketHead, from: string | undefined) => boolean;
  /** The next packet of the flow; never rejects. */
  readonly trace: (flows: readonly LiveFlow[], signal: AbortSignal) => Promise<LiveReport>;
  readonly add: (sighting: Sighting, count: number) => void;
  readonly now: () => number;
}

/** Milliseconds: for our own log to tell; for the next packet; that a name is good for; that a reason is remembered. */
const OWN_LOG = 300;
const NEXT_PACKET = 5_000;
const GOOD_FOR = 30_000;
/** Letters of a rule that are kept with a flow: somebody's rule may list thousands of addresses. */
const LONGEST = 500;
/** Flows that are remembered in each way, and that are traced at the same time. */
const MOST = 1_000;
const TRACES = 2;

interface Waiting {
  readonly sighting: Sighting;
  readonly flow: LiveFlow;
  count: number;
}

export class ForeignDrops {
  readonly #sources: ForeignSources;
  readonly #signal: AbortSignal;
  /** When our own log told of it. */
  readonly #own = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #names = new Map<string, { readonly text: string; readonly until: number }>();
  readonly #said = new Map<string, { readonly text: string; readonly at: number }>();
  #traces = 0;

  constructor(sources: ForeignSources, signal: AbortSignal) {
    this.#sources = sources;
    this.#signal = signal;
  }

  /** Our own log has told of this drop. */
  own({ source, destination, protocol, destinationPort }: Sighting): void {
    remember(this.#own, keyOf(source.address, destination.address, protocol, destinationPort), this.#sources.now());
  }

  /** What the kernel said of a packet of that kind since then. */
  reasonOf({ source, destination, protocol, destinationPort }: LiveHead, since: number): string | undefined {
    const found = this.#said.get(keyOf(source, destination, protocol, destinationPort));
    return found !== undefined && found.at >= since ? found.text : undefined;
  }

  take(drop: KernelDrop): void {
    const head = parseHead(drop.etherType, drop.payload);
    if (head === undefined || isLinkReport(head)) return;
    const { parties, interfaceName, now } = this.#sources;
    const [from, device] = [interfaceName(drop.arrived), interfaceName(drop.device)];
    const facts: DropFacts = {
      source: head.source,
      destination: head.destination,
      length: drop.length,
      ...(from !== undefined && { from }),
      ...(device !== undefined && { device }),
    };
    const text = kernelDropText(drop.reason, facts);
    const key = keyOf(head.source, head.destination, head.protocol, head.destinationPort);
    if (text !== undefined) remember(this.#said, key, { text, at: now() });
    const known = parties();
    const source = known.sender(head.source, from);
    const destination = known.of(head.destination);
    if (source.kind !== "endpoint" && destination.kind !== "endpoint") return;
    const { protocol, sourcePort, destinationPort, icmp } = head;
    const sighting: Sighting = {
      time: now(),
      verdict: "deny",
      family: head.source.includes(":") ? 6 : 4,
      source,
      destination,
      reasons: text === undefined ? [] : [{ text }],
      ...(protocol !== undefined && { protocol }),
      ...(sourcePort !== undefined && { sourcePort }),
      ...(destinationPort !== undefined && { destinationPort }),
      ...(icmp !== undefined && { icmp }),
    };
    if (text !== undefined) this.#sources.add(sighting, drop.count);
    else if (drop.reason === BY_NETFILTER && protocol !== undefined)
      this.#wait(key, sighting, { ...head, protocol }, from, drop.count);
  }

  #wait(
    key: string,
    sighting: Sighting,
    head: PacketHead & { readonly protocol: number },
    from: string | undefined,
    count: number,
  ): void {
    const before = this.#waiting.get(key);
    if (before !== undefined) {
      before.count += count;
      return;
    }
    if (this.#waiting.size >= MOST) return;
    const { source, destination, protocol, destinationPort: port } = head;
    const flow = { family: sighting.family, protocol, source, destination, ...(port !== undefined && { port }) };
    this.#waiting.set(key, { sighting, flow, count });
    setTimeout(() => {
      const told = (this.#own.get(key) ?? Number.NEGATIVE_INFINITY) >= sighting.time - OWN_LOG;
      if (told || this.#sources.isOurs(head, from)) this.#waiting.delete(key);
      else void this.#name(key);
    }, OWN_LOG).unref();
  }

  async #name(key: string): Promise<void> {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    const known = this.#names.get(key);
    const text = known !== undefined && known.until > this.#sources.now() ? known.text : await this.#find(waiting.flow);
    this.#waiting.delete(key);
    remember(this.#names, key, { text: text ?? UNNAMED, until: this.#sources.now() + GOOD_FOR });
    this.#sources.add({ ...waiting.sighting, reasons: [{ text: text ?? UNNAMED }] }, waiting.count);
  }

  async #find(flow: LiveFlow): Promise<string | undefined> {
    if (this.#traces >= TRACES) return undefined;
    this.#traces++;
    try {
      const limit = AbortSignal.any([this.#signal, AbortSignal.timeout(NEXT_PACKET)]);
      const report = await this.#sources.trace([flow], limit);
      if (report.state !== "seen") return undefined;
      const { end, text } = report.passage;
      if (end !== "dropped" && end !== "vanished") return undefined;
      const rule = text.replace(/^dropped by /, "");
      return rule.length > LONGEST ? `${rule.slice(0, LONGEST)}...` : rule;
    } finally {
      this.#traces--;
    }
  }
}

const UNNAMED = "a rule of netfilter that is not Manx's; manx why A B PORT --live names it";

/** Our own rules drop these, and tell nobody. */
function isLinkReport({ protocol, icmp }: PacketHead): boolean {
  return protocol === ICMPV6 && icmp !== undefined && LINK_REPORTS.includes(icmp.type);
}

function keyOf(source: string, destination: string, protocol: number | undefined, port: number | undefined): string {
  return `${source}|${destination}|${protocol ?? ""}|${port ?? ""}`;
}

/** The oldest goes where there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  for (const [oldest] of map) {
    if (map.size <= MOST) return;
    map.delete(oldest);
  }
}
