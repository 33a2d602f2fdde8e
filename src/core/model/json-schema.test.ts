import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { explain } from "./explain.ts";
import { combinedJsonSchema, type JsonSchema, jsonSchema, schemaAt } from "./json-schema.ts";
import { findKind, KINDS, kindInfo } from "./kinds.ts";

/** Every field of a schema with its path. */
function* fields(schema: JsonSchema, path: string): Iterable<[path: string, schema: JsonSchema]> {
  const properties = (schema["properties"] ?? {}) as Record<string, JsonSchema>;
  for (const [name, field] of Object.entries(properties)) {
    yield [`${path}.${name}`, field];
    yield* fields(field, `${path}.${name}`);
  }
  if (schema["items"] !== undefined) yield* fields(schema["items"] as JsonSchema, `${path}[]`);
}

describe("jsonSchema", () => {
  for (const info of KINDS) {
    it(`describes every field of ${info.kind}`, () => {
      const without = [...fields(jsonSchema(info), info.kind)]
        .filter(
          ([path, { description }]) =>
            !path.includes("wireguard.") && !/\.(orchRefs|interfaces)\[\]\./.test(path) && description === undefined,
        )
        .map(([path]) => path);
      assert.deepEqual(without, []);
    });
  }
  it("demands what is demanded and refuses what is unknown", () => {
    const schema = jsonSchema(kindInfo("IPPool"));
    assert.deepEqual(schema["required"], ["apiVersion", "kind", "metadata", "spec"]);
    assert.equal(schema["additionalProperties"], false);
    assert.deepEqual(schemaAt(schema, ["spec"])?.["required"], ["cidr"]);
    assert.deepEqual(schemaAt(schema, ["metadata"])?.["required"], ["name"]);
  });
  it("offers what may be written", () => {
    const rule = schemaAt(jsonSchema(kindInfo("NetworkPolicy")), ["spec", "ingress", 0]);
    assert.deepEqual(schemaAt(rule ?? {}, ["action"])?.["enum"], ["Allow", "Deny", "Log", "Pass"]);
    assert.ok(JSON.stringify(schemaAt(rule ?? {}, ["protocol"])).includes("UDPLite"));
  });
  it("is one for all kinds that may be applied", () => {
    const schema = combinedJsonSchema();
    assert.equal((schema["allOf"] as unknown[]).length, KINDS.length - 1);
    assert.ok(!JSON.stringify(schema).includes("#/$defs/WorkloadEndpoint"));
    assert.deepEqual(JSON.parse(JSON.stringify(schema)), schema);
  });
});

describe("findKind", () => {
  for (const [name, kind] of [
    ["IPPool", "IPPool"],
    ["pools", "IPPool"],
    ["gnp", "GlobalNetworkPolicy"],
    ["NetworkPolicies", "NetworkPolicy"],
    ["hep", "HostEndpoint"],
    ["wep", "WorkloadEndpoint"],
    ["tier", "Tier"],
    ["constructor", undefined],
  ] as const)
    it(`${name}: ${kind}`, () => assert.equal(findKind(name)?.kind, kind));
  it("knows each name once", () => {
    const names = KINDS.flatMap(({ kind, aliases }) => [kind.toLowerCase(), ...aliases]);
    assert.equal(new Set(names).size, names.length);
  });
});

describe("explain", () => {
  it("a kind", () => {
    const explained = explain("gnp");
    assert.equal(explained?.path, "GlobalNetworkPolicy");
    assert.deepEqual(
      explained?.fields.map(({ name, required }) => (required ? `${name}!` : name)),
      ["apiVersion!", "kind!", "metadata!", "spec"],
    );
  });
  it("a field in a list, with or without index", () => {
    const explained = explain("networkpolicy.spec.ingress[0].destination.ports");
    assert.deepEqual(explained, explain("NetworkPolicy.spec.ingress.destination.ports"));
    assert.equal(explained?.type, "a list of a whole number or text");
    assert.match(explained?.description ?? "", /8000:8100/);
  });
  it("values and defaults", () => {
    assert.deepEqual(explain("tier.spec.defaultAction"), {
      path: "Tier.spec.defaultAction",
      type: "Deny | Pass",
      description: "What happens to what a policy of the tier applies to and no rule decides about",
      values: ["Deny", "Pass"],
      default: "Deny",
      fields: [],
    });
  });
  it("nothing that is not there", () => {
    for (const path of ["foo", "", "tier.foo", "tier.spec.order.x", "tier.constructor"])
      assert.equal(explain(path), undefined);
  });
});
