/** Sticky addresses: which container had which address, kept for it until somebody else needs it. */
import { type Address, address, FAMILIES, type Family, formatAddress, parseAddress } from "../../core/net/address.ts";
import type { LocalStateFile } from "../local-state.ts";
import type { HoldRecord } from "./records.ts";

/** A host remembers so many; the oldest go first. */
const MOST = 4096;

export class Holds {
  readonly #state: LocalStateFile;
  /** Key of the hold by its address's value: IPv4 and IPv6 addresses that a container can have never have the same. */
  readonly #byAddress = new Map<bigint, string>();
  #touched = 0;

  constructor(state: LocalStateFile) {
    this.#state = state;
    for (const [key, { address: text, touched }] of this.#all) {
      this.#byAddress.set(address(text).value, key);
      this.#touched = Math.max(this.#touched, touched);
    }
  }

  get #all(): ReadonlyMap<string, HoldRecord> {
    return this.#state.ipam.holds.all;
  }

  of({ value }: Address): HoldRecord | undefined {
    const key = this.#byAddress.get(value);
    return key === undefined ? undefined : this.#all.get(key);
  }

  /** An address has one hold, and a container one address of a family on a network. */
  remember(networkId: string, container: string, a: Address): void {
    const key = keyOf(networkId, container, a.family);
    const record = { networkId, container, family: a.family, address: formatAddress(a), touched: ++this.#touched };
    this.#state.change(() => {
      const other = this.#byAddress.get(a.value);
      if (other !== undefined && other !== key) this.#remove(other);
      this.#remove(key);
      this.#state.ipam.holds.put(key, record);
      this.#mirror(a.value, key);
      if (this.#all.size > MOST) this.#removeOldest();
    });
  }

  #removeOldest(): void {
    const oldest = [...this.#all].reduce((a, b) => (a[1].touched <= b[1].touched ? a : b));
    this.#remove(oldest[0]);
  }

  drop({ value }: Address): void {
    const key = this.#byAddress.get(value);
    if (key !== undefined) this.#state.change(() => this.#remove(key));
  }

  forget(networkId: string, container: string | undefined): void {
    this.#state.change(() => {
      for (const [key, hold] of this.#all)
        if (hold.networkId === networkId && (container === undefined || hold.container === container))
          this.#remove(key);
    });
  }

  /** IPv4 before IPv6. */
  remembered(networkId: string, container: string): string[] {
    const found = FAMILIES.map((family) => this.#all.get(keyOf(networkId, container, family))?.address);
    return found.filter((text) => text !== undefined);
  }

  /** Who has holds on the network, the last touched first. */
  names(networkId: string): string[] {
    const holds = [...this.#all.values()].filter((hold) => hold.networkId === networkId);
    return [...new Set(holds.sort((a, b) => b.touched - a.touched).map(({ container }) => container))];
  }

  #remove(key: string): void {
    const hold = this.#all.get(key);
    if (hold === undefined) return;
    this.#state.ipam.holds.delete(key);
    const { value } = address(hold.address);
    if (this.#byAddress.get(value) === key) this.#mirror(value, undefined);
  }

  #mirror(value: bigint, key: string | undefined): void {
    this.#state.mirror(() => {
      const before = this.#byAddress.get(value);
      this.#set(value, key);
      return () => this.#set(value, before);
    });
  }

  #set(value: bigint, key: string | undefined): void {
    if (key === undefined) this.#byAddress.delete(value);
    else this.#byAddress.set(value, key);
  }

  /** The one of these addresses whose hold is the oldest. */
  oldest(addresses: readonly Address[]): Address | undefined {
    const age = (a: Address): number => this.of(a)?.touched ?? 0;
    return addresses.length === 0 ? undefined : addresses.reduce((a, b) => (age(a) <= age(b) ? a : b));
  }
}

function keyOf(networkId: string, container: string, family: Family): string {
  return JSON.stringify([networkId, container, family]);
}

/** Reads an address with or without prefix length; undefined if it is none. */
export function addressIn(text: string): Address | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return parseAddress(text);
  return /^\/[0-9]{1,3}$/.test(text.slice(slash)) ? parseAddress(text.slice(0, slash)) : undefined;
}
