/** What the answers to Docker stand on. None of it touches the kernel: they record, and `settle` makes it so. */
import type { Addresses } from "../../agent/addresses.ts";
import type { LocalState } from "../../agent/local-state.ts";
import type { EndpointRecord, NetworkRecord } from "../../agent/records.ts";
import type { Engine } from "../../drivers/docker/engine.ts";
import type { ContainerIndex } from "./container-index.ts";
import { PluginError } from "./errors.ts";

export type Log = (
  level: "info" | "warn" | "error",
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

export interface PluginContext {
  readonly state: LocalState;
  readonly addresses: Addresses;
  readonly engine: Engine;
  /** Containers (by ID or name) that the engine is at work on; within the limit (ms). `LockProbe.locked` does it. */
  readonly locked: (containers: readonly string[], limit: number, signal?: AbortSignal) => Promise<readonly string[]>;
  /** Resolves when all that the local state says is in force in the kernel. */
  readonly settle: (signal: AbortSignal) => Promise<void>;
  /** A Join has succeeded: `Inside.wake`. */
  readonly onJoined: (endpointId: string) => void;
  /** Can the host's port be published? `probePort` asks the host. */
  readonly probePort: (protocol: "TCP" | "UDP" | "SCTP", address: string, port: number) => Promise<PortState>;
  readonly log: Log;
  readonly now: () => Date;
  /** Fed by `followEngine`. */
  readonly index: ContainerIndex;
  /** Networks and endpoints (by ID) of which a call is being answered: `reconcile` leaves them alone. */
  readonly inFlight: InFlight;
  /** Where there are several hosts: the networks that all of them have. */
  readonly networks?: ClusterNetworks;
}

export interface ClusterNetworks {
  /** The sentence that refuses containers on the network; undefined: they are welcome. */
  refusal(networkId: string): string | undefined;
  /** Docker was told to remove it. */
  removed(networkId: string): void;
}

/** @throws PluginError for a network that is not what the other hosts know by its name */
export function requireWelcome({ networks }: PluginContext, networkId: string): void {
  const why = networks?.refusal(networkId);
  if (why !== undefined) throw new PluginError(why);
}

export type PortState = "free" | "taken" | "not-ours";

/** Counts the calls under way by what they are about, and lets those about one endpoint wait for each other. */
export class InFlight {
  readonly #tails = new Map<string, Promise<unknown>>();

  has(id: string): boolean {
    return this.#tails.has(id);
  }

  /** One after the other for the same ID: a repeated Join must not overtake the first, nor a Leave the Join. */
  async run<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(id);
    const own = before === undefined ? work() : before.then(work, work);
    this.#tails.set(id, own);
    try {
      return await own;
    } finally {
      if (this.#tails.get(id) === own) this.#tails.delete(id);
    }
  }
}

/** @throws PluginError */
export function requireNetwork({ state }: PluginContext, id: string): NetworkRecord {
  const found = state.networks.get(id);
  if (found !== undefined) return found;
  throw new PluginError(
    `Cannot find the network "${id.slice(0, 12)}": Manx does not know it (its records may have been lost). ` +
      "manx doctor tells more; docker network rm and docker network create make it anew",
  );
}

/** @throws PluginError */
export function requireEndpoint({ state }: PluginContext, networkId: string, id: string): EndpointRecord {
  const found = state.endpoints.get(id);
  if (found?.networkId === networkId) return found;
  throw new PluginError(
    `Cannot find the endpoint "${id.slice(0, 12)}": Manx does not know it. Start the container again`,
  );
}

/** The pool IDs of the network for the family. */
export function poolsOf(network: NetworkRecord, family: 4 | 6): readonly string[] {
  return family === 4 ? network.ipv4Pools : network.ipv6Pools;
}

/** The network that has the pool ID. */
export function networkOfPool({ state }: PluginContext, poolId: string): NetworkRecord | undefined {
  for (const network of state.networks.values())
    if (network.ipv4Pools.includes(poolId) || network.ipv6Pools.includes(poolId)) return network;
  return undefined;
}
