/**
 * What only this host decides, on disk: Docker's networks and endpoints here, addresses given out of this host's blocks.
 *
 * All calls are synchronous; each mutation is one transaction and is readable after a kill at any point. Everything is also
 * held in memory, so reads cost nothing; the maps are live views of frozen records. One process writes the file.
 */
import type { EndpointRecord, NetworkRecord } from "./records.ts";

/** What a change touched. */
export type Changed = "networks" | "endpoints" | "addresses" | "meta";

export interface LocalState extends Disposable {
  readonly networks: ReadonlyMap<string, NetworkRecord>;
  readonly endpoints: ReadonlyMap<string, EndpointRecord>;

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
