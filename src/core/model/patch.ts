/** Changes of a part of a resource: `manx patch` and `manx label`. Pure; what comes out is validated like anything else. */
import type { Result } from "../problem.ts";
import { whyNotLabelName, whyNotLabelValue } from "./names.ts";
import type { AnyResource } from "./resources.ts";
import { validateResource } from "./validate.ts";

/** JSON Merge Patch (RFC 7396) on a resource: null removes, maps are merged, anything else is replaced. */
export function patchResource(resource: AnyResource, patch: unknown): Result<AnyResource> {
  return sameIdentity(resource, validateResource(mergePatch(resource, patch)));
}

/** RFC 7396 section 2. Own keys only, so that no patch reaches a prototype. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const merged = new Map(isMap(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

/** One step of a JSON Patch (RFC 6902). */
export interface PatchOperation {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  /** JSON Pointer (RFC 6901). */
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** JSON Patch (RFC 6902) on a resource: all steps or none. */
export function patchResourceBySteps(resource: AnyResource, steps: readonly PatchOperation[]): Result<AnyResource> {
  let value: unknown = structuredClone(resource);
  for (const [index, step] of steps.entries()) {
    const done = applyStep(value, step);
    if (!done.ok) return { ok: false, problems: [{ path: `[${index}]`, message: done.why }] };
    value = done.value;
  }
  return sameIdentity(resource, validateResource(value));
}

type Done = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly why: string };

function applyStep(root: unknown, { op, path, from, value }: PatchOperation): Done {
  const at = pointer(path);
  const source = from === undefined ? undefined : pointer(from);
  if (at === undefined || (from !== undefined && source === undefined))
    return { ok: false, why: "a path is empty or begins with /" };
  const found = source === undefined ? undefined : read(root, source);
  switch (op) {
    case "add":
      return write(root, at, value, true);
    case "replace":
      return read(root, at) === undefined ? missing(path) : write(root, at, value, false);
    case "remove":
      return remove(root, at, path);
    case "test":
      return JSON.stringify(sorted(read(root, at))) === JSON.stringify(sorted(value))
        ? { ok: true, value: root }
        : { ok: false, why: `${path} has another value` };
    case "copy":
      return found === undefined ? missing(from ?? "") : write(root, at, structuredClone(found), true);
    case "move": {
      if (source === undefined || found === undefined) return missing(from ?? "");
      const without = remove(root, source, from ?? "");
      return without.ok ? write(without.value, at, found, true) : without;
    }
  }
}

/** RFC 6901 section 3; undefined if the text is no pointer. */
function pointer(text: string): string[] | undefined {
  if (text === "") return [];
  if (!text.startsWith("/")) return undefined;
  return text
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function read(root: unknown, at: readonly string[]): unknown {
  let value = root;
  for (const part of at) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part) || part === "length")
      return undefined;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return value;
}

/** Writes into the tree, which is ours alone. */
function write(root: unknown, at: readonly string[], value: unknown, insert: boolean): Done {
  const last = at.at(-1);
  if (last === undefined) return { ok: true, value };
  const parent = read(root, at.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = last === "-" ? parent.length : /^(0|[1-9][0-9]*)$/.test(last) ? Number(last) : -1;
    if (index < 0 || index > parent.length) return missing(`/${at.join("/")}`);
    parent.splice(index, insert ? 0 : 1, value);
  } else if (isMap(parent))
    Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
  else return missing(`/${at.slice(0, -1).join("/")}`);
  return { ok: true, value: root };
}

function remove(root: unknown, at: readonly string[], path: string): Done {
  const last = at.at(-1);
  const parent = read(root, at.slice(0, -1));
  if (last === undefined || read(root, at) === undefined) return missing(path);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete (parent as Record<string, unknown>)[last];
  return { ok: true, value: root };
}

function missing(path: string): Done {
  return { ok: false, why: `there is nothing at ${path || "the root"}` };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/** A patch changes a resource; it does not turn it into another one. */
function sameIdentity(before: AnyResource, result: Result<AnyResource>): Result<AnyResource> {
  if (!result.ok) return result;
  const after = result.value;
  const problems = [
    ...(after.kind === before.kind ? [] : ["kind"]),
    ...(["name", "namespace"] as const)
      .filter((key) => after.metadata[key] !== before.metadata[key])
      .map((key) => `metadata.${key}`),
  ].map((path) => ({ path, message: "cannot be changed by a patch" }));
  return problems.length === 0 ? result : { ok: false, problems };
}

export type LabelEdit = { readonly key: string; readonly value?: string };

/**
 * Reads `key=value` and `key-` (remove), as kubectl has them; with `remove` also `key` alone, as calicoctl has it. All problems at
 * once; the path is the word.
 */
export function parseLabelEdits(words: readonly string[], remove = false): Result<readonly LabelEdit[]> {
  const problems: { path: string; message: string }[] = [];
  const edits = words.map((word): LabelEdit => {
    const at = word.indexOf("=");
    const edit: LabelEdit =
      at >= 0 ? { key: word.slice(0, at), value: word.slice(at + 1) } : { key: word.replace(/-$/, "") };
    const isUnclear = remove ? at >= 0 : at < 0 && !word.endsWith("-");
    const why = isUnclear
      ? remove
        ? "only keys are removed: leave the value out"
        : "write KEY=VALUE, or KEY- to remove it"
      : (whyNotLabelName(edit.key) ?? whyNotLabelValue(edit.value ?? ""));
    if (why !== undefined) problems.push({ path: word, message: why });
    return edit;
  });
  return problems.length === 0 ? { ok: true, value: edits } : { ok: false, problems };
}

/** The resource with its labels edited; a label that has another value needs `overwrite`. */
export function editLabels(
  resource: AnyResource,
  edits: readonly LabelEdit[],
  overwrite: boolean,
): Result<AnyResource> {
  const labels = new Map(Object.entries(resource.metadata.labels ?? {}));
  const problems: { path: string; message: string }[] = [];
  for (const { key, value } of edits) {
    const had = labels.get(key);
    if (value === undefined) labels.delete(key);
    else if (had !== undefined && had !== value && !overwrite)
      problems.push({ path: key, message: `is "${had}" already: --overwrite changes it` });
    else labels.set(key, value);
  }
  if (problems.length > 0) return { ok: false, problems };
  return validateResource({ ...resource, metadata: { ...resource.metadata, labels: Object.fromEntries(labels) } });
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
