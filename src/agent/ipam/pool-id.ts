/**
 * Pool IDs describe themselves: `4;subnet=10.1.0.0/16;range=10.1.2.0/24;id=5f0c...`. Docker keeps them as long as its
 * network, so a grant that we have lost can be made again from its ID.
 */
import { randomBytes } from "node:crypto";
import type { Family } from "../../core/net/address.ts";
import { formatCidr, parseCidr } from "../../core/net/cidr.ts";

export interface PoolDescription {
  readonly family: Family;
  readonly pools?: readonly string[];
  readonly subnet?: string;
  readonly range?: string;
}

const POOL_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const MAX_POOLS = 32;

export function makePoolId({ family, pools, subnet, range }: PoolDescription): string {
  const parts = [String(family)];
  if (pools !== undefined) parts.push(`pools=${pools.join(",")}`);
  if (subnet !== undefined) parts.push(`subnet=${subnet}`);
  if (range !== undefined) parts.push(`range=${range}`);
  return [...parts, `id=${randomBytes(8).toString("hex")}`].join(";");
}

/** What a pool ID of ours says; undefined if it is not one. */
export function parsePoolId(text: string): PoolDescription | undefined {
  if (text.length > 8192) return undefined;
  const [first, ...rest] = text.split(";");
  if (first !== "4" && first !== "6") return undefined;
  const fields = new Map(rest.map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]));
  if (fields.size !== rest.length || !/^[0-9a-f]{16}$/.test(fields.get("id") ?? "")) return undefined;
  const family: Family = first === "4" ? 4 : 6;
  const pools = fields.get("pools");
  const subnet = fields.get("subnet");
  const range = fields.get("range");
  if (pools !== undefined && parsePoolNames(pools) === undefined) return undefined;
  for (const text of [subnet, range]) if (text !== undefined && canonical(text, family) !== text) return undefined;
  return {
    family,
    ...(pools !== undefined && { pools: parsePoolNames(pools) as string[] }),
    ...(subnet !== undefined && { subnet }),
    ...(range !== undefined && { range }),
  };
}

/** Comma separated names of IP pools; undefined if they are not. */
export function parsePoolNames(text: string): string[] | undefined {
  const names = text.split(",").map((name) => name.trim());
  return names.length <= MAX_POOLS && names.every((name) => POOL_NAME.test(name)) ? [...new Set(names)] : undefined;
}

function canonical(text: string, family: Family): string | undefined {
  const parsed = parseCidr(text);
  return parsed?.family === family ? formatCidr(parsed) : undefined;
}
