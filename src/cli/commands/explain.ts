/** `manx explain [KIND[.field...]]`: what can be written, without an agent. */
import { type Explanation, explain, fieldTree } from "../../core/model/explain.ts";
import { KINDS } from "../../core/model/kinds.ts";
import { type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { kindCalled } from "../kinds.ts";
import { printData } from "../output.ts";
import { renderTable } from "../table.ts";
import { plain } from "../text.ts";

interface Flags {
  readonly jsonSchema?: boolean;
  readonly recursive?: boolean;
}

export const define: Define = (command, cli) => {
  command
    .argument("[path]", "a kind, or a field of it; PolicyTest too")
    .option("-R, --recursive", "with the fields of its fields")
    .option("--json-schema", "the JSON schema of the kind, or of all, for an editor");
  examples(command, [
    ["manx explain", "all kinds"],
    ["manx explain gnp", "the fields of a kind"],
    ["manx explain gnp.spec.ingress.source", "a field"],
    ["manx explain networkpolicy --recursive", "all that can be written"],
    ["manx explain --json-schema > manx.schema.json", "for an editor"],
  ]);
  command.action(async (path: string | undefined, flags: Flags) => {
    if (flags.jsonSchema) return printSchema(path, cli);
    if (path === undefined) return printKinds(cli);
    const [kind = ""] = path.split(".");
    if (kind.toLowerCase() !== "policytest") kindCalled(kind);
    const found = explain(path);
    if (found === undefined) throw noField(path);
    print(found, flags.recursive === true ? fieldTree(path) : found.fields.map((one) => ({ ...one, depth: 0 })), cli);
  });
};

async function printSchema(path: string | undefined, { terminal }: Cli): Promise<void> {
  if (path?.toLowerCase() === "policytest") {
    const { policyTestJsonSchema } = await import("../../core/model/policy-test.ts");
    return printData(terminal, "json", policyTestJsonSchema());
  }
  const { combinedJsonSchema, jsonSchema } = await import("../../core/model/json-schema.ts");
  await printData(terminal, "json", path === undefined ? combinedJsonSchema() : jsonSchema(kindCalled(path)));
}

function printKinds({ terminal }: Cli): void {
  const lines = renderTable(
    [
      { title: "KIND", value: ({ kind }: (typeof KINDS)[number]) => kind, style: () => "strong" },
      { title: "ALSO CALLED", value: ({ aliases }) => aliases.slice(0, 3).join(", ") },
      { title: "API VERSION", value: ({ apiVersion }) => apiVersion },
      {
        title: "WHAT IT IS",
        value: ({ description, readOnly }) => (readOnly ? `${description} (made by Manx)` : description),
      },
    ],
    KINDS,
    terminal.paint,
  );
  for (const line of lines) terminal.line(line);
}

/** Names the longest part of the path that there is, and its fields. */
function noField(path: string): CliError {
  const names = path.split(".");
  for (let length = names.length - 1; length > 0; length--) {
    const parent = explain(names.slice(0, length).join("."));
    if (parent === undefined) continue;
    const fields = parent.fields.map(({ name }) => name).join(", ");
    const message = `Cannot explain "${path}": ${parent.path} has no field "${names[length]}"`;
    return new CliError(EXIT.notFound, message, fields === "" ? `It is ${parent.type}.` : `It has: ${fields}`);
  }
  return new CliError(EXIT.notFound, `Cannot explain "${path}": there is no such field`);
}

function print(
  { path, type, description, values, ...rest }: Explanation,
  fields: ReturnType<typeof fieldTree>,
  { terminal }: Cli,
): void {
  terminal.line(`${terminal.paint("heading", plain(path))}  ${plain(type)}`);
  if (description !== "") terminal.line(`  ${plain(description)}`);
  if (values.length > 0) terminal.line(`  one of: ${plain(values.map(String).join(", "))}`);
  if (rest.default !== undefined) terminal.line(`  default: ${plain(JSON.stringify(rest.default))}`);
  if (fields.length === 0) return;
  terminal.line();
  const lines = renderTable(
    [
      {
        title: "FIELD",
        value: ({ name, required, depth }: (typeof fields)[number]) =>
          `${"  ".repeat(depth)}${name}${required ? " *" : ""}`,
        style: () => "strong",
      },
      { title: "TYPE", value: ({ type }) => type },
      { title: "WHAT IT SAYS", value: ({ description }) => description },
    ],
    fields,
    terminal.paint,
  );
  for (const line of lines) terminal.line(line);
  if (fields.some(({ required }) => required)) terminal.line("\n* must be there");
}
