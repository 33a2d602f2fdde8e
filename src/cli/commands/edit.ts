/** `manx patch` and `manx label`: a part of a resource. Read, edited here, and written back only if nobody changed it meanwhile. */
import { type Command, Option } from "commander";
import {
  editLabels,
  type PatchOperation,
  parseLabelEdits,
  patchResource,
  patchResourceBySteps,
} from "../../core/model/patch.ts";
import type { AnyResource, Kind } from "../../core/model/resources.ts";
import { formatProblems, type Result } from "../../core/problem.ts";
import { type ChangeFlags, changeOptions, makeChange } from "../change.ts";
import { agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { checkNamespace, kindCalled, nameOf } from "../kinds.ts";

interface Flags extends ChangeFlags {
  readonly namespace?: string;
}

function resourceArguments(command: Command): Command {
  return command
    .argument("<kind>", "as in manx explain")
    .argument("<name>", "a name, or NAMESPACE/NAME")
    .option("-n, --namespace <namespace>", "a compose project; otherwise default");
}

export const patch: Define = (command, cli) => {
  resourceArguments(command)
    .requiredOption("-p, --patch <text>", "YAML or JSON")
    .addOption(
      // No list of Calico's kinds has a key by which its items would be merged: strategic is merge.
      new Option("-t, --type <type>", "how to read it").choices(["merge", "json", "strategic"]).default("merge"),
    );
  agentOptions(changeOptions(command));
  examples(command, [
    ["manx patch ippool lan -p '{spec: {natOutgoing: true}}'", "merged (RFC 7396): null removes"],
    ["manx patch gnp web --type json -p '[{op: remove, path: /spec/order}]'", "step by step (RFC 6902)"],
  ]);
  command.action(
    async (kind: string, name: string, flags: Flags & { readonly patch: string; readonly type: string }) => {
      const text = await parseText(flags.patch);
      await edit(kind, name, flags, cli, "patch", (resource) =>
        flags.type === "json" ? patchResourceBySteps(resource, steps(text)) : patchResource(resource, text),
      );
    },
  );
};

export const label: Define = (command, cli) => {
  resourceArguments(command)
    .argument("<labels...>", "KEY=VALUE sets, KEY- removes")
    .option("--overwrite", "even where the label has another value")
    .option("--remove", "KEY removes as well");
  agentOptions(changeOptions(command));
  examples(command, [
    ["manx label node h1 rack=a", "set a label"],
    ["manx label node h1 rack=b --overwrite", "change it"],
    ["manx label node h1 rack-", "remove it; or: manx label node h1 rack --remove"],
  ]);
  command.action(
    async (
      kind: string,
      name: string,
      words: string[],
      flags: Flags & { readonly overwrite?: boolean; readonly remove?: boolean },
    ) => {
      const edits = parseLabelEdits(words, flags.remove);
      if (!edits.ok) throw wrong("Cannot read the labels", edits);
      await edit(kind, name, flags, cli, "label", (resource) =>
        editLabels(resource, edits.value, flags.overwrite ?? false),
      );
    },
  );
};

/** Where the labels of what cannot be changed come from. */
const OWN_LABELS: { readonly [kind in Kind]?: string } = {
  WorkloadEndpoint: "Its labels are its container's: docker run --label.",
};

async function edit(
  kind: string,
  word: string,
  flags: Flags,
  cli: Cli,
  verb: string,
  change: (resource: AnyResource) => Result<AnyResource>,
): Promise<void> {
  const info = kindCalled(kind);
  checkNamespace([info], flags.namespace);
  if (info.readOnly)
    throw new CliError(EXIT.usage, `Cannot ${verb} a ${info.kind}: it is kept by Manx itself`, OWN_LABELS[info.kind]);
  const { name, namespace } = nameOf(word, info, flags.namespace);
  const before = await cli.agent(flags).resource(info.kind, name, namespace);
  const edited = change(before);
  if (!edited.ok) throw wrong(`Cannot ${verb} the ${info.kind} "${word}"`, edited);
  // Apply, not replace: a host's Node is there before anybody has stored it. The resource version guards against others.
  await makeChange({ mode: "apply", resources: [edited.value] }, flags, cli);
}

function wrong(what: string, { problems }: Extract<Result<unknown>, { ok: false }>): CliError {
  return new CliError(EXIT.usage, `${what}:\n${formatProblems(problems)}`);
}

async function parseText(text: string): Promise<unknown> {
  const { parse, YAMLError } = await import("yaml");
  try {
    return parse(text, { maxAliasCount: 0, logLevel: "error" }) as unknown;
  } catch (error) {
    if (!(error instanceof YAMLError || error instanceof ReferenceError)) throw error;
    throw new CliError(EXIT.usage, `Cannot read the patch: ${error.message}`);
  }
}

const OPERATIONS = ["add", "remove", "replace", "move", "copy", "test"];

function steps(value: unknown): readonly PatchOperation[] {
  if (!Array.isArray(value))
    throw new CliError(EXIT.usage, "Cannot read the patch: with --type json it is a list of steps");
  for (const [index, step] of value.entries()) {
    const { op, path } = (step ?? {}) as { op?: unknown; path?: unknown };
    if (typeof op !== "string" || !OPERATIONS.includes(op) || typeof path !== "string")
      throw new CliError(
        EXIT.usage,
        `Cannot read the patch: step ${index + 1} needs an op (${OPERATIONS.join(", ")}) and a path`,
      );
  }
  return value as PatchOperation[];
}
