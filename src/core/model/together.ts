/**
 * What resources demand of each other: judged before a change is stored, on everything that would be in force with it
 * (validateAndSetDefaults, Create and Delete in libcalico-go/lib/clientv3). Each resource by itself has been validated.
 */
import { type Cidr, cidr, overlaps } from "../net/cidr.ts";
import type { Problem } from "../problem.ts";
import { FIXED_TIERS } from "./checks.ts";
import { sameCidr } from "./fields.ts";
import { kindInfo } from "./kinds.ts";
import type { AnyResource, IPPool, Tier } from "./resources.ts";

/** One resource that a change makes (no `before`), changes, or removes (no `after`). */
export interface ResourceChange {
  readonly before?: AnyResource | undefined;
  readonly after?: AnyResource | undefined;
}

/** `NetworkPolicy shop/web`: how a problem of several resources names one of them. */
export function titleOf({ kind, metadata }: AnyResource): string {
  return `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;
}

/**
 * Problems of the changes, each with the path `KIND NAME: spec.cidr`.
 * @param after everything that is there when the changes are made
 */
export function checkTogether(after: Iterable<AnyResource>, changes: readonly ResourceChange[]): Problem[] {
  const all = [...after];
  const problems: Problem[] = [];
  const tell = (resource: AnyResource, path: string, message: string) =>
    problems.push({ path: path === "" ? titleOf(resource) : `${titleOf(resource)}: ${path}`, message });
  for (const change of changes) checkReadOnly(change, tell);
  checkPools(all, changes, tell);
  checkTiers(all, changes, tell);
  checkServices(all, changes, tell);
  return problems;
}

type Tell = (resource: AnyResource, path: string, message: string) => void;

function checkReadOnly({ before, after }: ResourceChange, tell: Tell): void {
  const resource = after ?? before;
  if (resource !== undefined && kindInfo(resource.kind).readOnly)
    tell(resource, "", "is kept by Manx itself: it can be looked at, not changed");
  if (after?.kind === "Network")
    tell(after, "", "is Docker's to make and to change: docker network create -d manx --ipam-driver manx NAME");
}

function checkPools(all: readonly AnyResource[], changes: readonly ResourceChange[], tell: Tell): void {
  const pools = all
    .filter((resource) => resource.kind === "IPPool")
    .map((pool) => ({ pool, block: cidr(pool.spec.cidr) }));
  const told = new Set<string>();
  for (const { before, after } of changes) {
    if (after?.kind !== "IPPool") continue;
    if (before?.kind === "IPPool") checkFixedFields(before, after, tell);
    checkOverlap(after, pools, told, tell);
  }
}

/** Addresses have been given out by the old ones. */
function checkFixedFields(before: IPPool, after: IPPool, tell: Tell): void {
  if (!sameCidr(before.spec.cidr, after.spec.cidr))
    tell(after, "spec.cidr", `cannot be changed from ${before.spec.cidr}: make another pool, and disable this one`);
  if (before.spec.blockSize !== after.spec.blockSize)
    tell(after, "spec.blockSize", `cannot be changed from ${before.spec.blockSize}: make another pool`);
  if (before.spec.allowedUses.includes("LoadBalancer") && !after.spec.allowedUses.includes("LoadBalancer"))
    tell(after, "spec.allowedUses", "of a LoadBalancer pool cannot be changed");
}

interface Located {
  readonly pool: IPPool;
  readonly block: Cidr;
}

function checkOverlap(pool: IPPool, pools: readonly Located[], told: Set<string>, tell: Tell): void {
  const block = cidr(pool.spec.cidr);
  for (const other of pools) {
    const name = other.pool.metadata.name;
    // Two new pools that overlap are one problem, not two.
    if (name === pool.metadata.name || told.has(name) || !overlaps(block, other.block)) continue;
    tell(pool, "spec.cidr", `${pool.spec.cidr} overlaps the pool "${name}" (${other.pool.spec.cidr})`);
    told.add(pool.metadata.name);
  }
}

/** An address leads to the containers of one service. */
function checkServices(all: readonly AnyResource[], changes: readonly ResourceChange[], tell: Tell): void {
  const services = all.filter((resource) => resource.kind === "Service");
  for (const { after } of changes) {
    if (after?.kind !== "Service") continue;
    for (const [index, address] of after.spec.addresses.entries()) {
      const other = services.find(
        ({ metadata, spec }) => metadata.name !== after.metadata.name && spec.addresses.includes(address),
      );
      if (other !== undefined)
        tell(after, `spec.addresses[${index}]`, `${address} is the address of the service "${other.metadata.name}"`);
    }
  }
}

function checkTiers(all: readonly AnyResource[], changes: readonly ResourceChange[], tell: Tell): void {
  const tiers = new Set([
    ...Object.keys(FIXED_TIERS),
    ...all.flatMap(({ kind, metadata }) => (kind === "Tier" ? [metadata.name] : [])),
  ]);
  for (const { before, after } of changes) {
    const tier = after === undefined ? undefined : tierOf(after);
    if (after !== undefined && tier !== undefined && !tiers.has(tier))
      tell(after, "spec.tier", `there is no tier "${tier}": apply a Tier of that name first, or with it`);
    if (after === undefined && before?.kind === "Tier") checkRemoval(before, all, tell);
  }
}

function tierOf(resource: AnyResource): string | undefined {
  return "tier" in resource.spec ? resource.spec.tier : undefined;
}

function checkRemoval(tier: Tier, all: readonly AnyResource[], tell: Tell): void {
  const { name } = tier.metadata;
  if (Object.hasOwn(FIXED_TIERS, name)) {
    tell(tier, "", "is always there and cannot be deleted");
    return;
  }
  const left = all.filter((resource) => tierOf(resource) === name);
  const [first] = left;
  if (first !== undefined)
    tell(
      tier,
      "",
      `still has ${left.length === 1 ? "the policy" : `${left.length} policies, such as`} ${titleOf(first)}`,
    );
}
