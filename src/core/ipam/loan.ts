/**
 * Lending one address of a block to another host: an address that was asked for by value, or the last free one.
 *
 *     /manx/v1/ipam/loans/ADDRESS   asked (by the borrower) -> granted | refused (by the owner) -> returned (by the borrower)
 *
 * Only the owner of a block gives addresses out of it, so it alone can grant. A granted address is to the borrower a block
 * of one address, announced as /32 or /128, which is more specific than the owner's block. The key goes when the owner has
 * the address back, or when the borrower takes its question back.
 */
import { type Address, formatAddress, parseAddress, width } from "../net/address.ts";
import { type Cidr, cidrOf } from "../net/cidr.ts";
import { IPAM, parseObject, type Transaction } from "./claim.ts";

export const LOANS = `${IPAM}loans/`;
/** Begins the handle of a lent address in its owner's block; the borrower's name follows. */
const LENT = "lent to ";

type LoanState = "asked" | "granted" | "refused" | "returned";

export interface Loan {
  readonly address: Address;
  readonly owner: string;
  readonly borrower: string;
  readonly pool: string;
  readonly state: LoanState;
  /** Why it was refused; completes "host X ...". */
  readonly why?: string;
}

export function loanKey(a: Address): string {
  return LOANS + formatAddress(a);
}

/** A loan as the borrower has it: a block of one address. */
export function loanBlock(a: Address): Cidr {
  return cidrOf(a, width(a.family));
}

export function lentHandle(borrower: string): string {
  return LENT + borrower;
}

/** To whom the address with this handle is lent; undefined if it is not. */
export function lentTo(handle: string): string | undefined {
  return handle.startsWith(LENT) ? handle.slice(LENT.length) : undefined;
}

/** The loan in its next state, if it still is as it was at that revision (0: not there). */
export function putLoan(loan: Loan, modRevision: number): Transaction {
  const key = loanKey(loan.address);
  const { owner, borrower, pool, state, why } = loan;
  const value = JSON.stringify({ owner, borrower, pool, state, ...(why !== undefined && { why }) });
  return { compares: [{ key, modRevision }], ops: [{ kind: "put", key, value }] };
}

export function endLoan(a: Address, modRevision: number): Transaction {
  const key = loanKey(a);
  return { compares: [{ key, modRevision }], ops: [{ kind: "delete", key }] };
}

export function parseLoan(key: string, value: string): Loan | undefined {
  const a = key.startsWith(LOANS) ? parseAddress(key.slice(LOANS.length)) : undefined;
  const { owner, borrower, pool, state, why } = parseObject(value) ?? {};
  if (a === undefined || typeof owner !== "string" || typeof borrower !== "string" || typeof pool !== "string")
    return undefined;
  if (state !== "asked" && state !== "granted" && state !== "refused" && state !== "returned") return undefined;
  return { address: a, owner, borrower, pool, state, ...(typeof why === "string" && { why }) };
}
