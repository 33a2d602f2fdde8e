/** Output compared with a file. MANX_GOLDEN=write renews the files; the diff is then for a reader to judge. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Ran } from "./harness.ts";

export function golden(name: string, { exit, out, err }: Ran): void {
  const path = join(import.meta.dirname, "golden", `${name}.txt`);
  const text = `exit ${exit}\n--- stdout\n${out}--- stderr\n${err}`;
  if (process.env["MANX_GOLDEN"] === "write") writeFileSync(path, text);
  else assert.equal(text, readFileSync(path, "utf8"), name);
}
