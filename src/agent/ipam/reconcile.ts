/** What this host thinks is given out against what Docker says is alive. */
import type { Pool } from "../../core/ipam/choice.ts";
import { lentTo } from "../../core/ipam/loan.ts";
import { type Address, formatAddress, parseAddress } from "../../core/net/address.ts";
import { type Cidr, formatCidr } from "../../core/net/cidr.ts";
import type { LocalState } from "../local-state.ts";
import type { Giver, InUse } from "./giver.ts";
import type { Grants } from "./grants.ts";
import type { GrantRecord } from "./records.ts";
import type { BlockTable, OwnBlock } from "./table.ts";

export interface Live {
  readonly networkId: string;
  readonly endpointId?: string;
}

export interface Findings {
  readonly released: readonly string[];
  /** Addresses that Docker uses and we do not know: to be taken. */
  readonly missing: readonly { readonly grant: GrantRecord; readonly address: Address }[];
  readonly collected: readonly GrantRecord[];
  readonly problems: readonly string[];
  /** Addresses or grants that look dead, but not for long enough. */
  readonly open: boolean;
}

/** A start takes as long as the engine retries a call (15 s each); well beyond that nothing is in flight. */
const ADDRESS_GRACE_MS = 120_000;
/** Between RequestPool and CreateNetwork the engine does little. */
const GRANT_GRACE_MS = 600_000;

export interface ReconcileOptions {
  readonly state: LocalState;
  readonly grants: Grants;
  readonly giver: Giver;
  readonly blocks: BlockTable;
}

export class Reconcile {
  readonly #options: ReconcileOptions;
  /** Found dead by the last call. */
  #suspects = new Set<string>();
  #idle = new Set<string>();

  constructor(options: ReconcileOptions) {
    this.#options = options;
  }

  run(live: ReadonlyMap<string, Live>, mark: number): Findings {
    const { released, open } = this.#releaseDead(live, mark);
    const { missing, problems } = this.#findMissing(live);
    const unused = this.#unused();
    const collected = unused.filter(({ id }) => this.#options.grants.madeAt(id) <= mark - GRANT_GRACE_MS);
    for (const { id } of collected) this.#options.grants.remove(id);
    return { released, missing, collected, problems, open: open || collected.length < unused.length };
  }

  /** `open`: some may have to be released by the next call. */
  #releaseDead(live: ReadonlyMap<string, Live>, mark: number): { released: string[]; open: boolean } {
    const { giver } = this.#options;
    const released: string[] = [];
    const suspects = new Set<string>();
    let young = false;
    for (const use of giver.inUse()) {
      if (lentTo(use.handle) !== undefined) continue; // the loan says when it comes back
      const text = formatAddress(use.address);
      if (live.has(text) || giver.endpointWith(text) !== undefined) continue;
      if (giver.givenAt(use.address) > mark - ADDRESS_GRACE_MS) young = true;
      else if (this.#suspects.has(keyOf(use)) && giver.release(use.handle, use.address, use.sequence))
        released.push(text);
      else suspects.add(keyOf(use));
    }
    this.#suspects = suspects;
    return { released, open: young || suspects.size > 0 };
  }

  #findMissing(live: ReadonlyMap<string, Live>) {
    const { giver, grants } = this.#options;
    const missing: Findings["missing"][number][] = [];
    const problems: string[] = [];
    for (const [text, { networkId }] of live) {
      const a = parseAddress(text);
      if (a === undefined) continue;
      const use = giver.find(a);
      const network = networkId.slice(0, 12);
      if (use === undefined) {
        const grant = grants.all.values().find((g) => g.networkId === networkId && g.family === a.family);
        if (grant !== undefined) missing.push({ grant, address: a });
        else problems.push(`Docker uses ${text} on the network ${network}, for which Manx has no pool`);
        continue;
      }
      const holder = grants.all.get(use.handle)?.networkId;
      if (holder !== undefined && holder !== networkId)
        problems.push(
          `Docker uses ${text} on the network ${network}, Manx gave it to the network ${holder.slice(0, 12)}`,
        );
    }
    return { missing, problems };
  }

  /** Grants that no network and no address has. */
  #unused(): GrantRecord[] {
    const { state, grants, giver } = this.#options;
    const used = new Set(giver.inUse().map(({ handle }) => handle));
    return [...grants.all.values()].filter(({ id, networkId }) => {
      const wanted = networkId !== undefined && state.networks.has(networkId);
      return !wanted && !used.has(id);
    });
  }

  /** The last call of `idleBlocks` found some: they go back at the next one. */
  get hasIdleBlocks(): boolean {
    return this.#idle.size > 0;
  }

  /** Blocks that can go back to their pool: nothing was in them at the call before, and they are not the host's last. */
  idleBlocks(pools: readonly Pool[], selects: (nodeSelector: string) => boolean): Cidr[] {
    const byPool = Map.groupBy(this.#options.blocks.all.values(), ({ pool }) => pool);
    const idle = [...byPool].flatMap(([name, own]) =>
      spare(
        own,
        mayUse(
          pools.find((pool) => pool.name === name),
          selects,
        ),
      ),
    );
    const before = this.#idle;
    this.#idle = new Set(idle.map(formatCidr));
    return idle.filter((block) => before.has(formatCidr(block)));
  }
}

/** The empty ones; but where the pool is in use here and no other block has room, one stays for the next container. */
function spare(own: readonly OwnBlock[], poolInUse: boolean): Cidr[] {
  const unused = own.filter(({ block }) => block.allocations.size === 0);
  const borrowed = unused.filter(({ owner }) => owner !== undefined).map(({ block }) => block.cidr);
  const empty = unused.filter(({ owner }) => owner === undefined).map(({ block }) => block.cidr);
  const room = own.some(({ block }) => block.allocations.size > 0 && block.free.length > 0);
  return [...borrowed, ...(poolInUse && !room ? empty.slice(1) : empty)];
}

function mayUse(pool: Pool | undefined, selects: (nodeSelector: string) => boolean): boolean {
  if (pool === undefined) return false;
  const { disabled, nodeSelector } = pool.resource.spec;
  return disabled !== true && selects(nodeSelector);
}

function keyOf({ address, sequence }: InUse): string {
  return `${formatAddress(address)} ${sequence}`;
}
