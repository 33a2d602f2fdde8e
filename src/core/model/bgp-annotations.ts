/**
 * What Manx can do in BGP beyond Calico's schema, written as annotations of BGPPeer (and of the BGPConfiguration "default" for
 * the mesh), so that the schema stays Calico's:
 *
 *     manx/bgp-bfd        on | off | 300ms x 3     find out fast that the peer is gone (RFC 5880)
 *     manx/bgp-interface  eth0                     the interface of a link-local peer
 *     manx/bgp-range      10.0.0.0/24              whoever calls from there is this peer; instead of peerIP
 *     manx/bgp-families   ipv4, ipv6               what the session carries; default: the family of its addresses
 *     manx/bgp-passive    true                     wait for the peer to call
 */
import type { Family } from "../net/address.ts";
import { parseCidr } from "../net/cidr.ts";

/** RFC 5880: a packet each interval, and how many may be missing. */
export interface Bfd {
  readonly intervalMs: number;
  readonly multiplier: number;
}

const PREFIX = "manx/bgp-";

export const ANNOTATIONS = ["bfd", "interface", "range", "families", "passive"] as const;
export type AnnotationName = (typeof ANNOTATIONS)[number];
export type Annotations = Readonly<Record<string, string>> | undefined;

/** Detected after 0.6 s: sane on a LAN, and far from what a busy control plane misses by accident. */
export const DEFAULT_BFD: Bfd = { intervalMs: 200, multiplier: 3 };

export function annotationKey(name: AnnotationName): string {
  return PREFIX + name;
}

export function annotation(annotations: Annotations, name: AnnotationName): string | undefined {
  return annotations === undefined || !Object.hasOwn(annotations, PREFIX + name)
    ? undefined
    : annotations[PREFIX + name];
}

/** Undefined: off. @throws nothing; what is not understood is "invalid" */
export function parseBfd(text: string): Bfd | "off" | "invalid" {
  if (text === "on" || text === "true") return DEFAULT_BFD;
  if (text === "off" || text === "false") return "off";
  const [, interval = "", multiplier = ""] = /^([0-9]{1,5})ms ?x ?([0-9]{1,3})$/.exec(text) ?? [];
  const bfd = { intervalMs: Number(interval), multiplier: Number(multiplier) };
  const good = bfd.intervalMs >= 10 && bfd.intervalMs <= 60_000 && bfd.multiplier >= 2 && bfd.multiplier <= 255;
  return interval !== "" && good ? bfd : "invalid";
}

export function parseFamilies(text: string): readonly Family[] | undefined {
  const words = text.split(",").map((word) => word.trim());
  if (!words.every((word) => word === "ipv4" || word === "ipv6")) return undefined;
  return ([4, 6] as const).filter((family) => words.includes(`ipv${family}`));
}

/** IFNAMSIZ (linux/if.h) with the terminator; the characters are those that a BIRD symbol can have. */
export function isInterfaceName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(text);
}

/** Why the value of one of these annotations cannot be used; undefined if it can, or is none of them. */
export function whyNotAnnotation(key: string, value: string): string | undefined {
  if (!key.startsWith(PREFIX)) return undefined;
  switch (key.slice(PREFIX.length)) {
    case "bfd":
      return parseBfd(value) === "invalid"
        ? 'is neither "on", "off" nor like "300ms x 3" (10ms-60000ms x 2-255)'
        : undefined;
    case "interface":
      return isInterfaceName(value) ? undefined : "is not the name of an interface";
    case "range":
      return parseCidr(value) === undefined ? 'is not a CIDR like "10.0.0.0/24"' : undefined;
    case "families":
      return parseFamilies(value) === undefined ? 'is not "ipv4", "ipv6" or "ipv4, ipv6"' : undefined;
    case "passive":
      return value === "true" || value === "false" ? undefined : 'is neither "true" nor "false"';
    default:
      return `is not known: ${ANNOTATIONS.map((name) => PREFIX + name).join(", ")}`;
  }
}
