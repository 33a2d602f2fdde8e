/** Every disagreement between pools, blocks, addresses given out, endpoints and what Docker says. */
import { type Address, formatAddress, parseAddress } from "../net/address.ts";
import { type Cidr, contains, covers, equalCidrs, formatCidr, overlaps } from "../net/cidr.ts";
import { addressAt, type Block, blockProblems } from "./block.ts";
import type { Pool } from "./choice.ts";
import type { Affinity, BlockOwner } from "./claim.ts";
import { type Loan, lentTo } from "./loan.ts";
import { overlappingRoutes } from "./pools.ts";

export interface IpamFacts {
  readonly host: string;
  readonly pools: readonly Pool[];
  /** CIDRs of the host's routes that are not ours. */
  readonly routes: readonly string[];
  /** What the cluster store says; absent: it cannot be reached. */
  readonly cluster?: {
    readonly owners: readonly BlockOwner[];
    readonly affinities: readonly Affinity[];
    readonly loans: readonly Loan[];
  };
  /** This host's own blocks and (with `owner`) borrowed addresses, with who holds what (handles are grants). */
  readonly blocks: readonly { readonly pool: string; readonly block: Block; readonly owner?: string }[];
  readonly grants: readonly {
    readonly id: string;
    readonly networkId?: string;
    readonly reserved: readonly string[];
  }[];
  readonly networks: readonly { readonly id: string; readonly name?: string; readonly poolIds: readonly string[] }[];
  readonly endpoints: readonly {
    readonly id: string;
    readonly networkId: string;
    readonly addresses: readonly string[];
  }[];
  /** What Docker says is alive; absent: Docker cannot be asked. */
  readonly docker?: readonly { readonly address: string; readonly networkId: string; readonly endpointId?: string }[];
}

type IpamProblemKind =
  | "pools-overlap"
  | "pool-overlaps-route"
  | "block-without-pool"
  | "blocks-overlap"
  | "block-damaged"
  | "block-not-owned"
  | "block-not-known"
  | "claim-unfinished"
  | "loan-not-granted"
  | "loan-not-known"
  | "address-leaked"
  | "address-not-given"
  | "address-of-another-network"
  | "address-twice"
  | "address-unknown"
  | "grant-without-network"
  | "network-without-grant";

export interface IpamProblem {
  readonly kind: IpamProblemKind;
  /** The CIDR, address, pool ID or network it is about. */
  readonly subject: string;
  /** One sentence. */
  readonly message: string;
  /** `reconcile` and `recover` put it right by themselves; what they cannot is for a person. */
  readonly repair: "reconcile" | "recover" | "person";
}

export function checkIpam(facts: IpamFacts): IpamProblem[] {
  return [
    ...checkPools(facts),
    ...checkBlocks(facts),
    ...checkOwners(facts),
    ...checkLoans(facts),
    ...checkAllocations(facts),
    ...checkEndpoints(facts),
    ...checkDocker(facts),
    ...checkGrants(facts),
  ];
}

function* checkPools({ pools, routes }: IpamFacts): Generator<IpamProblem> {
  for (const [i, pool] of pools.entries()) {
    const subject = formatCidr(pool.cidr);
    for (const other of pools.slice(i + 1))
      if (overlaps(pool.cidr, other.cidr))
        yield problem(
          "pools-overlap",
          subject,
          `the pools "${pool.name}" and "${other.name}" (${formatCidr(other.cidr)}) overlap`,
          "person",
        );
    for (const route of overlappingRoutes(pool.resource, routes))
      yield problem(
        "pool-overlaps-route",
        subject,
        `the pool "${pool.name}" overlaps this host's route ${route}`,
        "person",
      );
  }
}

function* checkBlocks({ pools, blocks }: IpamFacts): Generator<IpamProblem> {
  for (const { pool: name, block } of blocks) {
    const subject = formatCidr(block.cidr);
    const pool = pools.find((candidate) => candidate.name === name);
    if (pool === undefined || !covers(pool.cidr, block.cidr))
      yield problem(
        "block-without-pool",
        subject,
        `the block's pool "${name}" ${pool === undefined ? "is gone" : "does not contain it"}`,
        "reconcile",
      );
    for (const why of blockProblems(block)) yield problem("block-damaged", subject, why, "recover");
  }
}

function* checkOwners({ cluster, blocks, host }: IpamFacts): Generator<IpamProblem> {
  if (cluster === undefined) return;
  const { owners, affinities } = cluster;
  const sorted = [...owners].sort((a, b) =>
    a.block.value < b.block.value ? -1 : a.block.value > b.block.value ? 1 : a.block.length - b.block.length,
  );
  for (const [i, owner] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next !== undefined && overlaps(owner.block, next.block))
      yield problem(
        "blocks-overlap",
        formatCidr(next.block),
        `it belongs to host "${next.host}" and lies in ${formatCidr(owner.block)} of host "${owner.host}"`,
        "person",
      );
  }
  for (const { block, owner: lender } of blocks) {
    if (lender !== undefined) continue;
    const owner = owners.find((candidate) => equalCidrs(candidate.block, block.cidr));
    if (owner?.host === host) continue;
    const who = owner === undefined ? "nobody" : `host "${owner.host}"`;
    yield problem(
      "block-not-owned",
      formatCidr(block.cidr),
      `this host uses the block, the cluster store says ${who} owns it`,
      owner === undefined ? "recover" : "person",
    );
  }
  const known = (cidr: Cidr): boolean => blocks.some(({ block }) => equalCidrs(block.cidr, cidr));
  for (const { host: owner, block } of owners)
    if (owner === host && !known(block))
      yield problem(
        "block-not-known",
        formatCidr(block),
        "the cluster store says this host owns the block, which does not use it",
        "recover",
      );
  for (const { block, state } of affinities)
    if (state !== "confirmed")
      yield problem("claim-unfinished", formatCidr(block), `this host left a claim half done (${state})`, "recover");
}

function* checkLoans({ cluster, blocks, host }: IpamFacts): Generator<IpamProblem> {
  if (cluster === undefined) return;
  const lent = cluster.loans.filter(({ borrower, state }) => borrower === host && state === "granted");
  const borrowed = blocks.filter(({ owner }) => owner !== undefined);
  for (const { block, owner } of borrowed)
    if (!lent.some(({ address }) => contains(block.cidr, address)))
      yield problem(
        "loan-not-granted",
        formatCidr(block.cidr),
        `this host has the address from host "${owner}", which did not lend it`,
        "person",
      );
  for (const { address, owner } of lent)
    if (!borrowed.some(({ block }) => contains(block.cidr, address)))
      yield problem(
        "loan-not-known",
        formatAddress(address),
        `host "${owner}" lends it to this host, which does not use it`,
        "recover",
      );
}

interface Given {
  readonly text: string;
  readonly handle: string;
}

function allocations(facts: IpamFacts): Given[] {
  return facts.blocks.flatMap(({ block }) =>
    [...block.allocations].map(([ordinal, { handle }]) => ({ text: formatAddress(addressAt(block, ordinal)), handle })),
  );
}

function* checkAllocations(facts: IpamFacts): Generator<IpamProblem> {
  const used = new Set(facts.endpoints.flatMap(({ addresses }) => addresses));
  for (const { address: text } of facts.docker ?? []) used.add(text);
  for (const { text, handle } of allocations(facts))
    if (!used.has(text) && lentTo(handle) === undefined)
      yield problem("address-leaked", text, `no endpoint has the address, given out under ${handle}`, "reconcile");
}

function* checkEndpoints(facts: IpamFacts): Generator<IpamProblem> {
  const given = new Map(allocations(facts).map(({ text, handle }) => [text, handle]));
  const networkOf = new Map(facts.grants.map(({ id, networkId }) => [id, networkId]));
  const seen = new Map<string, string>();
  for (const { id, networkId, addresses } of facts.endpoints)
    for (const text of addresses) {
      const short = id.slice(0, 12);
      const other = seen.get(text);
      seen.set(text, short);
      if (other !== undefined)
        yield problem("address-twice", text, `the endpoints ${other} and ${short} both have it`, "person");
      const handle = given.get(text);
      if (handle === undefined)
        yield problem("address-not-given", text, `the endpoint ${short} has it, but it was not given out`, "reconcile");
      const owner = handle === undefined ? undefined : networkOf.get(handle);
      if (owner !== undefined && owner !== networkId)
        yield problem(
          "address-of-another-network",
          text,
          `the endpoint ${short} is on the network ${networkId.slice(0, 12)}, the address was given to ${owner.slice(0, 12)}`,
          "person",
        );
    }
}

function* checkDocker(facts: IpamFacts): Generator<IpamProblem> {
  const given = new Set(allocations(facts).map(({ text }) => text));
  for (const { address: text, networkId } of facts.docker ?? []) {
    const parsed = parseAddress(text);
    if (parsed === undefined || given.has(formatAddress(parsed))) continue;
    const where = inPool(parsed, facts.pools) ? "it was not given out" : "it lies in no pool";
    yield problem(
      "address-unknown",
      text,
      `Docker uses the address on the network ${networkId.slice(0, 12)}, but ${where}`,
      "reconcile",
    );
  }
}

function inPool(a: Address, pools: readonly Pool[]): boolean {
  return pools.some(({ cidr }) => contains(cidr, a));
}

function* checkGrants({ grants, networks }: IpamFacts): Generator<IpamProblem> {
  const known = new Map(networks.map((network) => [network.id, network]));
  for (const { id, networkId } of grants)
    if (networkId === undefined || !known.has(networkId))
      yield problem("grant-without-network", id, "no network uses what Docker was promised here", "reconcile");
  const ids = new Set(grants.map(({ id }) => id));
  for (const { id, name, poolIds } of networks)
    for (const poolId of poolIds)
      if (!ids.has(poolId))
        yield problem(
          "network-without-grant",
          name ?? id,
          `the pool ID ${poolId} of the network is not known any more`,
          "reconcile",
        );
}

function problem(kind: IpamProblemKind, subject: string, message: string, repair: IpamProblem["repair"]): IpamProblem {
  return { kind, subject, message, repair };
}
