/**
 * Which network a grant is for. CreateNetwork names a pool by its CIDR only, and several networks may be in the making at
 * once that have the same one (0.0.0.0/0 where no subnet was given). So the answer to RequestPool carries a mark that Docker
 * brings back in CreateNetwork: the mask of the gateway 0.0.0.0 or ::, which means "none" with any mask (Docker 20.10 and
 * 26.1 do; `docker network inspect` shows it for IPv6 only).
 * Where an engine drops it, we guess; the first endpoint shows what is right, and the guess is corrected.
 */
import { explain, type PoolChoice } from "../../core/ipam/choice.ts";
import { type Family, width } from "../../core/net/address.ts";
import { cidr, equalCidrs, parseCidr } from "../../core/net/cidr.ts";
import { AddressError, type BindAsk } from "../addresses.ts";
import type { LocalStateFile } from "../local-state.ts";
import type { NetworkRecord } from "../records.ts";
import { type PoolDescription, parsePoolId } from "./pool-id.ts";
import type { PoolList } from "./pool-list.ts";
import type { GrantRecord } from "./records.ts";

/** "No gateway", marked. */
export function noGateway(family: Family, tag: number): string {
  return `${family === 4 ? "0.0.0.0" : "::"}/${tag}`;
}

/** A mark that nobody has yet; the first one where all are in use. */
export function freeTag(family: Family, taken: ReadonlySet<number | undefined>): number {
  for (let tag = 0; tag <= width(family); tag++) if (!taken.has(tag)) return tag;
  return 0;
}

function tagOf(gateway: string | undefined): number | undefined {
  const parsed = gateway === undefined ? undefined : parseCidr(gateway);
  return parsed?.value === 0n ? parsed.length : undefined;
}

export interface GrantOwnersOptions {
  readonly state: LocalStateFile;
  readonly pools: PoolList;
  readonly choose: (grant: PoolDescription) => PoolChoice;
}

export class GrantOwners {
  readonly #options: GrantOwnersOptions;

  constructor(options: GrantOwnersOptions) {
    this.#options = options;
  }

  get #grants(): ReadonlyMap<string, GrantRecord> {
    return this.#options.state.ipam.grants.all;
  }

  #put(grant: GrantRecord): void {
    this.#options.state.ipam.grants.put(grant.id, grant);
  }

  /** All or nothing: an error leaves every grant as it was. */
  bind(networkId: string, data: readonly BindAsk[], pools: readonly string[] | undefined): string[] {
    return this.#options.state.change(() => {
      const chosen = new Set<string>();
      if (pools !== undefined) this.#allThere(pools);
      for (const ask of data) {
        const grant = this.#match(networkId, ask, chosen);
        if (grant === undefined)
          throw new AddressError(
            "not-found",
            `Cannot find whose IPv${ask.family} pool ${ask.pool} is: Manx gave out none that is not in use. Is the network made with --ipam-driver manx?`,
          );
        chosen.add(grant.id);
        this.#tie(grant, networkId, pools);
      }
      if (pools !== undefined) this.#allServed(pools, data);
      return [...chosen];
    });
  }

  #match(networkId: string, ask: BindAsk, chosen: ReadonlySet<string>): GrantRecord | undefined {
    const same = parseCidr(ask.pool);
    const fits = [...this.#grants.values()].filter((grant) => {
      const free = grant.networkId === networkId || !this.#isOwned(grant);
      return free && !chosen.has(grant.id) && same !== undefined && equalCidrs(cidr(grant.pool), same);
    });
    const tag = tagOf(ask.gateway);
    const wanted = new Set(ask.reserved ?? []);
    const score = (grant: GrantRecord): number =>
      (grant.networkId === networkId ? 4 : 0) +
      (tag !== undefined && grant.tag === tag ? 2 : 0) +
      (sameSet(wanted, grant.reserved) ? 1 : 0);
    return fits.sort((a, b) => score(b) - score(a) || (a.createdAt < b.createdAt ? -1 : 1))[0];
  }

  #isOwned({ networkId }: GrantRecord): boolean {
    return networkId !== undefined && this.#options.state.networks.has(networkId);
  }

  #tie(grant: GrantRecord, networkId: string, pools: readonly string[] | undefined): void {
    if (pools === undefined) {
      this.#put({ ...grant, networkId });
      return;
    }
    if (grant.subnet !== undefined)
      throw new AddressError(
        "invalid",
        `Cannot use both the subnet ${grant.subnet} and the pools ${pools.join(", ")}: choose one of them`,
      );
    const asked = parsePoolId(grant.id)?.pools?.filter((name) => !pools.includes(name));
    if (asked !== undefined && asked.length > 0)
      throw new AddressError(
        "invalid",
        `Cannot use both the IPAM option pool "${asked.join(",")}" and the pools ${pools.join(", ")}: choose one of them`,
      );
    const own = pools.filter((name) => this.#options.pools.named(name)?.cidr.family === grant.family);
    const tied = { ...grant, networkId, pools: own };
    const { usable, refused } = this.#options.choose(tied);
    const none = `none of the pools ${pools.join(", ")} is an IPv${grant.family} pool${grant.family === 4 ? ". Name one, or add --ipam-opt ipv4=off" : ""}`;
    if (usable.length === 0 || refused.length > 0)
      throw new AddressError("not-found", `Cannot make the network: ${refused.length > 0 ? explain(refused) : none}`);
    this.#put(tied);
  }

  #allThere(pools: readonly string[]): void {
    const missing = pools.find((name) => this.#options.pools.named(name) === undefined);
    if (missing !== undefined)
      throw new AddressError("not-found", `Cannot make the network: pool "${missing}" does not exist`);
  }

  #allServed(pools: readonly string[], data: readonly BindAsk[]): void {
    for (const name of pools) {
      const family = this.#options.pools.named(name)?.cidr.family;
      if (!data.some((ask) => ask.family === family))
        throw new AddressError(
          "invalid",
          `Cannot make the network: pool "${name}" is for IPv${family}, which the network does not have`,
        );
    }
  }

  /**
   * A grant that an address is asked of, and that no network has: it may be that of a network which lost its own, because
   * Docker gave back, with another network, the grant that we took for this one's. Otherwise its network is in the making.
   */
  settle(grant: GrantRecord): GrantRecord {
    if (this.#isOwned(grant)) return grant;
    const { networks } = this.#options.state;
    const all = [...networks.values()];
    const owner =
      all.find((network) => idsOf(network).includes(grant.id)) ?? all.find((n) => this.#lost(n, grant) !== undefined);
    if (owner === undefined) return grant;
    const lost = this.#lost(owner, grant);
    this.#options.state.change(() => {
      this.#put({ ...grant, networkId: owner.id });
      if (lost !== undefined && !idsOf(owner).includes(grant.id)) this.#rename(owner.id, lost, grant.id);
    });
    return this.#grants.get(grant.id) ?? grant;
  }

  /** The ID of a grant like this one that the network had and that is gone. */
  #lost(network: NetworkRecord, grant: GrantRecord): string | undefined {
    return idsOf(network).find((id) => !this.#grants.has(id) && subnetIn(id) === subnetIn(grant.id));
  }

  /** The grant is this network's, as an endpoint shows. Whoever had it has the other one. */
  learn(poolId: string, networkId: string): void {
    const { state } = this.#options;
    const grant = this.#grants.get(poolId);
    const before = grant?.networkId;
    if (grant === undefined || before === networkId || !state.networks.has(networkId)) return;
    const others = [...this.#grants.values()].filter((other) => other.networkId === networkId);
    const other = others.find(({ pool, family }) => family === grant.family && pool === grant.pool);
    state.change(() => {
      this.#put(owned(grant, networkId, other));
      if (other !== undefined) this.#put(owned(other, before, grant));
      if (other !== undefined) this.#rename(networkId, other.id, poolId);
      if (other !== undefined && before !== undefined) this.#rename(before, poolId, other.id);
    });
  }

  #rename(networkId: string, from: string, to: string): void {
    const { state } = this.#options;
    const network = state.networks.get(networkId);
    if (network === undefined) return;
    const renamed = (ids: readonly string[]): string[] => ids.map((id) => (id === from ? to : id));
    state.putNetwork({ ...network, ipv4Pools: renamed(network.ipv4Pools), ipv6Pools: renamed(network.ipv6Pools) });
  }
}

/** The grant as that network's, with the restriction to pools that `bind` gave to the one which it changes places with. */
function owned(grant: GrantRecord, networkId: string | undefined, places: GrantRecord | undefined): GrantRecord {
  const { networkId: _, pools, ...rest } = grant;
  const asked = places === undefined ? pools : (restriction(places) ?? parsePoolId(grant.id)?.pools);
  return { ...rest, ...(networkId !== undefined && { networkId }), ...(asked !== undefined && { pools: asked }) };
}

function restriction({ id, pools }: GrantRecord): readonly string[] | undefined {
  return pools?.join() === parsePoolId(id)?.pools?.join() ? undefined : pools;
}

/** What Docker knows of the pool: all that two grants which were mistaken for one another must have in common. */
function subnetIn(poolId: string): string {
  const described = parsePoolId(poolId);
  return `${described?.family} ${described?.subnet ?? ""}`;
}

function idsOf({ ipv4Pools, ipv6Pools }: NetworkRecord): string[] {
  return [...ipv4Pools, ...ipv6Pools];
}

function sameSet(a: ReadonlySet<string>, b: readonly string[]): boolean {
  return a.size === b.length && b.every((item) => a.has(item));
}
