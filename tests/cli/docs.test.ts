/** docs/cli.md says what the commands say of themselves, docs/resources.md what the schemas say. MANX_GOLDEN=write renews both. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Command } from "commander";
import { Cli } from "../../src/cli/cli.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { EXIT_CODES } from "../../src/cli/exit-codes.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { explain } from "../../src/core/model/explain.ts";
import { KINDS } from "../../src/core/model/kinds.ts";

const docs = (name: string): string => join(import.meta.dirname, "../../docs", name);
const BEGIN = "<!-- made by tests/cli/docs.test.ts -->";

async function reference(): Promise<string> {
  const program = await buildProgram(new Cli(), () => true);
  const groups = Map.groupBy(COMMANDS, ({ group }) => group);
  const parts = [...groups].map(([group, entries]) => {
    const commands = entries.flatMap(({ name }) => program.commands.filter((command) => command.name() === name));
    return [`## ${group.replace(/:$/, "")}\n`, ...commands.flatMap(sections)].join("\n");
  });
  return parts.join("\n");
}

function sections(command: Command): string[] {
  const words = [command.name()];
  for (let parent = command.parent; parent !== null; parent = parent.parent) words.unshift(parent.name());
  const own = `### ${words.join(" ")}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`;
  return [own, ...command.commands.flatMap(sections)];
}

/** With what `addHelpText` adds, as the user sees it, 100 columns wide. */
function helpOf(command: Command): string {
  let text = "";
  const write = (part: string): void => void (text += part);
  command.configureOutput({ writeOut: write, writeErr: write, getOutHelpWidth: () => 100 });
  command.outputHelp();
  return text.trimEnd();
}

function firstDifference(text: string, wanted: string): string | undefined {
  const [have, want] = [text.split("\n"), wanted.split("\n")];
  const line = Array.from({ length: Math.max(have.length, want.length) }).findIndex((_, i) => have[i] !== want[i]);
  return line < 0 ? undefined : `line ${line + 1}: "${have[line]}" should be "${want[line]}"`;
}

/** What a page must be: what was written by hand, and after it what is made here. */
function keep(name: string, made: string): string {
  const path = docs(name);
  const text = readFileSync(path, "utf8");
  const [hand = ""] = text.split(BEGIN);
  const wanted = `${hand}${BEGIN}\n\n${made}`;
  if (process.env["MANX_GOLDEN"] === "write") writeFileSync(path, wanted);
  else assert.equal(firstDifference(text, wanted), undefined, `MANX_GOLDEN=write renews docs/${name}`);
  return hand;
}

const RULES = "GlobalNetworkPolicy.spec.ingress";

/** A row for each field below a path, maps and lists of maps followed by their own. Rules, and their peers, are told once. */
function rows(path: string, prefix = ""): string[] {
  return (explain(path)?.fields ?? []).flatMap(({ name, description, required }) => {
    const found = explain(`${path}.${name}`);
    if (found === undefined) throw new Error(`nothing explains ${path}.${name}`);
    const type = found.type.replaceAll("|", "\\|");
    const usual = found.default === undefined ? "" : ` Default: \`${JSON.stringify(found.default)}\`.`;
    const row = `| \`${prefix}${name}\`${required ? " *" : ""} | ${type} | ${description}${description === "" ? "" : "."}${usual} |`;
    if (path !== RULES && /^(in|e)gress$/.test(name)) return [row.replace(/ \|$/, " [A rule](#rules). |")];
    if (path === RULES && name === "destination") return [row.replace(/ \|$/, " As `source`. |")];
    return [row, ...rows(`${path}.${name}`, `${prefix}${name}${found.type.startsWith("a list") ? "[]" : ""}.`)];
  });
}

const table = (path: string): string => ["| field | type | what it says |", "|---|---|---|", ...rows(path)].join("\n");

function resourceReference(): string {
  const kinds = KINDS.map(({ kind, apiVersion, description, aliases, namespaced, readOnly }) => {
    const notes = [namespaced ? "in a namespace" : "", readOnly ? "made by Manx: shown, never applied" : ""];
    const about = [`\`${apiVersion}\``, `also \`${aliases.join("`, `")}\``, ...notes.filter((note) => note !== "")];
    return `### ${kind}\n\n${description}. ${about.join("; ")}.\n\n${table(`${kind}.spec`)}\n`;
  });
  const rules = `## Rules\n\nOf \`ingress\` and \`egress\` alike; all that a rule says must be so for it to match.\n\n${table(RULES)}\n`;
  return `## Kinds\n\nFields of \`spec\`; * must be there.\n\n${kinds.join("\n")}\n${rules}`;
}

it("docs/cli.md has every command, its options and examples, and every exit status", async () => {
  const hand = keep("cli.md", await reference());
  for (const [code, meaning] of EXIT_CODES) assert.ok(hand.includes(`| ${code} | ${meaning} |`), `exit status ${code}`);
});

it("docs/resources.md has every kind and every field", () => {
  keep("resources.md", resourceReference());
});
