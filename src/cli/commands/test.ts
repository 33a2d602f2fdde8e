/** `manx test FILE|DIR...`: a team's expectations about its policies, without root and without an agent. */
import { dirname, join } from "node:path";
import { Option } from "commander";
import type { FlowResult } from "../../core/calc/policy-test-run.ts";
import { formatFileProblem } from "../../core/model/parse.ts";
import {
  type PolicyTest,
  parsePolicyTests,
  parseTestResources,
  policyTestJsonSchema,
} from "../../core/model/policy-test.ts";
import type { AnyResource } from "../../core/model/resources.ts";
import { plural } from "../../core/plural.ts";
import { type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { junit } from "../junit.ts";
import { printData } from "../output.ts";
import { readFiles } from "../resource-files.ts";
import { flowText, type TestReport } from "../test-report.ts";
import { plain } from "../text.ts";

interface Flags {
  readonly output: "table" | "json" | "junit";
  readonly kernel?: boolean;
  readonly jsonSchema?: boolean;
}

interface TestFile {
  readonly file: string;
  readonly tests: readonly PolicyTest[];
}

export const define: Define = (command, cli) => {
  command
    .argument("[files...]", "files of kind PolicyTest, or folders that hold some")
    .addOption(new Option("-o, --output <format>", "how to print").choices(["table", "json", "junit"]).default("table"))
    .option("--kernel", "let the real kernel judge: endpoints as namespaces, real packets (root)")
    .option("--json-schema", "the JSON schema of a PolicyTest, for an editor");
  examples(command, [
    ["manx test policies/", "exit 0: all as expected; 1: something is not; 2: a file is wrong"],
    ["manx test shop.yaml -o junit > report.xml", "for a CI server"],
    ["sudo manx test --kernel shop.yaml", "the same, with real packets"],
  ]);
  command.action(async (files: string[], flags: Flags) => {
    if (flags.jsonSchema) return printData(cli.terminal, "json", policyTestJsonSchema());
    if (files.length === 0) throw new CliError(EXIT.usage, "Cannot test: which files?", "manx test FILE|DIR...");
    const reports: TestReport[] = [];
    for (const { file, tests } of await readTests(files))
      for (const test of tests) reports.push(await run(file, test, flags.kernel ?? false));
    if (reports.some(({ flows }) => flows.some(({ ok }) => !ok))) cli.exit = EXIT.no;
    await print(reports, flags.output, cli);
  });
};

async function readTests(paths: readonly string[]): Promise<TestFile[]> {
  const sources = await readFiles(paths, /\.(ya?ml|json)$/);
  const parsed = sources.map(({ name, text }) => ({ file: name, ...parsePolicyTests(text, name) }));
  const given = new Set(paths);
  // A folder may hold the policies beside their tests: what is no test there is not meant.
  const meant = parsed.filter(
    ({ file, tests, problems }) => given.has(file) || file === "stdin" || tests.length > 0 || !isOtherKind(problems),
  );
  const problems = meant.flatMap((one) => one.problems.map(formatFileProblem));
  if (problems.length > 0) throw new CliError(EXIT.usage, `Cannot run the tests:\n${problems.join("\n")}`);
  if (meant.every(({ tests }) => tests.length === 0))
    throw new CliError(
      EXIT.usage,
      `Cannot run the tests: there is no PolicyTest in ${paths.join(", ")}`,
      "manx test --json-schema says how to write one.",
    );
  return meant;
}

function isOtherKind(problems: readonly { readonly path: string; readonly message: string }[]): boolean {
  return problems.every(({ path, message }) => path.endsWith("kind") && message.startsWith("a PolicyTest"));
}

async function run(file: string, alone: PolicyTest, kernel: boolean): Promise<TestReport> {
  const { resources, namespaces } = await readMore(file, alone.files);
  const test = { ...alone, namespaces: [...namespaces, ...alone.namespaces] };
  const { PolicyTestError, runPolicyTest } = await import("../../core/calc/policy-test-run.ts");
  try {
    return { file, name: test.name, flows: kernel ? await onKernel(test, resources) : runPolicyTest(test, resources) };
  } catch (error) {
    if (!(error instanceof PolicyTestError)) throw error;
    throw new CliError(EXIT.usage, `Cannot run the test "${test.name}" of ${file}: ${error.message}`);
  }
}

async function onKernel(test: PolicyTest, resources: readonly AnyResource[]): Promise<FlowResult[]> {
  if (process.getuid?.() !== 0)
    throw new CliError(
      EXIT.denied,
      "Cannot ask the kernel: only root may make namespaces",
      "sudo manx test --kernel ...",
    );
  const { runOnKernel } = await import("../../lab/policy-kernel.ts");
  return runOnKernel(test, resources);
}

async function readMore(
  file: string,
  paths: readonly string[],
): Promise<{ resources: AnyResource[]; namespaces: PolicyTest["namespaces"] }> {
  if (paths.length === 0) return { resources: [], namespaces: [] };
  const base = file === "stdin" ? "." : dirname(file);
  const sources = await readFiles(paths.map((path) => join(base, path)));
  const parsed = sources.map(({ name, text }) => parseTestResources(text, name));
  const problems = parsed.flatMap((one) => one.problems.map(formatFileProblem));
  if (problems.length > 0) throw new CliError(EXIT.usage, `Cannot use the files of ${file}:\n${problems.join("\n")}`);
  return {
    resources: parsed.flatMap((one) => one.resources),
    namespaces: parsed.flatMap((one) => one.namespaces),
  };
}

async function print(reports: readonly TestReport[], output: Flags["output"], { terminal }: Cli): Promise<void> {
  if (output === "json") return printData(terminal, "json", reports);
  if (output === "junit") return terminal.raw(junit(reports));
  for (const { file, name, flows } of reports) {
    const failed = flows.filter(({ ok }) => !ok);
    const state = failed.length === 0 ? terminal.paint("good", "ok    ") : terminal.paint("bad", "FAILED");
    terminal.line(
      `${state}  ${plain(`${file} ${name}`)}: ${flows.length - failed.length} of ${plural(flows.length, "flow")} as expected`,
    );
    for (const result of failed) {
      terminal.line(`          ${plain(flowText(result))}`);
      for (const text of result.decidedBy) terminal.line(`            ${plain(text)}`);
    }
  }
}
