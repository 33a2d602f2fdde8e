/** Whatever way a snapshot was reached, the host state is that of the snapshot. No root needed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { derive } from "../../src/core/calc/derive.ts";
import { Deriver } from "../../src/core/calc/deriver.ts";
import type { HostState } from "../../src/core/calc/host-state.ts";
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import type { IPPool } from "../../src/core/model/resources.ts";
import type { NftSet, Ruleset } from "../../src/core/rules/ir.ts";
import { anyLimits, anySnapshot } from "./arbitrary.ts";

/** Everything of the state in one order, without what only saves time. */
function plain(state: HostState): unknown {
  return sorted({ ...state, ruleset: plainRuleset(state.ruleset) });
}

function plainRuleset(ruleset: Ruleset): unknown {
  const set = ({ key, interval, data, elements }: NftSet): unknown => ({ key, interval, data, elements });
  return [...ruleset].map(([key, table]) => [
    key,
    { ...table, sets: new Map([...table.sets].map(([name, one]) => [name, set(one)])) },
  ]);
}

function sorted(value: unknown): unknown {
  if (isMap(value)) return ["map", ...[...value].map(([key, one]) => [key, sorted(one)] as const).sort(byKey)];
  if (value instanceof Set) return ["set", ...[...value].sort(byText)];
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, sorted(one)]));
}

function isMap(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return typeof value === "object" && value !== null && "get" in value && typeof value.get === "function";
}

function byText(a: unknown, b: unknown): number {
  return String(a) < String(b) ? -1 : 1;
}

function byKey(a: readonly [unknown, unknown], b: readonly [unknown, unknown]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}

function checkDeltas(before: Ruleset | undefined, after: Ruleset): void {
  for (const [key, table] of after)
    for (const [name, set] of table.sets) {
      const { since } = set;
      if (since === undefined || before?.get(key)?.sets.get(name)?.elements !== since.from) continue;
      const made = new Map(since.from);
      for (const gone of since.removed) made.delete(gone);
      for (const [element, data] of since.added) made.set(element, data);
      assert.deepEqual(sorted(made), sorted(set.elements), `delta of ${name}`);
    }
}

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

const anyPath: fc.Arbitrary<Snapshot[]> = fc
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
      path.push(unique(next as unknown as Snapshot));
    }
    return path;
  });

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

describe("the deriver", () => {
  it("gives what a derivation from nothing gives, after any path", () => {
    fc.assert(
      fc.property(anyPath, anyLimits, (path, limits) => {
        const deriver = new Deriver(limits);
        let last: HostState | undefined;
        for (const snapshot of path) {
          const state = deriver.derive(snapshot);
          assert.deepEqual(plain(state), plain(derive(snapshot, limits)));
          checkDeltas(last?.ruleset, state.ruleset);
          last = state;
        }
      }),
      { numRuns: Number(process.env["RUNS"] ?? 300) },
    );
  });
  it("gives the same object for the same snapshot, and for an equal one", () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const deriver = new Deriver();
        const state = deriver.derive(snapshot);
        assert.equal(deriver.derive(snapshot), state);
        assert.equal(deriver.derive({ ...snapshot, policies: structuredClone(snapshot.policies) }), state);
        assert.equal(deriver.derive({ ...snapshot, endpoints: [...snapshot.endpoints] }), state);
      }),
      { numRuns: 50 },
    );
  });
});
