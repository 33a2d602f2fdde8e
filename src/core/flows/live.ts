/**
 * One real packet on its way through a host, as the kernel traced it: which packet of all that was traced it is, what each chain made
 * of it, where it was seen last, and what came back.
 */
import type { Family } from "../net/address.ts";
import { ICMP, ICMPV6, TCP } from "../rules/protocol.ts";
import { ruleOwner } from "./rule-owner.ts";

export interface LiveFlow {
  readonly family: Family;
  readonly protocol: number;
  /** Absent: anybody. */
  readonly source?: string;
  readonly destination?: string;
  readonly port?: number;
}

export interface LiveHead {
  readonly source: string;
  readonly destination: string;
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  readonly tcpFlags?: number;
}

/** Hooks that are entered; `delivered` and `left` lie behind all rules of input and postrouting. */
export type LivePlace = "prerouting" | "input" | "forward" | "output" | "delivered" | "postrouting" | "left";

/** One thing that happened to one packet. */
export interface LiveStep {
  /** The same for all of one packet; used again for later ones. */
  readonly packet: number;
  /** Not a rule: the packet came by here. */
  readonly place?: LivePlace;
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly kind: "rule" | "return" | "policy";
  readonly verdict: string;
  /** Names of interfaces. */
  readonly from?: string;
  readonly to?: string;
  readonly head?: LiveHead;
  /** What the rule says. */
  readonly text?: string;
}

export interface LiveHop {
  readonly hook: Exclude<LivePlace, "delivered" | "left">;
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly verdict: string;
  /** Whose rule it is. */
  readonly owner: string;
  readonly text: string;
}

/** `vanished`: no rule of nftables did it, and it was not seen further on. */
export type LiveEnd = "dropped" | "vanished" | "delivered" | "left";

export interface LiveAnswer {
  /** `unreachable`: a router or firewall said so; `dropped`: the answer came, and died on this host. */
  readonly kind: "answered" | "refused" | "unreachable" | "dropped";
  readonly text: string;
}

export interface LivePassage {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly hops: readonly LiveHop[];
  readonly end: LiveEnd;
  /** How it ended here, as half a sentence. */
  readonly text: string;
  readonly answer?: LiveAnswer | undefined;
}

/** Steps of the first packet of the flows, and of the first answer to it. Empty: none came. */
export function firstPacket(
  steps: readonly LiveStep[],
  flows: readonly LiveFlow[],
): { readonly flow: LiveFlow | undefined; readonly forward: readonly LiveStep[]; readonly back: readonly LiveStep[] } {
  for (const [index, { head }] of steps.entries()) {
    const flow = head === undefined ? undefined : flows.find((one) => isForward(head, one));
    if (flow === undefined) continue;
    const after = steps.slice(index);
    const answer = after.findIndex((step) => step.head !== undefined && isBack(step.head, flow));
    return { flow, forward: samePacket(after), back: answer < 0 ? [] : samePacket(after.slice(answer)) };
  }
  return { flow: undefined, forward: [], back: [] };
}

/** Steps of the packet that the first step is of; a later packet of the same number enters a hook again. */
function samePacket(steps: readonly LiveStep[]): LiveStep[] {
  const [first] = steps;
  const mine = steps.filter(({ packet }) => packet === first?.packet);
  const isEntry = ({ place }: LiveStep): boolean => place === "prerouting" || place === "output";
  const isNext = (step: LiveStep, index: number): boolean =>
    index > 0 && isEntry(step) && mine.slice(0, index).some(({ place }) => place !== undefined && place !== step.place);
  const again = mine.findIndex(isNext);
  const died = mine.findIndex(({ verdict }) => verdict === "drop");
  const ends = [again, died < 0 ? -1 : died + 1].filter((end) => end > 0);
  return mine.slice(0, ends.length === 0 ? undefined : Math.min(...ends));
}

function isForward(head: LiveHead, { protocol, source, destination, port }: LiveFlow): boolean {
  return (
    head.protocol === protocol &&
    (source === undefined || head.source === source) &&
    (destination === undefined || head.destination === destination) &&
    (port === undefined || head.destinationPort === port) &&
    !isEchoReply(head)
  );
}

function isBack(head: LiveHead, { protocol, source, destination, port }: LiveFlow): boolean {
  if (source !== undefined && head.destination !== source) return false;
  if (isError(head)) return true; // of a router: from whoever
  if (destination !== undefined && head.source !== destination) return false;
  return head.protocol === protocol && (port === undefined || head.sourcePort === port);
}

function isEchoReply({ protocol, icmp }: LiveHead): boolean {
  return (protocol === ICMP && icmp?.type === 0) || (protocol === ICMPV6 && icmp?.type === 129);
}

/** RFC 792: unreachable, time exceeded, parameter problem. RFC 4443: types below 128. */
function isError({ protocol, icmp }: LiveHead): boolean {
  if (icmp === undefined) return false;
  return protocol === ICMP ? [3, 11, 12].includes(icmp.type) : protocol === ICMPV6 && icmp.type < 128;
}

/**
 * `isContainer`: whether the interface is the host's side of a container's link. `kernelReason`: what the kernel said of a packet like
 * this one that it dropped itself.
 */
export function passage(
  forward: readonly LiveStep[],
  back: readonly LiveStep[],
  isContainer: (name: string) => boolean,
  kernelReason?: string,
): LivePassage {
  const hops = hopsOf(forward);
  const from = forward.find((step) => step.from !== undefined)?.from;
  const to = forward.findLast((step) => step.to !== undefined)?.to;
  const died = hops.find(({ verdict }) => verdict === "drop");
  const places = forward.flatMap(({ place }) => place ?? []);
  const last = places.at(-1);
  const answer = answerOf(back);
  const ends = {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    hops,
    ...(answer && { answer }),
  };
  if (died !== undefined) return { ...ends, end: "dropped", text: `dropped by ${hopText(died)}` };
  if (last === "delivered") return { ...ends, end: "delivered", text: "given to a process of this host" };
  if (last === "left" && to !== undefined && isContainer(to))
    return { ...ends, end: "delivered", text: `given to the container by ${to}` };
  if (last === "left") return { ...ends, end: "left", text: `left by ${to ?? "an interface"}` };
  if (kernelReason !== undefined) return { ...ends, end: "dropped", text: `dropped by ${kernelReason}` };
  return { ...ends, end: "vanished", text: VANISHED[last ?? "prerouting"] };
}

/** `Docker's rules: ip filter, chain DOCKER-USER: ip saddr 10.0.0.1 drop`. */
export function hopText({
  owner,
  family,
  table,
  chain,
  text,
}: Pick<LiveHop, "owner" | "family" | "table" | "chain" | "text">): string {
  return owner === "Manx" ? text : `${owner}: ${family} ${table}, chain ${chain}: ${text}`;
}

const UNSEEN = "no rule of nftables did it: rules of iptables-legacy, or the kernel itself";
const VANISHED: Readonly<Record<LivePlace, string>> = {
  prerouting: "dropped between prerouting and the next hook: no route, a reverse path filter (rp_filter), or the MTU",
  input: `dropped in input; ${UNSEEN}`,
  forward: `dropped in forward; ${UNSEEN}`,
  output: `dropped in output; ${UNSEEN}`,
  postrouting: `dropped in postrouting; ${UNSEEN}`,
  delivered: "given to a process of this host",
  left: "left",
};

/** What each base chain made of it: the verdict that ended it there. */
function hopsOf(steps: readonly LiveStep[]): LiveHop[] {
  let hook: LiveHop["hook"] = "prerouting";
  return steps.flatMap(({ place, family, table, chain, kind, verdict, text }) => {
    if (place !== undefined) {
      hook = place === "delivered" ? "input" : place === "left" ? "postrouting" : place;
      return [];
    }
    if (!FINAL.has(verdict)) return [];
    const said = kind === "policy" ? `policy ${verdict}` : (text ?? "a rule");
    return [{ hook, family, table, chain, verdict, owner: ruleOwner(family, table, chain), text: said }];
  });
}

const FINAL: ReadonlySet<string> = new Set(["accept", "drop", "queue", "stolen"]);
const RST = 4;

function answerOf(back: readonly LiveStep[]): LiveAnswer | undefined {
  const head = back[0]?.head;
  if (head === undefined) return undefined;
  const died = hopsOf(back).find(({ verdict }) => verdict === "drop");
  if (died !== undefined) return { kind: "dropped", text: `the answer was dropped by ${hopText(died)}` };
  if (head.protocol === TCP && ((head.tcpFlags ?? 0) & RST) !== 0)
    return { kind: "refused", text: `${head.source} answers with a reset: nothing listens there` };
  if (!isError(head)) return { kind: "answered", text: `${head.source} answers` };
  const { type, code } = head.icmp ?? { type: 0, code: 0 };
  const said = head.protocol === ICMP ? icmpError(type, code) : icmpv6Error(type, code);
  return said === PORT
    ? { kind: "refused", text: `${head.source} says "${PORT}": nothing listens there` }
    : { kind: "unreachable", text: `${head.source} says "${said}"` };
}

const PORT = "port unreachable";

/** RFC 792, RFC 1812 section 5.2.7.1. */
function icmpError(type: number, code: number): string {
  if (type === 11) return "time to live exceeded";
  if (type === 12) return "parameter problem";
  if (code === 3) return PORT;
  if (code === 4) return "fragmentation needed: the packet is larger than the MTU ahead";
  if ([9, 10, 13].includes(code)) return "administratively prohibited: a firewall rejects it";
  return [0, 5, 6, 11].includes(code) ? "network unreachable: no route" : "host unreachable";
}

/** RFC 4443. */
function icmpv6Error(type: number, code: number): string {
  if (type === 2) return "packet too big: it is larger than the MTU ahead";
  if (type === 3) return "hop limit exceeded";
  if (type !== 1) return "parameter problem";
  if (code === 4) return PORT;
  if ([1, 5].includes(code)) return "administratively prohibited: a firewall rejects it";
  return code === 0 ? "no route to destination" : "address unreachable";
}
