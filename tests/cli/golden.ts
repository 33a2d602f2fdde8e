/** Output compared with a file. MANX_GOLDEN=write renews the files; the diff is then for a reader to judge. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Ran } from "./harness.ts";

export function golden(name: string, { exit, out, err }: Ran): void {
  const path = join(import.meta.dirname, "golden", `${name}.txt`);
  // How the agent is started depends on the machine.
  const message = err.replace(
    /^Start it: (systemctl start manx|.*\/quickstart --no-demo)\. Why it ended: manx doctor, .*$/m,
    "Start it: COMMAND",
  );
  const text = `exit ${exit}\n--- stdout\n${out}--- stderr\n${message}`;
  if (process.env["MANX_GOLDEN"] === "write") writeFileSync(path, text);
  else assert.equal(text, readFileSync(path, "utf8"), name);
}
