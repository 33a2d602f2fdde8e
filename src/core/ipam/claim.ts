/**
 * Who owns which block, in the cluster store: keys, values and the transactions that change them, as plain data.
 *
 *     /manx/v1/ipam/affinities/HOST/CIDR   what a host owns or is about to: pending -> confirmed -> releasing
 *     /manx/v1/ipam/blocks/CIDR            who owns the block; there is at most one of them for an address
 *     /manx/v1/ipam/published/HOST/CIDR    what the owner gave out of it; for others to read, never to decide from
 *
 * Two phases, so that a host that dies in between finds on its return what it was about to do. Each step compares the
 * pool's revision as well: a pool that is changed or removed meanwhile stops the claim. Addresses inside a block are its
 * owner's business alone and need no transaction here.
 */
import { type Cidr, formatCidr, parseCidr } from "../net/cidr.ts";

export const IPAM = "/manx/v1/ipam/";
export const BLOCKS = `${IPAM}blocks/`;

/** Whoever adds a pool compares and writes this key, so that two pools that overlap cannot come to be at once. */
export const POOLS_GUARD = `${IPAM}pools`;

type AffinityState = "pending" | "confirmed" | "releasing";

export interface Affinity {
  readonly host: string;
  readonly block: Cidr;
  readonly pool: string;
  readonly state: AffinityState;
}

export interface BlockOwner {
  readonly block: Cidr;
  readonly pool: string;
  readonly host: string;
}

/** As the store's commit wants it. */
export interface Transaction {
  readonly compares: readonly { readonly key: string; readonly modRevision: number }[];
  readonly ops: readonly (
    | { readonly kind: "put"; readonly key: string; readonly value: string }
    | { readonly kind: "delete"; readonly key: string }
  )[];
}

/** A CIDR as part of a key: `10.65.0.0-26`. */
function slug(block: Cidr): string {
  return formatCidr(block).replace("/", "-");
}

export function blockKey(block: Cidr): string {
  return BLOCKS + slug(block);
}

/** `host` is a host name: no `/` in it. */
export function affinityKey(host: string, block: Cidr): string {
  return affinitiesOf(host) + slug(block);
}

export function affinitiesOf(host: string): string {
  return `${IPAM}affinities/${host}/`;
}

export function publishedKey(host: string, block: Cidr): string {
  return `${IPAM}published/${host}/${slug(block)}`;
}

/** First step: says what we are about to do. Holds only if nobody has the block. */
export function claimPending(
  a: Omit<Affinity, "state">,
  poolAt: { readonly key: string; readonly modRevision: number },
): Transaction {
  return {
    compares: [
      poolAt,
      { key: blockKey(a.block), modRevision: 0 },
      { key: affinityKey(a.host, a.block), modRevision: 0 },
    ],
    ops: [putAffinity({ ...a, state: "pending" })],
  };
}

/** Second step: the block is ours. */
export function claimConfirm(
  a: Omit<Affinity, "state">,
  affinityAt: number,
  poolAt: { readonly key: string; readonly modRevision: number },
): Transaction {
  return {
    compares: [
      poolAt,
      { key: blockKey(a.block), modRevision: 0 },
      { key: affinityKey(a.host, a.block), modRevision: affinityAt },
    ],
    ops: [
      { kind: "put", key: blockKey(a.block), value: JSON.stringify({ pool: a.pool, host: a.host }) },
      putAffinity({ ...a, state: "confirmed" }),
    ],
  };
}

/** Takes back a claim that did not come to be. */
export function claimAbandon(host: string, block: Cidr, affinityAt: number): Transaction {
  const key = affinityKey(host, block);
  return { compares: [{ key, modRevision: affinityAt }], ops: [{ kind: "delete", key }] };
}

/** First step of giving a block up; the owner has already forgotten it. */
export function releaseBegin(a: Omit<Affinity, "state">, affinityAt: number): Transaction {
  return {
    compares: [{ key: affinityKey(a.host, a.block), modRevision: affinityAt }],
    ops: [putAffinity({ ...a, state: "releasing" })],
  };
}

/** Second step: the block is free for others. */
export function releaseFinish(host: string, block: Cidr, affinityAt: number, blockAt: number): Transaction {
  const affinity = affinityKey(host, block);
  return {
    compares: [
      { key: affinity, modRevision: affinityAt },
      { key: blockKey(block), modRevision: blockAt },
    ],
    ops: [
      { kind: "delete", key: blockKey(block) },
      { kind: "delete", key: publishedKey(host, block) },
      { kind: "delete", key: affinity },
    ],
  };
}

function putAffinity({ host, block, pool, state }: Affinity): Transaction["ops"][number] {
  return { kind: "put", key: affinityKey(host, block), value: JSON.stringify({ pool, state }) };
}

/** Reads an affinity's key and value; undefined if they are not one. */
export function parseAffinity(key: string, value: string): Affinity | undefined {
  const match = /^\/manx\/v1\/ipam\/affinities\/([^/]+)\/([^/]+)$/.exec(key);
  const block = unslug(match?.[2]);
  const fields = parseObject(value);
  const state = fields?.["state"];
  const pool = fields?.["pool"];
  if (match === null || block === undefined || typeof pool !== "string") return undefined;
  if (state !== "pending" && state !== "confirmed" && state !== "releasing") return undefined;
  return { host: match[1] as string, block, pool, state };
}

export function parseBlockOwner(key: string, value: string): BlockOwner | undefined {
  const block = key.startsWith(BLOCKS) ? unslug(key.slice(BLOCKS.length)) : undefined;
  const fields = parseObject(value);
  const pool = fields?.["pool"];
  const host = fields?.["host"];
  if (block === undefined || typeof pool !== "string" || typeof host !== "string") return undefined;
  return { block, pool, host };
}

function unslug(text: string | undefined): Cidr | undefined {
  return text === undefined ? undefined : parseCidr(text.replace("-", "/"));
}

/** An object out of JSON; undefined for anything else. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
