import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { holes, type Lock } from "./complete-lock.ts";

describe("package-lock.json", () => {
  it("has no hole that npm ci would refuse: else run node tests/complete-lock.ts", () => {
    const lock = JSON.parse(readFileSync(join(import.meta.dirname, "../package-lock.json"), "utf8")) as Lock;
    assert.deepEqual(Object.keys(holes(lock)), []);
  });

  it("says for which platform the missing package is", () => {
    const optionalDependencies = { "@x/cli-linux-x64-musl": "1.0.0", "@x/binding-win32-arm64-msvc": "1.0.0", y: "^1" };
    const packages = { "": {}, "node_modules/x": { dev: true, optionalDependencies } };
    assert.deepEqual(holes({ packages }), {
      "node_modules/@x/cli-linux-x64-musl": {
        version: "1.0.0",
        cpu: ["x64"],
        libc: ["musl"],
        os: ["linux"],
        dev: true,
        optional: true,
      },
      "node_modules/@x/binding-win32-arm64-msvc": {
        version: "1.0.0",
        cpu: ["arm64"],
        os: ["win32"],
        dev: true,
        optional: true,
      },
    });
  });
});
