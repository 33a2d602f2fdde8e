/** Tables, chains, sets, elements and rules as netlink messages of one batch. Throws RangeError for what cannot be written. */
import type { Base, ElementData, FieldType, NftSet, Rule, Table } from "../../core/rules/ir.ts";
import { type MessageWriter, NLM_F_APPEND, NLM_F_CREATE } from "../syscall/netlink-message.ts";
import { encodeElement, keyLength, shapeOf, type WireElement } from "./element.ts";
import { checkText, writeCounter, writeExpressions, writeVerdict } from "./expressions.ts";
import * as nft from "./uapi.ts";
import { OPEN_INTERVAL, ruleUserdata, setUserdata } from "./userdata.ts";
import { datatypeOf, lengthOf } from "./value.ts";

/** Which table a message is about. */
export interface TableId {
  readonly family: Table["family"];
  readonly name: string;
}

/** A nest holds 65535 bytes; the largest element (two keys of 64 bytes, a chain name, nesting) stays below the rest. */
const ELEMENTS_PER_NEST = 64_000;
const MAX_COMMENT = 100;

export function beginBatch(writer: MessageWriter, generation: number | undefined): void {
  writer.begin(nft.NFNL_MSG_BATCH_BEGIN, 0).nfgen(0, 10);
  if (generation !== undefined) writer.u32Be(nft.NFNL_BATCH_GENID, generation);
  writer.end();
}

export function endBatch(writer: MessageWriter): void {
  writer.begin(nft.NFNL_MSG_BATCH_END, 0).nfgen(0, 10).end();
}

function message(writer: MessageWriter, type: number, flags: number, table: TableId): MessageWriter {
  return writer.begin(type, flags).nfgen(nft.FAMILY[table.family]);
}

export function newTable(writer: MessageWriter, table: TableId): void {
  message(writer, nft.NFT_MSG.NEWTABLE, NLM_F_CREATE, table).string(nft.NFTA_TABLE.NAME, checkName(table.name));
  writer.u32Be(nft.NFTA_TABLE.FLAGS, 0).end();
}

export function deleteTable(writer: MessageWriter, table: TableId): void {
  message(writer, nft.NFT_MSG.DELTABLE, 0, table).string(nft.NFTA_TABLE.NAME, table.name).end();
}

export function newChain(writer: MessageWriter, table: TableId, name: string, base: Base | undefined): void {
  message(writer, nft.NFT_MSG.NEWCHAIN, NLM_F_CREATE, table).string(nft.NFTA_CHAIN.TABLE, table.name);
  writer.string(nft.NFTA_CHAIN.NAME, checkName(name));
  if (base !== undefined) {
    writer.string(nft.NFTA_CHAIN.TYPE, base.type).u32Be(nft.NFTA_CHAIN.POLICY, nft.VERDICT[base.policy]);
    writer.nest(nft.NFTA_CHAIN.HOOK, () => {
      writer.u32Be(nft.NFTA_HOOK.HOOKNUM, hookNumber(table.family, base.hook));
      writer.u32Be(nft.NFTA_HOOK.PRIORITY, base.priority >>> 0);
    });
  }
  writer.end();
}

/** Changes the policy of a base chain that exists. */
export function setPolicy(writer: MessageWriter, table: TableId, name: string, policy: Base["policy"]): void {
  message(writer, nft.NFT_MSG.NEWCHAIN, 0, table).string(nft.NFTA_CHAIN.TABLE, table.name);
  writer.string(nft.NFTA_CHAIN.NAME, name).u32Be(nft.NFTA_CHAIN.POLICY, nft.VERDICT[policy]).end();
}

export function deleteChain(writer: MessageWriter, table: TableId, name: string): void {
  message(writer, nft.NFT_MSG.DELCHAIN, 0, table).string(nft.NFTA_CHAIN.TABLE, table.name);
  writer.string(nft.NFTA_CHAIN.NAME, name).end();
}

function hookNumber(family: Table["family"], hook: Base["hook"]): number {
  const numbers: Partial<Record<Base["hook"], number>> = family === "arp" ? nft.ARP_HOOK : nft.HOOK;
  const number = numbers[hook];
  if (number === undefined)
    throw new RangeError(`the ${family} family has no hook ${hook} that takes a chain without a device`);
  return number;
}

/** `id` tells the set from others in the batch. */
export function newSet(writer: MessageWriter, table: TableId, name: string, set: NftSet, id: number): void {
  if (set.key.length === 0) throw new RangeError("the key has no fields");
  if (keyLength(set.key) > 64) throw new RangeError(`a key may have 64 bytes, not ${keyLength(set.key)}`);
  message(writer, nft.NFT_MSG.NEWSET, NLM_F_CREATE, table).string(nft.NFTA_SET.TABLE, table.name);
  writer.string(nft.NFTA_SET.NAME, checkName(name)).u32Be(nft.NFTA_SET.FLAGS, setFlags(set));
  writer.u32Be(nft.NFTA_SET.KEY_TYPE, datatype(set.key)).u32Be(nft.NFTA_SET.KEY_LEN, keyLength(set.key));
  if (set.data === "verdict") {
    writer.u32Be(nft.NFTA_SET.DATA_TYPE, nft.NFT_DATA_VERDICT).u32Be(nft.NFTA_SET.DATA_LEN, 0);
  } else if (set.data !== undefined) {
    writer.u32Be(nft.NFTA_SET.DATA_TYPE, datatype(set.data)).u32Be(nft.NFTA_SET.DATA_LEN, keyLength(set.data));
  }
  writer.u32Be(nft.NFTA_SET.ID, id);
  if (shapeOf(set) === "pipapo") writer.nest(nft.NFTA_SET.DESC, () => writeFieldLengths(writer, set.key));
  writer.bytes(nft.NFTA_SET.USERDATA, setUserdata(set));
  if (set.counters === true) writeCounter(writer, nft.NFTA_SET.EXPR);
  writer.end();
}

export function setFlags(set: NftSet): number {
  const shape = shapeOf(set);
  return (
    (shape === "hash" ? 0 : nft.NFT_SET.INTERVAL) |
    (shape === "pipapo" ? nft.NFT_SET.CONCAT : 0) |
    (set.data === undefined ? 0 : nft.NFT_SET.MAP)
  );
}

/** nft(8)'s number of a type; of a concatenation, six bits a field. */
export function datatype(types: readonly FieldType[]): number {
  return types.reduce((id, type) => ((id << 6) | datatypeOf(type)) >>> 0, 0);
}

function writeFieldLengths(writer: MessageWriter, types: readonly FieldType[]): void {
  writer.nest(nft.NFTA_SET_DESC_CONCAT, () => {
    for (const type of types)
      writer.nest(nft.NFTA_LIST_ELEM, () => writer.u32Be(nft.NFTA_SET_FIELD_LEN, lengthOf(type)));
  });
}

export function deleteSet(writer: MessageWriter, table: TableId, name: string): void {
  message(writer, nft.NFT_MSG.DELSET, 0, table).string(nft.NFTA_SET.TABLE, table.name);
  writer.string(nft.NFTA_SET.NAME, name).end();
}

/** As many messages as it takes; their number. */
export function changeElements(
  writer: MessageWriter,
  change: "add" | "delete",
  table: TableId,
  name: string,
  set: NftSet,
  elements: Iterable<readonly [string, ElementData]>,
): number {
  const source = elements[Symbol.iterator]();
  let next = source.next();
  let messages = 0;
  while (next.done !== true) {
    message(
      writer,
      change === "add" ? nft.NFT_MSG.NEWSETELEM : nft.NFT_MSG.DELSETELEM,
      change === "add" ? NLM_F_CREATE : 0,
      table,
    );
    writer.string(nft.NFTA_SET_ELEM_LIST.TABLE, table.name).string(nft.NFTA_SET_ELEM_LIST.SET, name);
    writer.nest(nft.NFTA_SET_ELEM_LIST.ELEMENTS, () => {
      const full = writer.length + ELEMENTS_PER_NEST;
      while (next.done !== true && writer.length < full) {
        const [key, data] = next.value;
        for (const wire of encode(set, key, data)) writeElement(writer, wire, change === "add");
        next = source.next();
      }
    });
    writer.end();
    messages++;
  }
  return messages;
}

function encode(set: NftSet, key: string, data: ElementData): readonly WireElement[] {
  try {
    return encodeElement(set, key, data);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(`element ${JSON.stringify(key.slice(0, 200))}: ${error.message}`);
  }
}

function writeElement(writer: MessageWriter, element: WireElement, withData: boolean): void {
  writer.nest(nft.NFTA_LIST_ELEM, () => {
    if (element.isEnd === true) writer.u32Be(nft.NFTA_SET_ELEM.FLAGS, nft.NFT_SET_ELEM_INTERVAL_END);
    writer.nest(nft.NFTA_SET_ELEM.KEY, () => writer.bytes(nft.NFTA_DATA.VALUE, element.key));
    const { keyEnd, data } = element;
    if (keyEnd !== undefined) writer.nest(nft.NFTA_SET_ELEM.KEY_END, () => writer.bytes(nft.NFTA_DATA.VALUE, keyEnd));
    if (!withData) return;
    if (element.isOpen === true) writer.bytes(nft.NFTA_SET_ELEM.USERDATA, OPEN_INTERVAL);
    if (data instanceof Uint8Array) writer.nest(nft.NFTA_SET_ELEM.DATA, () => writer.bytes(nft.NFTA_DATA.VALUE, data));
    else if (data !== undefined) writeVerdict(writer, nft.NFTA_SET_ELEM.DATA, data);
  });
}

/** Where a new rule goes: after the rule with this handle, before all others, or (undefined) behind all others. */
export type Place = bigint | "first" | undefined;

export function newRule(writer: MessageWriter, table: TableId, chain: string, rule: Rule, place: Place): void {
  if (rule.comment !== undefined) checkText("a comment", rule.comment, MAX_COMMENT);
  message(writer, nft.NFT_MSG.NEWRULE, NLM_F_CREATE | (place === "first" ? 0 : NLM_F_APPEND), table);
  writer.string(nft.NFTA_RULE.TABLE, table.name).string(nft.NFTA_RULE.CHAIN, chain);
  if (typeof place === "bigint") writer.u64Be(nft.NFTA_RULE.POSITION, place);
  writeExpressions(writer, table.family, rule);
  writer.bytes(nft.NFTA_RULE.USERDATA, ruleUserdata(rule)).end();
}

/** Without a handle: all rules of the chain. */
export function deleteRule(writer: MessageWriter, table: TableId, chain: string, handle: bigint | undefined): void {
  message(writer, nft.NFT_MSG.DELRULE, 0, table).string(nft.NFTA_RULE.TABLE, table.name);
  writer.string(nft.NFTA_RULE.CHAIN, chain);
  if (handle !== undefined) writer.u64Be(nft.NFTA_RULE.HANDLE, handle);
  writer.end();
}

/** The names that nft(8) can read, keywords apart. Throws RangeError. */
function checkName(name: string): string {
  if (name.length > nft.NFT_NAME_MAX)
    throw new RangeError(`a name may have ${nft.NFT_NAME_MAX} bytes, not ${name.length}`);
  if (!/^[A-Za-z][A-Za-z0-9_./-]*$/.test(name))
    throw new RangeError(`${JSON.stringify(name)} is not a name: a letter, then letters, digits, "_", "-", ".", "/"`);
  return name;
}
