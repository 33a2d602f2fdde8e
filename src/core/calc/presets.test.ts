import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { validateResource } from "../model/validate.ts";
import { type Preset, presetResources } from "./presets.ts";

const PRESETS: readonly Preset[] = [
  { verb: "allow", from: "web", to: "db", ports: "5432/tcp" },
  { verb: "deny", from: "web,api", to: "db" },
  { verb: "isolate", name: "db" },
  ...["none", "internet", "dns", "all", "dns,internet", 'role == "db"', "internet,db"].map(
    (to) => ({ verb: "egress", name: "sandbox", to }) as const,
  ),
];

describe("presets", () => {
  for (const preset of PRESETS)
    it(`are resources that can be stored: ${JSON.stringify(preset)}`, () => {
      const made = presetResources(preset);
      assert.ok(made.ok);
      for (const resource of made.value) assert.deepEqual(validateResource(resource), { ok: true, value: resource });
    });
});
