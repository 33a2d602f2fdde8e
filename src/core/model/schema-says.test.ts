/** A small reader of JSON schemas, for the tests of this folder: the schema and the validation must say the same of what is good. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { JsonSchema } from "./json-schema.ts";

/** What a schema has against a value: paths and keywords; nothing if it is good. Knows the keywords that our schemas use. */
export function schemaSays(schema: JsonSchema, value: unknown, path = ""): string[] {
  const out: string[] = [];
  const members = schema["anyOf"] as readonly JsonSchema[] | undefined;
  if (members?.every((member) => schemaSays(member, value, path).length > 0)) out.push(`${path} anyOf`);
  if ("const" in schema && schema["const"] !== value) out.push(`${path} const`);
  const allowed = schema["enum"] as readonly unknown[] | undefined;
  if (allowed !== undefined && !allowed.includes(value)) out.push(`${path} enum`);
  if (!isOfType(value, schema["type"])) out.push(`${path} type ${String(schema["type"])}`);
  if (typeof value === "number") out.push(...ofNumber(schema, value, path));
  if (typeof value === "string" && typeof schema["pattern"] === "string" && !new RegExp(schema["pattern"]).test(value))
    out.push(`${path} pattern`);
  if (Array.isArray(value)) out.push(...ofList(schema, value, path));
  else if (typeof value === "object" && value !== null) out.push(...ofMap(schema, value, path));
  return out;
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === undefined) return true;
  if (Array.isArray(type)) return type.some((one) => isOfType(value, one));
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function ofNumber({ minimum, maximum }: JsonSchema, value: number, path: string): string[] {
  const tooSmall = typeof minimum === "number" && value < minimum;
  const tooLarge = typeof maximum === "number" && value > maximum;
  return tooSmall || tooLarge ? [`${path} minimum, maximum`] : [];
}

function ofList(schema: JsonSchema, list: readonly unknown[], path: string): string[] {
  const { items, minItems, maxItems } = schema;
  const out = list.flatMap((item, index) =>
    items === undefined ? [] : schemaSays(items as JsonSchema, item, `${path}[${index}]`),
  );
  if (typeof minItems === "number" && list.length < minItems) out.push(`${path} minItems`);
  if (typeof maxItems === "number" && list.length > maxItems) out.push(`${path} maxItems`);
  return out;
}

function ofMap(schema: JsonSchema, map: object, path: string): string[] {
  const properties = (schema["properties"] ?? {}) as Readonly<Record<string, JsonSchema>>;
  const required = (schema["required"] ?? []) as readonly string[];
  const others = schema["additionalProperties"];
  const out = required.filter((name) => !Object.hasOwn(map, name)).map((name) => `${path}.${name} required`);
  for (const [key, value] of Object.entries(map)) {
    if (Object.hasOwn(properties, key)) out.push(...schemaSays(properties[key] ?? {}, value, `${path}.${key}`));
    else if (others === false) out.push(`${path}.${key} additionalProperties`);
    else if (typeof others === "object") out.push(...schemaSays(others as JsonSchema, value, `${path}.${key}`));
  }
  return out;
}

it("a schema says what is wrong with a value", () => {
  const schema = {
    type: "object",
    required: ["a"],
    additionalProperties: false,
    properties: { a: { anyOf: [{ type: "integer", maximum: 3 }, { enum: ["x"] }] }, b: { items: { pattern: "^y$" } } },
  };
  assert.deepEqual(schemaSays(schema, { a: 3, b: ["y"] }), []);
  assert.deepEqual(schemaSays(schema, { a: 4, b: ["z"], c: 1 }), [
    ".a anyOf",
    ".b[0] pattern",
    ".c additionalProperties",
  ]);
  assert.deepEqual(schemaSays(schema, {}), [".a required"]);
});
