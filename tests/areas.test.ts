/** No test is left out: each folder of tests/ is in one of the parts of ./test, and each file that it names is there. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";

const ROOT = join(import.meta.dirname, "..");

const script = readFileSync(join(ROOT, "test"), "utf8");

it("./test runs each folder that has tests, once", () => {
  const folders = new Set(
    globSync("*/*.test.ts", { cwd: import.meta.dirname }).map((file) => file.split("/")[0] ?? ""),
  );
  const lists = [...script.matchAll(/tests\/(?:\{([\w,]+)\}|(\w+))\/\*\.test\.ts/g)].map(
    ([, many, one]) => many ?? one ?? "",
  );
  assert.deepEqual(lists.flatMap((list) => list.split(",")).sort(), [...folders].sort());
});

it("./test names no file that is not there", () => {
  const named = script.match(/tests\/[\w-]+\/[\w.-]+\.test\.ts/g) ?? [];
  assert.ok(named.length > 10);
  assert.deepEqual(
    named.filter((file) => !existsSync(join(ROOT, file))),
    [],
  );
});
