/** Reads what is in force under our name. */
import { setTimeout } from "node:timers/promises";
import type { ElementData, NftSet } from "../../core/rules/ir.ts";
import { DriverError } from "../error.ts";
import { MessageWriter } from "../syscall/netlink-message.ts";
import type { NetlinkSocket } from "../syscall/netlink-socket.ts";
import {
  familyOf,
  type ReadSet,
  readChain,
  readElements,
  readGeneration,
  readRule,
  readRuleCount,
  readSet,
  tableOf,
  UNKNOWN_SET,
} from "./decode.ts";
import { type Count, type DecodedElement, decodeElements, shapeOf, type WireElement } from "./element.ts";
import type { TableId } from "./encode.ts";
import { type ListedChain, type ListedRule, type ListedTable, OUR_TABLE, tableKey } from "./listing.ts";
import type { ChainId } from "./plan.ts";
import * as nft from "./uapi.ts";

interface RuleCounter extends Count {
  readonly handle: bigint;
  /** "family name" */
  readonly table: string;
  readonly chain: string;
  /** Absent: the rule has no comment. Rules with one comment in one chain each have an entry. */
  readonly comment: string | undefined;
}

interface ElementCounter extends Count {
  readonly table: string;
  readonly set: string;
  readonly key: string;
}

/** Since the rule or the element was made. Only what has a counter. */
export interface Counters {
  readonly rules: readonly RuleCounter[];
  readonly elements: readonly ElementCounter[];
}

const ATTEMPTS = 10;
/** How often the elements of one set are read at most, and the milliseconds between. */
const READINGS = 50;
const PAUSE = 20;
/** A set with fewer elements is made larger too fast for anybody to notice. */
const SMALL = 1000;
const WHAT = "list nftables";

/** A number that grows with each transaction of anybody in the namespace. */
export function readGenerationNumber(socket: NetlinkSocket): number {
  const [reply] = socket.request(ask(nft.NFT_MSG.GETGEN, 0), WHAT);
  if (reply === undefined) throw new DriverError("failed", "Cannot list nftables: the kernel names no generation");
  return readGeneration(reply);
}

/** All of it as of one generation. */
export async function readListing(
  socket: NetlinkSocket,
  signal?: AbortSignal,
): Promise<{ readonly listing: ReadonlyMap<string, ListedTable>; readonly generation: number }> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    signal?.throwIfAborted();
    const generation = readGenerationNumber(socket);
    const listing = new Map<string, ListedTable>();
    for (const table of readTables(socket)) listing.set(tableKey(table), await readTable(socket, table, signal));
    if (readGenerationNumber(socket) === generation) return { listing, generation };
  }
  throw new DriverError("busy", "Cannot list nftables: somebody else keeps changing it; try again");
}

/** Rules of one chain, in order; undefined if it is not there. */
export function readRules(socket: NetlinkSocket, { table, chain }: ChainId): ListedRule[] | undefined {
  const message = ask(nft.NFT_MSG.GETRULE, nft.FAMILY[table.family], (writer) =>
    writer.string(nft.NFTA_RULE.TABLE, table.name).string(nft.NFTA_RULE.CHAIN, chain),
  );
  return socket.dump(message, WHAT).map(readRule);
}

export async function readCounters(socket: NetlinkSocket, signal?: AbortSignal): Promise<Counters> {
  const rules: RuleCounter[] = [];
  const elements: ElementCounter[] = [];
  for (const table of readTables(socket)) {
    const key = tableKey(table);
    const counts = await socket.dumpSlowly(rulesOf(table), WHAT, readRuleCount, signal);
    for (const count of counts) rules.push({ table: key, ...count });
    for (const { name, set } of readSets(socket, table)) {
      if (set.counters !== true) continue;
      for (const { key: element, count } of (await readElementsOnce(socket, table, name, set, signal)) ?? [])
        elements.push({
          table: key,
          set: name,
          key: element,
          packets: count?.packets ?? 0n,
          bytes: count?.bytes ?? 0n,
        });
    }
  }
  return { rules, elements };
}

function readTables(socket: NetlinkSocket): TableId[] {
  const out: TableId[] = [];
  for (const message of socket.dump(ask(nft.NFT_MSG.GETTABLE, 0), WHAT)) {
    const family = familyOf(message);
    if (family !== undefined && tableOf(message) === OUR_TABLE) out.push({ family, name: OUR_TABLE });
  }
  return out;
}

async function readTable(socket: NetlinkSocket, table: TableId, signal: AbortSignal | undefined): Promise<ListedTable> {
  const sets = new Map<string, NftSet>();
  for (const found of readSets(socket, table)) {
    const elements = found.set.key.length === 0 ? undefined : await readAllElements(socket, table, found, signal);
    sets.set(found.name, elements === undefined ? UNKNOWN_SET : { ...found.set, elements });
  }
  return { ...table, sets, chains: await readChains(socket, table, signal) };
}

async function readChains(
  socket: NetlinkSocket,
  table: TableId,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ListedChain>> {
  const chains = new Map<string, { base?: ListedChain["base"] & {}; rules: ListedRule[] }>();
  for (const message of socket.dump(ask(nft.NFT_MSG.GETCHAIN, nft.FAMILY[table.family]), WHAT)) {
    const { name, base, table: of } = readChain(message);
    if (of === table.name) chains.set(name, { ...(base === undefined ? {} : { base }), rules: [] });
  }
  for (const { chain, ...rule } of await socket.dumpSlowly(rulesOf(table), WHAT, readRule, signal))
    chains.get(chain)?.rules.push(rule);
  return chains;
}

/** Named sets, without their elements. Anonymous ones come and go with the rules of others. */
function readSets(socket: NetlinkSocket, table: TableId): ReadSet[] {
  const message = ask(nft.NFT_MSG.GETSET, nft.FAMILY[table.family], (writer) =>
    writer.string(nft.NFTA_SET.TABLE, table.name),
  );
  return socket
    .dump(message, WHAT)
    .map(readSet)
    .filter(({ table: of, anonymous }) => of === table.name && !anonymous);
}

/**
 * Undefined if there is something among them that we would never write.
 *
 * While the kernel makes a hash table larger (in the background, after many elements came), a dump of it silently lacks some,
 * others in each. So it is asked again until the number is right; where the kernel does not tell it, until nothing new comes.
 */
async function readAllElements(
  socket: NetlinkSocket,
  table: TableId,
  { name, set, count }: ReadSet,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ElementData> | undefined> {
  const all = new Map<string, ElementData>();
  for (let reading = 1; reading <= READINGS; reading++) {
    const before = all.size;
    const elements = await readElementsOnce(socket, table, name, set, signal);
    if (elements === undefined) return undefined;
    for (const { key, data } of elements) all.set(key, data);
    const complete = count === undefined ? all.size === before || all.size < SMALL : all.size >= count;
    if (shapeOf(set) !== "hash" || complete) break;
    await setTimeout(PAUSE, undefined, signal === undefined ? {} : { signal });
  }
  return all;
}

async function readElementsOnce(
  socket: NetlinkSocket,
  table: TableId,
  name: string,
  set: NftSet,
  signal: AbortSignal | undefined,
): Promise<DecodedElement[] | undefined> {
  const message = ask(nft.NFT_MSG.GETSETELEM, nft.FAMILY[table.family], (writer) =>
    writer.string(nft.NFTA_SET_ELEM_LIST.TABLE, table.name).string(nft.NFTA_SET_ELEM_LIST.SET, name),
  );
  const parts = await socket.dumpSlowly(message, WHAT, (reply) => readElements(reply, set) ?? "strange", signal);
  const wire: WireElement[] = [];
  for (const part of parts) {
    if (part === "strange") return undefined;
    for (const element of part) wire.push(element);
  }
  return decodeElements(set, wire);
}

function rulesOf(table: TableId): Uint8Array {
  return ask(nft.NFT_MSG.GETRULE, nft.FAMILY[table.family], (writer) => writer.string(nft.NFTA_RULE.TABLE, table.name));
}

function ask(type: number, family: number, write: (writer: MessageWriter) => unknown = () => {}): Uint8Array {
  const writer = new MessageWriter(128).begin(type, 0).nfgen(family);
  write(writer);
  return writer.end().finish();
}
