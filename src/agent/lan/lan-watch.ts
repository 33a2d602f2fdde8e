/**
 * What a host says and hears on its LANs about the addresses of LAN pools: it announces what its containers have (RFC 5227 section
 * 2.3, RFC 4861 section 7.2.6), finds out who else uses an address before a container gets it (RFC 5227 section 2.1, RFC 4862 section
 * 5.4), ahead of need so that starts do not wait, and answers for its containers where the kernel does not: ARP probes.
 */
import type { Lan, LanPart } from "../../core/calc/lan.ts";
import { type Address, formatAddress } from "../../core/net/address.ts";
import { type Cidr, cidr, contains, size } from "../../core/net/cidr.ts";
import {
  type ArpPacket,
  arpAnnouncement,
  arpReply,
  neighbourAnnouncement,
  probe,
} from "../../drivers/packet/frames.ts";
import type { LanNews } from "../../drivers/packet/lan-port.ts";

export interface Port extends Disposable {
  readonly mac: string;
  /** Link-local, or absent. */
  readonly from?: string;
  readonly listening: boolean;
  send(frame: Uint8Array): void;
}

export interface LanWatchOptions {
  /** Throws where the interface is gone or down. */
  readonly open: (interfaceName: string, news: LanNews) => Port;
  /** Told who else uses an address that a container has, and (undefined) when nobody does any more. */
  readonly onConflict: (why: string | undefined) => void;
  readonly now?: () => number;
  readonly wait?: (ms: number) => Promise<void>;
}

/** Three probes, and the time for an answer to the last: what is on the LAN answers within milliseconds. */
const PROBES = 3;
const PROBE_MS = 150;
/** Nobody answered for it a while ago: one more probe tells whether somebody has come since. */
const LAST_PROBE_MS = 40;
/** How long an address that nobody answered for needs but that one. */
const FRESH_MS = 600_000;
/** How long an address that somebody uses is passed over. */
const TAKEN_MS = 1_800_000;
/** RFC 5227 section 1.1: ANNOUNCE_INTERVAL, of ANNOUNCE_NUM 2. */
const ANNOUNCE_MS = 2000;
/** RFC 5227 section 1.1: DEFEND_INTERVAL. */
const DEFEND_MS = 10_000;
/** Most addresses of a pool that are looked at ahead of need. */
export const AHEAD = 256;

export class LanWatch implements Disposable {
  readonly #options: LanWatchOptions;
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<void>;
  readonly #ports = new Map<string, Port>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #parts: readonly LanPart[] = [];
  #held: ReadonlyMap<string, null> = new Map();
  /** Addresses that containers of this host have, to their interface. */
  readonly #owned = new Map<string, string>();
  readonly #freeSince = new Map<string, number>();
  readonly #taken = new Map<string, { readonly by: string; readonly until: number }>();
  readonly #defended = new Map<string, number>();
  #closed = false;

  constructor(options: LanWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#wait = options.wait ?? ((ms) => new Promise((resolve) => void setTimeout(resolve, ms)));
  }

  /** What is in force now. Announces what is new; may be repeated. `held`: HostState.proxies */
  follow({ parts }: Lan, held: ReadonlyMap<string, null>): void {
    if (parts !== this.#parts) {
      this.#parts = parts;
      const wanted = new Set(parts.map((part) => part.interface));
      for (const [name, port] of this.#ports) if (!wanted.has(name)) this.#close(name, port);
    }
    if (held === this.#held) return;
    const fresh = [...held.keys()].filter((key) => !this.#held.has(key));
    this.#held = held;
    this.#owned.clear();
    for (const key of held.keys()) {
      const [name = "", text = ""] = key.split(" ");
      this.#owned.set(text, name);
    }
    if (held.size === 0) this.#options.onConflict(undefined);
    if (fresh.length === 0) return;
    this.#announce(fresh);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#announce(fresh.filter((key) => this.#held.has(key)));
    }, ANNOUNCE_MS).unref();
    this.#timers.add(timer);
  }

  #announce(keys: readonly string[]): void {
    for (const key of keys) {
      const [name = "", text = ""] = key.split(" ");
      const port = this.#port(name);
      if (port === undefined) continue;
      this.#freeSince.delete(text);
      const frame = text.includes(":")
        ? neighbourAnnouncement(port.mac, port.from ?? text, text)
        : arpAnnouncement(port.mac, text);
      this.#send(port, frame);
    }
  }

  /** Whether the address must not be given out: somebody uses it, or it is the network's own or its broadcast address. */
  isTaken(a: Address): boolean {
    const part = this.#partOf(a);
    if (part === undefined) return false;
    if (a.family === 4 && isEdge(a, cidr(part.network))) return true;
    const found = this.#taken.get(formatAddress(a));
    return found !== undefined && found.until > this.#now();
  }

  /** Who uses the address, for an error text. */
  userOf(a: Address): string {
    const found = this.#taken.get(formatAddress(a));
    return found === undefined
      ? "it is the network's own or its broadcast address"
      : `a machine on the LAN has it (MAC ${found.by})`;
  }

  /** HostState.proxies as of the last `follow`. */
  get held(): ReadonlyMap<string, null> {
    return this.#held;
  }

  /** Addresses that others are known to use. */
  users(): { readonly address: string; readonly mac: string }[] {
    const now = this.#now();
    return [...this.#taken].flatMap(([text, { by, until }]) => (until > now ? [{ address: text, mac: by }] : []));
  }

  /** Whether nobody on the LAN uses the address, by asking now: briefly where it was asked for before, else for half a second. */
  async isFree(a: Address): Promise<boolean> {
    const part = this.#partOf(a);
    if (part === undefined) return true;
    if (a.family === 4 && isEdge(a, cidr(part.network))) return false;
    const since = this.#freeSince.get(formatAddress(a));
    const isFresh = since !== undefined && since + FRESH_MS > this.#now();
    const used = await (isFresh ? this.probe(part.interface, [a], 1, LAST_PROBE_MS) : this.probe(part.interface, [a]));
    return used.size === 0;
  }

  /** Looks for users of these addresses, all at once. @returns those that are used, and by which MAC */
  async probe(
    interfaceName: string,
    addresses: readonly Address[],
    probes: number = PROBES,
    patience: number = PROBE_MS,
  ): Promise<ReadonlyMap<string, string>> {
    const port = this.#port(interfaceName);
    const texts = addresses.map(formatAddress);
    if (port === undefined) return new Map();
    for (const text of texts) {
      this.#taken.delete(text);
      this.#freeSince.set(text, Number.POSITIVE_INFINITY);
    }
    const asked = this.#now();
    for (let i = 0; i < probes; i++) {
      for (const [at, text] of texts.entries())
        if (!this.#taken.has(text)) this.#send(port, probe(port.mac, addresses[at] as Address, text));
      await this.#wait(patience);
    }
    for (const text of texts)
      if (this.#taken.has(text)) this.#freeSince.delete(text);
      else this.#freeSince.set(text, asked);
    return new Map(texts.flatMap((text) => (this.#taken.has(text) ? [[text, this.#taken.get(text)?.by ?? ""]] : [])));
  }

  /** Looks ahead: which of the free addresses of each pool can be given out. */
  async lookAhead(free: (part: LanPart) => readonly Address[]): Promise<void> {
    for (const part of this.#parts) {
      if (this.#closed) return;
      const soon = this.#now() - FRESH_MS / 2;
      const wanted = free(part).filter((a) => {
        const text = formatAddress(a);
        return !this.isTaken(a) && (this.#freeSince.get(text) ?? Number.NEGATIVE_INFINITY) < soon;
      });
      if (wanted.length > 0) await this.probe(part.interface, wanted.slice(0, AHEAD));
    }
  }

  #partOf(a: Address): LanPart | undefined {
    return this.#parts.find((part) => contains(cidr(part.cidr), a));
  }

  #port(name: string): Port | undefined {
    const open = this.#ports.get(name);
    if (open?.listening === true) return open;
    if (open !== undefined) this.#close(name, open);
    if (this.#closed) return undefined;
    try {
      const port = this.#options.open(name, {
        onArp: (packet) => this.#onArp(name, packet),
        onAdvertisement: ({ target, mac }) => this.#onSeen(name, target, mac ?? "unknown"),
      });
      this.#ports.set(name, port);
      return port;
    } catch {
      return undefined; // it is down or gone: nothing to hear or to say
    }
  }

  #onArp(name: string, { operation, sender, senderMac, target }: ArpPacket): void {
    const port = this.#ports.get(name);
    if (port === undefined || senderMac === port.mac) return;
    if (sender !== "0.0.0.0") return this.#onSeen(name, sender, senderMac);
    // The kernel answers no probe for a proxied address, and the prober would take it.
    if (operation === "request" && this.#owned.get(target) === name)
      this.#send(port, arpReply(port.mac, target, senderMac, sender));
  }

  /** Somebody says that it has the address. */
  #onSeen(name: string, text: string, mac: string): void {
    const port = this.#ports.get(name);
    if (port === undefined || mac === port.mac) return;
    if (this.#owned.get(text) === name) this.#defend(name, text, mac);
    else if (this.#freeSince.has(text)) this.#taken.set(text, { by: mac, until: this.#now() + TAKEN_MS });
  }

  /** RFC 5227 section 2.4 (c): keeps the address, and says so once in a while. */
  #defend(name: string, text: string, mac: string): void {
    this.#options.onConflict(`${text} of a container is also used by the machine with MAC ${mac} on ${name}`);
    const last = this.#defended.get(text) ?? Number.NEGATIVE_INFINITY;
    if (last + DEFEND_MS > this.#now()) return;
    this.#defended.set(text, this.#now());
    this.#announce([`${name} ${text}`]);
  }

  #send(port: Port, frame: Uint8Array): void {
    try {
      port.send(frame);
    } catch {
      // The interface is down: whoever is on the LAN learns of us when it is up again.
    }
  }

  #close(name: string, port: Port): void {
    port[Symbol.dispose]();
    this.#ports.delete(name);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const [name, port] of this.#ports) this.#close(name, port);
  }
}

/** Addresses of a pool in their order, as long as they are few. */
export function fewAddresses(text: string): readonly Address[] {
  const range = cidr(text);
  if (size(range) > BigInt(AHEAD)) return [];
  return Array.from({ length: Number(size(range)) }, (_, i) => ({
    family: range.family,
    value: range.value + BigInt(i),
  }));
}

function isEdge({ value }: Address, network: Cidr): boolean {
  return value === network.value || value === network.value + size(network) - 1n;
}
