/** Names and numbers that follow from an endpoint alone, so that a fresh process arrives at the same ones. */
import { createHash } from "node:crypto";
import { address, toBytes } from "../../core/net/address.ts";

/** IFNAMSIZ (linux/if.h) leaves 15 characters: a prefix of four, and 11 of the endpoint's ID. */
export function interfaceNames(endpointId: string): { readonly host: string; readonly peer: string } {
  const short = endpointId.slice(0, 11);
  return { host: `manx${short}`, peer: `mxp${short}` };
}

/** As many interfaces can one container have: 169.254.1.1 to 169.254.1.254. */
export const MAX_GATEWAY_INDEX = 254;

/** The next hops of the container's N-th interface, N from 1. */
export function gateways(index: number): { readonly ipv4: string; readonly ipv6: string } {
  return { ipv4: `169.254.1.${index}`, ipv6: `fe80::${index.toString(16)}` };
}

/** N, from what the engine remembers as an interface's gateway; undefined if it is none of ours. */
export function gatewayIndex(gateway: string): number | undefined {
  const ipv4 = /^169\.254\.1\.([1-9][0-9]{0,2})$/.exec(gateway)?.[1];
  const ipv6 = /^fe80::([1-9a-f][0-9a-f]?)$/.exec(gateway)?.[1];
  const index = ipv4 === undefined ? Number.parseInt(ipv6 ?? "", 16) : Number(ipv4);
  return index >= 1 && index <= MAX_GATEWAY_INDEX ? index : undefined;
}

/**
 * A locally administered address (IEEE 802, clause 8.4) that stays the same as long as the container keeps its address, so that
 * neighbours need not learn it again. Docker's way for IPv4: 02:42 and the address; IPv6 addresses do not fit and are hashed.
 */
export function macOf(ipAddress: string): string {
  const parsed = address(ipAddress);
  const tail = parsed.family === 4 ? toBytes(parsed) : createHash("sha256").update(toBytes(parsed)).digest();
  const bytes = [0x02, 0x42, ...tail.subarray(0, 4)];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** `--mac-address`, in canonical text; undefined for what no interface can have: not six bytes, a group's, all zeros. */
export function parseMac(text: string): string | undefined {
  const mac = text.toLowerCase().replaceAll("-", ":");
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) || mac === "00:00:00:00:00:00") return undefined;
  return Number.parseInt(mac.slice(0, 2), 16) % 2 === 1 ? undefined : mac;
}

/**
 * What stands for "no IPv4" where an engine (before 28) insists on an address: the IPv4 dummy address (RFC 7600 section 4.8).
 * No route leads to it and none from it.
 */
export const NO_IPV4 = { poolId: "manx-no-ipv4", pool: "192.0.0.8/32", address: "192.0.0.8/32" } as const;
