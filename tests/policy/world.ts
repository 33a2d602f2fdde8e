/** Short ways to write snapshots in tests. */
import type { Endpoint, NamedPort, PublishedPort, Settings, Snapshot } from "../../src/core/calc/snapshot.ts";
import type { HostEndpoint, Network } from "../../src/core/model/resources.ts";
import type { Lan } from "../../src/lab/kernel-host.ts";

export const HOST = "h1";

export const SETTINGS: Settings = { endpointToHost: "restricted", guardForwarding: [] };

/** The host's own interfaces in tests, and behind which of them others are. */
export const HOST_INTERFACES: Snapshot["hostInterfaces"] = [
  { name: "lo", addresses: ["127.0.0.1", "::1"] },
  { name: "eth0", addresses: ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"] },
  { name: "eth1", addresses: ["203.0.113.1", "2001:db8:2::1"] },
];

export const LAN: Lan = {
  interface: "eth1",
  nets: [
    { net: "203.0.113.0/24", router: "203.0.113.254" },
    { net: "2001:db8:2::/64", router: "2001:db8:2::fe" },
  ],
};

export function interfaceTo(address: string): string {
  return address.startsWith("203.0.113.") || address.startsWith("2001:db8:2:") ? "eth1" : "eth0";
}

export function hostEndpoint(
  name: string,
  spec: Partial<HostEndpoint["spec"]>,
  labels: Readonly<Record<string, string>> = {},
): HostEndpoint {
  const resource = { apiVersion: "projectcalico.org/v3", kind: "HostEndpoint" } as const;
  return { ...resource, metadata: { name, labels }, spec: { node: HOST, ...spec } };
}

export function emptySnapshot(parts: Partial<Snapshot> = {}): Snapshot {
  return {
    host: HOST,
    nodes: [],
    pools: [],
    reservations: [],
    blocks: [],
    networks: [],
    endpoints: [],
    policies: [],
    stagedPolicies: [],
    tiers: [],
    profiles: [],
    networkSets: [],
    hostEndpoints: [],
    hostInterfaces: HOST_INTERFACES,
    settings: SETTINGS,
    ...parts,
  };
}

export function network(name: string, spec: Partial<Network["spec"]> = {}): Network {
  return {
    apiVersion: "manx/v1",
    kind: "Network",
    metadata: { name },
    spec: {
      pools: [],
      families: [4, 6],
      publish: "address",
      isolation: "network",
      internal: false,
      sticky: true,
      ...spec,
    },
  };
}

export interface EndpointParts {
  readonly host?: string;
  readonly namespace?: string;
  readonly container?: string;
  readonly network?: string;
  readonly addresses: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
  readonly ports?: readonly NamedPort[];
  readonly published?: readonly PublishedPort[];
  readonly joined?: boolean;
}

/** An endpoint whose name is also its container's and, in hex, its interface's. */
export function endpoint(name: string, parts: EndpointParts): Endpoint {
  const short = Buffer.from(name).toString("hex").slice(0, 11);
  const { host = HOST, network: net = "apps" } = parts;
  return {
    id: Buffer.from(name).toString("hex").padEnd(64, "0"),
    host,
    namespace: parts.namespace ?? "default",
    container: parts.container ?? name,
    network: net,
    addresses: parts.addresses,
    labels: new Map(Object.entries(parts.labels ?? {})),
    profiles: parts.profiles ?? [net],
    ports: parts.ports ?? [],
    published: parts.published ?? [],
    ...(host === HOST
      ? {
          local: {
            interface: `manx${short}`,
            peer: `mxp${short}`,
            mac: macOf(parts.addresses[0] ?? "0.0.0.0"),
            mtu: 1500,
            gatewayIndex: 1,
            joined: parts.joined ?? true,
          },
        }
      : {}),
  };
}

function macOf(address: string): string {
  const bytes = address.includes(":")
    ? [0, 0, 0, Number.parseInt(address.slice(address.lastIndexOf(":") + 1) || "0", 16) % 256]
    : address.split(".").map(Number);
  return ["02", "42", ...bytes.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}
