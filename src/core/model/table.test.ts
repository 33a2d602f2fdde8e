/** For the tests of this folder: what Calico's own API accepts is accepted, what it refuses is refused. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { jsonSchema } from "./json-schema.ts";
import { kindInfo } from "./kinds.ts";
import { schemaSays } from "./schema-says.test.ts";
import { validateResource } from "./validate.ts";

/** A sentence, the YAML, the places of its problems: `path`, or `path: part of the message`. Without any it is accepted. */
export type Row = readonly [sentence: string, yaml: string, ...problems: string[]];

/** A problem is given as `path` or `path: part of the message`. */
export function judge(value: unknown, expected: readonly string[]): void {
  const result = validateResource(value);
  const got = result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
  const missing = expected.filter((want) => {
    const [path = "", ...words] = want.split(": ");
    return !got.some((line) => line.startsWith(`${path}: `) && line.includes(words.join(": ")));
  });
  assert.deepEqual(missing, [], `not found among ${JSON.stringify(got, null, 1)}`);
  assert.equal(got.length, expected.length, JSON.stringify(got, null, 1));
  if (result.ok) assert.deepEqual(schemaSays(jsonSchema(kindInfo(result.value.kind)), withoutVoid(value)), []);
}

/** Without what is there and says nothing: editors complain about it, Calico and we do not. */
function withoutVoid(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutVoid);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, inner]) => inner !== null && inner !== undefined && inner !== "" && key !== "nat-outgoing",
  );
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutVoid(inner)]));
}

export function table(title: string, wrap: (value: unknown) => unknown, rows: readonly Row[]): void {
  describe(title, () => {
    for (const [sentence, yaml, ...problems] of rows)
      it(`${problems.length === 0 ? "accepts" : "refuses"} ${sentence}`, () => judge(wrap(parse(yaml)), problems));
  });
}

export const calico = (kind: string, spec: unknown, metadata: object = { name: "thing" }) => ({
  apiVersion: "projectcalico.org/v3",
  kind,
  metadata,
  spec,
});
export const long = (length: number) => "x".repeat(length);
