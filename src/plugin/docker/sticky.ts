/**
 * A container that comes back under its name gets its addresses back. RequestAddress does not say for whom it asks; what helps:
 *
 * 1. Only names can come back that have remembered addresses on this network and no interface on it now. Mostly there is
 *    none, and nothing is asked.
 * 2. Those of which a container exists are probed: the engine holds the lock of the one that it starts or connects.
 * 3. Several can be locked: containers started side by side. Then their addresses stay within the group (a late one finds what
 *    the others left), but who gets which is a guess (the first created first). `--ip` is for who must not leave it to that.
 *
 * Hints only: a wrong or missing one costs the old address, never a conflict. An engine that does not answer costs `PROBE_LIMIT`.
 */
import type { NetworkRecord } from "../../agent/records.ts";
import { type Family, parseAddress } from "../../core/net/address.ts";
import { type PluginContext, poolsOf } from "./context.ts";

/** Milliseconds. */
const PROBE_LIMIT = 40;
/** As many names are looked at, the most recent first. */
const MOST_NAMES = 32;
/** Docker asks for the IPv6 address right after the IPv4 one; milliseconds in which that is taken for the same container. */
const PAIR_TIME = 3000;

/** Milliseconds in which containers that were seen to start side by side share their addresses. */
const GROUP_TIME = 20_000;

interface Group {
  readonly addresses: ReadonlySet<string>;
  readonly until: number;
}

interface Guess {
  readonly containers: readonly string[];
  readonly at: number;
}

export class Sticky {
  readonly #context: PluginContext;
  /** By network: for whom IPv4 addresses were asked whose IPv6 address was not asked yet, in order. */
  readonly #pairs = new Map<string, Guess[]>();

  /** By network. */
  readonly #groups = new Map<string, Group>();

  constructor(context: PluginContext) {
    this.#context = context;
  }

  /** Addresses to prefer, best first, for a container that is about to get one on the network. */
  async prefer(network: NetworkRecord, family: Family, signal: AbortSignal): Promise<string[]> {
    if (!network.spec.sticky) return [];
    const containers = this.#paired(network, family) ?? (await this.#guess(network, signal));
    if (family === 4 && poolsOf(network, 6).length > 0) this.#keep(network.id, containers);
    const { addresses } = this.#context;
    const own = containers.flatMap((name) => addresses.remembered(network.id, name));
    const group = this.#shared(network.id, containers.length > 1 ? own : []);
    return [...new Set([...own, ...group])].filter((held) => parseAddress(held)?.family === family);
  }

  /** Adds to what a group shares at present. */
  #shared(networkId: string, more: readonly string[]): readonly string[] {
    const now = this.#context.now().getTime();
    const before = this.#groups.get(networkId);
    const present = before === undefined || before.until < now ? [] : [...before.addresses];
    if (more.length > 0)
      this.#groups.set(networkId, { addresses: new Set([...present, ...more]), until: now + GROUP_TIME });
    else if (present.length === 0) this.#groups.delete(networkId);
    return present;
  }

  #paired(network: NetworkRecord, family: Family): readonly string[] | undefined {
    if (family === 4) return undefined;
    const oldest = this.#context.now().getTime() - PAIR_TIME;
    const guesses = (this.#pairs.get(network.id) ?? []).filter(({ at }) => at >= oldest);
    const next = guesses.shift();
    if (guesses.length > 0) this.#pairs.set(network.id, guesses);
    else this.#pairs.delete(network.id);
    return next?.containers;
  }

  #keep(networkId: string, containers: readonly string[]): void {
    const at = this.#context.now().getTime();
    const recent = (this.#pairs.get(networkId) ?? []).filter((guess) => guess.at >= at - PAIR_TIME);
    this.#pairs.set(networkId, [...recent, { containers, at }]);
  }

  async #guess(network: NetworkRecord, signal: AbortSignal): Promise<readonly string[]> {
    const names = this.#absent(network);
    if (names.length === 0) return [];
    const { locked, log, index } = this.#context;
    const begun = performance.now();
    const found = await locked(names, PROBE_LIMIT, signal);
    const silent = found.length === names.length && performance.now() - begun >= PROBE_LIMIT;
    if (silent && names.length > 1)
      log("warn", "Docker did not tell which container starts; it may get another address than before", {
        network: network.id,
      });
    return found.length > 1 ? index.byCreation(found) : found;
  }

  /** Names that have remembered addresses here and no interface now: the most recent. */
  #absent(network: NetworkRecord): string[] {
    const { state, addresses, index } = this.#context;
    const present = new Set<string>();
    for (const endpoint of state.endpoints.values())
      if (endpoint.networkId === network.id && endpoint.container !== undefined) present.add(endpoint.container.name);
    const absent: string[] = [];
    for (const name of addresses.rememberedNames(network.id)) {
      if (!present.has(name) && index.mayExist(name)) absent.push(name);
      if (absent.length === MOST_NAMES) break;
    }
    return absent;
  }
}
