/** Whatever way a snapshot was reached, the host state is that of the snapshot. No root needed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { derive } from "../../src/core/calc/derive.ts";
import { Deriver } from "../../src/core/calc/deriver.ts";
import type { HostState } from "../../src/core/calc/host-state.ts";
import type { NftSet, Ruleset } from "../../src/core/rules/ir.ts";
import { anyPath } from "./any-path.ts";
import { anyLimits, anySnapshot } from "./arbitrary.ts";

/** Everything of the state in one order, without what only saves time. */
function plain(state: HostState): unknown {
  return sorted({ ...state, ruleset: plainRuleset(state.ruleset) });
}

function plainRuleset(ruleset: Ruleset): unknown {
  const set = ({ key, interval, data, elements }: NftSet): unknown => ({ key, interval, data, elements });
  return [...ruleset].map(([key, { since: _since, ...table }]) => [
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
  for (const [key, table] of after) {
    const old = before?.get(key);
    for (const part of ["sets", "chains"] as const) {
      const since = table.since?.[part];
      if (since === undefined || old?.[part] !== since.from) continue;
      const names = [...new Set([...old[part].keys(), ...table[part].keys()])];
      for (const name of names)
        if (old[part].get(name) !== table[part].get(name)) assert.ok(since.keys.has(name), `${name} has changed`);
    }
    for (const [name, set] of table.sets) {
      const { since } = set;
      if (since === undefined || before?.get(key)?.sets.get(name)?.elements !== since.from) continue;
      const made = new Map(since.from);
      for (const gone of since.removed) made.delete(gone);
      for (const [element, data] of since.added) made.set(element, data);
      assert.deepEqual(sorted(made), sorted(set.elements), `delta of ${name}`);
    }
  }
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
  it("gives the same where the endpoints come in two parts, own ones and a journal of the others", () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const deriver = new Deriver();
        const remote = new Map<string, Parameters<Deriver["derive"]>[0]["endpoints"][number]>();
        const changes: string[] = [];
        for (const snapshot of path) {
          const own = snapshot.endpoints.filter(({ host }) => host === snapshot.host);
          const apart = snapshot.endpoints.filter((one) => !own.includes(one));
          const others = new Map(
            apart.map((one) => [`${one.id}@${one.host}`, { ...one, id: `${one.id}@${one.host}` }]),
          );
          for (const id of new Set([...remote.keys(), ...others.keys()])) {
            const [before, after] = [remote.get(id), others.get(id)];
            if (before === after) continue;
            if (after === undefined) remote.delete(id);
            else remote.set(id, after);
            changes.push(id);
          }
          const journal = {
            version: changes.length,
            get: (id: string) => remote.get(id),
            keys: () => remote.keys(),
            changedSince: (version: number) => (version % 7 === 6 ? undefined : changes.slice(version)),
          };
          const state = deriver.derive({ ...snapshot, parts: { own, remote: journal } });
          const whole = { ...snapshot, endpoints: [...own, ...others.values()] };
          assert.deepEqual(plain(state), plain(derive(whole)));
        }
      }),
      { numRuns: Number(process.env["RUNS"] ?? 100) },
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
