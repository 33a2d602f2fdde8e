/** What this host remembers of pools, blocks and addresses. Blocks and allocations become `core/ipam` blocks when they are read. */
import type { Family } from "../../core/net/address.ts";

/** One answer to RequestPool. */
export interface GrantRecord {
  readonly id: string;
  readonly family: Family;
  /** Names of IP pools; absent: every pool that allows it. */
  readonly pools?: readonly string[];
  /** `--subnet`: no address from outside it. */
  readonly subnet?: string;
  /** `--ip-range`: automatic addresses from inside it. */
  readonly range?: string;
  /** The CIDR that Docker was told. */
  readonly pool: string;
  readonly networkId?: string;
  /** Tells it from grants of the same CIDR until its network is made: see `grant-owners.ts`. */
  readonly tag?: number;
  /** Addresses kept free of containers: `--gateway`, `--aux-address`. */
  readonly reserved: readonly string[];
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

/** A block that this host owns. */
export interface BlockRecord {
  readonly cidr: string;
  readonly pool: string;
  readonly sequence: number;
  /** The free queue. */
  readonly free: readonly number[];
  /** The cluster store says that another host owns it: what is given out stays, nothing more is. */
  readonly disputed?: boolean;
  /** A borrowed address: the host whose block it is out of. */
  readonly owner?: string;
}

export interface AllocationRecord {
  readonly block: string;
  /** Pool ID of the grant. */
  readonly handle: string;
  readonly sequence: number;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A sticky address: who had it last. */
export interface HoldRecord {
  readonly networkId: string;
  readonly container: string;
  readonly family: Family;
  readonly address: string;
  /** Grows with each remembering: the smallest is given to others first. */
  readonly touched: number;
}
