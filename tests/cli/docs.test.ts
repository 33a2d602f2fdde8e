/** docs/cli.md says what the commands say of themselves. MANX_GOLDEN=write renews its reference. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Command } from "commander";
import { Cli } from "../../src/cli/cli.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { EXIT_CODES } from "../../src/cli/exit-codes.ts";
import { buildProgram } from "../../src/cli/program.ts";

const PATH = join(import.meta.dirname, "../../docs/cli.md");
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

it("docs/cli.md has every command, its options and examples, and every exit status", async () => {
  const text = readFileSync(PATH, "utf8");
  const [hand = ""] = text.split(BEGIN);
  for (const [code, meaning] of EXIT_CODES) assert.ok(hand.includes(`| ${code} | ${meaning} |`), `exit status ${code}`);
  const wanted = `${hand}${BEGIN}\n\n${await reference()}`;
  if (process.env["MANX_GOLDEN"] === "write") writeFileSync(PATH, wanted);
  else assert.equal(firstDifference(text, wanted), undefined, "MANX_GOLDEN=write renews docs/cli.md");
});
