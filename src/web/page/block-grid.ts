/** Where blocks lie in their pool. */

export interface Grid {
  readonly first: bigint;
  /** Addresses of a block. */
  readonly step: bigint;
  readonly columns: number;
  readonly rows: number;
  /** Blocks of the pool that the grid shows. */
  readonly known: number;
}

const MOST = 4_096;

/** Undefined for a pool of more blocks than a picture shows. */
export function gridOf(cidr: string, blockSize: number): Grid | undefined {
  const [address = "", length = "0"] = cidr.split("/");
  const bits = address.includes(":") ? 128 : 32;
  const count = 2n ** BigInt(Math.max(0, blockSize - Number(length)));
  if (count > BigInt(MOST)) return undefined;
  const known = Number(count);
  const columns = Math.min(known, known > 512 ? 64 : 32);
  const step = 2n ** BigInt(bits - blockSize);
  return { first: toNumber(address), step, columns, rows: Math.ceil(known / columns), known };
}

export function blockIndex(cidr: string, { first, step, known }: Grid): number | undefined {
  const index = (toNumber(cidr.split("/")[0] ?? "") - first) / step;
  return index >= 0n && index < BigInt(known) ? Number(index) : undefined;
}

/** The agent sends canonical addresses only. */
function toNumber(address: string): bigint {
  if (!address.includes(":")) return address.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = "", tail = ""] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0");
  return [...left, ...zeros, ...right].reduce((sum, part) => sum * 65_536n + BigInt(`0x${part}`), 0n);
}
