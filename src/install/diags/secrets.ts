/** The secrets of this host's own files: what they hold must be nowhere in what leaves it. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Redactor } from "./redact.ts";

const MOST_FILES = 1_000;
const MOST_BYTES = 65_536;

/** Each file below the folders, whole and line by line. A folder that is not there has none. */
export async function learnFiles(folders: readonly string[], redactor: Redactor): Promise<void> {
  for (const folder of folders) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries.filter((one) => one.isFile()).slice(0, MOST_FILES))
      await learnFile(join(entry.parentPath, entry.name), redactor);
  }
}

export async function learnFile(path: string, redactor: Redactor): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined || size > MOST_BYTES) return;
  const text = await readFile(path, "utf8").catch(() => "");
  redactor.learn(text);
  for (const line of text.split("\n")) if (!line.startsWith("-----")) redactor.learn(line);
}
