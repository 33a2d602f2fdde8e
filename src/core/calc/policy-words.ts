/** The short words that `manx.*` container labels and the one-line commands share, as pieces of Calico v3 policies. */

import type { EntityRule, PolicyRule, Port } from "../model/resources.ts";
import { parseNet } from "../net/cidr.ts";
import { formatPortRange, mergePortRanges, type PortRange, parsePortRange } from "../net/port-range.ts";
import type { Problem, Result } from "../problem.ts";
import { parseSelector } from "../selector/parse.ts";

export interface ProtocolPorts {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly ports: readonly Port[];
}

const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;

/**
 * What no packet to "the internet" may go to: private, shared, link-local and other special blocks (RFC 6890, RFC 4193). Not
 * `::ffff:0:0/96`, which leads nowhere and which Calico takes for 0.0.0.0/0.
 */
export const NOT_INTERNET: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/3",
  "::/127",
  "fc00::/7",
  "fe80::/10",
  "ff00::/8",
];

/** Words in a list: separated by commas, no empty ones. */
export function words(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** `5432/tcp, 53/udp, 8000-8100`: no protocol is TCP. One entry a protocol, ports merged. */
export function parsePorts(text: string, path: string): Result<readonly ProtocolPorts[]> {
  const problems: Problem[] = [];
  const found = new Map<ProtocolPorts["protocol"], PortRange[]>();
  for (const word of words(text)) {
    const [range = "", protocolWord = "tcp", ...rest] = word.split("/");
    const protocol = PROTOCOLS.find((name) => name === protocolWord.toUpperCase());
    const ports = parsePortRange(range.replace("-", ":"));
    if (protocol === undefined || ports === undefined || ports.first === 0 || rest.length > 0) {
      problems.push({ path, message: `"${word}" is not a port: write 5432/tcp, 53/udp or 8000-8100/tcp` });
    } else {
      found.set(protocol, [...(found.get(protocol) ?? []), ports]);
    }
  }
  if (found.size === 0 && problems.length === 0) problems.push({ path, message: "names no port: write 5432/tcp" });
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    value: [...found].map(([protocol, ranges]) => ({ protocol, ports: mergePortRanges(ranges).map(portOf) })),
  };
}

function portOf(range: PortRange): Port {
  return range.first === range.last ? range.first : formatPortRange(range);
}

/** A compose service or container of that name. */
export function namedSelector(name: string): string {
  return `manx/service == "${name}" || manx/container == "${name}"`;
}

/** Docker's container names and compose's service names; nothing that could end a selector's string. */
export function isName(word: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/.test(word);
}

const OUTSIDE = "docker run -p lets the outside in, manx egress or manx.egress lets out, a policy with nets says more";

function isOutside(word: string): boolean {
  return word === "internet" || parseNet(word) !== undefined;
}

/** Several peers: names separated by commas, or one selector. */
export function peers(text: string, path: string): Result<string> {
  const names = words(text);
  if (names.length > 0 && names.every((name) => name === "all")) return { ok: true, value: "all()" };
  const outside = names.find(isOutside);
  if (outside !== undefined)
    return { ok: false, problems: [{ path, message: `"${outside}" is no container or service: ${OUTSIDE}` }] };
  if (names.length > 0 && names.every(isName)) return { ok: true, value: names.map(namedSelector).join(" || ") };
  const parsed = parseSelector(text);
  if (parsed.ok && text.trim() !== "") return { ok: true, value: text.trim() };
  const why = parsed.ok
    ? "names nobody"
    : `is neither names with commas between them nor a selector: ${parsed.problem.message}`;
  return { ok: false, problems: [{ path, message: `"${text}" ${why}` }] };
}

/** The names in such a text; none where it is a selector. */
export function namesIn(text: string): readonly string[] {
  const names = words(text);
  return names.every(isName) ? names.filter((name) => name !== "all") : [];
}

/** One Allow rule for each protocol, or one for everything where there are no ports. */
export function allowRules(
  ports: readonly ProtocolPorts[] | undefined,
  ends: { readonly source?: EntityRule; readonly destination?: EntityRule },
): PolicyRule[] {
  if (ports === undefined) return [{ action: "Allow", ...ends }];
  return ports.map(({ protocol, ports }) => ({
    action: "Allow",
    protocol,
    ...ends,
    destination: { ...ends.destination, ports },
  }));
}

const DNS_RULES: readonly PolicyRule[] = (["UDP", "TCP"] as const).map((protocol) => ({
  action: "Allow",
  protocol,
  destination: { ports: [53] },
}));

/** One an IP version: Calico refuses a rule with nets of both. */
const INTERNET_RULES: readonly PolicyRule[] = ([4, 6] as const).map((ipVersion) => ({
  action: "Allow",
  ipVersion,
  destination: { notNets: NOT_INTERNET.filter((net) => net.includes(":") === (ipVersion === 6)) },
}));

const EGRESS_WORDS: readonly string[] = ["none", "all", "dns", "internet"];
export const isEgressWord = (word: string): boolean => EGRESS_WORDS.includes(word);

/**
 * `none`, `all`, `dns`, `internet` (public addresses, and DNS so that names work; never private ranges or the LAN), names, or a
 * selector, separated by commas.
 */
export function egressRules(text: string, path: string): Result<readonly PolicyRule[]> {
  const asked = words(text);
  const plain = asked.filter((word) => !isEgressWord(word));
  if (asked.includes("none") && asked.length > 1) {
    return { ok: false, problems: [{ path, message: `"none" stands alone, not in "${text}"` }] };
  }
  if (asked.includes("all")) return { ok: true, value: [{ action: "Allow" }] };
  const rules: PolicyRule[] = [];
  if (asked.includes("dns") || asked.includes("internet")) rules.push(...DNS_RULES);
  if (asked.includes("internet")) rules.push(...INTERNET_RULES);
  if (asked.length === plain.length || plain.length > 0) {
    const to = peers(plain.length === asked.length ? text : plain.join(","), path);
    if (!to.ok) return to;
    rules.push({ action: "Allow", destination: { selector: to.value } });
  }
  return { ok: true, value: rules };
}

/** FNV-1a, 32 bits, in base 36. */
export function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value.toString(36);
}
