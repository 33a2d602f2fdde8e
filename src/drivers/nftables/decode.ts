/** The kernel's messages about tables, chains, rules, sets and elements, read into plain values. */
import type { Base, FieldType, NftSet, Table, Verdict } from "../../core/rules/ir.ts";
import { Attributes, forEachAttribute, type NetlinkMessage } from "../syscall/netlink-message.ts";
import { type Count, keyLength, shapeOf, type WireElement } from "./element.ts";
import { datatype, setFlags } from "./encode.ts";
import type { ListedRule } from "./listing.ts";
import * as nft from "./uapi.ts";
import { readRuleUserdata } from "./userdata.ts";
import { datatypeOf } from "./value.ts";

/** `struct nfgenmsg`, in front of the attributes. */
const NFGEN = 4;

const table = new Attributes(8);
const chain = new Attributes(12);
const hook = new Attributes(4);
const rule = new Attributes(12);
const set = new Attributes(20);
const list = new Attributes(4);
const element = new Attributes(12);
const data = new Attributes(2);
const verdict = new Attributes(2);
const expression = new Attributes(2);
const counter = new Attributes(2);
const generation = new Attributes(3);

/** Undefined for families that we do not use. */
export function familyOf(message: NetlinkMessage): Table["family"] | undefined {
  const number = message.body[0];
  return FAMILIES.find((family) => nft.FAMILY[family] === number);
}

const FAMILIES: readonly Table["family"][] = ["inet", "arp", "ip", "ip6"];

/**
 * Name of the table that a message of any kind is about: attribute 1 of tables, chains, rules, sets, elements, objects and
 * flow tables alike.
 */
export function tableOf(message: NetlinkMessage): string | undefined {
  return table.read(message.body, NFGEN).string(nft.NFTA_TABLE.NAME);
}

export function readGeneration(message: NetlinkMessage): number {
  return generation.read(message.body, NFGEN).u32Be(nft.NFTA_GEN.ID) ?? 0;
}

export interface ReadChain {
  readonly table: string;
  readonly name: string;
  readonly base?: Base;
}

export function readChain(message: NetlinkMessage): ReadChain {
  chain.read(message.body, NFGEN);
  const base = readBase(familyOf(message) ?? "inet");
  return {
    table: chain.string(nft.NFTA_CHAIN.TABLE) ?? "",
    name: chain.string(nft.NFTA_CHAIN.NAME) ?? "",
    ...(base === undefined ? {} : { base }),
  };
}

function readBase(family: Table["family"]): Base | undefined {
  const nest = chain.bytes(nft.NFTA_CHAIN.HOOK);
  if (nest === undefined) return undefined;
  hook.read(nest);
  const number = hook.u32Be(nft.NFTA_HOOK.HOOKNUM) ?? 0;
  const names = Object.entries(family === "arp" ? nft.ARP_HOOK : nft.HOOK);
  const name = names.find(([, value]) => value === number)?.[0] ?? "ingress";
  return {
    type: (chain.string(nft.NFTA_CHAIN.TYPE) ?? "filter") as Base["type"],
    hook: name as Base["hook"],
    priority: (hook.u32Be(nft.NFTA_HOOK.PRIORITY) ?? 0) | 0,
    policy: chain.u32Be(nft.NFTA_CHAIN.POLICY) === nft.VERDICT.drop ? "drop" : "accept",
  };
}

export function readRule(message: NetlinkMessage): ListedRule & { readonly chain: string } {
  rule.read(message.body, NFGEN);
  const userdata = rule.bytes(nft.NFTA_RULE.USERDATA);
  const said = userdata === undefined ? {} : readRuleUserdata(userdata);
  return {
    chain: rule.string(nft.NFTA_RULE.CHAIN) ?? "",
    handle: rule.u64Be(nft.NFTA_RULE.HANDLE) ?? 0n,
    digest: said.digest,
    comment: said.comment,
  };
}

export interface RuleCount extends Count {
  /** The kernel's name for the rule, for as long as it lives; never given again in its table. */
  readonly handle: bigint;
  readonly chain: string;
  readonly comment: string | undefined;
}

/** The rule's first counter; undefined if it has none. */
export function readRuleCount(message: NetlinkMessage): RuleCount | undefined {
  rule.read(message.body, NFGEN);
  const expressions = rule.bytes(nft.NFTA_RULE.EXPRESSIONS);
  if (expressions === undefined) return undefined;
  let found: Count | undefined;
  forEachAttribute(expressions, (_, nest) => {
    found ??= readCounter(nest);
  });
  if (found === undefined) return undefined;
  const userdata = rule.bytes(nft.NFTA_RULE.USERDATA);
  return {
    handle: rule.u64Be(nft.NFTA_RULE.HANDLE) ?? 0n,
    chain: rule.string(nft.NFTA_RULE.CHAIN) ?? "",
    comment: userdata === undefined ? undefined : readRuleUserdata(userdata).comment,
    ...found,
  };
}

function readCounter(nest: Uint8Array): Count | undefined {
  expression.read(nest);
  if (expression.string(nft.NFTA_EXPR.NAME) !== "counter") return undefined;
  const inside = expression.bytes(nft.NFTA_EXPR.DATA);
  if (inside === undefined) return undefined;
  counter.read(inside);
  return { packets: counter.u64Be(nft.NFTA_COUNTER.PACKETS) ?? 0n, bytes: counter.u64Be(nft.NFTA_COUNTER.BYTES) ?? 0n };
}

export interface ReadSet {
  readonly table: string;
  readonly name: string;
  readonly anonymous: boolean;
  /** Without elements; the key is empty if the set is not one of those that we make. */
  readonly set: NftSet;
  /** Number of elements; kernels before 6.16 do not tell. */
  readonly count: number | undefined;
}

export function readSet(message: NetlinkMessage): ReadSet {
  set.read(message.body, NFGEN);
  const flags = set.u32Be(nft.NFTA_SET.FLAGS) ?? 0;
  return {
    table: set.string(nft.NFTA_SET.TABLE) ?? "",
    name: set.string(nft.NFTA_SET.NAME) ?? "",
    anonymous: (flags & nft.NFT_SET.ANONYMOUS) !== 0,
    set: readDefinition(flags) ?? UNKNOWN_SET,
    count: set.u32Be(nft.NFTA_SET.COUNT),
  };
}

/** Equal to no set that anybody desires. */
export const UNKNOWN_SET: NftSet = { key: [], interval: false, elements: new Map() };

function readDefinition(flags: number): NftSet | undefined {
  const key = fieldTypes(set.u32Be(nft.NFTA_SET.KEY_TYPE) ?? 0);
  const values = readDataTypes(flags);
  if (key === undefined || values === undefined || set.has(nft.NFTA_SET.TIMEOUT)) return undefined;
  const nest = set.bytes(nft.NFTA_SET.EXPR);
  const counters = nest === undefined ? undefined : readCounter(nest);
  if ((nest !== undefined && counters === undefined) || set.has(EXPRESSIONS)) return undefined;
  const found: NftSet = {
    key,
    interval: (flags & nft.NFT_SET.INTERVAL) !== 0,
    ...(values === "none" ? {} : { data: values }),
    ...(counters === undefined ? {} : { counters: true }),
    elements: new Map(),
  };
  const length = set.u32Be(nft.NFTA_SET.KEY_LEN);
  return setFlags(found) === flags && keyLength(key) === length ? found : undefined;
}

/** NFTA_SET_EXPRESSIONS: several to an element, which we never ask for. */
const EXPRESSIONS = 18;

function readDataTypes(flags: number): "none" | "verdict" | FieldType[] | undefined {
  if ((flags & nft.NFT_SET.MAP) === 0) return "none";
  const type = set.u32Be(nft.NFTA_SET.DATA_TYPE) ?? 0;
  return type === nft.NFT_DATA_VERDICT ? "verdict" : fieldTypes(type);
}

const FIELD_TYPES: readonly FieldType[] = [
  "ipv4_addr",
  "ipv6_addr",
  "ether_addr",
  "ifname",
  "inet_proto",
  "inet_service",
  "icmp_type",
  "icmp_code",
  "icmpv6_type",
  "icmpv6_code",
  "mark",
];

/** The inverse of `datatype`. */
function fieldTypes(id: number): FieldType[] | undefined {
  const out: FieldType[] = [];
  for (let rest = id; rest > 0; rest >>>= 6) {
    const type = FIELD_TYPES.find((one) => datatypeOf(one) === (rest & 63));
    if (type === undefined) return undefined;
    out.unshift(type);
  }
  return out.length > 0 && datatype(out) === id ? out : undefined;
}

/** Undefined where an element is of a kind that we never make. */
export function readElements(message: NetlinkMessage, definition: NftSet): WireElement[] | undefined {
  const elements = list.read(message.body, NFGEN).bytes(nft.NFTA_SET_ELEM_LIST.ELEMENTS);
  const out: WireElement[] = [];
  let strange = false;
  if (elements === undefined) return out;
  forEachAttribute(elements, (_, nest) => {
    const read = readElement(nest, definition);
    if (read === undefined) strange = true;
    else out.push(read);
  });
  return strange ? undefined : out;
}

function readElement(nest: Uint8Array, definition: NftSet): WireElement | undefined {
  element.read(nest);
  const flags = element.u32Be(nft.NFTA_SET_ELEM.FLAGS) ?? 0;
  const key = readValue(element.bytes(nft.NFTA_SET_ELEM.KEY));
  if (key === undefined || (flags & ~nft.NFT_SET_ELEM_INTERVAL_END) !== 0) return undefined;
  if (flags !== 0) return { key, isEnd: true };
  const keyEnd = readValue(element.bytes(nft.NFTA_SET_ELEM.KEY_END));
  const value = readData(element.bytes(nft.NFTA_SET_ELEM.DATA));
  const extra = element.bytes(nft.NFTA_SET_ELEM.EXPR);
  const count = extra === undefined ? undefined : readCounter(extra);
  return {
    key,
    ...(count === undefined ? {} : { count }),
    ...(keyEnd === undefined || shapeOf(definition) !== "pipapo" ? {} : { keyEnd }),
    ...(value === undefined ? {} : { data: value }),
  };
}

function readValue(nest: Uint8Array | undefined): Uint8Array | undefined {
  return nest === undefined ? undefined : data.read(nest).bytes(nft.NFTA_DATA.VALUE);
}

function readData(nest: Uint8Array | undefined): Verdict | Uint8Array | undefined {
  if (nest === undefined) return undefined;
  const value = readValue(nest);
  if (value !== undefined) return value;
  const inside = data.bytes(nft.NFTA_DATA.VERDICT);
  return inside === undefined ? undefined : readVerdict(inside);
}

function readVerdict(nest: Uint8Array): Verdict | undefined {
  verdict.read(nest);
  const code = verdict.u32Be(nft.NFTA_VERDICT.CODE);
  const target = verdict.string(nft.NFTA_VERDICT.CHAIN);
  if (code === nft.VERDICT.jump || code === nft.VERDICT.goto)
    return target === undefined ? undefined : { kind: code === nft.VERDICT.jump ? "jump" : "goto", chain: target };
  if (code === nft.VERDICT.accept) return { kind: "accept" };
  if (code === nft.VERDICT.drop) return { kind: "drop" };
  return code === nft.VERDICT.return ? { kind: "return" } : undefined;
}
