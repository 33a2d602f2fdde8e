import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { append } from "./rotating-file.ts";

void describe("a file that rotates", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "manx-log-"));
  });
  after(() => rm(folder, { recursive: true }));

  void it("never grows beyond its size, keeps so many older ones, and loses no line of those", async () => {
    const path = join(folder, "deep/flows.log");
    const file = { path, maxSize: 100, keep: 2 };
    for (let i = 0; i < 40; i++) await append(file, [`line ${i}`.padEnd(20, "."), `more ${i}`.padEnd(20, ".")]);
    const names = (await readdir(join(folder, "deep"))).sort();
    assert.deepEqual(names, ["flows.log", "flows.log.1", "flows.log.2"]);
    for (const name of names) assert.ok((await stat(join(folder, "deep", name))).size <= 100);
    const read = async (name: string): Promise<string> => readFile(join(folder, "deep", name), "utf8");
    const kept = `${await read("flows.log.2")}${await read("flows.log.1")}${await read("flows.log")}`
      .trim()
      .split("\n");
    const all = Array.from({ length: 40 }, (_, i) => [`line ${i}`.padEnd(20, "."), `more ${i}`.padEnd(20, ".")]).flat();
    assert.deepEqual(kept, all.slice(-kept.length));
    assert.ok(kept.length > 8);
    assert.equal((await stat(path)).mode & 0o777, 0o640 & ~process.umask());
  });

  void it("takes a line that is larger than itself, and goes on when somebody removes it", async () => {
    const path = join(folder, "large.log");
    const file = { path, maxSize: 10, keep: 1 };
    await append(file, ["x".repeat(50), "y"]);
    assert.equal(await readFile(path, "utf8"), "y\n");
    assert.equal((await stat(`${path}.1`)).size, 51);
    await rm(path);
    await append(file, ["z"]);
    assert.equal(await readFile(path, "utf8"), "z\n");
  });

  void it("says why it cannot be written", async () => {
    await assert.rejects(append({ path: "/proc/no/flows.log", maxSize: 10, keep: 1 }, ["x"]), /ENOENT|EACCES/);
  });
});
