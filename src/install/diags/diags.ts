/**
 * `manx diags`: one archive with everything that a report of a trouble needs, without secrets. Everything is gathered first, then
 * what is secret is learnt from all of it, and only then is it written: a value found secret in one place is gone from all.
 */
import { open, rm } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzipSync, gzip } from "node:zlib";
import { DriverError } from "../../drivers/error.ts";
import { type TarEntry, tar } from "../tar.ts";
import type { Piece } from "./collect.ts";
import type { Redactor } from "./redact.ts";

export interface DiagsOptions {
  readonly pieces: readonly Piece[];
  readonly redactor: Redactor;
  readonly file: string;
  readonly signal: AbortSignal;
  /** Milliseconds for each piece. */
  readonly limit?: number;
  /** Bytes of each piece, and of all, before compression. */
  readonly mostBytes?: number;
  readonly mostInAll?: number;
  readonly onPiece?: (what: string) => void;
}

export interface DiagsEntry {
  readonly path: string;
  readonly what: string;
  readonly bytes: number;
  /** Why it is not there, or not whole. */
  readonly problem?: string;
}

export interface DiagsReport {
  readonly file: string;
  readonly bytes: number;
  readonly entries: readonly DiagsEntry[];
}

const LIMIT = 20_000;
const MOST_BYTES = 8 * 1_048_576;
const MOST_IN_ALL = 64 * 1_048_576;
const ROOT = "manx-diags";

interface Gathered {
  readonly piece: Piece;
  readonly made?: { readonly data: unknown } | { readonly text: string };
  readonly problem?: string;
}

/** @throws DriverError if the archive cannot be written; nothing of it is left then */
export async function writeDiags(options: DiagsOptions): Promise<DiagsReport> {
  const { pieces, redactor, file, signal } = options;
  const gathered: Gathered[] = [];
  for (const piece of pieces) {
    signal.throwIfAborted();
    options.onPiece?.(piece.what);
    gathered.push(await gather(piece, options));
  }
  for (const { made } of gathered) if (made !== undefined && "data" in made) redactor.learnFrom(made.data);
  const { files, entries } = render(gathered, options);
  const archive = await promisify(gzip)(tar([...files, about(entries)]));
  await writeNew(file, archive);
  return { file, bytes: archive.length, entries };
}

async function gather(piece: Piece, { signal, limit = LIMIT }: DiagsOptions): Promise<Gathered> {
  const own = AbortSignal.any([signal, AbortSignal.timeout(limit)]);
  const late = new Promise<never>((_, reject) => {
    own.addEventListener("abort", () => reject(new Error("it took too long")), { once: true });
  });
  try {
    return { piece, made: await Promise.race([piece.make(own), late]) };
  } catch (error) {
    return { piece, problem: problemOf(error) };
  }
}

function problemOf(error: unknown): string {
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" && path !== undefined) return `there is no ${path}`;
  return error instanceof Error ? error.message : String(error);
}

function render(
  gathered: readonly Gathered[],
  { redactor, mostBytes = MOST_BYTES, mostInAll = MOST_IN_ALL }: DiagsOptions,
): { files: TarEntry[]; entries: DiagsEntry[] } {
  const files: TarEntry[] = [];
  const entries: DiagsEntry[] = [];
  let left = mostInAll;
  for (const { piece, made, problem } of gathered) {
    const { path, what } = piece;
    if (made === undefined) {
      entries.push({ path, what, bytes: 0, problem: redactor.text(problem ?? "") });
      continue;
    }
    // Redacted whole, then cut: half a secret would be none that anybody recognizes.
    const text = "text" in made ? redactor.text(made.text) : JSON.stringify(redactor.data(made.data), undefined, 1);
    const whole = Buffer.from(text);
    const content = whole.subarray(0, Math.min(mostBytes, left));
    left -= content.length;
    files.push({ kind: "file", path: `${ROOT}/${path}`, mode: 0o600, content });
    const cut = content.length < whole.length ? { problem: `cut: it has ${whole.length} bytes` } : {};
    entries.push({ path, what, bytes: content.length, ...cut });
  }
  return { files, entries };
}

function about(entries: readonly DiagsEntry[]): TarEntry {
  const lines = entries.map(
    ({ path, what, bytes, problem }) =>
      `${path}  ${bytes} bytes: ${what}${problem === undefined ? "" : ` (${problem})`}`,
  );
  const text = `Manx diagnostics, made ${new Date().toISOString()}

Taken out: passwords, tokens, keys, the environments and commands of containers, labels that look like secrets.
Left in: names, addresses, labels, policies, who talked to whom. Look through it before you give it away.

${lines.join("\n")}
`;
  return { kind: "file", path: `${ROOT}/README.txt`, mode: 0o600, content: Buffer.from(text) };
}

async function writeNew(path: string, content: Uint8Array): Promise<void> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(content);
      await file.sync();
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "there is a file of that name" : message;
    throw new DriverError(code === "EEXIST" ? "exists" : "failed", `Cannot write "${path}": ${why}`, error);
  }
}

/** The files of an archive, by path; for tests and for whoever reads one. */
export function readArchive(archive: Uint8Array): Map<string, string> {
  const bytes = gunzipSync(archive);
  const files = new Map<string, string>();
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(bytes.toString("latin1", at + 124, at + 135), 8);
    const path = bytes.toString("utf8", at, at + 100).replace(/\0.*$/s, "");
    files.set(path, bytes.toString("utf8", at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
