/** Why the kernel itself dropped a packet, in words: `enum skb_drop_reason` (include/net/dropreason-core.h). */

/** A rule of netfilter, whoever's. */
export const BY_NETFILTER = "NETFILTER_DROP";

export interface DropFacts {
  readonly source: string;
  readonly destination: string;
  /** Interface that it came in by, and that it is of when it is dropped. */
  readonly from?: string;
  readonly device?: string;
  /** Bytes. */
  readonly length: number;
}

type Say = (facts: DropFacts) => string;

const by = ({ from, device }: DropFacts): string => from ?? device ?? "its interface";
const busy: Say = ({ device = "an interface" }) => `the queue of ${device} is full`;
const noNeighbour: Say = ({ device = "the link" }) => `nobody answers on ${device} for the next hop (ARP, NDP)`;
const martian: Say = ({ source, ...rest }) => `no packet may have the source ${source} on ${by({ source, ...rest })}`;
const noRoute: Say = ({ destination }) => `no route to ${destination}`;

/** Only what ends a way; what sockets and TCP throw away by themselves is no firewall's doing. */
const REASONS: Readonly<Record<string, Say>> = {
  IP_RPFILTER: (facts) => `reverse path filter (rp_filter): the way back to ${facts.source} is not by ${by(facts)}`,
  IP_INNOROUTES: noRoute,
  IP_OUTNOROUTES: noRoute,
  IP_INADDRERRORS: ({ destination }) => `no route to ${destination}, or not for forwarding`,
  IP_LOCAL_SOURCE: martian,
  IP_INVALID_SOURCE: martian,
  IP_LOCALNET: martian,
  IP_INVALID_DEST: ({ destination }) => `nothing may be sent to ${destination} from outside`,
  IP_INHDR: () => "its header is broken",
  PKT_TOO_BIG: ({ length }) => `${length} bytes are more than the MTU of the way on, and it may not be divided`,
  NEIGH_FAILED: noNeighbour,
  NEIGH_CREATEFAIL: noNeighbour,
  NEIGH_DEAD: noNeighbour,
  NEIGH_QUEUEFULL: noNeighbour,
  QDISC_DROP: busy,
  QDISC_OVERLIMIT: busy,
  FULL_RING: busy,
  CPU_BACKLOG: () => "packets come faster than this host takes them",
  TC_INGRESS: (facts) => `a tc filter or BPF program at ${by(facts)}`,
  TC_EGRESS: ({ device = "its interface" }) => `a tc filter or BPF program at ${device}`,
  XDP: (facts) => `an XDP program at ${by(facts)}`,
  BPF_CGROUP_EGRESS: () => "a BPF program of the sender's cgroup",
  XFRM_POLICY: () => "an IPsec policy",
  IPV6DISABLED: (facts) => `IPv6 is off on ${by(facts)}`,
  SECURITY_HOOK: () => "a security module",
};

/** What the kernel is asked about. */
export const DROP_REASONS: readonly string[] = [BY_NETFILTER, ...Object.keys(REASONS)];

/** `the kernel: no route to 10.0.0.1`; undefined for a reason that is not its own. */
export function kernelDropText(reason: string, facts: DropFacts): string | undefined {
  const say = Object.hasOwn(REASONS, reason) ? REASONS[reason] : undefined;
  return say === undefined ? undefined : `the kernel: ${say(facts)}`;
}
