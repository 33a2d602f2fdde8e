/** Every listing in every format: a table to read, json and yaml to process, names to loop over. */
import { type Command, Option } from "commander";
import { type Column, renderTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { escapeQuoted, isUnsafe, plain } from "./text.ts";

export type { Column } from "./table.ts";

export const FORMATS = ["table", "wide", "json", "yaml", "name"] as const;
export type Format = (typeof FORMATS)[number];

export interface OutputFlags {
  readonly output: Format;
}

/** Adds `-o`; `formats` for a command that has not all of them. */
export function outputOption(command: Command, formats: readonly Format[] = FORMATS): Command {
  return command.addOption(new Option("-o, --output <format>", "how to print").choices([...formats]).default("table"));
}

export interface Listing<T> {
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  /** For `-o name`. */
  readonly name: (row: T) => string;
  /** What to say where there is nothing: ends with what to type. */
  readonly empty: string;
  /** For json and yaml; the rows where it is left out. */
  readonly data?: unknown;
}

export async function printListing<T>(terminal: Terminal, format: Format, listing: Listing<T>): Promise<void> {
  switch (format) {
    case "json":
    case "yaml":
      return printData(terminal, format, listing.data ?? listing.rows);
    case "name":
      for (const row of listing.rows) terminal.line(plain(listing.name(row)));
      return;
    case "table":
    case "wide": {
      if (listing.rows.length === 0) return terminal.say(listing.empty);
      const columns = listing.columns.filter((column) => format === "wide" || column.wide !== true);
      const room = format === "table" ? terminal.columns : undefined;
      for (const line of renderTable(columns, listing.rows, terminal.paint, room)) terminal.line(line);
    }
  }
}

export async function printData(terminal: Terminal, format: "json" | "yaml", data: unknown): Promise<void> {
  terminal.raw(format === "json" ? `${escapeQuoted(JSON.stringify(data, undefined, 2))}\n` : await toYaml(data));
}

/** YAML in which every string that could upset a terminal stands in double quotes with escapes. */
async function toYaml(data: unknown): Promise<string> {
  const { Document, Scalar, visit } = await import("yaml");
  const document = new Document(data, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value === "string" && isUnsafe(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return escapeQuoted(document.toString({ lineWidth: 0 }));
}
