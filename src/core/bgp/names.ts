/**
 * Names of BIRD's symbols (`'a-b.c:d'`: letters, digits, "-", ".", ":", "_", at most 64 of them). They are made of addresses and of
 * names that are checked again here, each in its own way of writing, so that two things never get one name and nothing that a
 * user wrote reaches the configuration as text.
 */
import { formatAddress, parseAddress } from "../net/address.ts";
import type { Remote } from "./state.ts";

const MAX_SYMBOL = 64;
const SAFE = /^[A-Za-z0-9_.:-]+$/;

export function isSymbol(name: string): boolean {
  return name.length <= MAX_SYMBOL && SAFE.test(name);
}

/** Quoted, as it stands in a configuration. @throws RangeError for what BIRD would not read as one symbol */
export function symbol(name: string): string {
  if (!isSymbol(name)) throw new RangeError(`"${name}" is no name of a BIRD symbol`);
  return `'${name}'`;
}

/**
 * `mesh-10.0.0.2`, `peer-fd00::1-port-1790`, `peer-fe80::1-on-eth0`, `range-10.0.0.0-24`. The interface comes last: its name may
 * look like a port's.
 */
export function sessionName(kind: "mesh" | "peer", remote: Remote, port?: number): string {
  const suffix = port === undefined ? "" : `-port-${port}`;
  if (remote.kind === "range") return `range-${remote.cidr.replace("/", "-")}${suffix}`;
  const parsed = parseAddress(remote.address);
  const address = parsed === undefined ? remote.address : formatAddress(parsed);
  return `${kind}-${address}${suffix}${remote.interface === undefined ? "" : `-on-${remote.interface}`}`;
}

/**
 * Short names for filters: their own, as long as there is room. Of those that are too long the beginning and a number, which tells
 * apart all that begin alike.
 */
export function filterSymbols(filters: readonly string[]): ReadonlyMap<string, string> {
  const room = MAX_SYMBOL - "filter--import4".length;
  const out = new Map<string, string>();
  const cut = new Map<string, number>();
  for (const name of [...new Set(filters)].sort()) {
    if (!SAFE.test(name)) continue;
    if (name.length <= room) {
      out.set(name, name);
      continue;
    }
    const head = name.slice(0, room - 6);
    const number = (cut.get(head) ?? 0) + 1;
    cut.set(head, number);
    out.set(name, `${head}_${number}`); // "_" is in no name of a resource
  }
  return out;
}
