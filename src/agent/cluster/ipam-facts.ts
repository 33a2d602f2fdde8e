/** All that the cluster store says of addresses, read now: who owns which block, what owners say they gave out, what is lent. */
import {
  type Affinity,
  BLOCKS,
  type BlockOwner,
  IPAM,
  parseAffinity,
  parseBlockOwner,
  parseObject,
} from "../../core/ipam/claim.ts";
import { LOANS, type Loan, parseLoan } from "../../core/ipam/loan.ts";
import { parseCidr } from "../../core/net/cidr.ts";
import type { Store } from "../../drivers/store/store.ts";

export interface At<T> {
  readonly value: T;
  readonly modRevision: number;
}

export interface IpamState {
  readonly owners: readonly At<BlockOwner>[];
  readonly affinities: readonly At<Affinity>[];
  readonly loans: readonly At<Loan>[];
  /** By host and block: address to handle. */
  readonly published: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export function publishedName(host: string, block: string): string {
  return `${host} ${block}`;
}

/** @throws DriverError */
export async function readIpam(store: Store, signal: AbortSignal): Promise<IpamState> {
  const owners: At<BlockOwner>[] = [];
  const affinities: At<Affinity>[] = [];
  const loans: At<Loan>[] = [];
  const published = new Map<string, ReadonlyMap<string, string>>();
  for (const { key, value, modRevision } of (await store.list(IPAM, signal)).entries) {
    const keep = <T>(into: At<T>[], found: T | undefined): void => {
      if (found !== undefined) into.push({ value: found, modRevision });
    };
    if (key.startsWith(BLOCKS)) keep(owners, parseBlockOwner(key, value));
    else if (key.startsWith(LOANS)) keep(loans, parseLoan(key, value));
    else if (key.startsWith(`${IPAM}affinities/`)) keep(affinities, parseAffinity(key, value));
    else readPublished(key, value, published);
  }
  return { owners, affinities, loans, published };
}

function readPublished(key: string, value: string, into: Map<string, ReadonlyMap<string, string>>): void {
  const [, host, slug] = /\/published\/([^/]+)\/([^/]+)$/.exec(key) ?? [];
  const block = slug?.replace("-", "/");
  const given = parseObject(value)?.["allocations"];
  if (host === undefined || block === undefined || parseCidr(block) === undefined) return;
  const entries = typeof given === "object" && given !== null ? Object.entries(given) : [];
  into.set(
    publishedName(host, block),
    new Map(entries.map(([address, handle]) => [address, typeof handle === "string" ? handle : ""])),
  );
}
