/** Nothing that a store can hold ends the writing of BIRD's configuration, or gets out of its place in it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EVIL, spoilt, world } from "../../../tests/bgp/worlds.ts";
import { deriveBgp } from "./derive.ts";
import { renderBird } from "./render.ts";
import type { BgpInput } from "./state.ts";

const OPTIONS = {
  logFile: "/run/bird.log",
  secrets: new Map([["tor/password", "x"]]),
  routeProtocol: 109,
  persist: true,
};

/** Without comments, in which names may stand. */
const written = (input: BgpInput): string => renderBird(deriveBgp(input), OPTIONS).replaceAll(/^#.*$/gm, "");

describe("BIRD's configuration", () => {
  it("is written for every cluster that passes the door, one protocol a name", () => {
    fc.assert(
      fc.property(world, (input) => {
        const names = [...written(input).matchAll(/^protocol \w+ (\S+) \{$/gm)].map(([, name]) => name);
        assert.equal(new Set(names).size, names.length, names.join());
      }),
      { numRuns: 60 },
    );
  });

  it("is written whatever a store holds, and none of it as text", () => {
    fc.assert(
      fc.property(spoilt, (input) => {
        const text = written(input);
        for (const part of [EVIL.slice(1, 9), "undefined", "NaN", "[object", "native code", "x".repeat(100)])
          assert.ok(!text.includes(part), `${part}: ${text}`);
      }),
      { numRuns: 60 },
    );
  });
});
