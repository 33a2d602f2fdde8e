/** `Addresses` on this host's local state and the cluster store: which part does what, and in which order. */

import { JournalTracker } from "../../core/calc/tracker.ts";
import { addressAt } from "../../core/ipam/block.ts";
import { checkIpam, type IpamProblem } from "../../core/ipam/check.ts";
import { exhaustedPools } from "../../core/ipam/exhausted.ts";
import { lentTo } from "../../core/ipam/loan.ts";
import { defaultPools } from "../../core/ipam/pools.ts";
import type { IPPool, IPReservation } from "../../core/model/resources.ts";
import { type Address, formatAddress, parseAddress, width } from "../../core/net/address.ts";
import { type Cidr, cidr, contains, formatCidr } from "../../core/net/cidr.ts";
import { DriverError } from "../../drivers/error.ts";
import type { Store } from "../../drivers/store/store.ts";
import {
  type AddressAsk,
  AddressError,
  type Addresses,
  type AddressInUse,
  type BindAsk,
  type PoolAsk,
  type PoolGrant,
  type ReconcileReport,
} from "../addresses.ts";
import type { LocalStateFile } from "../local-state.ts";
import type { EndpointRecord } from "../records.ts";
import { BlockClaims } from "./claims.ts";
import { Giver } from "./giver.ts";
import { Grants } from "./grants.ts";
import { addressIn, Holds } from "./holds.ts";
import { ANSWER_MS, Loans } from "./loans.ts";
import { parsePoolId } from "./pool-id.ts";
import { PoolList } from "./pool-list.ts";
import { PoolStore } from "./pool-store.ts";
import { Publisher } from "./publisher.ts";
import { type Live, Reconcile } from "./reconcile.ts";
import type { GrantRecord } from "./records.ts";
import { type BlockRules, Supply } from "./supply.ts";
import { BlockTable } from "./table.ts";

export interface AddressesOptions {
  readonly state: LocalStateFile;
  readonly store: Store;
  /** Name of this host. */
  readonly host: string;
  readonly pools: () => readonly IPPool[];
  readonly reservations: () => readonly IPReservation[];
  /** Whether a pool's nodeSelector matches this host. */
  readonly selects: (nodeSelector: string) => boolean;
  /** CIDRs of the host's routes at this moment, without ours and without those that BGP brought. */
  readonly routes: () => readonly string[];
  /** The IPAMConfiguration's; absent: the defaults. */
  readonly rules?: () => BlockRules;
  /** Told of what went wrong in the background, and (undefined) when it is well again. */
  readonly onTrouble?: (message: string | undefined) => void;
  /** What containers had on other hosts that are gone there. */
  readonly departed?: {
    containers(networkId: string): readonly string[];
    addresses(networkId: string, container: string): readonly string[];
  };
  /** Whether a host's agent is known to live: one that does not is not waited for where another address does as well. */
  readonly isAlive?: (host: string) => boolean;
  /** Who else uses addresses: machines of the LAN, where a pool is a part of it. */
  readonly others?: {
    isTaken(a: Address): boolean;
    isFree(a: Address): Promise<boolean>;
    userOf(a: Address): string;
  };
  /** How long another host may take to lend an address; for tests. */
  readonly answerMs?: number;
  /** Milliseconds of a clock that nobody turns back; for tests. */
  readonly now?: () => number;
}

/** What a user means by "any" in place of an address. */
const UNSPECIFIED = new Set(["", "0.0.0.0", "::"]);
const GATEWAYS = { 4: "169.254.1.1", 6: "fe80::1" } as const;

export function openAddresses(options: AddressesOptions): LocalAddresses {
  return new LocalAddresses(options);
}

export class LocalAddresses implements Addresses, AsyncDisposable {
  readonly #options: AddressesOptions;
  readonly #now: () => number;
  readonly #closed = new AbortController();
  readonly #list: PoolList;
  readonly #blocks: BlockTable;
  readonly #claims: BlockClaims;
  readonly #poolStore: PoolStore;
  readonly #grants: Grants;
  readonly #holds: Holds;
  readonly #giver: Giver;
  readonly #reconcile: Reconcile;
  readonly #publisher: Publisher;
  readonly #supply: Supply;
  readonly #loans: Loans;
  readonly #learnt = new JournalTracker<EndpointRecord>();
  readonly #stopListening: () => void;

  constructor(options: AddressesOptions) {
    const { state, store, host, routes, reservations, selects } = options;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#list = new PoolList(options.pools);
    this.#blocks = new BlockTable(state, host);
    this.#claims = new BlockClaims(store, host, this.#blocks);
    const vacate = (pool: string, signal: AbortSignal): Promise<string[]> => this.#vacate(pool, signal);
    this.#poolStore = new PoolStore({ store, list: this.#list, claims: this.#claims, routes, vacate });
    const now = this.#now;
    const isTaken = (a: Address): boolean => options.others?.isTaken(a) === true;
    this.#grants = new Grants({ state, pools: this.#list, store: this.#poolStore, selects, now });
    this.#holds = new Holds(state);
    const parts = { state, blocks: this.#blocks, grants: this.#grants };
    this.#giver = new Giver({ ...parts, holds: this.#holds, reservations, isTaken, now });
    this.#reconcile = new Reconcile({ ...parts, giver: this.#giver });
    const onTrouble = options.onTrouble ?? ((): void => undefined);
    this.#publisher = new Publisher({ store, host, blocks: this.#blocks, onTrouble });
    const closed = this.#closed.signal;
    this.#loans = new Loans({ ...parts, store, host, giver: this.#giver, answerMs: options.answerMs ?? ANSWER_MS });
    this.#supply = new Supply({
      ...parts,
      claims: this.#claims,
      giver: this.#giver,
      loans: this.#loans,
      rules: options.rules ?? ((): BlockRules => ({})),
      isAlive: options.isAlive ?? ((): boolean => true),
      onTrouble,
      now,
      closed,
    });
    this.#stopListening = state.onChange((changed) => {
      if (changed.has("endpoints")) {
        this.#giver.sweep();
        this.#learnOwners();
      }
      if (changed.has("addresses")) this.#publisher.look();
    });
  }

  /** An endpoint shows whose the grant of its address really is. */
  #learnOwners(): void {
    for (const endpoint of this.#learnt.update(this.#options.state.endpointJournal).upserts) {
      for (const text of endpoint.addresses) {
        const a = addressIn(text);
        const use = a === undefined ? undefined : this.#giver.find(a);
        if (use !== undefined) this.#grants.owners.learn(use.handle, endpoint.networkId);
      }
    }
  }

  async requestPool(ask: PoolAsk, signal?: AbortSignal): Promise<PoolGrant> {
    return this.#guard(() => this.#grants.request(ask, this.#until(signal)));
  }

  async releasePool(poolId: string, signal?: AbortSignal): Promise<void> {
    const grant = this.#grants.all.get(poolId);
    if (grant === undefined) return;
    this.#options.state.change(() => {
      for (const use of this.#giver.inUse()) if (use.handle === poolId) this.#giver.release(poolId, use.address);
      this.#grants.remove(poolId);
    });
    await this.#guard(() => this.#dropSubnetPools(grant, this.#until(signal)));
  }

  async #dropSubnetPools(grant: GrantRecord, signal: AbortSignal): Promise<void> {
    if (grant.subnet === undefined) return;
    const shared = [...this.#grants.all.values()].some(({ subnet }) => subnet === grant.subnet);
    if (!shared) for (const pool of grant.pools ?? []) await this.#poolStore.drop(pool, signal);
  }

  bind(networkId: string, data: readonly BindAsk[], pools?: readonly string[]): string[] {
    return this.#grants.owners.bind(networkId, data, pools);
  }

  poolNames(poolIds: readonly string[]): string[] {
    const described = poolIds.map((id) => parsePoolId(id));
    return [...new Set(described.flatMap((one) => (one?.subnet === undefined ? (one?.pools ?? []) : [])))];
  }

  async request(ask: AddressAsk, signal?: AbortSignal): Promise<string> {
    const until = this.#until(signal);
    return this.#guard(async () => {
      const grant = await this.#grants.use(ask.poolId, until);
      const wanted = UNSPECIFIED.has(ask.address?.replace(/\/.*/s, "") ?? "")
        ? undefined
        : wantedIn(ask.address ?? "", grant);
      if (ask.isGateway === true || (wanted !== undefined && grant.networkId === undefined))
        return withLength(this.#keepFree(grant, wanted));
      if (wanted !== undefined) return withLength(await this.#exactly(grant, wanted, until));
      return withLength(await this.#any(grant, ask.prefer ?? [], until));
    });
  }

  async #exactly(grant: GrantRecord, wanted: Address, signal: AbortSignal): Promise<Address> {
    const { others } = this.#options;
    const given = await this.#supply.exactly(grant, wanted, signal);
    if (others === undefined || (await others.isFree(given))) return given;
    this.#giver.release(grant.id, given);
    throw new AddressError(
      "conflict",
      `Cannot give out the address ${formatAddress(given)}: ${others.userOf(given)}. Choose another one, or let Manx choose`,
    );
  }

  /** Passes over those that others use. */
  async #any(grant: GrantRecord, prefer: readonly string[], signal: AbortSignal): Promise<Address> {
    const { others } = this.#options;
    for (;;) {
      const given = await this.#supply.any(grant, prefer, signal);
      if (others === undefined || (await others.isFree(given))) return given;
      this.#giver.release(grant.id, given);
      signal.throwIfAborted();
    }
  }

  /** Free addresses of this host's blocks of the pool. */
  freeIn(pool: string): Address[] {
    return this.#blocks.of(pool).flatMap(({ block }) => block.free.map((ordinal) => addressAt(block, ordinal)));
  }

  /** Puts a pool in the place of another one, which gives nothing any more. May be repeated. */
  async succeedPool(before: string, after: IPPool, signal?: AbortSignal): Promise<void> {
    return this.#guard(() => this.#poolStore.succeed(before, after, this.#until(signal)));
  }

  /** Gateways, and the addresses that Docker asks for while it creates a network (`--aux-address`). */
  #keepFree(grant: GrantRecord, wanted: Address | undefined): Address {
    if (wanted === undefined) return parseAddress(GATEWAYS[grant.family]) as Address;
    const text = formatAddress(wanted);
    if (grant.subnet !== undefined && !contains(cidr(grant.subnet), wanted))
      throw new AddressError(
        "invalid",
        `Cannot reserve the address ${text}: it lies outside of the subnet ${grant.subnet}`,
      );
    const use = this.#giver.find(wanted);
    if (use !== undefined)
      throw new AddressError("conflict", `Cannot reserve the address ${text}: ${this.#supply.holderOf(wanted)} has it`);
    this.#grants.reserve(grant, text);
    return wanted;
  }

  release(poolId: string, address: string): void {
    const a = addressIn(address);
    if (a === undefined) return;
    const grant = this.#grants.all.get(poolId);
    if (grant !== undefined && this.#grants.unreserve(grant, formatAddress(a))) return;
    this.#giver.release(poolId, a);
  }

  remember(networkId: string, container: string, address: string): void {
    const a = addressIn(address);
    if (a !== undefined && networkId.length <= 256 && container.length <= 512)
      this.#holds.remember(networkId, container, a);
  }

  forget(networkId: string, container?: string): void {
    this.#holds.forget(networkId, container);
  }

  remembered(networkId: string, container: string): string[] {
    const own = this.#holds.remembered(networkId, container);
    return own.length > 0 ? own : [...(this.#options.departed?.addresses(networkId, container) ?? [])];
  }

  rememberedNames(networkId: string): string[] {
    const own = this.#holds.names(networkId);
    const others = this.#options.departed?.containers(networkId) ?? [];
    return others.length === 0 ? own : [...new Set([...own, ...others])];
  }

  isGiven(address: string): boolean {
    const a = addressIn(address);
    const use = a === undefined ? undefined : this.#giver.find(a);
    return use !== undefined && lentTo(use.handle) === undefined;
  }

  inUse(): AddressInUse[] {
    const endpoints = new Map(
      [...this.#options.state.endpoints.values()].flatMap((e) => e.addresses.map((a) => [a, e] as const)),
    );
    return this.#giver.inUse().map(({ address, pool, block, handle, since }) => {
      const endpoint = endpoints.get(formatAddress(address));
      const networkId = endpoint?.networkId ?? this.#grants.all.get(handle)?.networkId;
      return {
        address: formatAddress(address),
        family: address.family,
        poolId: handle,
        pool,
        block: formatCidr(block),
        ...(networkId !== undefined && { networkId }),
        ...(endpoint !== undefined && { endpointId: endpoint.id }),
        since,
      };
    });
  }

  mark(): number {
    return this.#now();
  }

  async reconcile(live: ReadonlyMap<string, Live>, mark: number, signal?: AbortSignal): Promise<ReconcileReport> {
    const until = this.#until(signal);
    const report = this.#reconcile.run(live, mark);
    const problems = [...report.problems];
    await this.#background(problems, async () => {
      for (const grant of report.collected) await this.#dropSubnetPools(grant, until);
      for (const block of this.#reconcile.idleBlocks(this.#list.all(), this.#options.selects))
        await this.#supply.alone(() => this.#giveBackIfEmpty(block, until));
    });
    const adopted: string[] = [];
    for (const missing of report.missing) {
      await this.#background(problems, async () => {
        adopted.push(formatAddress(await this.#adopt(missing.grant, missing.address, until)));
      });
    }
    return {
      released: report.released,
      adopted,
      collected: report.collected.map(({ id }) => id),
      problems,
      open: report.open || this.#reconcile.hasIdleBlocks,
    };
  }

  async #adopt(grant: GrantRecord, a: Address, signal: AbortSignal): Promise<Address> {
    this.#grants.unreserve(grant, formatAddress(a));
    return this.#supply.exactly(grant, a, signal);
  }

  async #giveBackIfEmpty(block: Cidr, signal: AbortSignal): Promise<void> {
    const own = this.#blocks.all.get(formatCidr(block));
    if (own === undefined || own.block.allocations.size > 0) return;
    if (own.owner === undefined) await this.#claims.giveBack(block, signal);
    else await this.#loans.giveBack(addressAt(own.block, 0), signal);
  }

  async #background(problems: string[], work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      problems.push(text(error));
    }
  }

  /** Addresses of this host's blocks that other hosts have. */
  lent(): string[] {
    return this.#giver.lent();
  }

  /** What of this host's addresses the store does not know yet, in words; undefined where it knows all. */
  unpublished(): string | undefined {
    const blocks = this.#publisher.unpublished;
    return blocks === 0 ? undefined : `addresses in ${blocks} ${blocks === 1 ? "block" : "blocks"}`;
  }

  /** Whether the address is in a block of this host, or borrowed. */
  holds(a: Address): boolean {
    return this.#blocks.holding(a) !== undefined;
  }

  /** Gives back an address that no endpoint has. @returns why not */
  releaseLeaked(a: Address): string | undefined {
    const use = this.#giver.find(a);
    if (use === undefined) return "it is not given out";
    if (this.#giver.endpointWith(formatAddress(a)) !== undefined) return `${this.#supply.holderOf(a)} has it`;
    const borrower = lentTo(use.handle);
    if (borrower !== undefined) return `it is lent to host "${borrower}"`;
    return this.#giver.release(use.handle, a, use.sequence) ? undefined : "it changes at this moment";
  }

  /** Gives an empty block of this host back to its pool. @throws AddressError `conflict` for one in use */
  async releaseBlock(block: Cidr, signal?: AbortSignal): Promise<void> {
    const until = this.#until(signal);
    await this.#guard(() =>
      this.#supply.alone(async () => {
        const used = this.#blocks.all.get(formatCidr(block))?.block.allocations.size ?? 0;
        if (used > 0) throw new AddressError("conflict", `${used} of its addresses are in use`);
        await this.#claims.giveBack(block, until);
      }),
    );
  }

  /** CIDRs of the blocks that this host owns; a borrowed address is a block of one. */
  blocks(): string[] {
    return [...this.#blocks.all.keys()];
  }

  /** Brings local state and cluster store together; to be called once the store can be reached. @returns what is left wrong */
  async recover(signal?: AbortSignal): Promise<string[]> {
    const until = this.#until(signal);
    const problems = await this.#guard(() => this.#supply.alone(() => this.#claims.recover(this.#list.all(), until)));
    const notLent = await this.#guard(() => this.#supply.alone(() => this.#loans.recover(until)));
    for (const { block, owner } of this.#blocks.all.values())
      if (owner !== undefined) this.#blocks.dispute(block.cidr, notLent.includes(formatCidr(block.cidr)));
    this.#publisher.look();
    return [
      ...problems,
      ...notLent.map((text) => `Cannot use the borrowed address ${text} further: its owner knows of no loan`),
    ];
  }

  /**
   * Lends addresses of this host's blocks to hosts that ask, until the signal aborts. Needed where there are other hosts.
   * @throws DriverError where the store fails: to be called again
   */
  async serveLoans(signal: AbortSignal): Promise<void> {
    await this.#loans.serve(this.#until(signal));
  }

  /** @throws AddressError `conflict` for a pool that overlaps another one or a route of this host */
  async addPool(pool: IPPool, signal?: AbortSignal): Promise<IPPool> {
    return this.#guard(async () => (await this.#poolStore.add(pool, this.#until(signal))).resource);
  }

  /** @throws AddressError `not-found`, or `conflict` while addresses of it are in use */
  async removePool(name: string, signal?: AbortSignal): Promise<void> {
    return this.#guard(() => this.#poolStore.remove(name, this.#until(signal)));
  }

  /**
   * Makes the default pools in a cluster that never had any, clear of this host's routes.
   * @returns what is worth telling the user
   */
  async installDefaultPools(signal?: AbortSignal): Promise<readonly string[]> {
    const { pools, notes } = defaultPools(this.#options.routes());
    return this.#guard(async () => ((await this.#poolStore.installDefaults(pools, this.#until(signal))) ? notes : []));
  }

  /** Everything that disagrees; `docker` is what the engine says is alive, if it can be asked. */
  async check(docker?: ReadonlyMap<string, Live>, signal?: AbortSignal): Promise<IpamProblem[]> {
    const { state, host, routes } = this.#options;
    const cluster = await this.#claims.facts(this.#until(signal)).catch(() => undefined);
    return checkIpam({
      host,
      pools: this.#list.all(),
      routes: routes(),
      ...(cluster !== undefined && { cluster }),
      blocks: [...this.#blocks.all.values()],
      grants: [...this.#grants.all.values()],
      networks: [...state.networks.values()].map((n) => ({ ...n, poolIds: [...n.ipv4Pools, ...n.ipv6Pools] })),
      endpoints: [...state.endpoints.values()],
      ...(docker !== undefined && { docker: [...docker].map(([address, live]) => ({ address, ...live })) }),
    });
  }

  /** Names of the pools from which this host can get no address any more. @throws DriverError where the store cannot be asked */
  async exhausted(signal?: AbortSignal): Promise<string[]> {
    const { owners } = await this.#claims.facts(this.#until(signal));
    return exhaustedPools({
      pools: this.#list.all(),
      own: [...this.#blocks.all.values()].map(({ block }) => block),
      claimed: owners.map(({ block }) => block),
      reserved: this.#giver.reserved(),
    });
  }

  async #vacate(pool: string, signal: AbortSignal): Promise<string[]> {
    return this.#supply.alone(async () => {
      const used = this.#giver.inUse().filter((use) => use.pool === pool);
      if (used.length > 0) return used.map(({ address }) => formatAddress(address));
      for (const { block } of this.#blocks.of(pool)) await this.#giveBackIfEmpty(block.cidr, signal);
      return [];
    });
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      const away = error.code === "unavailable" || error.code === "timeout";
      const message = away ? `Cannot reach the cluster store, which this needs: ${error.message}` : error.message;
      throw new AddressError("unavailable", message, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    this.#closed.abort();
    await this.#supply.idle();
    await this.#publisher[Symbol.asyncDispose]();
  }
}

function wantedIn(text: string, grant: GrantRecord): Address {
  const a = text.length <= 64 ? addressIn(text) : undefined;
  if (a === undefined)
    throw new AddressError("invalid", `Cannot read the address "${text.slice(0, 100)}": it is not an IP address`);
  if (a.family !== grant.family)
    throw new AddressError(
      "invalid",
      `Cannot give out the address ${text}: the network's pool is for IPv${grant.family}`,
    );
  return a;
}

function withLength(a: Address): string {
  return `${formatAddress(a)}/${width(a.family)}`;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
