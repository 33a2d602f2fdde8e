/** A free address of a pool for a service. */
import { type Address, formatAddress } from "../net/address.ts";
import { type Cidr, lastAddress } from "../net/cidr.ts";

/** Addresses looked at. */
const MOST = 65_536n;

/** The first that nobody has, after the one that some take for the network itself; undefined: none is left. */
export function freeServiceAddress({ family, value, length }: Cidr, taken: ReadonlySet<string>): Address | undefined {
  const last = lastAddress({ family, value, length }).value;
  const first = last === value ? value : value + 1n;
  for (let at = first; at <= last && at - first < MOST; at++) {
    const candidate: Address = { family, value: at };
    if (!taken.has(formatAddress(candidate))) return candidate;
  }
  return undefined;
}
