/** Records with nothing special about them. */
import type { EndpointRecord, NetworkRecord } from "../../src/agent/records.ts";

export function networkRecord(id: string): NetworkRecord {
  const spec = {
    pools: [],
    families: [4],
    publish: "address",
    isolation: "network",
    internal: false,
    sticky: true,
  } as const;
  return { id, spec, ipv4Pools: [], ipv6Pools: [], options: {}, createdAt: "2026-01-01T00:00:00Z" };
}

export function endpointRecord(id: string, networkId: string): EndpointRecord {
  const empty = { driverOptions: {}, published: [], exposedPorts: [] };
  return {
    id,
    networkId,
    addresses: [],
    mac: "02:00:00:00:00:01",
    ...empty,
    joined: true,
    createdAt: "2026-01-01T00:00:00Z",
  };
}
