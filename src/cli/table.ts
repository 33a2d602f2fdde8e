/**
 * Columns side by side, two spaces apart. Nothing is cut off: an address that is not whole is no address. Where there is no room for the
 * last columns, they stand below their row.
 */
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

/** Columns of the terminal by which what stands below a row is moved in. */
const INSET = 4;

/** Lines of a table; the first has the titles. `room`: columns of the terminal. */
export function renderTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  paint: Paint,
  room = Number.POSITIVE_INFINITY,
): string[] {
  const cells = rows.map((row) => columns.map(({ value }) => plain(value(row)) || "-"));
  const widths = columns.map(({ title }, index) =>
    Math.max(width(title), ...cells.map((line) => width(line[index] ?? ""))),
  );
  const beside = fitting(widths, room);
  const render = (line: readonly string[], style: (index: number) => Style | undefined): string =>
    line
      .slice(0, beside)
      .map((cell, index) => {
        const padded = index === beside - 1 ? cell : padEnd(cell, widths[index] ?? 0);
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
    ...cells.flatMap((line, number) => [
      render(line, (index) => columns[index]?.style?.(rows[number] as T)),
      ...columns.flatMap(({ title }, index) =>
        index < beside || line[index] === "-" ? [] : below(`${title.toLowerCase()}: ${line[index]}`, room, paint),
      ),
    ]),
  ];
}

/** How many of the columns fit beside each other; two at least. */
function fitting(widths: readonly number[], room: number): number {
  let count = widths.length;
  const taken = (): number => widths.slice(0, count).reduce((sum, one) => sum + one + 2, -2);
  while (count > 2 && taken() > room) count--;
  return count;
}

/** Moved in, broken between words. */
function below(text: string, room: number, paint: Paint): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`;
    if (lines.length > 0 && width(longer) + INSET <= room) lines[lines.length - 1] = longer;
    else lines.push(lines.length === 0 ? word : `  ${word}`);
  }
  return lines.map((line) => " ".repeat(INSET) + paint("dim", line));
}
