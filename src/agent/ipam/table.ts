/** The blocks of this host, as `core/ipam` knows them, kept equal to their records on disk. */
import {
  type Allocated,
  type Allocation,
  type Block,
  blockProblems,
  newBlock,
  repairBlock,
} from "../../core/ipam/block.ts";
import { type Address, address, formatAddress } from "../../core/net/address.ts";
import { type Cidr, cidr, contains, formatCidr } from "../../core/net/cidr.ts";
import type { IpamTables, LocalStateFile } from "../local-state.ts";

export interface OwnBlock {
  readonly pool: string;
  readonly block: Block;
  /** Another host owns it too, as the cluster store has it. */
  readonly disputed: boolean;
  /** For a borrowed address: the host that lent it. The block is then that one address. */
  readonly owner?: string;
}

export class BlockTable {
  readonly #state: LocalStateFile;
  readonly #tables: IpamTables;
  readonly #host: string;
  readonly #blocks = new Map<string, OwnBlock>();

  constructor(state: LocalStateFile, host: string) {
    this.#state = state;
    this.#tables = state.ipam;
    this.#host = host;
    this.#read();
  }

  #read(): void {
    const byBlock = Map.groupBy(this.#tables.allocations.all, ([, allocation]) => allocation.block);
    for (const [key, record] of this.#tables.blocks.all) {
      const range = cidr(record.cidr);
      const of = (byBlock.get(key) ?? []).map(([a, { handle, attributes, sequence }]) => {
        return [Number(address(a).value - range.value), { handle, attributes, sequence }] as const;
      });
      const block = {
        cidr: range,
        affinity: this.#host,
        allocations: new Map(of),
        free: record.free,
        sequence: record.sequence,
      };
      // Both tables are written in one transaction, so they can only disagree if somebody else wrote the file.
      const sound = blockProblems(block).length > 0 ? repairBlock(block) : block;
      const { pool, disputed, owner } = record;
      this.#blocks.set(key, { pool, block: sound, disputed: disputed === true, ...(owner !== undefined && { owner }) });
    }
  }

  /** By CIDR. */
  get all(): ReadonlyMap<string, OwnBlock> {
    return this.#blocks;
  }

  of(pool: string): OwnBlock[] {
    return [...this.#blocks.values()].filter((own) => own.pool === pool);
  }

  holding(a: Address): OwnBlock | undefined {
    for (const own of this.#blocks.values()) if (contains(own.block.cidr, a)) return own;
    return undefined;
  }

  /** `owner`: who lent it, for a borrowed address. */
  add(pool: string, range: Cidr, owner?: string): OwnBlock {
    const own = { pool, block: newBlock(range, this.#host), disputed: false, ...(owner !== undefined && { owner }) };
    // A new block is an empty one: in place of one that is there it would lose what is given out.
    if (this.#blocks.has(formatCidr(range))) throw new Error(`block ${formatCidr(range)} is there already`);
    this.#state.change(() => {
      this.#write(own);
      this.#state.durably();
    });
    return own;
  }

  /** Forgets a block. Nothing may be allocated in it. */
  remove(range: Cidr): void {
    const key = formatCidr(range);
    if ((this.#blocks.get(key)?.block.allocations.size ?? 0) > 0) throw new Error(`block ${key} is in use`);
    this.#state.change(() => {
      this.#tables.blocks.delete(key);
      this.#state.durably();
      this.#mirror(key, undefined);
    });
  }

  /** Whether the block is another host's as well. */
  dispute(range: Cidr, disputed: boolean): void {
    const own = this.#blocks.get(formatCidr(range));
    if (own === undefined || own.disputed === disputed) return;
    this.#state.change(() => {
      this.#write({ ...own, disputed });
      this.#state.durably();
    });
  }

  /** Keeps what `allocate` or `assign` decided. */
  keep(own: OwnBlock, { block, address: a, ordinal }: Allocated): void {
    const { handle, attributes, sequence } = block.allocations.get(ordinal) as Allocation;
    this.#state.change(() => {
      this.#write({ ...own, block });
      this.#tables.allocations.put(formatAddress(a), { block: formatCidr(block.cidr), handle, sequence, attributes });
    });
  }

  /** Keeps a block out of which the address was released. */
  drop(own: OwnBlock, block: Block, a: Address): void {
    this.#state.change(() => {
      this.#write({ ...own, block });
      this.#tables.allocations.delete(formatAddress(a));
    });
  }

  #write(own: OwnBlock): void {
    const { pool, block, disputed, owner } = own;
    const key = formatCidr(block.cidr);
    const { sequence, free } = block;
    const more = { ...(disputed && { disputed }), ...(owner !== undefined && { owner }) };
    this.#tables.blocks.put(key, { cidr: key, pool, sequence, free, ...more });
    this.#mirror(key, own);
  }

  #mirror(key: string, own: OwnBlock | undefined): void {
    this.#state.mirror(() => {
      const before = this.#blocks.get(key);
      this.#set(key, own);
      return () => this.#set(key, before);
    });
  }

  #set(key: string, own: OwnBlock | undefined): void {
    if (own === undefined) this.#blocks.delete(key);
    else this.#blocks.set(key, own);
  }
}
