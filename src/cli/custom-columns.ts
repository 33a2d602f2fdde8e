/**
 * `-o custom-columns=...`: columns that the user chooses, as calicoctl has them (`NAME,SELECTOR`: titles of `-o wide`) and as
 * kubectl has them (`NAME:.metadata.name,PORT:.spec.ports[0].port`: any field). What is not there is "-".
 */
import type { AnyResource } from "../core/model/resources.ts";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import type { Column } from "./output.ts";

export const CUSTOM_COLUMNS = "custom-columns=";

/** A step into a value: a field, an index, or all items of a list. */
type Step = string | number | typeof ALL;
const ALL = Symbol("[*]");

/** @param known those that may be called by their title. @throws CliError for a title that none has, or a path that is none */
export function customColumns(text: string, known: readonly Column<AnyResource>[]): Column<AnyResource>[] {
  return text.split(",").map((word) => {
    const colon = word.indexOf(":");
    return colon < 0 ? columnCalled(word.trim(), known) : columnOf(word.slice(0, colon).trim(), word.slice(colon + 1));
  });
}

function columnCalled(title: string, known: readonly Column<AnyResource>[]): Column<AnyResource> {
  const found = known.find((column) => column.title.toLowerCase() === title.toLowerCase());
  if (found !== undefined) return found;
  throw wrong(
    `there is no column "${title}"`,
    `There are ${known.map((column) => column.title).join(", ")}; or write TITLE:.path.of.a.field`,
  );
}

function columnOf(title: string, path: string): Column<AnyResource> {
  const steps = parsePath(path.trim());
  if (title === "" || steps === undefined)
    throw wrong(
      `"${title}:${path}" is not TITLE:.path`,
      "Such as NAME:.metadata.name or NETS:.spec.nets[*] or ROLE:.metadata.labels['a.b/role']",
    );
  return { title, value: (row) => valuesAt(row, steps).map(shown).join(",") };
}

function wrong(why: string, remedy: string): CliError {
  return new CliError(EXIT.usage, `Cannot print these columns: ${why}`, remedy);
}

/** `.a.b[0]`, `.a[*].b`, `.a['b.c']`, `{.a}`; undefined for anything else. */
function parsePath(text: string): Step[] | undefined {
  const path = text.replace(/^\{(.*)\}$/, "$1");
  const step = /\.((?:[^.[\]\\]|\\.)+)|\[(\d+)\]|\[(\*)\]|\[(?:'([^']+)'|"([^"]+)")\]/y;
  const steps: Step[] = [];
  while (step.lastIndex < path.length) {
    const [, name, index, all, single, double] = step.exec(path) ?? [];
    if (name !== undefined) steps.push(name.replaceAll(/\\(.)/g, "$1"));
    else if (index !== undefined) steps.push(Number(index));
    else if (all !== undefined) steps.push(ALL);
    else if ((single ?? double) !== undefined) steps.push(single ?? double ?? "");
    else return undefined;
  }
  return steps.length === 0 ? undefined : steps;
}

/** Own fields only: a label may be called like anything that objects inherit. */
function valuesAt(value: unknown, [step, ...rest]: readonly Step[]): unknown[] {
  if (step === undefined) return value === undefined || value === null ? [] : [value];
  if (typeof value !== "object" || value === null) return [];
  if (step === ALL) return Object.values(value).flatMap((inner) => valuesAt(inner, rest));
  return Object.hasOwn(value, step) ? valuesAt((value as Record<string | number, unknown>)[step], rest) : [];
}

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  const isFlat = Array.isArray(value) && value.every((item) => typeof item !== "object");
  return isFlat ? value.map(shown).join(",") : JSON.stringify(value);
}
