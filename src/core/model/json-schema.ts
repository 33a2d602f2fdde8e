/** JSON schemas (draft 2020-12) for editors and `manx explain`, derived from the schemas that check. */
import { z } from "zod";
import { KINDS, type KindInfo } from "./kinds.ts";
import type { Segment } from "./loose.ts";

export interface JsonSchema {
  readonly [key: string]: unknown;
}

const cached = new Map<KindInfo, JsonSchema>();

/** The schema of one kind, as users write it: what has a default may be left out. */
export function jsonSchema(info: KindInfo): JsonSchema {
  let schema = cached.get(info);
  if (schema === undefined) {
    schema = withoutNeedOfSpec(z.toJSONSchema(info.schema, { io: "input", unrepresentable: "any" }) as JsonSchema);
    cached.set(info, schema);
  }
  return schema;
}

/** Where no field of the spec is required, the spec itself may be left out. */
function withoutNeedOfSpec(schema: JsonSchema): JsonSchema {
  const needed = (schemaAt(schema, ["spec"])?.["required"] as readonly string[] | undefined) ?? [];
  if (needed.length > 0) return schema;
  return { ...schema, required: ((schema["required"] as readonly string[]) ?? []).filter((name) => name !== "spec") };
}

/** One schema for files that hold any kinds, for `# yaml-language-server: $schema=`. */
export function combinedJsonSchema(): JsonSchema {
  const kinds = KINDS.filter(({ readOnly }) => !readOnly);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Manx resource",
    type: "object",
    required: ["apiVersion", "kind", "metadata"],
    properties: { kind: { enum: kinds.map(({ kind }) => kind) } },
    allOf: kinds.map(({ kind }) => whenKind(kind)),
    $defs: Object.fromEntries(kinds.map((info) => [info.kind, withoutVersion(jsonSchema(info))])),
  };
}

function whenKind(kind: string): JsonSchema {
  const condition = { properties: { kind: { const: kind } }, required: ["kind"] };
  // oxlint-disable-next-line unicorn/no-thenable -- `then` is a keyword of JSON Schema
  return { if: condition, then: { $ref: `#/$defs/${kind}` } };
}

function withoutVersion(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== "$schema"));
}

/** The part of a schema that describes what stands at a place; undefined if nothing may stand there. */
export function schemaAt(schema: JsonSchema, segments: readonly Segment[]): JsonSchema | undefined {
  let at: JsonSchema | undefined = schema;
  for (const part of segments) {
    if (at === undefined) return undefined;
    const properties = at["properties"] as Readonly<Record<string, JsonSchema>> | undefined;
    if (typeof part === "number") at = at["items"] as JsonSchema | undefined;
    else if (properties !== undefined && Object.hasOwn(properties, part)) at = properties[part];
    else at = typeof at["additionalProperties"] === "object" ? (at["additionalProperties"] as JsonSchema) : undefined;
  }
  return at;
}

/** The names of the fields that may stand in the map at a place, without those that are only put up with. */
export function fieldsIn(schema: JsonSchema, segments: readonly Segment[]): string[] {
  const properties = schemaAt(schema, segments)?.["properties"] as Readonly<Record<string, JsonSchema>> | undefined;
  return Object.entries(properties ?? {})
    .filter(([, { description }]) => typeof description !== "string" || !description.startsWith("Ignored"))
    .map(([name]) => name);
}

export function fieldsOf(info: KindInfo, segments: readonly Segment[]): string[] {
  return fieldsIn(jsonSchema(info), segments);
}
