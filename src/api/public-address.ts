/** Which addresses the internet can route: IANA's special-purpose registries (RFC 6890), "Globally Reachable" false. */

import { parseAddress } from "../core/net/address.ts";
import { type Cidr, cidr, contains } from "../core/net/cidr.ts";

const NOT_GLOBAL: readonly Cidr[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "2001::/23",
  "2001:db8::/32",
  "3fff::/20",
].map(cidr);

const GLOBAL_V6 = cidr("2000::/3");

/** True for a unicast address that machines on the internet can have. Text that is no address is not public. */
export function isPublic(text: string): boolean {
  const a = parseAddress(text);
  if (a === undefined) return false;
  if (a.family === 6 && !contains(GLOBAL_V6, a)) return false;
  return !NOT_GLOBAL.some((block) => contains(block, a));
}
