/** IP protocol numbers by Calico's names (IANA protocol-numbers). Names are compared without case, as Calico does. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["icmpv6", 58],
  ["sctp", 132],
  ["udplite", 136],
]);

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;
export const SCTP = 132;
/** Those that have ports in Calico's language (UDPLite has none there). */
export const WITH_PORTS: readonly number[] = [TCP, UDP, SCTP];

/** Number of a protocol given by name or number; throws RangeError for what is neither (validation has let it through). */
export function protocolNumber(protocol: string | number): number {
  const number = typeof protocol === "number" ? protocol : (NUMBERS.get(protocol.toLowerCase()) ?? Number(protocol));
  if (!Number.isInteger(number) || number < 0 || number > 255) throw new RangeError(`"${protocol}" is not a protocol`);
  return number;
}

/** The usual name of a protocol number, for people. @public */
export function protocolName(number: number): string {
  for (const [name, value] of NUMBERS)
    if (value === number) return name === "icmpv6" ? "ICMPv6" : name === "udplite" ? "UDPLite" : name.toUpperCase();
  return String(number);
}

/**
 * ICMPv6 types (IANA icmpv6-parameters) of what an IPv6 stack says to its link of its own accord: reports of multicast listeners (RFC
 * 2710, RFC 9777) and router solicitations (RFC 4861).
 */
export const LINK_REPORTS: readonly number[] = [131, 132, 133, 143];
