/**
 * A file that lines are added to, and that makes way for a new one before it grows too large: NAME, NAME.1, NAME.2, ... It remembers
 * nothing: what lies there is looked at each time, so it may be moved or removed by others, and a crash costs nothing.
 */
import { appendFile, mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

export interface RotatingFile {
  readonly path: string;
  /** Bytes that no file exceeds, unless by a single line. */
  readonly maxSize: number;
  /** Older files that are kept. */
  readonly keep: number;
}

/** @throws what the file system says */
export async function append(file: RotatingFile, lines: readonly string[]): Promise<void> {
  await makeFolder(dirname(file.path));
  for (let from = 0; from < lines.length; ) {
    const size = await sizeOf(file.path);
    const count =
      size === 0 ? Math.max(1, fitting(lines, from, file.maxSize)) : fitting(lines, from, file.maxSize - size);
    if (count === 0) await rotate(file);
    else
      await appendFile(
        file.path,
        lines
          .slice(from, from + count)
          .map((line) => `${line}\n`)
          .join(""),
        { mode: 0o640 },
      );
    from += count;
  }
}

/** One, in a folder that is there. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o750 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** How many lines there is room for. */
function fitting(lines: readonly string[], from: number, room: number): number {
  let bytes = 0;
  for (let i = from; i < lines.length; i++) {
    bytes += Buffer.byteLength(lines[i] ?? "") + 1;
    if (bytes > room) return i - from;
  }
  return lines.length - from;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}

/** The oldest goes first, so a crash in between loses no more than that. */
async function rotate({ path, keep }: RotatingFile): Promise<void> {
  const name = (number: number): string => (number === 0 ? path : `${path}.${number}`);
  await rm(name(keep), { force: true });
  for (let number = keep - 1; number >= 0; number--)
    await rename(name(number), name(number + 1)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    });
}
