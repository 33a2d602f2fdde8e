/** What the golden files show is judged by BIRD itself. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

describe("BIRD accepts", () => {
  for (const file of globSync(join(import.meta.dirname, "../../src/core/bgp/golden/*.conf")))
    it(file.split("/").at(-1) ?? "", () => {
      const { status, stderr } = spawnSync("bird", ["-p", "-c", file], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
    });
});
