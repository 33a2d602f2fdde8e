/** Snapshots one after another, as events make them. */
import fc from "fast-check";
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import type { IPPool } from "../../src/core/model/resources.ts";
import { anySnapshot } from "./arbitrary.ts";

const POOL: IPPool = {
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name: "p" },
  spec: {
    cidr: "10.65.0.0/16",
    blockSize: 26,
    natOutgoing: true,
    nodeSelector: "all()",
    allowedUses: ["Workload"],
    assignmentMode: "Automatic",
  },
};
const NODE = {
  apiVersion: "projectcalico.org/v3",
  kind: "Node",
  metadata: { name: "h1" },
  spec: { bgp: { ipv4Address: "192.0.2.1/24" } },
} as const;

/** Parts of a snapshot that can come from another one, as events do it: one kind of thing at a time. */
const PARTS = [
  "endpoints",
  "policies",
  "tiers",
  "profiles",
  "networkSets",
  "networks",
  "hostEndpoints",
  "settings",
] as const;

export const anyPath: fc.Arbitrary<Snapshot[]> = fc
  .tuple(
    anySnapshot,
    fc.array(fc.tuple(anySnapshot, fc.subarray([...PARTS], { minLength: 1 }), fc.nat(5), fc.nat(63)), {
      minLength: 1,
      maxLength: 8,
    }),
  )
  .map(([first, steps]) => {
    const path = [first];
    for (const [other, parts, count, bits] of steps) {
      const last = path.at(-1) ?? first;
      const next: Record<string, unknown> = { ...last };
      for (const part of parts) {
        const [from, to] = [last[part], other[part]];
        // Of a list only some things change, and their order may.
        next[part] =
          Array.isArray(from) && Array.isArray(to) ? [...to.slice(0, count), ...from.slice(count)].reverse() : to;
      }
      if ((bits & 1) === 1) next["pools"] = last.pools.length === 0 ? [POOL] : [];
      if ((bits & 6) === 2) next["nodes"] = last.nodes.length === 0 ? [NODE] : [];
      if ((bits & 24) === 8) next["blocks"] = [`10.65.0.${bits & 7}/32`];
      if ((bits & 33) === 33) next["hostInterfaces"] = last.hostInterfaces.slice(0, -1);
      const made = unique(next as unknown as Snapshot);
      path.push((bits & 40) === 40 ? serving(made, bits) : made);
    }
    return path;
  });

const STATES = ["up", "draining", "down"] as const;

/** Some endpoints get a service address, and those of this host are its members. */
function serving(snapshot: Snapshot, bits: number): Snapshot {
  const addresses = ["203.0.113.10", "2001:db8::10"].slice(bits & 1);
  const endpoints = snapshot.endpoints.map((one, index) =>
    index % 2 === 0 ? { ...one, serviceAddresses: addresses } : one,
  );
  const check = { type: "docker", interval: 2, timeout: 1, rise: 2, fall: 3 } as const;
  const members = endpoints.map(({ id }, index) => ({
    service: "service api",
    endpoint: id,
    addresses,
    check,
    drain: 1,
    state: STATES[(bits + index) % 3] ?? "down",
  }));
  return { ...snapshot, endpoints, serviceMembers: members, serviceAddresses: addresses };
}

/** Mixing must not put one name into a list twice. */
function unique(snapshot: Snapshot): Snapshot {
  const once = <T>(items: readonly T[], keyOf: (item: T) => string): T[] => [
    ...new Map(items.map((item) => [keyOf(item), item])).values(),
  ];
  const name = (one: { kind: string; metadata: { name: string; namespace?: string } }): string =>
    `${one.kind}/${one.metadata.namespace}/${one.metadata.name}`;
  return {
    ...snapshot,
    endpoints: once(snapshot.endpoints, ({ id }) => id),
    policies: once(snapshot.policies, name),
    tiers: once(snapshot.tiers, name),
    profiles: once(snapshot.profiles, name),
    networkSets: once(snapshot.networkSets, name),
    networks: once(snapshot.networks, name),
    hostEndpoints: once(snapshot.hostEndpoints, name),
  };
}
