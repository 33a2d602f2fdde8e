/** Columns side by side, two spaces apart. Nothing is cut off: an address that is not whole is no address. */
import type { Style } from "./terminal.ts";
import { padEnd, plain, width } from "./text.ts";

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  /** Only with `-o wide`. */
  readonly wide?: boolean;
  readonly style?: (row: T) => Style | undefined;
}

export type Paint = (style: Style, text: string) => string;

/** Lines of a table; the first has the titles. */
export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[], paint: Paint): string[] {
  const cells = rows.map((row) => columns.map(({ value }) => plain(value(row)) || "-"));
  const widths = columns.map(({ title }, index) =>
    Math.max(width(title), ...cells.map((line) => width(line[index] ?? ""))),
  );
  const render = (line: readonly string[], style: (index: number) => Style | undefined): string =>
    line
      .map((cell, index) => {
        const padded = index === line.length - 1 ? cell : padEnd(cell, widths[index] ?? 0);
        const chosen = style(index);
        return chosen === undefined ? padded : paint(chosen, padded);
      })
      .join("  ")
      .trimEnd();
  return [
    render(
      columns.map(({ title }) => title),
      () => "heading",
    ),
    ...cells.map((line, number) => render(line, (index) => columns[index]?.style?.(rows[number] as T))),
  ];
}
