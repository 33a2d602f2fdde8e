/**
 * Addresses for containers on this host: Docker's IPAM calls on one side, pools and blocks on the other.
 *
 * A *grant* is one answer to RequestPool. Its pool ID is unique for each answer, so that several networks may use one subnet,
 * and it describes itself, so that Docker's memory of it is enough to make the grant again. Docker sends RequestPool before
 * CreateNetwork and names no pool ID there: `bind` finds the grants that belong to the network. A grant without a network is
 * collected by `reconcile` after a while.
 *
 * Addresses come out of blocks that this host owns, in one local transaction. Only claiming a new block waits for the
 * cluster store.
 */
import type { Family } from "../core/net/address.ts";

/** Thrown by everything here; the message is one sentence for the user. */
export type AddressErrorCode =
  | "invalid" // the ask itself is wrong
  | "conflict" // overlaps, or the address is taken
  | "exhausted" // no pool has a free address
  | "not-found" // no such pool, pool ID
  | "unavailable"; // needs the cluster store, which cannot be reached

export class AddressError extends Error {
  override readonly name = "AddressError";
  readonly code: AddressErrorCode;

  constructor(code: AddressErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface PoolAsk {
  readonly family: Family;
  /** CIDR of `--subnet`, or name(s) of IP pools (comma separated); absent: any pool that allows it. */
  readonly pool?: string;
  /** CIDR of `--ip-range`: automatic addresses come from inside it. */
  readonly subPool?: string;
  /** `--ipam-opt` as given. `pool` and `pools` name IP pools; all others are refused. */
  readonly options?: Readonly<Record<string, string>>;
}

export interface PoolGrant {
  readonly poolId: string;
  /** The CIDR for Docker's answer (`Pool`). */
  readonly pool: string;
  /** For Docker's answer (`Data`): keeps it from asking for a gateway address. */
  readonly data: Readonly<Record<string, string>>;
}

/** What CreateNetwork says of a pool (IPv4Data, IPv6Data). */
export interface BindAsk {
  readonly family: Family;
  /** CIDR, as Docker has it from our answer. */
  readonly pool: string;
  /** Gateway and auxiliary addresses, without prefix length; leave 0.0.0.0 and :: out. Tells apart what is alike otherwise. */
  readonly reserved?: readonly string[];
  /** As Docker says it (`Gateway`): the answer to RequestPool says there which grant it is. */
  readonly gateway?: string;
}

export interface AddressAsk {
  readonly poolId: string;
  /** `--ip`, `--ip6`, `--gateway`, `--aux-address`: this one or an error. With or without prefix length. */
  readonly address?: string;
  /** RequestAddressType is com.docker.network.gateway: the address is only kept free of containers. */
  readonly isGateway?: boolean;
  /** Sticky addresses, best first: the first that is free and allowed; if none is, any address. */
  readonly prefer?: readonly string[];
}

export interface AddressInUse {
  readonly address: string;
  readonly family: Family;
  readonly poolId: string;
  /** Name of the IP pool, and CIDR of the block. */
  readonly pool: string;
  readonly block: string;
  /** Docker's network and endpoint, as far as known. */
  readonly networkId?: string;
  readonly endpointId?: string;
  /** ISO 8601, UTC. */
  readonly since: string;
}

export interface ReconcileReport {
  /** Addresses that nobody had: given back. */
  readonly released: readonly string[];
  /** Addresses that Docker uses and we had forgotten: taken again. */
  readonly adopted: readonly string[];
  /** Pool IDs without a network: collected. */
  readonly collected: readonly string[];
  /** What could not be put right, one sentence each. */
  readonly problems: readonly string[];
  /** Something looks unused, but not for long enough: another look is to come. */
  readonly open: boolean;
}

export interface Addresses {
  /** @throws AddressError */
  requestPool(ask: PoolAsk, signal?: AbortSignal): Promise<PoolGrant>;
  /** Repeatable; an unknown pool ID is nothing to do. */
  releasePool(poolId: string, signal?: AbortSignal): Promise<void>;
  /**
   * Finds the grants of a network that Docker is creating (IPv4Data and IPv6Data name only the pool's CIDR) and ties them to it.
   * `pools` restricts them to IP pools by name (`-o pools=`). Synchronous: may be part of a `LocalState.change`.
   * @returns the pool IDs, in the order of the data. @throws AddressError
   */
  bind(networkId: string, data: readonly BindAsk[], pools?: readonly string[]): string[];
  /** Names of the IP pools that the pool IDs are restricted to by the IPAM options; none: a subnet, or any pool. */
  poolNames(poolIds: readonly string[]): string[];
  /** @returns the address with /32 or /128, canonical. @throws AddressError */
  request(ask: AddressAsk, signal?: AbortSignal): Promise<string>;
  /** Gives the address back. Repeatable; an address that is not in use is nothing to do. */
  release(poolId: string, address: string): void;

  /** The container's address on the network is kept for it after release, as long as nobody else needs it. */
  remember(networkId: string, container: string, address: string): void;
  /** Without a container: all of the network. */
  forget(networkId: string, container?: string): void;
  /** The remembered addresses, IPv4 before IPv6: what `prefer` wants. */
  remembered(networkId: string, container: string): string[];
  /** Containers that have remembered addresses on the network, the most recently remembered first. */
  rememberedNames(networkId: string): string[];

  /** Whether this host has given the address (canonical) to a container. */
  isGiven(address: string): boolean;
  inUse(): AddressInUse[];
  /** A mark in time: take it before asking Docker what is live, and give it to `reconcile`. */
  mark(): number;
  /**
   * Compares what is given out with what is live (all addresses that Docker has on our networks at some moment after the mark).
   * An address is released only when no endpoint record has it, two calls in a row found it dead, and it was given out well
   * before the mark: starts in flight are safe.
   */
  reconcile(
    live: ReadonlyMap<string, { readonly networkId: string; readonly endpointId?: string }>,
    mark: number,
    signal?: AbortSignal,
  ): Promise<ReconcileReport>;
}
