/** What the fields of one rule demand of each other (validateRule of libcalico-go, and the CEL rules of Calico's API). */
import { type Family, parseAddress } from "../net/address.ts";
import { parseCidr } from "../net/cidr.ts";
import { plainNet } from "./fields.ts";
import { entriesOf, field, listField, type Report, type Segment } from "./loose.ts";
import { whyNotLabelName } from "./names.ts";

const ENTITIES = ["source", "destination"] as const;
const NUMBERS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58, UDPLite: 136 };

export function checkRules(spec: unknown, report: Report): void {
  for (const direction of ["ingress", "egress"]) {
    for (const [index, rule] of listField(spec, direction).entries())
      checkRule(rule, (segments, message) => report(["spec", direction, index, ...segments], message));
  }
}

function checkRule(rule: unknown, report: Report): void {
  checkPorts(rule, report);
  checkIcmp(rule, report);
  checkNets(rule, report);
  checkAnnotations(field(field(rule, "metadata"), "annotations"), ["metadata", "annotations"], report);
}

/** The number of what a protocol field holds; undefined if it is absent, NaN if it is no protocol that we know. */
function protocolNumber(rule: unknown, name: string): number | undefined {
  const value = field(rule, name);
  if (value === undefined) return undefined;
  if (typeof value === "string" && Object.hasOwn(NUMBERS, value)) return NUMBERS[value];
  return typeof value === "number" || typeof value === "string" ? Number(value) : Number.NaN;
}

function checkPorts(rule: unknown, report: Report): void {
  const protocol = protocolNumber(rule, "protocol");
  for (const entity of ENTITIES) {
    for (const name of ["ports", "notPorts"]) {
      const ports = listField(field(rule, entity), name);
      // A named port brings its protocol along (the endpoint's), a number does not.
      if (protocol === undefined && ports.some(isNumeric))
        report(
          [entity, name],
          "port numbers need a protocol that has ports: add protocol TCP, UDP or SCTP to the rule",
        );
      // NaN is no protocol at all, which the schema says already.
      if (protocol !== undefined && ports.length > 0 && ![6, 17, 132, Number.NaN].includes(protocol))
        report([entity, name], `the protocol ${String(field(rule, "protocol"))} has no ports: TCP, UDP and SCTP have`);
    }
  }
}

function isNumeric(port: unknown): boolean {
  return typeof port === "number" || (typeof port === "string" && /^[0-9]+(:[0-9]+)?$/.test(port));
}

function checkIcmp(rule: unknown, report: Report): void {
  const protocol = protocolNumber(rule, "protocol");
  if (field(rule, "icmp") !== undefined && protocol !== NUMBERS["ICMP"] && protocol !== NUMBERS["ICMPv6"])
    report(["icmp"], "needs protocol ICMP or ICMPv6 in the rule");
  for (const name of ["icmp", "notICMP"]) {
    const match = field(rule, name);
    if (field(match, "code") !== undefined && field(match, "type") === undefined)
      report([name, "code"], "a code needs a type beside it");
  }
  const version = field(rule, "ipVersion");
  for (const name of ["protocol", "notProtocol"]) {
    const number = protocolNumber(rule, name);
    if (number === NUMBERS["ICMP"] && version === 6)
      report(["ipVersion"], `${name} ICMP is of IPv4: write ICMPv6, or ipVersion 4`);
    if (number === NUMBERS["ICMPv6"] && version === 4)
      report(["ipVersion"], `${name} ICMPv6 is of IPv6: write ICMP, or ipVersion 6`);
  }
}

function checkNets(rule: unknown, report: Report): void {
  const version = field(rule, "ipVersion");
  let first: Family | undefined;
  for (const entity of ENTITIES) {
    for (const name of ["nets", "notNets"]) {
      for (const [index, item] of listField(field(rule, entity), name).entries()) {
        if (typeof item !== "string") continue;
        const at: Segment[] = [entity, name, index];
        const family = (parseCidr(plainNet(item)) ?? parseAddress(plainNet(item)))?.family;
        if (family === undefined) continue;
        first ??= family;
        if ((version === 4 || version === 6) && family !== version)
          report(at, `"${item}" is IPv${family}, the rule is for ipVersion ${version}`);
        else if (family !== first) report(at, "one rule cannot have both IPv4 and IPv6 CIDRs: make two rules");
        if (name === "notNets" && parseCidr(plainNet(item))?.length === 0)
          report(at, `"${item}" is every address: a rule that excludes it matches nothing`);
      }
    }
  }
}

const MAX_ANNOTATIONS = 256 * 1024;

/** Keys and total size of annotations, of a resource or a rule. */
export function checkAnnotations(annotations: unknown, at: readonly Segment[], report: Report): void {
  let size = 0;
  for (const [key, value] of entriesOf(annotations)) {
    const why = whyNotLabelName(key.toLowerCase());
    if (why !== undefined) report([...at, key], why);
    size += byteLength(key) + (typeof value === "string" ? byteLength(value) : 0);
  }
  if (size > MAX_ANNOTATIONS)
    report(at, `annotations have at most ${MAX_ANNOTATIONS} bytes in all, these have ${size}`);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
