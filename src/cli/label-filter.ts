/** `-l SELECTOR`: the same language as in a policy. Loaded where it is used. */
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";

type Labelled = { readonly labels: Readonly<Record<string, string>> };

/** Throws with the position where the text is not a selector. */
export async function filterByLabels<T extends Labelled>(rows: readonly T[], text?: string): Promise<readonly T[]> {
  if (text === undefined) return rows;
  const [{ match }, { parseSelector }] = await Promise.all([
    import("../core/selector/match.ts"),
    import("../core/selector/parse.ts"),
  ]);
  const parsed = parseSelector(text);
  if (!parsed.ok) throw notASelector(text, parsed.problem.offset, parsed.problem.message);
  return rows.filter(({ labels }) => match(parsed.selector, labels));
}

/** Points at the place; for kubectl's and docker's way to write it, says ours. */
export function notASelector(text: string, offset: number, message: string): CliError {
  const equals = /^\s*([A-Za-z0-9_./-]+)\s*=\s*([^=\s"'][^"']*?)\s*$/.exec(text);
  const remedy =
    equals === null
      ? "Labels, ==, !=, in, has(), &&, ||: manx selector --help"
      : `Write: ${equals[1]} == "${equals[2]}"`;
  return new CliError(EXIT.usage, `Cannot read the selector: ${message}\n  ${text}\n  ${" ".repeat(offset)}^`, remedy);
}
