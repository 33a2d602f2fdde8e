/**
 * Which host endpoint stands for which interface of this host (felix/dataplane/linux/endpoint_mgr.go, resolveHostEndpoints), and
 * what decides about it.
 */
import type { HostEndpoint } from "../model/resources.ts";
import { formatAddress } from "../net/address.ts";
import { parseNet } from "../net/cidr.ts";
import { OURS } from "../rules/fixed.ts";
import { ALL_INTERFACES, type HostSlot } from "../rules/host-chains.ts";
import type { Direction } from "../rules/origin.ts";
import type { Place, PolicyStage, Program } from "../rules/program.ts";
import type { ResolvedPolicy, ResolvedTier } from "./policies.ts";
import { type Profiles, profileStages, tierStages } from "./programs.ts";
import type { Snapshot } from "./snapshot.ts";

export interface ActiveHostEndpoint {
  /** Name of the interface, or ALL_INTERFACES. */
  readonly interface: string;
  readonly endpoint: HostEndpoint;
}

/**
 * The host endpoints of this host that are in force. Of several that fit one interface the first by name stands for it; one of
 * all interfaces stands for those that no other fits. One that names an interface never fits another by its addresses.
 */
export function activeHostEndpoints({
  host,
  hostEndpoints,
  hostInterfaces,
}: Pick<Snapshot, "host" | "hostEndpoints" | "hostInterfaces">): ActiveHostEndpoint[] {
  const own = hostEndpoints.filter(({ spec }) => spec.node === host).sort(byName);
  const taken = new Map<string, HostEndpoint>();
  for (const endpoint of own)
    for (const name of interfacesOf(endpoint, hostInterfaces)) if (!taken.has(name)) taken.set(name, endpoint);
  return [...taken].map(([name, endpoint]) => ({ interface: name, endpoint }));
}

function byName(a: HostEndpoint, b: HostEndpoint): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

function interfacesOf({ spec }: HostEndpoint, interfaces: Snapshot["hostInterfaces"]): string[] {
  const { interfaceName = "", expectedIPs = [] } = spec;
  if (interfaceName !== "") return isWorkloads(interfaceName) ? [] : [interfaceName];
  const expected = new Set(expectedIPs.flatMap(canonical));
  return interfaces.filter(({ addresses }) => addresses.some((one) => expected.has(one))).map(({ name }) => name);
}

function canonical(text: string): string[] {
  const net = parseNet(text);
  return net === undefined ? [] : [formatAddress(net)];
}

function isWorkloads(name: string): boolean {
  return name.startsWith(OURS.slice(0, -1));
}

interface Slot {
  readonly slot: HostSlot;
  readonly place: Place;
  readonly direction: Direction;
  readonly stage: PolicyStage;
}

const SLOTS: readonly Slot[] = [
  { slot: "input", place: "host", direction: "ingress", stage: "normal" },
  { slot: "output", place: "host", direction: "egress", stage: "normal" },
  { slot: "forward-from", place: "forward", direction: "ingress", stage: "normal" },
  { slot: "forward-to", place: "forward", direction: "egress", stage: "normal" },
  { slot: "pre-dnat", place: "pre-dnat", direction: "ingress", stage: "pre-dnat" },
  { slot: "raw-input", place: "untracked", direction: "ingress", stage: "untracked" },
  { slot: "raw-output", place: "untracked", direction: "egress", stage: "untracked" },
];

/**
 * The endpoint's programs by slot. Its own traffic meets all normal policies, then its profiles, then the end; what is forwarded
 * meets those with `applyOnForward` alone, and passes where there are none. Untracked policies need an interface: Calico does
 * not apply them to all interfaces at once, and neither do we.
 */
export function hostPrograms(
  active: ActiveHostEndpoint,
  tiers: readonly ResolvedTier[],
  applies: (policy: ResolvedPolicy) => boolean,
  profiles: Profiles,
): ReadonlyMap<HostSlot, Program> {
  const out = new Map<HostSlot, Program>();
  const ofEndpoint = { profiles: active.endpoint.spec.profiles ?? [], network: "" };
  for (const { slot, place, direction, stage } of SLOTS) {
    if (stage === "untracked" && active.interface === ALL_INTERFACES) continue;
    const counts = (policy: ResolvedPolicy): boolean =>
      policy.stage === stage && (place !== "forward" || policy.applyOnForward) && applies(policy);
    const own = tierStages(tiers, counts, direction);
    if (place === "host")
      out.set(slot, { place, direction, tiers: own, profiles: profileStages(ofEndpoint, direction, profiles) });
    else if (own.length > 0) out.set(slot, { place, direction, tiers: own, profiles: [] });
  }
  return out;
}
