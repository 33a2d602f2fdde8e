/** Password files: what is refused, and in which words. Owners are part of it, so this needs root. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { readSecret } from "../../src/drivers/system/secrets.ts";

describe("a password file", () => {
  let folder: string;
  const at = (...names: string[]): string => join(folder, ...names);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "manx-secrets-"));
    mkdirSync(at("tor"), { mode: 0o700 });
    writeFileSync(at("tor", "password"), "correct horse\n", { mode: 0o600 });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is read without the line end that editors add, and with every other space", async () => {
    assert.equal(await readSecret(folder, "tor", "password"), "correct horse");
    writeFileSync(at("tor", "password"), " a b \r\n");
    assert.equal(await readSecret(folder, "tor", "password"), " a b ");
    chmodSync(at("tor", "password"), 0o400);
    assert.equal(await readSecret(folder, "tor", "password"), " a b ");
  });

  const NOBODY = 65534;
  const refusals: readonly (readonly [string, () => void, string, RegExp])[] = [
    [
      "its group may read",
      () => chmodSync(at("tor", "password"), 0o640),
      "denied",
      /nobody else can read \(chmod 600\)/,
    ],
    ["others may read", () => chmodSync(at("tor", "password"), 0o604), "denied", /nobody else can read/],
    ["others may write", () => chmodSync(at("tor", "password"), 0o602), "denied", /nobody else can read/],
    ["another user owns", () => chownSync(at("tor", "password"), NOBODY, 0), "denied", /file of root's/],
    ["is a link", () => link(), "denied", /symbolic link/],
    ["is a folder", () => replace(() => mkdirSync(at("tor", "password"))), "denied", /must be a file of root's/],
    ["is not there", () => rmSync(at("tor", "password")), "not-found", /there is no file/],
    ["is larger than any password", () => writeFileSync(at("tor", "password"), "x".repeat(5000)), "invalid", /larger/],
    ["lies in a folder that others may write in", () => chmodSync(at("tor"), 0o770), "denied", /tor must be a folder/],
    ["lies in another user's folder", () => chownSync(at("tor"), NOBODY, 0), "denied", /tor must be a folder/],
    ["lies in a folder that is a link", () => folderLink(), "denied", /tor must be a folder/],
    ["lies below a folder that others may write in", () => chmodSync(folder, 0o777), "denied", /must be a folder/],
    [
      "lies in a folder that is not there",
      () => rmSync(at("tor"), { recursive: true }),
      "not-found",
      /there is no file/,
    ],
  ];
  const replace = (make: () => void): void => {
    rmSync(at("tor", "password"));
    make();
  };
  const link = (): void => {
    writeFileSync(at("elsewhere"), "x", { mode: 0o600 });
    replace(() => symlinkSync(at("elsewhere"), at("tor", "password")));
  };
  const folderLink = (): void => {
    rmSync(at("tor"), { recursive: true });
    mkdirSync(at("real"), { mode: 0o700 });
    writeFileSync(at("real", "password"), "x", { mode: 0o600 });
    symlinkSync(at("real"), at("tor"));
  };
  for (const [what, spoil, code, message] of refusals)
    it(`that ${what} is refused`, async () => {
      spoil();
      await assert.rejects(readSecret(folder, "tor", "password"), { code, message });
    });

  for (const name of ["..", ".", "", "a/b", "a\0b", "x".repeat(254)])
    it(`of the name ${JSON.stringify(name).slice(0, 20)} is not looked for`, async () => {
      await assert.rejects(readSecret(folder, name, "password"), { code: "invalid" });
      await assert.rejects(readSecret(folder, "tor", name), { code: "invalid" });
    });

  it("says its name in the refusal, and never what is in it", async () => {
    chmodSync(at("tor", "password"), 0o644);
    const refusal = await readSecret(folder, "tor", "password").catch((error: unknown) => String(error));
    assert.match(refusal, /"tor\/password"/);
    assert.doesNotMatch(refusal, /horse/);
  });
});
