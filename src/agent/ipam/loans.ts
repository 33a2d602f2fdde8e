/** Borrows single addresses from the blocks of other hosts, and lends those of this host's. */
import {
  endLoan,
  LOANS,
  type Loan,
  lentHandle,
  lentTo,
  loanBlock,
  loanKey,
  parseLoan,
  putLoan,
} from "../../core/ipam/loan.ts";
import { type Address, formatAddress } from "../../core/net/address.ts";
import { formatCidr } from "../../core/net/cidr.ts";
import type { Entry, Store } from "../../drivers/store/store.ts";
import type { LocalStateFile } from "../local-state.ts";
import type { Giver } from "./giver.ts";
import type { Grants } from "./grants.ts";
import type { BlockTable } from "./table.ts";

/** How long the owner has for its answer: it is one local transaction and one commit away. */
export const ANSWER_MS = 3000;

export type BorrowResult =
  | { readonly ok: true }
  /** `silent`: its owner does not answer. */
  | { readonly ok: false; readonly why: string; readonly silent?: true };

export interface LoansOptions {
  readonly state: LocalStateFile;
  readonly store: Store;
  readonly host: string;
  readonly blocks: BlockTable;
  readonly giver: Giver;
  readonly grants: Grants;
  readonly answerMs: number;
}

interface StoredLoan {
  readonly loan: Loan;
  readonly at: number;
}

export class Loans {
  readonly #options: LoansOptions;

  constructor(options: LoansOptions) {
    this.#options = options;
  }

  /** Asks the owner for the address and waits for its answer; afterwards it is a block of this host. */
  async borrow(a: Address, owner: string, pool: string, signal: AbortSignal): Promise<BorrowResult> {
    const { store, host, blocks } = this.#options;
    if (blocks.all.has(formatCidr(loanBlock(a)))) return { ok: false, why: "is borrowed already" };
    const present = await this.#read(a, signal);
    if (present?.loan.borrower === host && present.loan.state === "granted") {
      blocks.add(present.loan.pool, loanBlock(a), present.loan.owner); // granted after we had given up
      return { ok: true };
    }
    if (present !== undefined && !this.#isOver(present.loan)) return { ok: false, why: describe(present.loan) };
    const loan: Loan = { address: a, owner, borrower: host, pool, state: "asked" };
    const asked = await store.commit(putLoan(loan, present?.at ?? 0), signal);
    if (!asked.ok) return { ok: false, why: "is being lent to another host" };
    const answer = await this.#answer(a, asked.revision, signal);
    if (answer === undefined) return this.#withdraw(a, owner, asked.revision, signal);
    if (answer.loan.state !== "granted") {
      await store.commit(endLoan(a, answer.at), signal);
      return { ok: false, why: `host "${owner}", which owns it, ${answer.loan.why ?? "refuses"}` };
    }
    blocks.add(pool, loanBlock(a), owner);
    return { ok: true };
  }

  /** A question of ours from before a crash, or an answer that nobody waited for. */
  #isOver({ borrower, state }: Loan): boolean {
    return borrower === this.#options.host && (state === "asked" || state === "refused");
  }

  async #read(a: Address, signal: AbortSignal): Promise<StoredLoan | undefined> {
    const entry = await this.#options.store.get(loanKey(a), signal);
    return entry === undefined ? undefined : stored(entry);
  }

  async #answer(a: Address, revision: number, signal: AbortSignal): Promise<StoredLoan | undefined> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#options.answerMs)]);
    for await (const batch of this.#options.store.watch(loanKey(a), revision, limited)) {
      if (batch.kind === "compacted") return this.#read(a, signal);
      for (const event of batch.events) {
        const found = event.kind === "put" && event.entry.key === loanKey(a) ? stored(event.entry) : undefined;
        if (found !== undefined && found.loan.state !== "asked") return found;
      }
    }
    return undefined;
  }

  async #withdraw(a: Address, owner: string, at: number, signal: AbortSignal): Promise<BorrowResult> {
    signal.throwIfAborted();
    const { ok } = await this.#options.store.commit(endLoan(a, at), signal);
    const why = `host "${owner}", which owns it, does not answer`;
    if (ok) return { ok: false, why, silent: true };
    const late = await this.#read(a, signal);
    if (late === undefined || late.loan.borrower !== this.#options.host || late.loan.state !== "granted")
      return { ok: false, why };
    this.#options.blocks.add(late.loan.pool, loanBlock(a), owner);
    return { ok: true };
  }

  /** Gives a borrowed address back to its owner: forgets it here first, so that a crash cannot leave it in two places. */
  async giveBack(a: Address, signal: AbortSignal): Promise<void> {
    const { blocks, store, host } = this.#options;
    if (blocks.all.has(formatCidr(loanBlock(a)))) blocks.remove(loanBlock(a));
    const present = await this.#read(a, signal);
    if (present?.loan.borrower !== host || present.loan.state !== "granted") return;
    await store.commit(putLoan({ ...present.loan, state: "returned" }, present.at), signal);
  }

  /** Answers other hosts' questions until the signal aborts. @throws DriverError where the store fails: to be called again */
  async serve(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let revision = await this.#serveAll(signal);
      for await (const batch of this.#options.store.watch(LOANS, revision, signal)) {
        if (batch.kind === "compacted") break;
        for (const event of batch.events) if (event.kind === "put") await this.#serveOne(event.entry, signal);
        revision = batch.revision;
      }
    }
  }

  async #serveAll(signal: AbortSignal): Promise<number> {
    const { store, giver, host } = this.#options;
    const { entries, revision } = await store.list(LOANS, signal);
    for (const entry of entries) await this.#serveOne(entry, signal);
    // Lent, but the question was taken back before it was answered: nobody knows of it but us.
    const known = new Map(
      entries.map(stored).map((found) => [found === undefined ? "" : formatAddress(found.loan.address), found?.loan]),
    );
    for (const { address, handle } of giver.inUse()) {
      const borrower = lentTo(handle);
      const loan = known.get(formatAddress(address));
      if (borrower !== undefined && !(loan?.owner === host && loan.borrower === borrower))
        giver.release(handle, address);
    }
    return revision;
  }

  async #serveOne(entry: Entry, signal: AbortSignal): Promise<void> {
    const found = stored(entry);
    if (found?.loan.owner !== this.#options.host) return;
    if (found.loan.state === "asked") await this.#decide(found, signal);
    if (found.loan.state === "returned") {
      this.#options.giver.release(lentHandle(found.loan.borrower), found.loan.address);
      await this.#options.store.commit(endLoan(found.loan.address, found.at), signal);
    }
  }

  async #decide({ loan, at }: StoredLoan, signal: AbortSignal): Promise<void> {
    const { store, giver } = this.#options;
    const why = this.#lend(loan);
    const next: Loan = why === undefined ? { ...loan, state: "granted" } : { ...loan, state: "refused", why };
    const { ok } = await store.commit(putLoan(next, at), signal);
    if (!ok && why === undefined) giver.release(lentHandle(loan.borrower), loan.address);
  }

  /** @returns why not; completes "host X ..." */
  #lend({ address, borrower }: Loan): string | undefined {
    const { blocks, giver, grants, state } = this.#options;
    const own = blocks.holding(address);
    if (own === undefined || own.disputed || own.owner !== undefined) return "does not own it any more";
    if (grants.isReserved(address)) return "keeps it for a gateway or as an auxiliary address";
    const handle = lentHandle(borrower);
    if (giver.find(address)?.handle === handle) return undefined;
    // Forgetting this at a power loss would be giving the address twice.
    const taken = state.change(() => {
      state.durably();
      return giver.take(handle, address);
    });
    return taken === undefined ? "has it in use" : undefined;
  }

  /**
   * After a start: what we borrowed and do not know any more goes back, unanswered questions are taken back.
   * @returns addresses that we have and that nobody lent us
   */
  async recover(signal: AbortSignal): Promise<string[]> {
    const { store, host, blocks } = this.#options;
    const { entries } = await store.list(LOANS, signal);
    const mine = entries.map(stored).filter((found) => found?.loan.borrower === host);
    const granted = new Set<string>();
    for (const found of mine) {
      if (found === undefined) continue;
      const { loan, at } = found;
      const block = formatCidr(loanBlock(loan.address));
      if (loan.state === "granted") granted.add(block);
      if (loan.state === "granted" && !blocks.all.has(block)) await this.giveBack(loan.address, signal);
      if (loan.state === "asked" || loan.state === "refused") await store.commit(endLoan(loan.address, at), signal);
    }
    return [...blocks.all].filter(([key, { owner }]) => owner !== undefined && !granted.has(key)).map(([key]) => key);
  }
}

function stored(entry: Entry): StoredLoan | undefined {
  const loan = parseLoan(entry.key, entry.value);
  return loan === undefined ? undefined : { loan, at: entry.modRevision };
}

function describe({ borrower, owner, state }: Loan): string {
  return state === "returned"
    ? `is on its way back to host "${owner}"`
    : `is lent by host "${owner}" to host "${borrower}"`;
}
