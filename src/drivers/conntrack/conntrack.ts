/**
 * The kernel's table of connections (ctnetlink): who talks to whom, as of now; and the end of those that a new policy
 * forbids. An entry that is deleted is a connection cut: its next packet is judged as the first one of a new flow.
 */
import type { Family } from "../../core/net/address.ts";

/** One direction of a flow, as its packets look. */
export interface Tuple {
  readonly source: string;
  readonly destination: string;
  /** IANA's number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6, 132 SCTP. */
  readonly protocol: number;
  /** For protocols that have ports. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
}

export interface Counter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface Connection {
  readonly family: Family;
  /** The kernel's name of this entry, which no later one of the same tuple has. */
  readonly id: number;
  /** From who began it. */
  readonly original: Tuple;
  /** Its answers, before translation back: differs from the original turned round where there is NAT. */
  readonly reply: Tuple;
  /** Original tuple of the connection that announced this one (nf_conntrack_expect): it was let in as `related`. */
  readonly master?: Tuple;
  readonly zone: number;
  readonly mark: number;
  /** An answer was seen. */
  readonly answered: boolean;
  /** Not thrown out when the table is full. */
  readonly assured: boolean;
  readonly sourceNat: boolean;
  readonly destinationNat: boolean;
  /** Only where net.netfilter.nf_conntrack_acct is on. */
  readonly sent?: Counter;
  readonly received?: Counter;
}

export interface Conntrack {
  /** Connections that `select` takes. Gives the event loop a turn every few milliseconds, so 100,000 entries are no stall. */
  list(select: (connection: Connection) => boolean, signal?: AbortSignal): Promise<Connection[]>;
  /** Ends those that are still there; never a later one of the same addresses and ports. How many there were. */
  cut(connections: readonly Connection[], signal?: AbortSignal): Promise<number>;
  /**
   * Ends what began with an answer of one of these, after they were cut: a datagram that was under way is the first of a new
   * connection the other way round, in which the old sender would be the one who answers. How many there were.
   */
  cutTurned(connections: readonly Connection[], signal?: AbortSignal): Promise<number>;
}
