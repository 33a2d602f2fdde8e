/**
 * Ports of the host that no policy of a host endpoint can close, so that nobody locks himself out (felix/rules/static.go,
 * failsafeInChain and failsafeOutChain).
 */
import type { Family } from "../net/address.ts";
import { FAMILIES } from "../net/address.ts";
import { cidr, formatCidr, parseNet } from "../net/cidr.ts";
import type { Problem, Result } from "../problem.ts";
import type { Chain, Field, NftSet, Rule } from "./ir.ts";
import { addressField } from "./match.ts";
import { protocolNumber } from "./protocol.ts";
import { addressType, disjointNets } from "./sets.ts";
import { accept, chain, counter, exactSet, isIn, named } from "./steps.ts";

export interface FailsafePort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
  /** Canonical CIDR of the peers that it is open to; absent: everybody. */
  readonly net?: string;
}

export interface Failsafe {
  /** Ports of the host. */
  readonly inbound: readonly FailsafePort[];
  /** Ports that the host may reach. */
  readonly outbound: readonly FailsafePort[];
}

/** SSH, DHCP (v4 and v6), BGP, etcd (clients and peers); to the outside DNS too. As Felix's, without what only Kubernetes has. */
export const DEFAULT_FAILSAFE: Failsafe = {
  inbound: [tcp(22), udp(68), udp(546), tcp(179), tcp(2379), tcp(2380)],
  outbound: [udp(53), udp(67), udp(547), tcp(179), tcp(2379), tcp(2380)],
};

function tcp(port: number): FailsafePort {
  return { protocol: "tcp", port };
}

function udp(port: number): FailsafePort {
  return { protocol: "udp", port };
}

/**
 * `tcp:22, udp:68, tcp:10.0.0.0/8:2222, tcp:[2001:db8::/32]:22`, as Felix writes them; `none` is no port at all. Spaces do not count.
 */
export function parseFailsafePorts(text: string): Result<readonly FailsafePort[]> {
  if (text.trim().toLowerCase() === "none") return { ok: true, value: [] };
  const problems: Problem[] = [];
  const value: FailsafePort[] = [];
  for (const [index, word] of text.split(",").entries()) {
    const port = parsePort(word.trim());
    if (port !== undefined) value.push(port);
    else
      problems.push({
        path: `[${index}]`,
        message: `"${word.trim()}" is not a port: write tcp:22, udp:68 or tcp:10.0.0.0/8:22`,
      });
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, value };
}

function parsePort(word: string): FailsafePort | undefined {
  const [, name = "", within, digits = ""] = /^(tcp|udp|sctp):(?:(.+):)?(\d{1,5})$/i.exec(word) ?? [];
  const protocol = (["tcp", "udp", "sctp"] as const).find((one) => one === name.toLowerCase());
  const port = Number(digits);
  if (protocol === undefined || port < 1 || port > 65_535) return undefined;
  if (within === undefined) return { protocol, port };
  const net = parseNet(within.replace(/^\[(.*)\]$/, "$1"));
  return net === undefined ? undefined : { protocol, port, net: formatCidr(net) };
}

/** As `parseFailsafePorts` reads it. */
export function formatFailsafePort({ protocol, port, net }: FailsafePort): string {
  if (net === undefined) return `${protocol}:${port}`;
  return `${protocol}:${net.includes(":") ? `[${net}]` : net}:${port}`;
}

/** `raw`: before conntrack knows which packets are replies. */
export const FAILSAFE_CHAINS = {
  in: "failsafe-in",
  out: "failsafe-out",
  "raw-in": "failsafe-raw-in",
  "raw-out": "failsafe-raw-out",
} as const;

type PortField = "th sport" | "th dport";

export interface FailsafeParts {
  readonly chains: readonly (readonly [string, Chain])[];
  readonly sets: readonly (readonly [string, NftSet])[];
}

export function compileFailsafe({ inbound, outbound }: Failsafe): FailsafeParts {
  const sets = new Map<string, NftSet>();
  const open = (
    ports: readonly FailsafePort[],
    name: string,
    field: PortField,
    side: "source" | "destination",
  ): Rule[] => portRules(ports, name, field, side, sets);
  const toHost = open(inbound, "failsafe-in", "th dport", "source");
  const fromHost = open(outbound, "failsafe-out", "th dport", "destination");
  // Half of a connection without tracking would be no connection: replies of failsafe ports are left alone as well.
  const repliesIn = open(outbound, "failsafe-out", "th sport", "source");
  const repliesOut = open(inbound, "failsafe-in", "th sport", "destination");
  return {
    chains: [
      [FAILSAFE_CHAINS.in, chain(...toHost)],
      [FAILSAFE_CHAINS.out, chain(...fromHost)],
      [FAILSAFE_CHAINS["raw-in"], chain(...toHost, ...repliesIn)],
      [FAILSAFE_CHAINS["raw-out"], chain(...fromHost, ...repliesOut)],
    ],
    sets: [...sets],
  };
}

function portRules(
  ports: readonly FailsafePort[],
  name: string,
  field: PortField,
  side: "source" | "destination",
  sets: Map<string, NftSet>,
): Rule[] {
  const rules: Rule[] = [];
  const anybody = ports.filter(({ net }) => net === undefined).map(keyOf);
  if (anybody.length > 0) {
    sets.set(name, exactSet(["inet_proto", "inet_service"], anybody));
    rules.push(named("failsafe", isIn(["meta l4proto", field], name), counter, accept));
  }
  for (const family of FAMILIES) {
    const elements = boundKeys(ports, family);
    if (elements.length === 0) continue;
    const set = `${name}${family}`;
    const key = [addressType(family), "inet_proto", "inet_service"] as const;
    sets.set(set, { key, interval: true, elements: new Map(elements.map((one) => [one, null])) });
    const fields: Field[] = [addressField(side, family), "meta l4proto", field];
    rules.push(named("failsafe", isIn(fields, set), counter, accept));
  }
  return rules;
}

function keyOf({ protocol, port }: FailsafePort): string {
  return `${protocolNumber(protocol)} . ${port}`;
}

/** `net . protocol . port`, of the nets that no wider one of the same port covers: elements must not overlap. */
function boundKeys(ports: readonly FailsafePort[], family: Family): string[] {
  const byPort = new Map<string, string[]>();
  for (const port of ports) {
    if (port.net === undefined || cidr(port.net).family !== family) continue;
    byPort.set(keyOf(port), [...(byPort.get(keyOf(port)) ?? []), port.net]);
  }
  return [...byPort].flatMap(([key, nets]) => disjoint(nets).map((net) => `${net} . ${key}`));
}

function disjoint(nets: readonly string[]): string[] {
  return disjointNets(nets.map(cidr));
}
