/** docs/troubleshooting.md names whatever a user may be told: each condition, each fixed reason of a drop, each refusal of the plugin. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { CONDITIONS } from "../src/agent/health.ts";
import { originText } from "../src/core/calc/decision.ts";
import { DROP_REASONS, kernelDropText } from "../src/core/flows/kernel-drop.ts";
import type { FixedRule } from "../src/core/rules/origin.ts";

const ROOT = join(import.meta.dirname, "..");
const PAGE = readFileSync(join(ROOT, "docs/troubleshooting.md"), "utf8");

function named(texts: readonly string[]): void {
  assert.ok(texts.length > 0);
  assert.deepEqual(
    texts.filter((text) => !PAGE.includes(text)),
    [],
    "docs/troubleshooting.md does not tell what to do about these",
  );
}

it("every condition is on the page, with its title and remedy", () => {
  named(Object.entries(CONDITIONS).map(([code, { title, remedy }]) => `| \`${code}\` | ${title} | ${remedy} |`));
});

/** The compiler sees to it that none is missing. */
const FIXED: Readonly<Record<FixedRule, true>> = {
  "spoofed-source": true,
  "spoofed-arp": true,
  "foreign-neighbour": true,
  "loopback-destination": true,
  "unknown-interface": true,
  invalid: true,
  "mid-stream": true,
  "endpoint-to-host": true,
  guard: true,
  failsafe: true,
};

it("every fixed reason of a drop is on the page", () => {
  const rules = Object.keys(FIXED) as FixedRule[];
  named(rules.map((rule) => `| ${originText({ kind: "fixed", rule })} |`));
});

it("every reason of the kernel is on the page", () => {
  const facts = { source: "SOURCE", destination: "DESTINATION", from: "INTERFACE", device: "INTERFACE", length: 1500 };
  const texts = DROP_REASONS.flatMap((reason) => kernelDropText(reason, facts) ?? []);
  named(texts.map((text) => `| ${text.replace("the kernel: ", "")} |`));
});

const REFUSING = [
  "calls",
  "context",
  "endpoints",
  "endpoint-options",
  "host-ports",
  "ipam",
  "network-options",
  "networks",
];

it("every refusal of the plugin is on the page, as far as its text is fixed", () => {
  const sources = REFUSING.map((name) => readFileSync(join(ROOT, `src/plugin/docker/${name}.ts`), "utf8"));
  const texts = sources.flatMap((source) => [...source.matchAll(/["'`](Cannot [^"'`$]*)/g)]);
  named(
    texts.map(([, text = ""]) => text.replace(/:? *$/, "").replace(/: the network has no IPv$|: Docker gave .*/, "")),
  );
});
