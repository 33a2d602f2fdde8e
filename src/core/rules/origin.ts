/**
 * Names for what decides. A rule's comment and its log prefix carry a short id; here is what the id stands for.
 *
 *     comment     ID                 as `pk3d0v9x2.i0`
 *     log prefix  `manx VERB ID `    VERB: deny, log, staged-allow, staged-deny, staged-pass
 */
import type { Action } from "../model/resources.ts";
import type { Line } from "./program.ts";

export type Direction = "ingress" | "egress";

export type Origin =
  | {
      readonly kind:
        | "GlobalNetworkPolicy"
        | "NetworkPolicy"
        | "StagedGlobalNetworkPolicy"
        | "StagedNetworkPolicy"
        | "Profile";
      readonly tier?: string;
      readonly namespace?: string;
      readonly name: string;
      readonly direction: Direction;
      /** Index into `spec.ingress` or `spec.egress`. */
      readonly rule: number;
      readonly action: Action;
    }
  /** Many rules that were compiled into one. Which of them it was, depends on the packet: see `decider`. */
  | {
      readonly kind: "merged";
      readonly direction: Direction;
      readonly action: "Allow" | "Deny";
      /** In the order in which they are asked. */
      readonly lines: readonly Line[];
    }
  /** No rule of the tier's policies matched. */
  | { readonly kind: "end-of-tier"; readonly tier: string; readonly direction: Direction }
  /** What the network itself allows: its members, its published ports, or everything. */
  | {
      readonly kind: "network";
      readonly name: string;
      readonly direction: Direction;
      readonly part: "members" | "published" | "open" | "names";
    }
  /** No profile allowed it. */
  | { readonly kind: "no-profile"; readonly direction: Direction }
  /** A part of the ruleset that stands for every endpoint. */
  | { readonly kind: "fixed"; readonly rule: FixedRule };

export type FixedRule =
  | "spoofed-source"
  | "spoofed-arp"
  | "foreign-neighbour"
  | "loopback-destination"
  | "unknown-interface"
  | "invalid"
  | "mid-stream"
  | "endpoint-to-host"
  | "guard"
  | "failsafe";

/** Quick: what the origins of merged rules refer to is compared by identity. */
export function sameOrigin(a: Origin, b: Origin): boolean {
  if (a === b) return true;
  if (a.kind !== "merged" || b.kind !== "merged") return a.kind === b.kind && JSON.stringify(a) === JSON.stringify(b);
  return (
    a.direction === b.direction &&
    a.action === b.action &&
    a.lines.length === b.lines.length &&
    a.lines.every((line, i) => line.list === b.lines[i]?.list && line.index === b.lines[i]?.index)
  );
}

export type Origins = ReadonlyMap<string, Origin>;
