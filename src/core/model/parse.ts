/**
 * Files to resources: YAML of any number of documents, or JSON (which is YAML), each document a resource or a list of them.
 *
 *     text -> documents (yaml) -> plain values (document.ts) -> validateResource -> resources, or problems with their places
 *
 * Nothing is half done: the caller gets all resources and all problems, and applies nothing while there is a problem.
 */
import { LineCounter, parseAllDocuments } from "yaml";
import type { Problem } from "../problem.ts";
import { placeOf, type Source, toValue, type YamlDocument, type YamlProblem } from "./document.ts";
import type { Finding } from "./issues.ts";
import { findKind } from "./kinds.ts";
import { field, type Segment, textField } from "./loose.ts";
import type { AnyResource } from "./resources.ts";
import { titleOf } from "./together.ts";
import { checkResource, formatPath, parsePath } from "./validate.ts";

/** Line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface FileProblem extends Problem, Place {}

export interface ParsedFile {
  readonly resources: readonly AnyResource[];
  readonly problems: readonly FileProblem[];
  /** Where a path of a resource stands, for problems that are found later; the title is that of `titleOf`. */
  locate(title: string, path: string): Place | undefined;
}

/** Bytes would be fairer, but text is what we have. */
export const MAX_FILE_LENGTH = 8 * 1024 * 1024;

/** What is no resource: its problems, or `undefined` if it is meant as a resource. */
export type TakeAside = (item: FileItem) => readonly FileProblem[] | undefined;

export interface ReadingOptions {
  readonly aside?: TakeAside;
  /** Of what is in a namespace and names none; without it that is `default`. */
  readonly namespace?: string;
}

/** Reads a file's text. `file` is only for the problems: a path, or `-`. */
export function parseResources(text: string, file: string, { aside, namespace }: ReadingOptions = {}): ParsedFile {
  const items = parseItems(text, file);
  const problems: FileProblem[] = [...items.problems];
  const resources: AnyResource[] = [];
  const seen = new Map<string, FileItem>();
  for (const item of items.values) {
    const taken = aside?.(item);
    if (taken !== undefined) {
      problems.push(...taken);
      continue;
    }
    const checked = checkResource(namespace === undefined ? item.value : within(namespace, item.value));
    if (!checked.ok) {
      problems.push(...checked.findings.map((finding) => item.locate(finding)));
      continue;
    }
    const again = seenBefore(checked.resource, item, seen);
    if (again === undefined) resources.push(checked.resource);
    else problems.push(again);
  }
  return {
    resources,
    problems: problems.toSorted(byPlace),
    locate(title, path) {
      const found = seen.get(title)?.locate({ segments: parsePath(path), message: "" });
      return found === undefined ? undefined : { file: found.file, line: found.line, column: found.column };
    },
  };
}

/** The value in the namespace, if it is of a kind that has one and names none. */
function within(namespace: string, value: unknown): unknown {
  const metadata = field(value, "metadata");
  const named = (textField(metadata, "namespace") ?? "") !== "";
  if (!isMap(value) || !isMap(metadata) || named || findKind(textField(value, "kind") ?? "")?.namespaced !== true)
    return value;
  return { ...value, metadata: { ...metadata, namespace } };
}

/** One resource of a file, not yet checked, and how to say where in the file something of it stands. */
export interface FileItem {
  readonly value: unknown;
  locate(finding: Finding): FileProblem;
}

/** The single values of a file, lists taken apart, empty documents left out. */
export function parseItems(text: string, file: string): { values: FileItem[]; problems: FileProblem[] } {
  if (text.length > MAX_FILE_LENGTH)
    return {
      values: [],
      problems: [
        { file, line: 1, column: 1, path: "", message: `is larger than ${MAX_FILE_LENGTH} characters: split it` },
      ],
    };
  const lines = new LineCounter();
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problems: FileProblem[] = [];
  const values: FileItem[] = [];
  for (const document of documentsOf(text, lines, (problem) =>
    problems.push({ ...at(problem.offset), path: "", message: problem.message }),
  )) {
    const source: Source = { document, at };
    const found = toValue(document);
    problems.push(
      ...found.problems.map(({ offset, segments, message }) => ({
        ...at(offset),
        path: formatPath(segments),
        message,
      })),
    );
    if (found.value !== undefined && found.value !== null) values.push(...takeApart(found.value, source, []));
  }
  return { values, problems };
}

/** The documents without syntax errors; the errors are told. */
function documentsOf(text: string, lineCounter: LineCounter, tell: (problem: YamlProblem) => void): YamlDocument[] {
  try {
    const documents = parseAllDocuments(text, {
      lineCounter,
      prettyErrors: false,
      merge: true,
      uniqueKeys: true,
      logLevel: "silent",
    });
    if ("empty" in documents) return [];
    const good: YamlDocument[] = [];
    for (const document of documents) {
      for (const { pos, message } of telling(document.errors))
        tell({ offset: pos[0], segments: [], message: yamlMessage(message) });
      if (document.errors.length === 0) good.push(document);
    }
    return good;
  } catch (error) {
    // Hostile nesting ends on the stack of the YAML library; there is nothing to see of where it was.
    if (!(error instanceof RangeError)) throw error;
    tell({ offset: 0, segments: [], message: "is nested too deep to be read" });
    return [];
  }
}

/** After the first error of syntax the reader has lost its way, and what it says then helps nobody. */
function telling<E extends { readonly code: string }>(errors: readonly E[]): E[] {
  const first = errors.findIndex(({ code }) => code !== "DUPLICATE_KEY");
  return errors.filter(({ code }, index) => index === first || code === "DUPLICATE_KEY");
}

/** The library's words, begun like ours. */
function yamlMessage(message: string): string {
  if (message === "Map keys must be unique") return "the same key stands there twice in one map";
  return `is not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/** A list of resources, as calicoctl takes it; `kind: List` of kubectl, `IPPoolList` of calicoctl: their items may leave out what the list says. */
function takeApart(value: unknown, source: Source, prefix: readonly Segment[]): FileItem[] {
  if (Array.isArray(value) && prefix.length === 0)
    return value.flatMap((inner: unknown, index) => takeApart(inner, source, [index]));
  const kind = textField(value, "kind") ?? "";
  const given = field(value, "items");
  const items = given === null ? [] : given;
  if (!kind.endsWith("List") || !Array.isArray(items)) return [item(value, source, prefix)];
  const itemKind = kind.slice(0, -"List".length);
  return items.flatMap((inner: unknown, index) => {
    const named =
      itemKind === "" || !isMap(inner) ? inner : { apiVersion: field(value, "apiVersion"), kind: itemKind, ...inner };
    return takeApart(named, source, [...prefix, "items", index]);
  });
}

function isMap(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function item(value: unknown, source: Source, prefix: readonly Segment[]): FileItem {
  return {
    value,
    locate({ segments, message, atKey }) {
      const all = [...prefix, ...segments];
      return { ...source.at(placeOf(source.document, all, atKey)), path: formatPath(all), message };
    },
  };
}

function seenBefore(resource: AnyResource, item: FileItem, seen: Map<string, FileItem>): FileProblem | undefined {
  const title = titleOf(resource);
  const name: Finding = { segments: ["metadata", "name"], message: "" };
  const before = seen.get(title)?.locate(name);
  if (before !== undefined)
    return { ...item.locate(name), message: `the ${title} stands in line ${before.line} already` };
  seen.set(title, item);
  return undefined;
}

function byPlace(a: FileProblem, b: FileProblem): number {
  return a.line - b.line || a.column - b.column;
}

/** `web.yaml:14:9 spec.ingress[0].destination.ports[1]: 70000 is not a port (1-65535)`. */
export function formatFileProblem({ file, line, column, path, message }: FileProblem): string {
  return `${file}:${line}:${column}${path === "" ? "" : ` ${path}`}: ${message}`;
}
