/** Answers to RequestPool: which pools an ask means, and whose they are. */
import { explain, type Pool, type PoolChoice, type Refusal, usablePools } from "../../core/ipam/choice.ts";
import { isSubnetPool, unusable } from "../../core/ipam/pools.ts";
import { type Address, address, type Family, parseAddress, width } from "../../core/net/address.ts";
import { type Cidr, cidr, cidrOf, covers, formatCidr, overlaps, parseCidr } from "../../core/net/cidr.ts";
import { AddressError, type PoolAsk, type PoolGrant } from "../addresses.ts";
import type { LocalStateFile } from "../local-state.ts";
import { freeTag, GrantOwners, noGateway } from "./grant-owners.ts";
import { makePoolId, type PoolDescription, parsePoolId, parsePoolNames } from "./pool-id.ts";
import type { PoolList } from "./pool-list.ts";
import type { PoolStore } from "./pool-store.ts";
import type { GrantRecord } from "./records.ts";

/** Answers that keep Docker from asking for a gateway address; 0.0.0.0/0 also keeps it from comparing the pool with routes. */
const ANY: Readonly<Record<Family, string>> = { 4: "0.0.0.0/0", 6: "::/0" };
const GATEWAY = "com.docker.network.gateway";

export interface GrantsOptions {
  readonly state: LocalStateFile;
  readonly pools: PoolList;
  readonly store: PoolStore;
  readonly selects: (nodeSelector: string) => boolean;
  /** Milliseconds of a clock that nobody turns back. */
  readonly now: () => number;
}

/** What a grant allows at this moment. */
export interface Allowance {
  readonly family: Family;
  readonly usable: readonly Pool[];
  readonly refused: readonly Refusal[];
  /** Explicit addresses must lie in here, automatic ones in `range` as well. */
  readonly subnet?: Cidr;
  readonly range?: Cidr;
}

export class Grants {
  /** Which network each grant is for. */
  readonly owners: GrantOwners;
  readonly #options: GrantsOptions;
  /** Reserved addresses by value, as of that version of the grants. */
  #reserved: ReadonlyMap<bigint, Address> = new Map();
  #reservedAt = -1;
  readonly #madeAt = new Map<string, number>();
  readonly #start: number;

  constructor(options: GrantsOptions) {
    this.#options = options;
    const { state, pools } = options;
    this.owners = new GrantOwners({ state, pools, choose: (grant) => this.#choose(grant) });
    this.#start = options.now();
  }

  get all(): ReadonlyMap<string, GrantRecord> {
    return this.#options.state.ipam.grants.all;
  }

  async request(ask: PoolAsk, signal: AbortSignal): Promise<PoolGrant> {
    const asked = this.#ofFamily(describe(ask));
    const ready = await this.#ready(asked, signal);
    const { id, pool, tag } = this.#put(makePoolId(ready), ready);
    return { poolId: id, pool, data: { [GATEWAY]: noGateway(ask.family, tag ?? 0) } };
  }

  /** Docker asks for each family with the same options. */
  #ofFamily(asked: PoolDescription): PoolDescription {
    const familyOf = (name: string): Family | undefined => this.#options.pools.named(name)?.cidr.family;
    const own = asked.pools?.filter((name) => (familyOf(name) ?? asked.family) === asked.family) ?? [];
    return own.length === 0 ? asked : { ...asked, pools: own };
  }

  /** Makes sure that there is a pool for what is asked, and says which. @throws AddressError */
  async #ready(asked: PoolDescription, signal: AbortSignal): Promise<PoolDescription> {
    if (asked.subnet !== undefined) return this.#readySubnet(asked, cidr(asked.subnet), signal);
    const { usable, refused } = this.#choose(asked);
    if (usable.length > 0 && (asked.pools === undefined || refused.length === 0)) return asked;
    throw new AddressError("not-found", `Cannot make an IPv${asked.family} network: ${explain(refused)}`);
  }

  async #readySubnet(asked: PoolDescription, subnet: Cidr, signal: AbortSignal): Promise<PoolDescription> {
    const { pools, store } = this.#options;
    const text = formatCidr(subnet);
    const bad = unusable(subnet);
    if (bad !== undefined) throw new AddressError("invalid", `Cannot use the subnet "${text}": it ${bad}`);
    const near = pools.all().filter((pool) => overlaps(pool.cidr, subnet));
    const around = near.find((pool) => covers(pool.cidr, subnet));
    // A subnet's own pool that is disabled is being removed, or its removal did not get to the end: `forSubnet` sees to it.
    if (around !== undefined && !(isSubnetPool(around.resource) && around.resource.spec.disabled === true)) {
      const { refused } = usablePools([around], { family: asked.family, names: [around.name] }, () => true);
      if (refused.length > 0)
        throw new AddressError("conflict", `Cannot use the subnet "${text}": ${explain(refused)}`);
      return { ...asked, pools: [around.name] };
    }
    if (around === undefined && near[0] !== undefined)
      throw new AddressError(
        "conflict",
        `Cannot use the subnet "${text}": it contains the pool "${near[0].name}" (${formatCidr(near[0].cidr)}). Choose one inside the pool, or apart from it`,
      );
    const made = await store.forSubnet(subnet, signal);
    return { ...asked, pools: [made.name] };
  }

  #choose({ family, pools, subnet }: PoolDescription): PoolChoice {
    const ask = {
      family,
      ...(pools !== undefined && { names: pools }),
      ...(subnet !== undefined && { within: cidr(subnet) }),
    };
    return usablePools(this.#options.pools.all(), ask, this.#options.selects);
  }

  #put(id: string, asked: PoolDescription): GrantRecord {
    const pool = this.#answer(asked);
    const taken = [...this.all.values()].filter((grant) => grant.networkId === undefined && grant.pool === pool);
    const tag = freeTag(asked.family, new Set(taken.map((grant) => grant.tag)));
    const record: GrantRecord = { id, ...asked, pool, tag, reserved: [], createdAt: new Date().toISOString() };
    this.#options.state.ipam.grants.put(id, record);
    this.#madeAt.set(id, this.#options.now());
    return record;
  }

  /** When the grant was made; those of an earlier process count from the start of this one. */
  madeAt(id: string): number {
    return this.#madeAt.get(id) ?? this.#start;
  }

  /**
   * Engines ask again and again for another pool where the one we name overlaps a route or name server of the host, except
   * for 0.0.0.0/0. For IPv6 they compare with name servers only, but with those of any kind; a name server in a pool is odd.
   */
  #answer(asked: PoolDescription): string {
    if (asked.subnet !== undefined) return asked.subnet;
    const first = this.#choose(asked).usable[0];
    return asked.family === 4 || first === undefined ? ANY[asked.family] : formatCidr(first.cidr);
  }

  /** The grant of a pool ID of ours, made again where we have lost it. @throws AddressError `not-found` */
  async use(poolId: string, signal: AbortSignal): Promise<GrantRecord> {
    const found = this.all.get(poolId);
    if (found !== undefined) return this.owners.settle(found);
    const described = parsePoolId(poolId);
    if (described === undefined)
      throw new AddressError(
        "not-found",
        `Cannot find the pool ID "${poolId.slice(0, 100)}": Manx gave out no such ID`,
      );
    const ready = await this.#ready(described, signal);
    return this.owners.settle(this.all.get(poolId) ?? this.#put(poolId, ready));
  }

  allowance(grant: GrantRecord): Allowance {
    const { usable, refused } = this.#choose(grant);
    return {
      family: grant.family,
      usable,
      refused,
      ...(grant.subnet !== undefined && { subnet: cidr(grant.subnet) }),
      ...(grant.range !== undefined && { range: cidr(grant.range) }),
    };
  }

  /** Whether some network keeps the address free of containers. */
  isReserved({ value }: Address): boolean {
    return this.#reservedAddresses().has(value);
  }

  /** Those addresses, each as a CIDR. */
  reserved(): Cidr[] {
    return [...this.#reservedAddresses().values()].map((a) => cidrOf(a, width(a.family)));
  }

  #reservedAddresses(): ReadonlyMap<bigint, Address> {
    const { version, all } = this.#options.state.ipam.grants;
    if (this.#reservedAt !== version) {
      const addresses = [...all.values()].flatMap(({ reserved }) => reserved.map(address));
      this.#reserved = new Map(addresses.map((a) => [a.value, a]));
      this.#reservedAt = version;
    }
    return this.#reserved;
  }

  reserve(grant: GrantRecord, address: string): void {
    if (grant.reserved.includes(address)) return;
    this.#options.state.ipam.grants.put(grant.id, { ...grant, reserved: [...grant.reserved, address] });
  }

  /** @returns whether it was reserved */
  unreserve(grant: GrantRecord, address: string): boolean {
    if (!grant.reserved.includes(address)) return false;
    this.#options.state.ipam.grants.put(grant.id, { ...grant, reserved: grant.reserved.filter((a) => a !== address) });
    return true;
  }

  remove(poolId: string): boolean {
    this.#madeAt.delete(poolId);
    return this.#options.state.ipam.grants.delete(poolId);
  }
}

/** Reads what Docker asks for. @throws AddressError `invalid`, naming the field */
function describe({ family, pool, subPool, options }: PoolAsk): PoolDescription {
  const named = poolNames(options ?? {});
  const asked = pool === undefined || pool === "" || pool === ANY[4] || pool === ANY[6] ? undefined : pool;
  if (named !== undefined && asked !== undefined)
    throw new AddressError("invalid", `Cannot use both "${asked}" and the IPAM option pool: choose one of them`);
  const names = named ?? (asked === undefined || asked.includes("/") ? undefined : namesIn(asked, "pool"));
  const subnet = asked?.includes("/") === true ? cidrIn(asked, family, "subnet") : undefined;
  const range = subPool === undefined || subPool === "" ? undefined : cidrIn(subPool, family, "ip-range");
  if (range !== undefined && subnet === undefined)
    throw new AddressError("invalid", `Cannot use the ip-range "${subPool}" without a subnet: add --subnet`);
  if (range !== undefined && subnet !== undefined && !covers(subnet, range))
    throw new AddressError(
      "invalid",
      `Cannot use the ip-range "${subPool}": it lies outside of the subnet ${formatCidr(subnet)}`,
    );
  return {
    family,
    ...(names !== undefined && { pools: names }),
    ...(subnet !== undefined && { subnet: formatCidr(subnet) }),
    ...(range !== undefined && { range: formatCidr(range) }),
  };
}

function poolNames(options: Readonly<Record<string, string>>): string[] | undefined {
  const unknown = Object.keys(options).find((name) => name !== "pool" && name !== "pools");
  if (unknown !== undefined)
    throw new AddressError("invalid", `Cannot use the IPAM option "${unknown.slice(0, 100)}": Manx knows only "pool"`);
  const text = options["pool"] ?? options["pools"];
  return text === undefined ? undefined : namesIn(text, "IPAM option pool");
}

function namesIn(text: string, field: string): string[] {
  const names = parsePoolNames(text);
  if (names === undefined)
    throw new AddressError("invalid", `Cannot read ${field} "${text.slice(0, 100)}": not the name of an IP pool`);
  return names;
}

function cidrIn(text: string, family: Family, field: string): Cidr {
  const parsed = text.length <= 64 ? parseCidr(text) : undefined;
  if (parsed === undefined) {
    const bare = parseAddress(text) === undefined ? "" : ": its /LENGTH is missing";
    throw new AddressError("invalid", `Cannot read ${field} "${text.slice(0, 100)}": it is not a CIDR${bare}`);
  }
  if (parsed.family !== family)
    throw new AddressError("invalid", `Cannot use ${field} "${text}": it is not IPv${family}`);
  return parsed;
}
