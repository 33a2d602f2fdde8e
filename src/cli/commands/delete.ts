/** `manx delete KIND NAME...` or `manx delete -f FILE`. */
import { Option } from "commander";
import type { AnyResource } from "../../core/model/resources.ts";
import { type ChangeFlags, changeOptions, makeChange, orIfMissing } from "../change.ts";
import { agentOptions, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type FileFlags, fileOption } from "../file-option.ts";
import { checkNamespace, kindCalled, nameOf } from "../kinds.ts";
import { readResources } from "../resource-files.ts";

interface Flags extends FileFlags, ChangeFlags {
  readonly namespace?: string;
  readonly ignoreMissing?: boolean;
}

export const define: Define = (command, cli) => {
  command
    .argument("[kind]", "as in manx explain")
    .argument("[names...]", "names, or NAMESPACE/NAME")
    .option("-n, --namespace <namespace>", "a compose project; otherwise default")
    .option("--ignore-missing", "what is gone already is well")
    // calicoctl's word for it, and kubectl's.
    .addOption(new Option("--skip-not-exists").hideHelp().implies({ ignoreMissing: true }))
    .addOption(new Option("--ignore-not-found").hideHelp().implies({ ignoreMissing: true }));
  fileOption(command);
  agentOptions(changeOptions(command));
  examples(command, [
    ["manx delete gnp allow-web", "by kind and name"],
    ["manx delete networkpolicy -n shop web db", "several, of a compose project"],
    ["manx delete -f web.yaml --ignore-missing", "all that the file names"],
  ]);
  command.action(async (kind: string | undefined, names: string[], flags: Flags) => {
    const resources = flags.file === undefined ? named(kind, names, flags) : (await readResources(flags)).resources;
    if (flags.file !== undefined && kind !== undefined)
      throw new CliError(EXIT.usage, "Cannot delete by name and by file at once: give one of them");
    await makeChange(
      { mode: "delete", resources, ...(flags.ignoreMissing && { ignoreMissing: true }) },
      flags,
      cli,
    ).catch(orIfMissing("Nothing was deleted. --ignore-missing deletes those that are there."));
  });
};

/** Only what names them: the agent needs no more to delete. */
function named(kind: string | undefined, names: readonly string[], flags: Flags): AnyResource[] {
  if (kind === undefined || names.length === 0)
    throw new CliError(EXIT.usage, "Cannot delete: what?", "manx delete KIND NAME..., or manx delete -f FILE");
  const info = kindCalled(kind);
  checkNamespace([info], flags.namespace);
  return names.map((word) => {
    const metadata = nameOf(word, info, flags.namespace);
    return { apiVersion: info.apiVersion, kind: info.kind, metadata } as AnyResource;
  });
}
