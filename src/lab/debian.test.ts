import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mirrorIn } from "./debian.ts";

describe("mirrorIn", () => {
  const rows: readonly [string, string, string | undefined][] = [
    ["deb822", "Types: deb\nURIs: http://a.example/debian/\nSuites: bookworm\n", "http://a.example/debian"],
    ["one line", "deb [signed-by=/k.gpg] https://a.example/debian bookworm main\n", "https://a.example/debian"],
    ["security first", "URIs: http://a/debian-security\n\nURIs: http://a/debian\n", "http://a/debian"],
    ["a comment", "# deb http://a.example/debian bookworm main\n", undefined],
    ["Ubuntu", "URIs: http://archive.ubuntu.com/ubuntu\n", undefined],
  ];
  for (const [name, text, expected] of rows) {
    it(`finds Debian's archive: ${name}`, () => assert.equal(mirrorIn(text), expected));
  }
});
