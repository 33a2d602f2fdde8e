/** What `manx explain KIND[.path]` says: the fields of a kind, or of one of its fields, with a line for each. */
import { type JsonSchema, jsonSchema, schemaAt } from "./json-schema.ts";
import { findKind } from "./kinds.ts";
import { policyTestJsonSchema } from "./policy-test.ts";

export interface Explanation {
  /** `NetworkPolicy.spec.ingress`. */
  readonly path: string;
  /** `text`, `a list of maps`, `80 or text`, as a person would say it. */
  readonly type: string;
  readonly description: string;
  /** The values that are allowed, where they are few. */
  readonly values: readonly unknown[];
  readonly default?: unknown;
  /** The fields of the map, or of the maps in the list; empty for anything else. */
  readonly fields: readonly ExplainedField[];
}

export interface ExplainedField {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly required: boolean;
}

/**
 * Explains `gnp`, `NetworkPolicy.spec.ingress.source`: lists need no index. Undefined if there is no such kind or field.
 */
export function explain(path: string): Explanation | undefined {
  const [kindName = "", ...names] = path.split(".").map((name) => name.replace(/\[[0-9]*\]$/, ""));
  const called = schemaCalled(kindName);
  let schema = called?.schema;
  for (const name of names) schema = schema === undefined ? undefined : schemaAt(itemsOf(schema), [name]);
  if (called === undefined || schema === undefined) return undefined;
  return {
    path: [called.kind, ...names].join("."),
    type: typeOf(schema),
    description: textOf(schema, "description"),
    values: valuesOf(schema),
    ...(schema["default"] === undefined ? {} : { default: schema["default"] }),
    fields: fieldsIn(itemsOf(schema)),
  };
}

/** All fields below a path that `explain` knows, each under the one it belongs to; depth 0 are those of the path itself. */
export function fieldTree(path: string): readonly (ExplainedField & { readonly depth: number })[] {
  return (explain(path)?.fields ?? []).flatMap((field) => [
    { ...field, depth: 0 },
    ...fieldTree(`${path}.${field.name}`).map((below) => ({ ...below, depth: below.depth + 1 })),
  ]);
}

function schemaCalled(name: string): { readonly kind: string; readonly schema: JsonSchema } | undefined {
  if (name.toLowerCase() === "policytest") return { kind: "PolicyTest", schema: policyTestJsonSchema() };
  const info = findKind(name);
  return info && { kind: info.kind, schema: jsonSchema(info) };
}

function textOf(schema: JsonSchema, key: string): string {
  const text = schema[key];
  return typeof text === "string" ? text : "";
}

function itemsOf(schema: JsonSchema): JsonSchema {
  return (schema["items"] as JsonSchema | undefined) ?? schema;
}

function fieldsIn(schema: JsonSchema): ExplainedField[] {
  const required = new Set((schema["required"] as readonly string[] | undefined) ?? []);
  return Object.entries((schema["properties"] as Readonly<Record<string, JsonSchema>> | undefined) ?? {})
    .map(([name, field]) => ({
      name,
      type: typeOf(field),
      description: textOf(field, "description"),
      required: required.has(name),
    }))
    .filter(({ description }) => !description.startsWith("Ignored"));
}

function valuesOf(schema: JsonSchema): readonly unknown[] {
  const own = (schema["enum"] as readonly unknown[] | undefined) ?? ("const" in schema ? [schema["const"]] : []);
  return [
    ...own,
    ...membersOf(schema).flatMap(valuesOf),
    ...(schema["items"] === undefined ? [] : valuesOf(itemsOf(schema))),
  ];
}

function membersOf(schema: JsonSchema): readonly JsonSchema[] {
  return (schema["anyOf"] as readonly JsonSchema[] | undefined) ?? [];
}

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  object: "a map",
};
const PLURALS: Readonly<Record<string, string>> = {
  "a whole number": "whole numbers",
  "a number": "numbers",
  "a map": "maps",
  text: "texts",
};

function typeOf(schema: JsonSchema): string {
  if (schema["items"] !== undefined) {
    const inner = typeOf(itemsOf(schema));
    return `a list of ${PLURALS[inner] ?? inner}`;
  }
  const values = valuesOf(schema);
  if (values.length > 0 && membersOf(schema).length === 0) return values.map(String).join(" | ");
  if (membersOf(schema).length > 0) return [...new Set(membersOf(schema).map(typeOf))].join(" or ");
  const others = schema["additionalProperties"];
  if (typeof others === "object" && others !== null && Object.keys(others).length > 0) return "a map of names to text";
  return (
    [schema["type"]]
      .flat()
      .filter((name) => typeof name === "string")
      .map((name) => TYPES[name] ?? name)
      .join(" or ") || "anything"
  );
}
