/**
 * What we leave in the kernel beside rules and sets. A rule carries its comment as nft(8) writes it, and a digest of itself,
 * by which a later process knows which rule it is without decoding expressions. A set carries what `nft list` needs to print
 * its keys. Type, length, value; one byte each for the first two (libnftnl's udata).
 */
import { hash as digest } from "node:crypto";
import type { FieldType, NftSet, Rule } from "../../core/rules/ir.ts";
import { isHostOrder } from "./value.ts";

/** Changed whenever the same rule is encoded differently, so that an upgrade replaces what the version before made. */
const ENCODING = 1;

const RULE_COMMENT = 0;
/** Above the types that nft(8) knows; it skips what it does not know. */
const RULE_DIGEST = 77;
const DIGEST_BYTES = 16;

const KEY_BYTEORDER = 0;
const DATA_BYTEORDER = 1;
const KEY_TYPEOF = 3;
const DATA_TYPEOF = 4;
const DATA_INTERVAL = 6;
/** `enum byteorder` of nft(8): none for concatenations and verdicts. */
const BYTEORDER = { none: 0, host: 1, network: 2 } as const;
/** NFTNL_UDATA_SET_TYPEOF_EXPR = concatenation, and no expression: nft(8) then takes the types of the set's definition. */
const CONCATENATION = Uint8Array.of(0, 4, 13, 0, 0, 0, 1, 0);

const ELEMENT_FLAGS = 1;
/** SET_ELEM_F_INTERVAL_OPEN: the interval goes on to the largest key. */
export const OPEN_INTERVAL = tlv(ELEMENT_FLAGS, Uint8Array.of(1, 0, 0, 0));

const digests = new WeakMap<Rule, string>();

/** 128 bits, as hex, that tell the rule from any other. Cheap when asked again for the same object. */
export function ruleDigest(rule: Rule): string {
  let known = digests.get(rule);
  if (known === undefined) {
    const text = JSON.stringify([ENCODING, rule.steps, rule.comment ?? null]);
    known = digest("sha256", text, "buffer").toString("hex", 0, DIGEST_BYTES);
    digests.set(rule, known);
  }
  return known;
}

export function ruleUserdata(rule: Rule): Uint8Array {
  const comment = rule.comment === undefined ? [] : [tlv(RULE_COMMENT, Buffer.from(`${rule.comment}\0`))];
  return Buffer.concat([...comment, tlv(RULE_DIGEST, Buffer.from(ruleDigest(rule), "hex"))]);
}

/** What a rule in the kernel says about itself; a rule that is not from us has no digest. */
export function readRuleUserdata(bytes: Uint8Array): { readonly comment?: string; readonly digest?: string } {
  const out: { comment?: string; digest?: string } = {};
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + (bytes[at + 1] ?? 0);
    const value = Buffer.from(bytes.subarray(at + 2, end));
    if (bytes[at] === RULE_COMMENT) out.comment = value.toString().replace(/\0.*$/s, "");
    if (bytes[at] === RULE_DIGEST && value.length === DIGEST_BYTES) out.digest = value.toString("hex");
    at = end;
  }
  return out;
}

export function setUserdata(set: NftSet): Uint8Array {
  const parts = [byteorder(KEY_BYTEORDER, set.key)];
  if (set.data !== undefined) parts.push(byteorder(DATA_BYTEORDER, set.data === "verdict" ? [] : set.data));
  if (set.key.length > 1) parts.push(tlv(KEY_TYPEOF, CONCATENATION));
  if (set.data !== undefined && set.data !== "verdict" && set.data.length > 1)
    parts.push(tlv(DATA_TYPEOF, CONCATENATION));
  if (set.data !== undefined) parts.push(tlv(DATA_INTERVAL, Uint8Array.of(0, 0, 0, 0)));
  return Buffer.concat(parts);
}

function byteorder(type: number, types: readonly FieldType[]): Uint8Array {
  const [only] = types;
  const single = types.length === 1 && only !== undefined;
  const order = !single ? BYTEORDER.none : isHostOrder(only) ? BYTEORDER.host : BYTEORDER.network;
  return tlv(type, Uint8Array.of(order, 0, 0, 0));
}

function tlv(type: number, value: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + value.length);
  out[0] = type;
  out[1] = value.length;
  out.set(value, 2);
  return out;
}
