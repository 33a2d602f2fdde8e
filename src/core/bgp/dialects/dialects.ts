/** All languages that `manx bgp config --for` knows, by the word for them. */
import { arista, cisco, junos, mikrotik, opnsense, unifi, vyos } from "./appliances.ts";
import { bird, frr, gobgp } from "./daemons.ts";
import type { Dialect } from "./router.ts";

export const DIALECTS = {
  bird,
  frr,
  gobgp,
  vyos,
  mikrotik,
  opnsense,
  unifi,
  cisco,
  junos,
  arista,
} as const satisfies Record<string, Dialect>;

export type DialectName = keyof typeof DIALECTS;

export const DIALECT_NAMES = Object.keys(DIALECTS) as readonly DialectName[];
