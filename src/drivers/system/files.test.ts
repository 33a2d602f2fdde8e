import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { readIfExists, writeFileAtomic } from "./files.ts";

describe("writeFileAtomic", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "manx-files-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("makes the folder, replaces the file, sets its mode and leaves nothing else", async () => {
    const path = join(folder, "a/b");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, "two", 0o600);
    assert.equal(readFileSync(path, "utf8"), "two");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(folder, "a")), ["b"]);
  });

  it("replaces a symbolic link rather than what it points to", async () => {
    writeFileSync(join(folder, "target"), "kept");
    symlinkSync("target", join(folder, "link"));
    await writeFileAtomic(join(folder, "link"), "new");
    assert.equal(await readIfExists(join(folder, "target")), "kept");
    assert.equal(await readIfExists(join(folder, "link")), "new");
    assert.equal(await readIfExists(join(folder, "none")), undefined);
  });

  it("leaves the old file and nothing else when it cannot be written", async () => {
    await assert.rejects(writeFileAtomic(join(folder, "x".repeat(300)), "new"));
    assert.deepEqual(readdirSync(folder), []);
  });
});
