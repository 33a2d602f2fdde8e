/**
 * Who has a name, by network: the containers of all hosts, by name, alias, compose service and short ID, as Docker's own resolver has
 * those of its engine. A name is looked up on a network and never without one: that is what keeps networks apart.
 *
 * Changes cost what changed: a host may know of 50,000 containers elsewhere.
 */
import { containerKey } from "../calc/local.ts";
import type { Endpoint, Snapshot } from "../calc/snapshot.ts";
import { type Changes, JournalTracker, Tracker } from "../calc/tracker.ts";

interface NetworkNames {
  readonly names: Map<string, Set<Endpoint>>;
  readonly addresses: Map<string, Endpoint>;
}

/** More names of one container than this are left out. */
const MOST_ALIASES = 64;

export class NameBook {
  readonly #networks = new Map<string, NetworkNames>();
  readonly #known = new Map<string, Endpoint>();
  /** This host's endpoints by container, and the container of each of their addresses. */
  readonly #containers = new Map<string, Set<Endpoint>>();
  readonly #askers = new Map<string, string>();
  readonly #own = new Tracker<Endpoint>(({ id }) => id);
  readonly #remote = new JournalTracker<Endpoint>();

  /** How many names can be asked for, each network by itself. */
  get size(): number {
    return [...this.#networks.values()].reduce((sum, { names }) => sum + names.size, 0);
  }

  /** Takes over what has changed since the last snapshot. */
  take(snapshot: Pick<Snapshot, "endpoints" | "parts" | "host">): void {
    const { parts, host } = snapshot;
    if (parts === undefined) return this.#change(this.#own.update(snapshot.endpoints), host);
    this.#change(this.#own.update(parts.own), host);
    this.#change(this.#remote.update(parts.remote), host);
  }

  /** The networks of the container of this host that has the address; undefined if none has it. */
  networksOf(address: string): ReadonlySet<string> | undefined {
    const container = this.#askers.get(address);
    const endpoints = container === undefined ? undefined : this.#containers.get(container);
    return endpoints === undefined ? undefined : new Set([...endpoints].map(({ network }) => network));
  }

  /** In the order in which they came. `name` in lower case. */
  find(network: string, name: string): readonly Endpoint[] {
    return [...(this.#networks.get(network)?.names.get(name) ?? [])];
  }

  at(network: string, address: string): Endpoint | undefined {
    return this.#networks.get(network)?.addresses.get(address);
  }

  #change({ upserts, removed }: Changes<Endpoint>, host: string): void {
    for (const { id } of removed) this.#forget(id);
    for (const endpoint of upserts) {
      this.#forget(endpoint.id);
      if (endpoint.local?.joined !== false) this.#add(endpoint, host);
    }
  }

  #add(endpoint: Endpoint, host: string): void {
    const { id, network, addresses } = endpoint;
    this.#known.set(id, endpoint);
    const { names, addresses: here } = this.#network(network);
    for (const name of namesOf(endpoint)) names.set(name, (names.get(name) ?? new Set()).add(endpoint));
    for (const address of addresses) here.set(address, endpoint);
    if (endpoint.host !== host) return;
    const container = containerKey(endpoint);
    this.#containers.set(container, (this.#containers.get(container) ?? new Set()).add(endpoint));
    for (const address of addresses) this.#askers.set(address, container);
  }

  #forget(id: string): void {
    const endpoint = this.#known.get(id);
    if (endpoint === undefined) return;
    this.#known.delete(id);
    const { names, addresses } = this.#network(endpoint.network);
    for (const name of namesOf(endpoint)) {
      names.get(name)?.delete(endpoint);
      if (names.get(name)?.size === 0) names.delete(name);
    }
    for (const address of endpoint.addresses) if (addresses.get(address) === endpoint) addresses.delete(address);
    if (names.size === 0 && addresses.size === 0) this.#networks.delete(endpoint.network);
    this.#forgetAsker(endpoint);
  }

  #forgetAsker(endpoint: Endpoint): void {
    const container = containerKey(endpoint);
    const endpoints = this.#containers.get(container);
    if (endpoints?.delete(endpoint) !== true) return;
    if (endpoints.size === 0) this.#containers.delete(container);
    for (const address of endpoint.addresses) if (this.#askers.get(address) === container) this.#askers.delete(address);
  }

  #network(name: string): NetworkNames {
    const found = this.#networks.get(name) ?? { names: new Map(), addresses: new Map() };
    this.#networks.set(name, found);
    return found;
  }
}

function namesOf({ container, aliases = [] }: Endpoint): ReadonlySet<string> {
  const all = [container, ...aliases.slice(0, MOST_ALIASES)].map((name) => name.toLowerCase());
  return new Set(all.filter((name) => name !== ""));
}
