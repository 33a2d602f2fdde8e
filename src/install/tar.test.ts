import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mustRun } from "../drivers/exec.ts";
import { tar } from "./tar.ts";

describe("tar", () => {
  it("is read by tar(1)", async () => {
    const content = Buffer.from("x".repeat(700));
    const archive = tar([
      { kind: "folder", path: "bin/", mode: 0o755 },
      { kind: "file", path: "bin/a", mode: 0o755, content },
      { kind: "link", path: "bin/b", target: "a" },
    ]);
    const listing = await mustRun(["tar", "-tv", "--numeric-owner"], { input: archive });
    const rows = listing
      .trim()
      .split("\n")
      .map((line) => line.replace(/\s+/g, " ").replace(/1970-\S+ \S+ /, ""));
    assert.deepEqual(rows, ["drwxr-xr-x 0/0 0 bin/", "-rwxr-xr-x 0/0 700 bin/a", "lrwxrwxrwx 0/0 0 bin/b -> a"]);
    assert.equal(await mustRun(["tar", "-xO", "bin/a"], { input: archive }), content.toString());
  });

  it("refuses a path that does not fit", () => {
    assert.throws(() => tar([{ kind: "folder", path: "x".repeat(101), mode: 0 }]), /too long/);
  });
});
