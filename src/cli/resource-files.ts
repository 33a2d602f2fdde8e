/** `-f FILE|DIR|-`: reads resources, all or none. Every problem is told, with file, line and column. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { ApiError } from "../api/client.ts";
import { whyNotNamespace } from "../core/model/names.ts";
import { formatFileProblem, type ParsedFile, parseResources } from "../core/model/parse.ts";
import type { AnyResource } from "../core/model/resources.ts";
import { titleOf } from "../core/model/together.ts";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import type { FileFlags } from "./file-option.ts";

export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** Texts of the files; a folder gives the files in it and below, by name. @throws CliError where one cannot be read */
export async function readFiles(paths: readonly string[], endings: RegExp = /\.(ya?ml|json)$/): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const path of paths) {
    if (path === "-") {
      files.push({ name: "stdin", text: await readAll(process.stdin) });
      continue;
    }
    try {
      for (const name of await expand(path, endings)) files.push({ name, text: await readFile(name, "utf8") });
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw new CliError(EXIT.usage, `Cannot read "${path}": ${whyNotRead(error)}`);
    }
  }
  return files;
}

function whyNotRead(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such file or folder";
  return code === "EACCES" ? "you may not read it" : message;
}

async function expand(path: string, endings: RegExp): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile() && endings.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name));
  if (names.length > 0) return names.sort();
  throw new CliError(EXIT.usage, `Cannot read "${path}": there is no .yaml, .yml or .json file in it`);
}

export interface ReadResources {
  readonly resources: readonly AnyResource[];
  /** Puts the place in a file before each problem that the agent found. */
  readonly locate: (error: unknown) => unknown;
}

/** @throws CliError (usage) with all problems of all files, or where there is nothing to read and that is not well */
export async function readResources(flags: FileFlags): Promise<ReadResources> {
  if (flags.file === undefined || flags.file.length === 0)
    throw new CliError(
      EXIT.usage,
      "Cannot go on without resources: which file?",
      "Give it with -f FILE, or -f - for standard input.",
    );
  const { namespace } = flags;
  const wrong = namespace === undefined ? undefined : whyNotNamespace(namespace);
  if (wrong !== undefined) throw new CliError(EXIT.usage, `Cannot use -n: ${wrong}`);
  const files = await readFiles(flags.file);
  const parsed = files.map(({ name, text }) =>
    parseResources(text, name, namespace === undefined ? {} : { namespace }),
  );
  const problems = [...parsed.flatMap((file) => file.problems.map(formatFileProblem)), ...twice(parsed)];
  if (problems.length > 0)
    throw new CliError(EXIT.usage, `Cannot use ${files.map(({ name }) => name).join(", ")}:\n${problems.join("\n")}`);
  const resources = parsed.flatMap((file) => file.resources);
  if (resources.length === 0 && flags.skipEmpty !== true)
    throw new CliError(
      EXIT.usage,
      `Cannot use ${files.map(({ name }) => name).join(", ")}: there is no resource in it`,
    );
  return { resources, locate: (error) => locate(error, parsed) };
}

/** The same resource in two files: which one is meant? Within a file the parser has told it. */
function twice(files: readonly ParsedFile[]): string[] {
  const seen = new Map<string, string>();
  const out: string[] = [];
  for (const file of files)
    for (const resource of file.resources) {
      const title = titleOf(resource);
      const place = file.locate(title, "metadata.name");
      const here = place === undefined ? "" : `${place.file}:${place.line}:${place.column}`;
      const before = seen.get(title);
      if (before === undefined) seen.set(title, here);
      else out.push(`${here} metadata.name: the ${title} stands in ${before} already`);
    }
  return out;
}

/** The agent names problems `KIND NAME: path`; here is known where that stands. */
function locate(error: unknown, files: readonly ParsedFile[]): unknown {
  if (!(error instanceof ApiError) || error.problems.length === 0) return error;
  const problems = error.problems.map(({ path, message }) => {
    const [title = "", inner = ""] = path.split(": ");
    const place = files.map((file) => file.locate(title, inner)).find((found) => found !== undefined);
    return { path: place === undefined ? path : `${place.file}:${place.line}:${place.column} ${path}`, message };
  });
  return new ApiError(error.code, error.message, { problems, remedy: error.remedy });
}
