/**
 * What only this host decides, on disk: Docker's networks and endpoints here, addresses given out of this host's blocks.
 *
 * All calls are synchronous; each mutation is one transaction and is readable after a kill at any point. Everything is also
 * held in memory, so reads cost nothing; the maps are live views of frozen records. One process writes the file.
 *
 * What a power loss may cost: endpoints, addresses given out and sticky addresses of the last moments, since it ends the
 * containers too and the engine tells the rest again. Networks, grants and blocks are told once: they are synced.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Journal } from "../core/calc/tracker.ts";
import { plural } from "../core/plural.ts";
import { DriverError } from "../drivers/error.ts";
import type { Schema } from "../drivers/store/database.ts";
import type { AllocationRecord, BlockRecord, GrantRecord, HoldRecord } from "./ipam/records.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";
import { RecordTable, StateFile } from "./state-file.ts";

/** What a change touched. */
export type Changed = "networks" | "endpoints" | "addresses" | "meta";

export interface LocalState extends Disposable {
  readonly networks: ReadonlyMap<string, NetworkRecord>;
  readonly endpoints: ReadonlyMap<string, EndpointRecord>;
  /** The same endpoints, for who follows their changes. */
  readonly endpointJournal: Journal<EndpointRecord>;
  /** Endpoints that have the address; more than one only if something went wrong. */
  endpointsWith(address: string): EndpointRecord[];

  /** Adds or replaces. */
  putNetwork(record: NetworkRecord): void;
  /** @returns false if there was none. Refused (throws) while endpoints of it are left. */
  removeNetwork(id: string): boolean;
  /** Adds or replaces. Refused (throws) if there is no such network. */
  putEndpoint(record: EndpointRecord): void;
  removeEndpoint(id: string): boolean;

  meta(key: string): string | undefined;
  setMeta(key: string, value: string | undefined): void;

  /** Runs several mutations as one transaction with one notification; a throw undoes all of them. May be nested. */
  change<T>(work: () => T): T;
  /** Called after each commit, synchronously, with what it touched. A listener that throws does not disturb the others. */
  onChange(listener: (changed: ReadonlySet<Changed>) => void): () => void;
}

/** The part of the state that is `Addresses`' alone. */
export interface IpamTables {
  readonly grants: RecordTable<GrantRecord>;
  readonly blocks: RecordTable<BlockRecord>;
  readonly allocations: RecordTable<AllocationRecord>;
  readonly holds: RecordTable<HoldRecord>;
}

const TABLES = ["networks", "endpoints", "meta", "grants", "blocks", "allocations", "holds"];
const SCHEMA: Schema = {
  component: "local state",
  migrations: [
    TABLES.map((name) => `CREATE TABLE ${name} (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;`).join("\n"),
  ],
};

/**
 * Opens the file (made 0600 in a directory of 0700 where there is none).
 * @throws DriverError `invalid` for a file that is damaged, not ours or newer than this program: it is never made anew
 */
export function openLocalState(path: string): LocalStateFile {
  return new LocalStateFile(path);
}

export class LocalStateFile implements LocalState {
  readonly ipam: IpamTables;
  readonly #file: StateFile;
  readonly #networks: RecordTable<NetworkRecord>;
  readonly #endpoints: RecordTable<EndpointRecord>;
  readonly #meta: RecordTable<{ readonly value: string }>;
  /** Endpoints by each of their addresses; more than one only if something went wrong. */
  readonly #byAddress = new Map<string, ReadonlySet<string>>();

  constructor(path: string) {
    const file = new StateFile(path, SCHEMA);
    try {
      const table = <V extends object>(name: string, changed: Changed, durable: boolean): RecordTable<V> =>
        new RecordTable<V>(file, { table: name, changed, durable });
      this.#file = file;
      this.#networks = table("networks", "networks", true);
      this.#endpoints = table("endpoints", "endpoints", false);
      this.#meta = table("meta", "meta", true);
      this.ipam = {
        grants: table("grants", "addresses", true),
        blocks: table("blocks", "addresses", false),
        allocations: table("allocations", "addresses", false),
        holds: table("holds", "addresses", false),
      };
      for (const { id, addresses } of this.endpoints.values()) for (const a of addresses) this.#index(a, id, true);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  get networks(): ReadonlyMap<string, NetworkRecord> {
    return this.#networks.all;
  }

  get endpoints(): ReadonlyMap<string, EndpointRecord> {
    return this.#endpoints.all;
  }

  get endpointJournal(): Journal<EndpointRecord> {
    return this.#endpoints;
  }

  putNetwork(record: NetworkRecord): void {
    this.#networks.put(record.id, record);
  }

  removeNetwork(id: string): boolean {
    const left = [...this.endpoints.values()].filter(({ networkId }) => networkId === id).length;
    if (left > 0)
      throw new DriverError("busy", `Cannot remove the network "${id}": it has ${plural(left, "endpoint")}`);
    return this.#networks.delete(id);
  }

  putEndpoint(record: EndpointRecord): void {
    if (!this.networks.has(record.networkId))
      throw new DriverError(
        "not-found",
        `Cannot keep the endpoint "${record.id}": its network "${record.networkId}" is not known here`,
      );
    const before = this.endpoints.get(record.id)?.addresses;
    this.change(() => {
      this.#endpoints.put(record.id, record);
      this.#reindex(record.id, before ?? [], record.addresses);
    });
  }

  removeEndpoint(id: string): boolean {
    const before = this.endpoints.get(id);
    if (before === undefined) return false;
    this.change(() => {
      this.#endpoints.delete(id);
      this.#reindex(id, before.addresses, []);
    });
    return true;
  }

  endpointsWith(address: string): EndpointRecord[] {
    return [...(this.#byAddress.get(address) ?? [])].flatMap((id) => this.endpoints.get(id) ?? []);
  }

  #reindex(id: string, before: readonly string[], after: readonly string[]): void {
    const gone = before.filter((a) => !after.includes(a));
    const come = after.filter((a) => !before.includes(a));
    this.mirror(() => {
      const set = (forth: boolean): void => {
        for (const a of gone) this.#index(a, id, !forth);
        for (const a of come) this.#index(a, id, forth);
      };
      set(true);
      return () => set(false);
    });
  }

  #index(address: string, id: string, has: boolean): void {
    const ids = new Set(this.#byAddress.get(address));
    if (has) ids.add(id);
    else ids.delete(id);
    if (ids.size > 0) this.#byAddress.set(address, ids);
    else this.#byAddress.delete(address);
  }

  meta(key: string): string | undefined {
    return this.#meta.all.get(key)?.value;
  }

  setMeta(key: string, value: string | undefined): void {
    if (value === undefined) this.#meta.delete(key);
    else this.#meta.put(key, { value });
  }

  change<T>(work: () => T): T {
    return this.#file.change(work);
  }

  /** For what is kept in memory beside the tables: inside `change`, does it and knows how to undo it. */
  mirror(memory: () => () => void): void {
    this.#file.mirror(memory);
  }

  /** Inside `change`: the transaction must survive a power loss. */
  durably(): void {
    this.#file.durably();
  }

  onChange(listener: (changed: ReadonlySet<Changed>) => void): () => void {
    return this.#file.onChange(listener as (changed: ReadonlySet<string>) => void);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

export interface Identity {
  /** Made once for each installation; a copied disk has it too, */
  readonly machine: string;
  /** but not this: made by the kernel when it starts. */
  readonly boot: string;
}

export function identityOf(state: Pick<LocalState, "meta" | "setMeta">): Identity {
  const machine = state.meta("machine") ?? randomUUID();
  state.setMeta("machine", machine);
  return { machine, boot: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim() };
}
