/** `manx diff -f`: what apply would change, in resources and in who may talk to whom. */
import type { ChangeReport, ChangeResult, VerdictChange } from "../../api/client.ts";
import { lineDiff } from "../../core/model/line-diff.ts";
import { printResource } from "../../core/model/print.ts";
import type { AnyResource } from "../../core/model/resources.ts";
import { titleOfResult } from "../change.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { EXIT } from "../exit-codes.ts";
import { type FileFlags, fileOption, namespaceOfFiles } from "../file-option.ts";
import { type OutputFlags, outputOption, printData } from "../output.ts";
import { readResources } from "../resource-files.ts";
import { renderTable } from "../table.ts";
import type { Style } from "../terminal.ts";
import { plain } from "../text.ts";

export const define: Define = (command, cli) => {
  namespaceOfFiles(fileOption(command));
  agentOptions(outputOption(command, ["table", "json", "yaml"]));
  examples(command, [
    ["manx diff -f web.yaml", "exit 0: nothing would change; 1: something would"],
    ["manx apply -f web.yaml", "do it"],
  ]);
  command.action(async (flags: FileFlags & AgentFlags & OutputFlags) => {
    const { resources, locate } = await readResources(flags);
    const request = {
      mode: "apply" as const,
      dryRun: true,
      resources: resources.map((one) => ({ ...one, metadata: { ...one.metadata } })),
    };
    const report = await cli
      .agent(flags)
      .change(request)
      .catch((error: unknown) => {
        throw locate(error);
      });
    const changed = report.results.filter(({ outcome }) => outcome !== "unchanged");
    if (changed.length > 0) cli.exit = EXIT.no;
    if (flags.output === "json" || flags.output === "yaml")
      return printData(cli.terminal, flags.output, { ...report, results: changed });
    for (const result of changed) printChange(result, cli);
    if (changed.length === 0) cli.terminal.say("Nothing would change.");
    else printVerdicts(report, cli);
  });
};

const STYLES: Readonly<Record<string, Style>> = { "+": "good", "-": "bad", "@": "dim" };

function printChange(result: ChangeResult, { terminal }: Cli): void {
  const text = (side: ChangeResult["before"]): string =>
    side === undefined ? "" : printResource(withoutBookkeeping(side));
  terminal.line(terminal.paint("heading", plain(`${titleOfResult(result)}: ${result.outcome}`)));
  for (const line of lineDiff(text(result.before), text(result.after)).split("\n").slice(0, -1)) {
    const style = STYLES[line.charAt(0)];
    terminal.line(style === undefined ? plain(line) : terminal.paint(style, plain(line)));
  }
}

/** What the store adds by itself is nobody's change. */
function withoutBookkeeping(resource: NonNullable<ChangeResult["before"]>): AnyResource {
  const { uid: _uid, creationTimestamp: _at, resourceVersion: _version, ...metadata } = resource.metadata;
  return { ...resource, metadata } as unknown as AnyResource;
}

function printVerdicts({ verdicts, verdictsComplete }: ChangeReport, { terminal }: Cli): void {
  if (verdicts === undefined) return;
  terminal.line();
  if (verdicts.length === 0)
    return terminal.line("No verdict between the present endpoints, this host and the internet would change.");
  const lines = renderTable(
    [
      { title: "FROM", value: ({ from }: VerdictChange) => from },
      { title: "TO", value: ({ to }) => to },
      { title: "FLOW", value: ({ flow }) => flow },
      { title: "BEFORE", value: ({ before }) => before },
      {
        title: "AFTER",
        value: ({ after, staged }) => (staged === true ? `${after} (staged)` : after),
        style: ({ after }) => (after === "allow" ? "good" : "bad"),
      },
      { title: "DECIDED BY", value: ({ decidedBy }) => decidedBy },
    ],
    verdicts,
    terminal.paint,
    terminal.columns,
  );
  for (const line of lines) terminal.line(line);
  if (verdictsComplete === false)
    terminal.say("There are more: not all kinds of endpoints could be asked about.", "warn");
}
