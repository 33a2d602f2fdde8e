import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withGate } from "./stop-gate.ts";

describe("daemon.json", () => {
  const cases: [string, string | undefined, boolean, object | undefined][] = [
    ["is made where there is none", undefined, true, { "authorization-plugins": ["manx-drain"] }],
    [
      "keeps what else it says",
      '{"dns": ["1.1.1.1"]}',
      true,
      { dns: ["1.1.1.1"], "authorization-plugins": ["manx-drain"] },
    ],
    [
      "keeps other plugins in front",
      '{"authorization-plugins": ["opa"]}',
      true,
      { "authorization-plugins": ["opa", "manx-drain"] },
    ],
    ["is left alone where it is so already", '{"authorization-plugins": ["manx-drain"]}', true, undefined],
    [
      "loses ours alone",
      '{"authorization-plugins": ["opa", "manx-drain"]}',
      false,
      { "authorization-plugins": ["opa"] },
    ],
    [
      "loses the field with the last name",
      '{"authorization-plugins": ["manx-drain"], "debug": true}',
      false,
      { debug: true },
    ],
    ["is left alone without it", "{}", false, undefined],
  ];
  for (const [title, text, on, expected] of cases)
    it(title, () => {
      const written = withGate(text, on);
      assert.deepEqual(written === undefined ? undefined : JSON.parse(written), expected);
    });
  it("is refused where it cannot be understood", () => {
    assert.throws(() => withGate("{", true), /Cannot read/);
    assert.throws(() => withGate('{"authorization-plugins": "x"}', true), /no list of names/);
  });
});
