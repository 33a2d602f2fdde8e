/** Refuses changes that would cut the session over which they are asked for, unless the user insists. */
import { derive } from "../core/calc/derive.ts";
import type { HostState } from "../core/calc/host-state.ts";
import { membershipOf } from "../core/calc/membership.ts";
import { policyKey } from "../core/calc/policies.ts";
import { concerning, cutBy, isUntouched, type Session } from "../core/calc/session.ts";
import type { Settings, Snapshot } from "../core/calc/snapshot.ts";
import type { Surroundings } from "../core/calc/state-routing.ts";
import type { AnyResource, FelixConfiguration, Kind } from "../core/model/resources.ts";
import { formatAddress, parseAddress } from "../core/net/address.ts";

export interface GuardSources {
  readonly snapshot: () => Snapshot;
  /** What is in force now; undefined: nothing yet. */
  readonly state: () => HostState | undefined;
  readonly surroundings: () => Surroundings;
  /** Resources in the store now. */
  readonly stored: () => Iterable<AnyResource>;
  /** This host's, with these FelixConfigurations. */
  readonly settings: (configurations: readonly FelixConfiguration[]) => Settings;
}

/** The sentence why the resources would cut the session; undefined where they would not, or it is cut already. */
export function cutsSession(
  after: ReadonlyMap<string, AnyResource>,
  asked: Session,
  { snapshot, state, surroundings, stored, settings }: GuardSources,
): string | undefined {
  const session = canonical(asked);
  if (session === undefined) return undefined;
  const now = snapshot();
  const then = withResources(now, [...after.values()], [...stored()], settings);
  if (isUntouched(then, session)) return undefined;
  const reduced = concerning(then, session);
  const by = cutBy(derive(reduced), session, then, surroundings(), membershipOf(reduced));
  if (by === undefined) return undefined;
  const before = state();
  if (before !== undefined && cutBy(before, session, now, surroundings(), membershipOf(now)) !== undefined)
    return undefined;
  const { client, clientPort, server, serverPort } = session;
  return `it would cut the session from ${place(client, clientPort)} to ${place(server, serverPort)} over which you work: ${by}`;
}

function place(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Undefined for what is no pair of addresses: sshd(8) says UNKNOWN where there is none. */
function canonical(session: Session): Session | undefined {
  const [client, server] = [session.client, session.server].map((text) => {
    // The zone of a link-local address (RFC 4007 section 11) says by which link, not who.
    const parsed = parseAddress(text.split("%")[0] ?? "");
    return parsed === undefined ? undefined : formatAddress(parsed);
  });
  if (client === undefined || server === undefined) return undefined;
  if (client.includes(":") !== server.includes(":")) return undefined;
  return { ...session, client, server };
}

/** The snapshot as it would be with these resources in the store, and those that are made from labels as they are. */
function withResources(
  now: Snapshot,
  after: readonly AnyResource[],
  stored: readonly AnyResource[],
  settings: GuardSources["settings"],
): Snapshot {
  const all = <K extends Kind>(...kinds: readonly K[]): Extract<AnyResource, { kind: K }>[] => {
    const wanted: readonly Kind[] = kinds;
    return after.filter((one): one is Extract<AnyResource, { kind: K }> => wanted.includes(one.kind));
  };
  const known = new Set(stored.flatMap((one) => (isPolicy(one) ? [policyKey(one)] : [])));
  const made = now.policies.filter((policy) => !known.has(policyKey(policy)));
  return {
    ...now,
    policies: [...all("GlobalNetworkPolicy", "NetworkPolicy"), ...made],
    stagedPolicies: all("StagedGlobalNetworkPolicy", "StagedNetworkPolicy"),
    tiers: all("Tier"),
    profiles: all("Profile"),
    networkSets: all("GlobalNetworkSet", "NetworkSet"),
    hostEndpoints: all("HostEndpoint"),
    settings: settings(all("FelixConfiguration")),
  };
}

function isPolicy(one: AnyResource): one is Snapshot["policies"][number] {
  return one.kind === "GlobalNetworkPolicy" || one.kind === "NetworkPolicy";
}
