/** Who has which addresses in the whole cluster: what `manx ipam show`, `check` and `explain` say. Pure. */
import type { IpamExplanation, IpamProblemView, IpamView } from "../../api/schema/ipam.ts";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import { lentTo } from "../../core/ipam/loan.ts";
import { unusable } from "../../core/ipam/pools.ts";
import type { IPPool, IPReservation } from "../../core/model/resources.ts";
import { type Address, formatAddress, parseAddress, width } from "../../core/net/address.ts";
import { type Cidr, cidrOf, contains, covers, formatCidr, parseCidr, parseNet, size } from "../../core/net/cidr.ts";
import { type IpamState, publishedName } from "./ipam-facts.ts";

export interface IpamSources {
  readonly pools: readonly IPPool[];
  readonly reservations: readonly IPReservation[];
  readonly ipam: IpamState;
  /** Of all hosts. */
  readonly endpoints: readonly Endpoint[];
  /** Hosts that have a Node. */
  readonly hosts: ReadonlySet<string>;
  /** Whether the host's agent lives. */
  readonly isAlive: (host: string) => boolean;
}

export function ipamView({ pools, ipam }: IpamSources): IpamView {
  return {
    pools: pools.flatMap(({ metadata, spec }) => {
      const range = parseCidr(spec.cidr);
      if (range === undefined) return [];
      const blocks = ipam.owners
        .filter(({ value }) => covers(range, value.block))
        .map(({ value: { block, host } }) => {
          const cidr = formatCidr(block);
          const given = ipam.published.get(publishedName(host, cidr));
          return { cidr, host, size: String(size(block)), allocated: given?.size ?? 0 };
        });
      const allocated = blocks.reduce((sum, block) => sum + block.allocated, 0);
      return [{ name: metadata.name, cidr: spec.cidr, size: String(size(range)), allocated, blocks }];
    }),
    loans: ipam.loans.map(({ value: { address, owner, borrower, state } }) => {
      return { address: formatAddress(address), owner, borrower, state };
    }),
  };
}

/** What only the whole cluster shows; each host's own books are checked by that host. */
export function checkCluster(sources: IpamSources): IpamProblemView[] {
  return [...checkOwners(sources), ...checkEndpoints(sources), ...checkLoans(sources)];
}

function* checkOwners({ ipam, hosts, isAlive }: IpamSources): Generator<IpamProblemView> {
  for (const { value } of ipam.affinities) {
    const subject = formatCidr(value.block);
    const owner = ipam.owners.find(({ value: { block } }) => formatCidr(block) === subject)?.value.host;
    if (!hosts.has(value.host) && !isAlive(value.host))
      yield person(
        "block-of-unknown-host",
        subject,
        `host "${value.host}", which owns it, is none of the cluster's: manx node rm ${value.host}`,
      );
    else if (value.state !== "confirmed" && !isAlive(value.host))
      yield person(
        "claim-unfinished",
        subject,
        `host "${value.host}" left a claim half done (${value.state}) and is silent`,
      );
    else if (value.state === "confirmed" && owner !== value.host)
      yield person(
        "block-not-owned",
        subject,
        `host "${value.host}" counts it as its own, the store says ${owner === undefined ? "nobody" : `host "${owner}"`}`,
      );
  }
}

function* checkEndpoints({ endpoints, ipam }: IpamSources): Generator<IpamProblemView> {
  const seen = new Map<string, Endpoint>();
  const loans = new Map(ipam.loans.map(({ value }) => [formatAddress(value.address), value]));
  const ownerOf = finder(ipam);
  for (const endpoint of endpoints)
    for (const text of endpoint.addresses) {
      const other = seen.get(text);
      seen.set(text, endpoint);
      if (other !== undefined) yield person("address-twice", text, `${who(other)} and ${who(endpoint)} both have it`);
      const address = parseAddress(text);
      const owner = address === undefined ? undefined : ownerOf(address);
      if (owner === undefined || owner === endpoint.host || loans.get(text)?.borrower === endpoint.host) continue;
      yield person(
        "address-not-lent",
        text,
        `${who(endpoint)} has it, but its block is host "${owner}"'s, which did not lend it`,
      );
    }
}

/** Who owns the block of an address, in steps that do not grow with the number of blocks. */
function finder({ owners }: IpamState): (a: Address) => string | undefined {
  const byBlock = new Map(owners.map(({ value }) => [formatCidr(value.block), value.host]));
  const lengths = new Map([4, 6].map((family) => [family, new Set<number>()]));
  for (const { value } of owners) lengths.get(value.block.family)?.add(value.block.length);
  return (a) => {
    for (const length of lengths.get(a.family) ?? []) {
      const found = byBlock.get(formatCidr(cidrOf(a, length)));
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

function* checkLoans({ ipam, isAlive }: IpamSources): Generator<IpamProblemView> {
  for (const { value: loan } of ipam.loans) {
    const subject = formatAddress(loan.address);
    const owner = ipam.owners.find(({ value }) => contains(value.block, loan.address))?.value.host;
    if (loan.state === "granted" && owner !== loan.owner)
      yield person(
        "loan-without-owner",
        subject,
        `host "${loan.borrower}" has it from host "${loan.owner}", which owns its block no more`,
      );
    else if (!isAlive(loan.owner) && (loan.state === "asked" || loan.state === "returned"))
      yield person(
        "loan-unanswered",
        subject,
        `it is ${loan.state}, and host "${loan.owner}", which owns it, is silent`,
      );
  }
}

function person(kind: string, subject: string, message: string): IpamProblemView {
  return { kind, subject, message, repair: "person" };
}

function who({ container, id, network, host }: Endpoint): string {
  return `the container "${container || id.slice(0, 12)}" (network ${network}, host ${host})`;
}

export function explainAddress(a: Address, sources: IpamSources): IpamExplanation {
  const { pools, ipam, endpoints, reservations, isAlive } = sources;
  const text = formatAddress(a);
  const pool = pools.find(({ spec }) => has(parseCidr(spec.cidr), a));
  const owner = ipam.owners.find(({ value }) => contains(value.block, a))?.value;
  const loan = ipam.loans.find(({ value }) => formatAddress(value.address) === text)?.value;
  const endpoint = endpoints.find(({ addresses }) => addresses.includes(text));
  const handle =
    owner === undefined ? undefined : ipam.published.get(publishedName(owner.host, formatCidr(owner.block)))?.get(text);
  const reserved = reservations.find(({ spec }) => spec.reservedCIDRs.some((net) => has(parseNet(net), a)));
  const sentences: string[] = [];
  const say = (sentence: string): void => void sentences.push(sentence);
  const bad = unusable(cidrOf(a, width(a.family)));
  if (pool === undefined) say(bad === undefined ? "It lies in no IP pool." : `No container can have it: it ${bad}.`);
  else
    say(
      `It lies in the pool "${pool.metadata.name}" (${pool.spec.cidr})${pool.spec.disabled === true ? ", which is disabled" : ""}.`,
    );
  if (pool !== undefined && owner === undefined)
    say("No host owns its block: the next one that needs addresses may take it.");
  if (owner !== undefined)
    say(
      `Host "${owner.host}" owns its block ${formatCidr(owner.block)}${isAlive(owner.host) ? "" : ", and is silent"}.`,
    );
  if (loan !== undefined) say(`Host "${loan.borrower}" asked for it alone: ${loan.state}.`);
  if (endpoint !== undefined) say(`In use: ${who(endpoint)} has it.`);
  else if (handle !== undefined && lentTo(handle) === undefined)
    say(
      `Host "${owner?.host}" has given it out, and no container that is known has it: one that is just starting, or a leak.`,
    );
  if (reserved !== undefined)
    say(
      `The IPReservation "${reserved.metadata.name}" keeps it from being given out by itself; --ip may still name it.`,
    );
  const state =
    endpoint !== undefined
      ? "in-use"
      : loan !== undefined || handle !== undefined
        ? "kept"
        : reserved !== undefined
          ? "reserved"
          : pool === undefined
            ? "outside"
            : owner === undefined
              ? "unowned"
              : "free";
  return {
    address: text,
    state,
    ...(pool !== undefined && { pool: pool.metadata.name }),
    ...(owner !== undefined && { block: formatCidr(owner.block), owner: owner.host }),
    ...(endpoint !== undefined && { holder: endpoint.host, container: endpoint.container, network: endpoint.network }),
    sentences,
  };
}

function has(range: Cidr | undefined, a: Address): boolean {
  return range !== undefined && contains(range, a);
}
