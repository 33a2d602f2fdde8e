/** Which part of a LAN's subnet to propose for containers. */
import type { Address } from "../net/address.ts";
import { type Cidr, contains, covers, overlaps, size } from "../net/cidr.ts";

/** 32 addresses: many containers, little of a home's LAN. */
const LENGTH = 27;
/** "man x" in the middle of the interface identifier: no stateless address (RFC 4862, RFC 8981) is likely to be in there. */
const IDENTIFIER = 0x6d61_6e78_0000_0000n;

/**
 * Candidates, the best first. Routers hand out the middle of a subnet (.100 to .199 or so), or all of it from below; machines with
 * fixed addresses are at its start, routers at its very start or end. So from the upper end downwards, without the very last
 * part; never a part in which one of the `known` addresses (the host's, the router's, neighbours') lies.
 */
export function lanCandidates(network: Cidr, known: readonly Address[], pools: readonly Cidr[]): Cidr[] {
  const free = (part: Cidr): boolean =>
    !known.some((a) => contains(part, a)) && !pools.some((pool) => overlaps(pool, part) && !covers(pool, network));
  if (network.family === 6) {
    const part: Cidr = { family: 6, value: network.value | IDENTIFIER, length: 112 };
    return network.length <= 64 && free(part) ? [part] : [];
  }
  const length = Math.min(30, Math.max(LENGTH, network.length + 2));
  if (network.length > 28) return [];
  const step = 1n << BigInt(32 - length);
  const count = size(network) / step;
  const parts = Array.from({ length: Math.min(Number(count), 64) }, (_, i): Cidr => {
    return { family: 4, value: network.value + (count - 1n - BigInt(i)) * step, length };
  });
  return parts.slice(1, -1).filter(free);
}
