/** Snapshots of what is not, but could be: what they would decide is asked of the same derivation. */
import type { Endpoint, Snapshot } from "./snapshot.ts";

/** With every staged policy in force: in the place of the policy of its name, or, where it says Delete, without that one. */
export function enforceStaged(snapshot: Snapshot): Snapshot {
  const policies = new Map(snapshot.policies.map((policy) => [titleOf(policy.kind, policy.metadata), policy]));
  for (const staged of snapshot.stagedPolicies) {
    const { stagedAction, ...spec } = staged.spec;
    const kind = staged.kind === "StagedNetworkPolicy" ? "NetworkPolicy" : "GlobalNetworkPolicy";
    const title = titleOf(kind, staged.metadata);
    if (stagedAction === "Set") policies.set(title, { ...staged, kind, spec });
    else if (stagedAction === "Delete") policies.delete(title);
  }
  return { ...snapshot, policies: [...policies.values()], stagedPolicies: [] };
}

function titleOf(kind: string, { namespace, name }: { readonly namespace?: string; readonly name: string }): string {
  return `${kind} ${kind === "NetworkPolicy" ? (namespace ?? "default") : ""}/${name}`;
}

/** Only these endpoints, all of them on this host and running: so that one ruleset decides for both ends of a way. */
export function placeHere(snapshot: Snapshot, endpoints: readonly Endpoint[]): Snapshot {
  const { parts: _, ...rest } = snapshot;
  return { ...rest, endpoints: endpoints.map((endpoint) => here(endpoint, snapshot.host)) };
}

function here(endpoint: Endpoint, host: string): Endpoint {
  if (endpoint.host === host && endpoint.local?.joined === true) return endpoint;
  const short = endpoint.id.slice(0, 11);
  return {
    ...endpoint,
    host,
    // Containers of one name on two hosts are two containers.
    container: `${endpoint.host} ${endpoint.container === "" ? endpoint.id : endpoint.container}`,
    local: {
      interface: `manx${short}`,
      peer: `mxp${short}`,
      mac: `02:${short
        .padEnd(10, "0")
        .slice(0, 10)
        .replace(/..(?=.)/g, "$&:")}`,
      mtu: 1500,
      gatewayIndex: 1,
      joined: true,
    },
  };
}
