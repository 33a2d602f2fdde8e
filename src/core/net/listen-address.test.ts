import assert from "node:assert/strict";
import { it } from "node:test";
import { parseListenAddress } from "./listen-address.ts";

for (const [text, wanted] of [
  ["127.0.0.1:7442", { address: "127.0.0.1", port: 7442 }],
  ["[::1]:7442", { address: "::1", port: 7442 }],
  ["::1:7442", undefined],
  ["[127.0.0.1]:7442", undefined],
  ["localhost:7442", undefined],
  [":7442", undefined],
  ["127.0.0.1:0", undefined],
  ["127.0.0.1:65536", undefined],
  ["127.0.0.1", undefined],
  ["1.2.3:80", undefined],
] as const)
  it(`reads ${text} as ${wanted === undefined ? "nothing" : `port ${wanted.port}`}`, () =>
    assert.deepEqual(parseListenAddress(text), wanted));
