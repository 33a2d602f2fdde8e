import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AnyResource } from "../core/model/resources.ts";
import { customColumns } from "./custom-columns.ts";
import { CliError } from "./errors.ts";
import { columnsOf } from "./kind-columns.ts";

const policy: AnyResource = {
  apiVersion: "projectcalico.org/v3",
  kind: "GlobalNetworkPolicy",
  metadata: { name: "web", labels: { team: "a", "a.b/c": "d", toString: "own" }, annotations: { why: "because" } },
  spec: {
    tier: "default",
    order: 0,
    selector: "all()",
    types: ["Ingress"],
    ingress: [
      { action: "Allow", protocol: "TCP", source: { nets: ["10.0.0.0/8", "192.0.2.0/24"] } },
      { action: "Deny", source: { nets: ["198.51.100.0/24"] } },
    ],
  },
};
const known = columnsOf("GlobalNetworkPolicy", false);
const cells = (text: string) => customColumns(text, known).map(({ title, value }) => [title, value(policy)]);

describe("columns that the user chooses", () => {
  const rows: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    ["NAME", [["NAME", "web"]]],
    [
      "name,Order, selector",
      [
        ["NAME", "web"],
        ["ORDER", "0"],
        ["SELECTOR", "all()"],
      ],
    ],
    ["N:.metadata.name", [["N", "web"]]],
    ["N:{.metadata.name}", [["N", "web"]]],
    [
      "NAME,WHY:.metadata.annotations.why",
      [
        ["NAME", "web"],
        ["WHY", "because"],
      ],
    ],
    ["ORDER:.spec.order", [["ORDER", "0"]]],
    ["L:.metadata.labels['a.b/c']", [["L", "d"]]],
    ['L:.metadata.labels["a.b/c"]', [["L", "d"]]],
    ["L:.metadata.labels.a\\.b/c", [["L", "d"]]],
    ["L:.metadata.labels.toString", [["L", "own"]]],
    ["L:.metadata.labels.constructor", [["L", ""]]],
    ["L:.metadata.annotations.why.length", [["L", ""]]],
    ["T:.spec.types", [["T", "Ingress"]]],
    ["A:.spec.ingress[*].action", [["A", "Allow,Deny"]]],
    ["A:.spec.ingress[1].action", [["A", "Deny"]]],
    ["A:.spec.ingress[2].action", [["A", ""]]],
    ["P:.spec.ingress[*].protocol", [["P", "TCP"]]],
    ["N:.spec.ingress[*].source.nets", [["N", "10.0.0.0/8,192.0.2.0/24,198.51.100.0/24"]]],
    ["S:.spec.ingress[1].source", [["S", '{"nets":["198.51.100.0/24"]}']]],
    ["X:.spec.nothing.at.all", [["X", ""]]],
  ];
  for (const [text, expected] of rows) it(text, () => assert.deepEqual(cells(text), expected));

  const wrong = [
    "",
    "NAMES",
    "NAME,",
    ":.metadata.name",
    "N:",
    "N:.",
    "N:metadata",
    "N:.a[",
    "N:.a[x]",
    "N:.a[-1]",
    "N:..a",
  ];
  for (const text of wrong) it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => cells(text), CliError));
});
