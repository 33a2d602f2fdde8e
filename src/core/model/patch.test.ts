import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { lineDiff } from "./line-diff.ts";
import {
  editLabels,
  mergePatch,
  type PatchOperation,
  parseLabelEdits,
  patchResource,
  patchResourceBySteps,
} from "./patch.ts";
import type { AnyResource } from "./resources.ts";
import { validateResource } from "./validate.ts";

function policy(): AnyResource {
  const result = validateResource({
    apiVersion: "projectcalico.org/v3",
    kind: "NetworkPolicy",
    metadata: { name: "web", labels: { team: "a" } },
    spec: { selector: "role == 'web'", order: 10, ingress: [{ action: "Allow" }, { action: "Deny" }] },
  });
  return result.ok ? result.value : assert.fail();
}

describe("mergePatch (RFC 7396, appendix A)", () => {
  const rows: [target: unknown, patch: unknown, result: unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of rows)
    it(`${JSON.stringify(target)} with ${JSON.stringify(patch)}`, () =>
      assert.deepEqual(mergePatch(target, patch), result));
  it("does not reach the prototype", () => {
    mergePatch({}, JSON.parse(`{"__proto__": {"polluted": true}}`));
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });
});

describe("patchResource", () => {
  it("changes a field", () => {
    const result = patchResource(policy(), { spec: { order: 20 }, metadata: { labels: { team: null, x: "y" } } });
    assert.ok(result.ok && result.value.kind === "NetworkPolicy");
    assert.equal(result.value.spec.order, 20);
    assert.deepEqual(result.value.metadata.labels, { x: "y" });
  });
  it("gives the problems of what comes out", () =>
    assert.deepEqual(patchResource(policy(), { spec: { ordr: 20 } }), {
      ok: false,
      problems: [{ path: "spec.ordr", message: `unknown field "ordr": did you mean order?` }],
    }));
  it("does not rename", () =>
    assert.deepEqual(patchResource(policy(), { metadata: { name: "db", namespace: "x" } }), {
      ok: false,
      problems: ["metadata.name", "metadata.namespace"].map((path) => ({
        path,
        message: "cannot be changed by a patch",
      })),
    }));
});

describe("patchResourceBySteps (RFC 6902)", () => {
  const rows: [
    sentence: string,
    steps: PatchOperation[],
    outcome: (spec: Record<string, unknown>) => unknown,
    want: unknown,
  ][] = [
    ["adds a field", [{ op: "add", path: "/spec/types", value: ["Egress"] }], (spec) => spec["types"], ["Egress"]],
    [
      "inserts into a list",
      [{ op: "add", path: "/spec/ingress/1", value: { action: "Log" } }],
      (spec) => JSON.stringify(spec["ingress"]),
      `[{"action":"Allow"},{"action":"Log"},{"action":"Deny"}]`,
    ],
    [
      "appends to a list",
      [{ op: "add", path: "/spec/ingress/-", value: { action: "Pass" } }],
      (spec) => (spec["ingress"] as unknown[]).length,
      3,
    ],
    [
      "removes",
      [
        { op: "remove", path: "/spec/ingress/0" },
        { op: "remove", path: "/spec/order" },
      ],
      (spec) => JSON.stringify([spec["ingress"], spec["order"]]),
      `[[{"action":"Deny"}],null]`,
    ],
    ["replaces", [{ op: "replace", path: "/spec/order", value: 5 }], (spec) => spec["order"], 5],
    [
      "moves",
      [{ op: "move", from: "/spec/ingress/0", path: "/spec/ingress/1" }],
      (spec) => JSON.stringify(spec["ingress"]),
      `[{"action":"Deny"},{"action":"Allow"}]`,
    ],
    [
      "copies",
      [{ op: "copy", from: "/spec/ingress", path: "/spec/egress" }],
      (spec) => (spec["egress"] as unknown[]).length,
      2,
    ],
    ["tests", [{ op: "test", path: "/spec/ingress/0", value: { action: "Allow" } }], (spec) => spec["order"], 10],
  ];
  for (const [sentence, steps, outcome, want] of rows)
    it(sentence, () => {
      const result = patchResourceBySteps(policy(), steps);
      assert.ok(result.ok, JSON.stringify(result));
      assert.deepEqual(outcome(result.value.spec as unknown as Record<string, unknown>), want);
    });
  const refused: [steps: PatchOperation[], problem: string][] = [
    [[{ op: "test", path: "/spec/order", value: 11 }], "[0]: /spec/order has another value"],
    [[{ op: "replace", path: "/spec/foo", value: 1 }], "[0]: there is nothing at /spec/foo"],
    [
      [
        { op: "add", path: "/spec/order", value: 1 },
        { op: "remove", path: "/spec/ingress/7" },
      ],
      "[1]: there is nothing at /spec/ingress/7",
    ],
    [[{ op: "add", path: "/spec/ingress/9", value: {} }], "[0]: there is nothing at /spec/ingress/9"],
    [[{ op: "add", path: "spec", value: {} }], "[0]: a path is empty or begins with /"],
    [[{ op: "add", path: "/__proto__/x", value: {} }], "[0]: there is nothing at /__proto__"],
  ];
  for (const [steps, problem] of refused)
    it(`refuses: ${problem}`, () => {
      const result = patchResourceBySteps(policy(), steps);
      assert.deepEqual(result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`), [problem]);
    });
});

describe("labels", () => {
  it("are set, changed and removed", () => {
    const edits = parseLabelEdits(["x=y", "team-", "empty="]);
    assert.ok(edits.ok);
    const result = editLabels(policy(), edits.value, false);
    assert.deepEqual(result.ok && result.value.metadata.labels, { x: "y", empty: "" });
  });
  it("are removed by their keys alone where that is said", () => {
    assert.deepEqual(parseLabelEdits(["team", "x-"], true), { ok: true, value: [{ key: "team" }, { key: "x" }] });
    const wrong = parseLabelEdits(["team=a", "x y"], true);
    assert.deepEqual(wrong.ok ? [] : wrong.problems.map(({ path }) => path), ["team=a", "x y"]);
  });
  it("with another value need to be overwritten", () => {
    const edits = [{ key: "team", value: "b" }];
    assert.deepEqual(editLabels(policy(), edits, false), {
      ok: false,
      problems: [{ path: "team", message: `is "a" already: --overwrite changes it` }],
    });
    assert.ok(editLabels(policy(), edits, true).ok);
  });
  it("are told wrong all at once", () => {
    const edits = parseLabelEdits(["x", "a b=c", "a=b c"]);
    assert.deepEqual(edits.ok ? [] : edits.problems.map(({ path }) => path), ["x", "a b=c", "a=b c"]);
  });
});

describe("lineDiff", () => {
  it("shows what changed with its surroundings", () =>
    assert.equal(
      lineDiff("a\nb\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nd\nE\nf\ng\nh\ni\n", 1),
      "@@ -4,3 +4,3 @@\n d\n-e\n+E\n f\n@@ -8 +8,2 @@\n h\n+i\n",
    ));
  it("is empty for equal texts", () => assert.equal(lineDiff("a\nb\n", "a\nb\n"), ""));
  it("shows a new and a removed text", () => {
    assert.equal(lineDiff("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
    assert.equal(lineDiff("a\n", ""), "@@ -1 +0,0 @@\n-a\n");
  });
  it("turns the one into the other, with as few lines as can be", () => {
    const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const lines = lineDiff(a.map((line) => `${line}\n`).join(""), b.map((line) => `${line}\n`).join(""), 100)
          .split("\n")
          .filter((line) => line !== "" && !line.startsWith("@@"));
        const kept = (signs: string) =>
          lines.filter((line) => signs.includes(line[0] ?? "")).map((line) => line.slice(1));
        if (lines.length > 0) {
          assert.deepEqual(kept(" -"), a);
          assert.deepEqual(kept(" +"), b);
          assert.equal(kept(" ").length, longestCommon(a, b));
        } else assert.deepEqual(a, b);
      }),
      { numRuns: 500 },
    );
  });
});

function longestCommon(a: readonly string[], b: readonly string[]): number {
  const [first, ...rest] = a;
  if (first === undefined || b.length === 0) return 0;
  const at = b.indexOf(first);
  return Math.max(longestCommon(rest, b), at < 0 ? 0 : 1 + longestCommon(rest, b.slice(at + 1)));
}
