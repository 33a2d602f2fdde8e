/**
 * JSON as Docker's plugin client writes it and as a hostile one could: limited in depth, names matched as Go's encoding/json
 * does (without regard to case, the last one wins), null for what is absent. Keys from outside never become properties of an
 * object with a prototype.
 */
import { z } from "zod";
import { PluginError } from "./errors.ts";

const MAX_DEPTH = 32;

/** An empty text is an empty object: Docker sends no content where a call has no arguments. @throws PluginError */
export function parseBody(text: string): unknown {
  if (text.trim() === "") return {};
  if (depth(text) > MAX_DEPTH) throw new PluginError(`Cannot read the request: it is nested deeper than ${MAX_DEPTH}`);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new PluginError("Cannot read the request: it is not JSON");
  }
}

/** Deepest nesting of brackets outside of strings. */
function depth(text: string): number {
  let deepest = 0;
  let level = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) deepest = Math.max(deepest, ++level);
    else if (c === 0x7d || c === 0x5d) level--;
  }
  return deepest;
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object of known fields. Unknown ones are ignored: a newer engine may send more. */
export function record<S extends z.ZodRawShape>(shape: S): z.ZodType<z.output<z.ZodObject<S>>> {
  const names = new Map(Object.keys(shape).map((name) => [name.toLowerCase(), name]));
  const normalize = (value: unknown): unknown => {
    if (!isObject(value)) return value;
    const fields = new Map<string, unknown>([...names.values()].map((name) => [name, undefined]));
    for (const [key, field] of Object.entries(value)) {
      const name = names.get(key.toLowerCase());
      if (name !== undefined) fields.set(name, field ?? undefined);
    }
    return Object.fromEntries(fields);
  };
  return z.preprocess(normalize, z.object(shape));
}

/** A map with keys from outside. Absent or null: empty. */
export const openMap: z.ZodType<ReadonlyMap<string, unknown>> = z
  .custom<object | undefined>((value) => value === undefined || isObject(value), "must be an object")
  .transform((value) => new Map<string, unknown>(Object.entries(value ?? {})));

/** A map of texts with keys from outside. */
export const textMap: z.ZodType<ReadonlyMap<string, string>> = openMap.transform((map, context) => {
  const out = new Map<string, string>();
  for (const [key, value] of map) {
    if (typeof value === "string") out.set(key, value);
    else context.addIssue({ code: "custom", message: "must be a text", path: [key] });
  }
  return out;
});

/** An array; absent: empty. */
export function list<T>(item: z.ZodType<T>): z.ZodType<readonly T[]> {
  return z
    .array(item)
    .optional()
    .transform((value) => value ?? []);
}
