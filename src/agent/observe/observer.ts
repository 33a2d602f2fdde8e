/**
 * Watches what the kernel tells of packets and keeps it for a while: NFLOG for what rules of ours dropped, counters of nftables for
 * what was let through, the kernel's drop reasons for what others dropped. Bounded everywhere: the rules log so many packets a second,
 * the socket hands over so many, the kernel counts so many kinds of connections, the ledger keeps so many flows. Nothing waits for
 * it: what it cannot take in time is lost, and counted.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { HostState } from "../../core/calc/host-state.ts";
import type { Flow, FlowVerdict, Sighting } from "../../core/flows/flow.ts";
import { Ledger } from "../../core/flows/ledger.ts";
import type { LiveHead } from "../../core/flows/live.ts";
import type { Parties } from "../../core/flows/parties.ts";
import { Tally } from "../../core/flows/tally.ts";
import type { Membership } from "../../core/rules/decider.ts";
import type { DropEvent } from "../../drivers/drops/drops.ts";
import { messageOf } from "../../drivers/error.ts";
import type { LogEvent } from "../../drivers/nflog/nflog.ts";
import type { PacketHead } from "../../drivers/nflog/packet-head.ts";
import type { ConnectionNews, NewConnections } from "../../drivers/nftables/new-connections.ts";
import { attribute, judge, type Place } from "./attribute.ts";
import { ForeignDrops, type ForeignSources } from "./foreign-drops.ts";
import { familyOf, sightingOfConnections, sightingOfPacket } from "./sightings.ts";

export interface ObserverSources {
  readonly packets: (signal: AbortSignal) => AsyncIterable<readonly LogEvent[]>;
  readonly connections: (signal: AbortSignal) => AsyncIterable<readonly ConnectionNews[]>;
  /** What the kernel drops, whoever's doing it is. Throws where it cannot tell. */
  readonly drops: (signal: AbortSignal) => AsyncIterable<readonly DropEvent[]>;
  /** The next packet of the flows; never rejects. */
  readonly trace: ForeignSources["trace"];
  readonly parties: () => Parties;
  /** Canonical addresses of this host. */
  readonly own: () => readonly string[];
  readonly hostState: () => HostState | undefined;
  /** Whom selectors match, as of that host state. */
  readonly membership: () => Membership;
  readonly uplink: () => string | undefined;
  readonly interfaceName: (index: number) => string | undefined;
  /** Told why one of the two cannot be heard at present, and (undefined) when it can again. */
  readonly onTrouble: (what: "packets" | "connections", error: unknown) => void;
  /** Told once why drops of others' are not seen. */
  readonly onNoDrops: (error: unknown) => void;
  readonly now: () => number;
}

/** Flows whose rules are looked for in a second; the others stay without. */
const ATTRIBUTED_PER_SECOND = 200;
const RETRY = 5_000;

export class Observer {
  readonly ledger = new Ledger();
  readonly tally = new Tally();
  readonly #sources: ObserverSources;
  readonly #followers = new Set<(flow: Flow) => void>();
  readonly #seen = new Map<FlowVerdict, number>();
  #foreign: ForeignDrops | undefined;
  #blind: string | undefined;
  #lost = 0;
  #budget = { second: 0, left: ATTRIBUTED_PER_SECOND };

  constructor(sources: ObserverSources) {
    this.#sources = sources;
  }

  /** Packets and connections that came faster than they could be taken. */
  get lost(): number {
    return this.#lost;
  }

  /** Why drops by others than Manx are not seen; undefined while they are. */
  get blind(): string | undefined {
    return this.#blind;
  }

  /** Connections and logged packets that were taken, by verdict. */
  get seen(): ReadonlyMap<FlowVerdict, number> {
    return this.#seen;
  }

  /** Listens until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#listen("packets", this.#sources.packets, (event: LogEvent) => this.#takePacket(event), signal),
      this.#listen(
        "connections",
        this.#sources.connections,
        (news: ConnectionNews) => this.#takeConnections(news),
        signal,
      ),
      this.#listenToDrops(signal),
    ]);
  }

  /** Why the kernel dropped a packet of that kind since then, where it was not a rule. */
  kernelReason(head: LiveHead, since: number): string | undefined {
    return this.#foreign?.reasonOf(head, since);
  }

  async #listenToDrops(signal: AbortSignal): Promise<void> {
    const { parties, interfaceName, trace, now, drops, onNoDrops } = this.#sources;
    const add = (sighting: Sighting, count: number): void => this.#add(sighting, count);
    const isOurs = (head: PacketHead, from: string | undefined): boolean => this.#denies(head, from);
    const foreign = new ForeignDrops({ parties, interfaceName, isOurs, trace, add, now }, signal);
    try {
      for await (const events of drops(signal)) {
        this.#foreign = foreign;
        for (const event of events)
          if (event.kind === "lost") this.#lost += event.count;
          else foreign.take(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#blind = messageOf(error);
      onNoDrops(error);
    }
  }

  #denies(head: PacketHead, from: string | undefined): boolean {
    const [state, place] = [this.#sources.hostState(), this.#place()];
    if (state === undefined || head.protocol === undefined || !this.#spend()) return true; // better silent than wrong
    const link = this.#sources.parties().linkOf(head.source);
    const mine = from === undefined || link?.interface === from ? link : undefined;
    const first = { ...head, protocol: head.protocol, family: familyOf(head) };
    return judge(first, mine, { ...place, state }).outcome === "drop";
  }

  #place(): Omit<Place, "state"> {
    const { membership, own, uplink } = this.#sources;
    return { members: membership(), own: own(), uplink: uplink() };
  }

  /** Calls with each flow as it is after each sighting. @returns what ends it */
  follow(listener: (flow: Flow) => void): () => void {
    this.#followers.add(listener);
    return () => this.#followers.delete(listener);
  }

  async #listen<E>(
    what: "packets" | "connections",
    open: (signal: AbortSignal) => AsyncIterable<readonly E[]>,
    take: (event: E) => void,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const events of open(signal)) for (const event of events) take(event);
        this.#sources.onTrouble(what, undefined);
      } catch (error) {
        if (signal.aborted) return;
        this.#sources.onTrouble(what, error);
      }
      await sleep(RETRY, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #takePacket(event: LogEvent): void {
    if (event.kind === "lost") {
      this.#lost += event.count;
      return;
    }
    const { hostState, membership, interfaceName, now } = this.#sources;
    const seen = sightingOfPacket(event, {
      parties: this.#sources.parties(),
      origins: hostState()?.origins ?? new Map(),
      members: membership(),
      interfaceName,
      now: now(),
    });
    if (seen === undefined) return;
    if (seen.verdict === "deny") this.#foreign?.own(seen);
    this.#add(seen);
  }

  #takeConnections(news: ConnectionNews): void {
    if (news.kind === "lost") {
      this.#lost += news.count;
      return;
    }
    const parties = this.#sources.parties();
    if (!parties.isEndpoint(news.source) && !parties.isEndpoint(news.destination)) return;
    const seen = sightingOfConnections(news, parties);
    this.#add(this.ledger.has(seen) ? seen : { ...seen, reasons: this.#reasons(news, parties) }, news.count);
  }

  #reasons(connections: NewConnections, parties: Parties): Sighting["reasons"] {
    const state = this.#sources.hostState();
    if (state === undefined || !this.#spend()) return [];
    return attribute(connections, parties.linkOf(connections.source), { ...this.#place(), state });
  }

  #spend(): boolean {
    const second = Math.floor(this.#sources.now() / 1000);
    if (this.#budget.second !== second) this.#budget = { second, left: ATTRIBUTED_PER_SECOND };
    return this.#budget.left-- > 0;
  }

  #add(sighting: Sighting, count = 1): void {
    const { verdict } = sighting;
    this.#seen.set(verdict, (this.#seen.get(verdict) ?? 0) + count);
    this.tally.add(sighting, count);
    const flow = this.ledger.add(sighting, count);
    for (const tell of this.#followers) tell(flow);
  }
}
