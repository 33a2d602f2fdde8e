/** Kinds of values that fields of several resources have. Each checks itself alone; what needs two fields is in checks.ts. */
import { z } from "zod";
import { formatAddress, parseAddress, width } from "../net/address.ts";
import { cidrOf, equalCidrs, formatCidr, parseCidr, parseNet } from "../net/cidr.ts";
import { parsePortRange } from "../net/port-range.ts";
import { parseSelector } from "../selector/parse.ts";
import { quote, whyNotPortName } from "./names.ts";

type Why = string | undefined;

/** Text that a function refuses with a sentence. */
export function textThat(whyNot: (text: string) => Why) {
  return z.string().check((context) => {
    const why = whyNot(context.value);
    if (why !== undefined) context.issues.push({ code: "custom", message: why, input: context.value });
  });
}

/** `global()` counts as endpoint selector for nobody; Calico refuses it wherever the text appears. */
function whyNotSelector(text: string): Why {
  const parsed = parseSelector(text);
  if (!parsed.ok) return `${parsed.problem.message} (character ${parsed.problem.offset + 1} of ${quote(text)})`;
  return text.includes("global(") ? "global() is allowed only in the namespaceSelector of a rule" : undefined;
}

function whyNotAnySelector(text: string): Why {
  const parsed = parseSelector(text);
  return parsed.ok ? undefined : `${parsed.problem.message} (character ${parsed.problem.offset + 1} of ${quote(text)})`;
}

function whyNotNamespaceSelector(text: string): Why {
  const why = whyNotAnySelector(text);
  if (why !== undefined || !text.includes("global(")) return why;
  return /^[ \t]*global\([ \t]*\)[ \t]*$/.test(text) ? undefined : "global() cannot be combined with other selectors";
}

export const selector = textThat(whyNotSelector);
export const anySelector = textThat(whyNotAnySelector);
export const namespaceSelector = textThat(whyNotNamespaceSelector);

function whyNotMaskedCidr(text: string): Why {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    const a = parseAddress(text);
    if (a !== undefined)
      return `${quote(text)} is an address, a CIDR is expected: write "${formatCidr(cidrOf(a, width(a.family)))}"`;
    return `${quote(text)} is not a CIDR like "10.65.0.0/16" or "fd65::/64"`;
  }
  const a = parseAddress(text.slice(0, text.indexOf("/")));
  return a !== undefined && a.value === cidr.value
    ? undefined
    : `${quote(text)} has bits set after the prefix: write "${formatCidr(cidr)}"`;
}

function whyNotNet(text: string): Why {
  return parseNet(text) === undefined
    ? `${quote(text)} is neither a CIDR like "10.65.0.0/16" nor an address`
    : undefined;
}

/**
 * The IPv4 address or block that is meant by one inside `::ffff:0:0/96` (RFC 4291 section 2.5.5.2), as Go and so Calico takes
 * it; any other text as it is.
 */
export function plainNet(text: string): string {
  const [address = "", length] = text.split("/", 2);
  const a = address.includes(":") ? parseAddress(address) : undefined;
  const bits = length === undefined ? 128 : /^[0-9]{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (a === undefined || a.value >> 32n !== 0xffffn || !(bits >= 96 && bits <= 128)) return text;
  const plain = formatAddress({ family: 4, value: a.value & 0xffffffffn });
  return length === undefined ? plain : `${plain}/${bits - 96}`;
}

function netThat(whyNot: (text: string) => Why) {
  return textThat((text) => whyNot(plainNet(text))).transform(plainNet);
}

/** A CIDR without host bits; an address alone is refused. */
export const maskedCidr = netThat(whyNotMaskedCidr);
/** A CIDR, host bits allowed, or an address. */
export const net = netThat(whyNotNet);
/** A CIDR without host bits, or an address. */
export const maskedNet = netThat((text) => (parseAddress(text) === undefined ? whyNotMaskedCidr(text) : undefined));

export const ipAddress = textThat((text) =>
  parseAddress(text) === undefined ? `${quote(text)} is not an IP address` : undefined,
);

export function addressOf(family: 4 | 6) {
  return textThat((text) =>
    parseAddress(text)?.family === family ? undefined : `${quote(text)} is not an IPv${family} address`,
  );
}

/** An address of the family, with or without a prefix length. */
export function interfaceAddress(family: 4 | 6) {
  return textThat((text) =>
    parseNet(text)?.family === family ? undefined : `${quote(text)} is not an IPv${family} address or CIDR`,
  );
}

/** 6, 8 or 20 bytes with ":" or "-" between them, or with a "." after every second (ParseMAC of Go). */
const MAC =
  /^(?:(?:hh:){5}hh|(?:hh-){5}hh|(?:hh:){7}hh|(?:hh-){7}hh|(?:hh:){19}hh|(?:hh-){19}hh|(?:hhhh\.){2}hhhh|(?:hhhh\.){3}hhhh|(?:hhhh\.){9}hhhh)$/;

export const macAddress = textThat((text) =>
  MAC.test(text.replace(/[0-9a-fA-F]/g, "h")) && !text.includes("h")
    ? undefined
    : `${quote(text)} is not a MAC address`,
);

export const PROTOCOLS = ["TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite"];

/** Calico's spelling of a protocol, whatever the case. */
export function protocolNamed(text: string): string | undefined {
  return PROTOCOLS.find((name) => name.toLowerCase() === text.toLowerCase());
}

function readProtocol(value: number | string): number | string | { readonly why: string } {
  if (typeof value === "string" && /^0*[0-9]{1,3}$/.test(value)) return readProtocol(Number(value));
  if (typeof value === "number")
    return Number.isInteger(value) && value >= 1 && value <= 255
      ? value
      : { why: `${value} is not a protocol number (1-255)` };
  if (PROTOCOLS.includes(value)) return value;
  const similar = protocolNamed(value);
  return {
    why: `${quote(value)} is not a protocol: ${similar ? `write "${similar}"` : `${PROTOCOLS.join(", ")}, or a number (1-255)`}`,
  };
}

/** Turns "6" into 6: what is written in digits is a number. */
export const protocol = z
  .union([
    z.number().meta({ type: "integer", minimum: 1, maximum: 255 }),
    z.string().meta({ pattern: `^(${PROTOCOLS.join("|")}|0*[0-9]{1,3})$`, examples: PROTOCOLS }),
  ])
  .transform((value, context) => {
    const read = readProtocol(value);
    if (typeof read !== "object") return read;
    context.issues.push({ code: "custom", message: read.why, input: value });
    return z.NEVER;
  });

function readPort(value: number | string): number | string | { readonly why: string } {
  if (typeof value === "string" && !/^[0-9]+(:[0-9]+)?$/.test(value)) {
    if (/^[0-9]+-[0-9]+$/.test(value))
      return { why: `${quote(value)} is not a range: write "${value.replace("-", ":")}"` };
    const why = whyNotPortName(value);
    return why === undefined
      ? value
      : {
          why: `${quote(value)} is not a port: 1-65535, "FIRST:LAST", or a name (${why.slice(why.indexOf(": ") + 2)})`,
        };
  }
  const [first, last] = String(value).split(":").map(stripZeros);
  const range = parsePortRange(last === undefined ? `${first}` : `${first}:${last}`);
  if (range === undefined && Number(first) > Number(last))
    return { why: `${quote(String(value))} ends before it begins` };
  if (range === undefined || range.first < 1) return { why: `${value} is not a port (1-65535)` };
  return range.first === range.last ? range.first : `${range.first}:${range.last}`;
}

function stripZeros(digits: string): string {
  return digits.replace(/^0+(?=[0-9])/, "");
}

/** Turns "80" and "80:80" into 80. */
export const port = z
  .union([
    z.number().meta({ type: "integer", minimum: 1, maximum: 65535 }),
    z.string().meta({ examples: ["8000:8100", "http"] }),
  ])
  .transform((value, context) => {
    const read = readPort(value);
    if (typeof read !== "object") return read;
    context.issues.push({ code: "custom", message: read.why, input: value });
    return z.NEVER;
  });

/** RFC 5396: 65000, or "0.65000"; becomes the number. */
export const asNumber = z.union([z.number(), z.string()]).transform((value, context) => {
  const read = readAsNumber(value);
  if (read !== undefined) return read;
  context.issues.push({
    code: "custom",
    message: `${JSON.stringify(value)} is not an AS number: 0-4294967295, or "HIGH.LOW" with both 0-65535`,
    input: value,
  });
  return z.NEVER;
});

/** RFC 5396: 65000, "65000" or "0.65000" as the number; undefined for anything else. */
export function readAsNumber(value: number | string): number | undefined {
  const inRange = (n: number, max: number) => (Number.isInteger(n) && n >= 0 && n <= max ? n : undefined);
  if (typeof value === "number") return inRange(value, 0xffffffff);
  if (/^0*[0-9]{1,10}$/.test(value)) return inRange(Number(value), 0xffffffff);
  const dotted = /^(0*[0-9]{1,5})\.(0*[0-9]{1,5})$/.exec(value);
  const high = inRange(Number(dotted?.[1]), 0xffff);
  const low = inRange(Number(dotted?.[2]), 0xffff);
  return high === undefined || low === undefined ? undefined : high * 65536 + low;
}

export const wholeNumber = (min: number, max: number) => z.int().min(min).max(max);

/** A number that JSON can carry. */
export const order = z.number();

/** The same block, written canonically. */
export function canonicalCidr(text: string): string {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatCidr(cidr);
}

export function sameCidr(a: string, b: string): boolean {
  const [left, right] = [parseCidr(a), parseCidr(b)];
  return left !== undefined && right !== undefined && equalCidrs(left, right);
}
