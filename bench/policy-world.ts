/** A large world: policies, local and remote endpoints, as `count` says. Deterministic. */
import type { Endpoint, Snapshot } from "../src/core/calc/snapshot.ts";
import type { GlobalNetworkPolicy, Network, PolicyRule } from "../src/core/model/resources.ts";

export interface Counts {
  readonly policies: number;
  readonly local: number;
  readonly remote: number;
  readonly rules: number;
}

export const APP_SIZE = 10;

export function localEndpoint(index: number): Endpoint {
  const id = (0x10000000000 + index).toString(16).padEnd(64, "0");
  return {
    id,
    host: "h1",
    namespace: "default",
    container: `local-${index}`,
    network: "apps",
    addresses: [`10.64.${index >> 8}.${index & 255}`, `fd64::${(index + 1).toString(16)}`],
    labels: new Map([
      ["app", `app-${Math.floor(index / APP_SIZE)}`],
      ["env", index % 2 === 0 ? "prod" : "test"],
    ]),
    profiles: ["apps"],
    ports: [],
    published: [],
    local: {
      interface: `manx${id.slice(0, 11)}`,
      peer: `mxp${id.slice(0, 11)}`,
      mac: `02:42:00:00:${(index >> 8).toString(16).padStart(2, "0")}:${(index & 255).toString(16).padStart(2, "0")}`,
      mtu: 1500,
      gatewayIndex: 1,
      joined: true,
    },
  };
}

export function remoteEndpoint(index: number): Endpoint {
  return {
    id: (0x20000000000 + index).toString(16).padEnd(64, "0"),
    host: `h${2 + (index % 50)}`,
    namespace: "default",
    container: `remote-${index}`,
    network: "apps",
    addresses: [`10.${65 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`, `fd65::${(index + 1).toString(16)}`],
    labels: new Map([
      ["client", `client-${index % 1000}`],
      ["env", index % 2 === 0 ? "prod" : "test"],
    ]),
    profiles: ["apps"],
    ports: [],
    published: [],
  };
}

/** Policy `index` governs one app of the host, and lets some clients in. */
export function policy(index: number, rules: number, apps: number, port = 8000): GlobalNetworkPolicy {
  const ingress = Array.from(
    { length: rules },
    (_, i): PolicyRule => ({
      action: "Allow",
      protocol: "TCP",
      source: { selector: `client == 'client-${(index * rules + i) % 1000}'` },
      destination: { ports: [port + i] },
    }),
  );
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: { name: `policy-${index}` },
    spec: { tier: "default", order: index, selector: `app == 'app-${index % apps}'`, types: ["Ingress"], ingress },
  };
}

const NETWORK: Network = {
  apiVersion: "manx/v1",
  kind: "Network",
  metadata: { name: "apps" },
  spec: {
    pools: [],
    families: [4, 6],
    publish: "address",
    isolation: "network",
    internal: false,
    sticky: true,
  },
};

export function world({ policies, local, remote, rules }: Counts): Snapshot {
  const apps = Math.max(1, Math.ceil(local / APP_SIZE));
  return {
    host: "h1",
    nodes: [],
    pools: [],
    reservations: [],
    blocks: [],
    networks: [NETWORK],
    endpoints: [
      ...Array.from({ length: local }, (_, i) => localEndpoint(i)),
      ...Array.from({ length: remote }, (_, i) => remoteEndpoint(i)),
    ],
    policies: Array.from({ length: policies }, (_, i) => policy(i, rules, apps)),
    stagedPolicies: [],
    tiers: [],
    profiles: [],
    networkSets: [],
    hostEndpoints: [],
    hostInterfaces: [],
    settings: { endpointToHost: "restricted", guardForwarding: [] },
  };
}
