/** A host with a local state in a directory of its own and a store, for tests of addresses. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resourceKey } from "../../src/agent/cluster-cache.ts";
import type { AddressesOptions } from "../../src/agent/ipam/local-addresses.ts";
import { type LocalAddresses, openAddresses } from "../../src/agent/ipam/local-addresses.ts";
import { type LocalStateFile, openLocalState } from "../../src/agent/local-state.ts";
import { makePool } from "../../src/core/ipam/pools.ts";
import type { IPPool, IPReservation } from "../../src/core/model/resources.ts";
import { cidr } from "../../src/core/net/cidr.ts";
import { MemoryStore } from "../../src/drivers/store/memory.ts";
import type { Store } from "../../src/drivers/store/store.ts";
import { endpointRecord, networkRecord } from "./records.ts";

export function pool(name: string, range: string, more: Partial<IPPool["spec"]> = {}): IPPool {
  return makePool(name, cidr(range), more);
}

export const DEFAULTS = [pool("v4", "10.65.0.0/16"), pool("v6", "fd65::/64")];

export class Host implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "manx-addresses-"));
  readonly store: Store;
  readonly name: string;
  pools: IPPool[] = [];
  reservations: IPReservation[] = [];
  routes: string[] = [];
  clock = 0;
  selects: (selector: string) => boolean = (selector) => selector === "all()";
  readonly troubles: (string | undefined)[] = [];
  readonly #more: Partial<AddressesOptions>;
  #serving: AbortController | undefined;
  #served: Promise<void> | undefined;
  state: LocalStateFile;
  addresses: LocalAddresses;

  constructor(name = "h1", store: Store = new MemoryStore(), more: Partial<AddressesOptions> = {}) {
    this.name = name;
    this.store = store;
    this.#more = more;
    this.state = openLocalState(this.#path);
    this.addresses = this.#open();
  }

  static async with(pools: readonly IPPool[] = DEFAULTS, more: Partial<AddressesOptions> = {}): Promise<Host> {
    const host = new Host("h1", new MemoryStore(), more);
    for (const one of pools) await host.addPool(one);
    return host;
  }

  get #path(): string {
    return join(this.directory, "manx.db");
  }

  #open(): LocalAddresses {
    return openAddresses({
      state: this.state,
      store: this.store,
      host: this.name,
      pools: () => this.pools,
      reservations: () => this.reservations,
      routes: () => this.routes,
      selects: (selector) => this.selects(selector),
      onTrouble: (message) => this.troubles.push(message),
      now: () => this.clock,
      ...this.#more,
    });
  }

  /** Lends addresses to others until the host is closed or restarted, whatever the store does. */
  lend(): void {
    const { addresses } = this;
    const serving = new AbortController();
    this.#serving = serving;
    const serve = async (): Promise<void> => {
      while (!serving.signal.aborted) {
        await addresses.serveLoans(serving.signal).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    this.#served = serve();
  }

  async #stopLending(): Promise<void> {
    this.#serving?.abort();
    await this.#served;
  }

  /** As a kill and a new start: nothing but the file is left. */
  async restart(): Promise<void> {
    await this.#stopLending();
    await this.addresses[Symbol.asyncDispose]();
    this.state[Symbol.dispose]();
    this.state = openLocalState(this.#path);
    this.addresses = this.#open();
  }

  async addPool(one: IPPool): Promise<void> {
    await this.store.commit({ ops: [{ kind: "put", key: resourceKey(one), value: JSON.stringify(one) }] });
    this.pools = [...this.pools, one];
  }

  async changePool(name: string, spec: Partial<IPPool["spec"]>): Promise<void> {
    this.pools = this.pools.map((p) => (p.metadata.name === name ? { ...p, spec: { ...p.spec, ...spec } } : p));
    const one = this.pools.find((p) => p.metadata.name === name) as IPPool;
    await this.store.commit({ ops: [{ kind: "put", key: resourceKey(one), value: JSON.stringify(one) }] });
  }

  /** RequestPool and CreateNetwork. @returns the pool ID */
  async network(id: string, ask: { pool?: string; subPool?: string; family?: 4 | 6 } = {}): Promise<string> {
    const family = ask.family ?? 4;
    const grant = await this.addresses.requestPool({ ...ask, family });
    const [poolId] = this.addresses.bind(id, [{ family, pool: grant.pool }]);
    this.state.putNetwork(networkRecord(id));
    return poolId as string;
  }

  endpoint(id: string, networkId: string, ...addresses: string[]): void {
    this.state.putEndpoint({
      ...endpointRecord(id, networkId),
      addresses: addresses.map((a) => a.replace(/\/.*/, "")),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopLending();
    await this.addresses[Symbol.asyncDispose]();
    this.state[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
